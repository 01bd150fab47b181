"""Machine code on disk: where it lies, how long it is kept, and how a damaged file is told from a good one.

**Where.** The machine code of a kernel file lies in a folder. A hash of the sources is the folder's name, so each
version of minicnn, and each change to a kernel, leaves old folders that are never read again. The folder has one file
for each kernel and each set of types it was compiled for. Everything else that the code depends on, such as the
processor, is in the file's name as a hash.

**How long.** Machine code is removed after 60 days without use. A process that uses a folder renews its date of
modification, at most once a day. A process that makes a new folder removes the machine code in folders with an old
date. The folder itself is removed only if it is still empty 60 days later, so that a process that has run for months
can still write to it. Missing code is compiled again.

**What is in a file**, in this order: `MAGIC`, the SHA-256 of all bytes that follow, the SHA-256 of what the code
depends on, the code. Code is used only if every byte is as it was written, because LLVM ends the process when it gets
damaged code. A file is written under a temporary name and then renamed, so that processes that compile the same kernel
at the same time each leave a whole file. minicnn does not wait until the data is on the disk: a file that a power
failure leaves half written is recognised like any other damage, and costs a compilation.

**Which process compiles.** The first one that finds no code. It locks a file beside the code (`turn`); the others wait
and then load the result. The operating system frees the lock when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import stat
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC = b"minicnn machine code 1\n"
HASH = 32  # bytes of a SHA-256
LARGEST = 1 << 28  # bytes; the largest files have 200 KB
DAY = 86_400  # seconds
KEPT = 60 * DAY
PATIENCE = 120  # seconds; no kernel takes longer to compile, but its process may have been stopped

_OURS = re.compile(r"[0-9a-f]{16}")  # `NUMBA_CACHE_DIR` may also hold machine code of other programs
_CODE = re.compile(r".*\.(nbi|nbc)(\.tmp\.[0-9a-f]+|\.lock)?")  # machine code, files being written, Numba's own index


class DamagedError(Exception):
    """A file of machine code is not as it was written."""


# ------------------------------------------------------------------------------------------------------------- where


def root() -> Path | None:
    """The folder of all machine code on disk: `NUMBA_CACHE_DIR`, or a folder in the user's cache.

    None where no such place exists: the user of a container may have no home folder.
    """
    chosen, base = os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    if chosen:
        return Path(chosen)
    try:
        return Path(base or Path.home() / ".cache") / "minicnn" / "numba"
    except RuntimeError:
        return None


@functools.cache
def folder_of(module: str) -> Path | None:
    """The folder for the machine code of a kernel file, named by a hash of the sources of this file and of all kernel
    files that it imports from, directly or through others.

    Numba itself checks only the date and size of the one file, so it misses a change to a function imported from
    another file.
    """
    base = root()
    if base is None:
        return None
    sources = hashlib.sha256()
    for name in sorted(_reached(module)):
        path = sys.modules[name].__file__
        sources.update(Path(path).read_bytes() if path else b"")
    folder = base / sources.hexdigest()[:16]
    note_use(folder)
    return folder


def _reached(module: str) -> set[str]:
    """The module and the kernel modules that it imports from, directly or through others."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return found


# `from .a import b, c` and `from . import (a, b)`. Parsing the syntax of all files took 0.2 s at each process's start.
_FROM = re.compile(r"^ *from (\.+)([\w.]*) import (?:\(([^)]*)\)|([^\n]*))", re.MULTILINE)


@functools.cache
def _imports(name: str) -> list[str]:
    """The kernel modules that a module imports from."""
    here = sys.modules[name]
    parts = (here.__package__ or "").split(".")
    found = set()
    for dots, origin, several, plain in _FROM.findall(Path(here.__file__ or "").read_text(encoding="utf-8")):
        base = ".".join([*parts[: len(parts) - len(dots) + 1], *origin.split(".")]).rstrip(".")
        found |= {base, *(f"{base}.{imported}" for imported in re.findall(r"\w+", several or plain))}
    return sorted(full for full in found if _is_kernel(full))


def _is_kernel(name: str) -> bool:
    return name in sys.modules and name.startswith(f"{__package__}.")


# ---------------------------------------------------------------------------------------------------------- how long


def note_use(folder: Path) -> None:
    """Note that a process is about to read from a folder or to make it; without permission, do nothing."""
    try:
        if not folder.is_dir():
            _prune(folder.parent)
        elif time.time() - folder.stat().st_mtime > DAY:
            folder.touch()
    except (OSError, ValueError):  # another process was faster, the folder is another user's, or its name is impossible
        pass


@functools.cache  # a first run makes a folder for each kernel file
def _prune(base: Path) -> None:
    """Remove machine code that has not been used for 60 days, and folders that were emptied long ago."""
    for folder in base.iterdir() if base.is_dir() else ():
        try:
            ours = _OURS.fullmatch(folder.name) and not folder.is_symlink() and folder.is_dir()
            if ours and time.time() - folder.stat().st_mtime > KEPT:
                _empty(folder)
        except OSError:  # as above
            continue


def _empty(folder: Path) -> None:
    """Remove the machine code in a folder and in the folders below it, and folders that are empty; keep other files."""
    files = [file for file in folder.rglob("*") if _CODE.fullmatch(file.name) and file.is_file()]
    for file in files:
        file.unlink(missing_ok=True)
    if files:
        folder.touch()
        return
    for inner in sorted(folder.rglob("*"), reverse=True):
        inner.rmdir()
    folder.rmdir()


# ------------------------------------------------------------------------------------------------------ what is there


def read(file: Path, key: bytes | None) -> bytes | None:
    """The code in a file, or None if there is none.

    Args:
        file: the file to read.
        key: the SHA-256 of what the code depends on; None accepts any.

    Raises:
        DamagedError: the file is not as it was written, or its key is another one.
        OSError: the file cannot be read.
    """
    try:
        found = os.stat(file)
    except ValueError:  # no file can have that name
        return None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise
    if not stat.S_ISREG(found.st_mode):  # reading from a pipe could wait for ever
        raise DamagedError("it is not a file")
    if found.st_size > LARGEST:
        raise DamagedError(f"it is too large: {found.st_size:,} bytes")
    content = file.read_bytes()
    start = len(MAGIC) + HASH
    if content[: len(MAGIC)] != MAGIC or len(content) < start + HASH:
        raise DamagedError("its beginning is wrong")
    body = memoryview(content)[start:]
    if hashlib.sha256(body).digest() != content[len(MAGIC) : start]:
        raise DamagedError("its checksum is wrong")
    if key is not None and body[:HASH] != key:
        raise DamagedError("it is the file of another kernel, or of other types or settings")
    return bytes(body[HASH:])


def write(file: Path, key: bytes, code: bytes) -> None:
    """Write code to a file, either all of it or nothing.

    Raises:
        OSError: the file cannot be written; no half-written file stays.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.tmp.{uuid.uuid4().hex[:16]}")
    try:
        with open(temporary, "xb") as stream:
            stream.write(MAGIC + hashlib.sha256(key + code).digest() + key + code)
        with contextlib.suppress(OSError):
            if file.is_dir() and not file.is_symlink():
                file.rmdir()  # an empty folder in the file's place
        os.replace(temporary, file)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def turn(file: Path) -> Iterator[bool]:
    """Let one process at a time into the block, for each file of code; yields whether this process had to wait.

    No process waits on Windows, which lacks these locks, or if the folder cannot be written to; and none waits longer
    than `PATIENCE`. Code that is compiled twice costs time and does no harm.
    """
    lock, handle, waited = file.with_name(f"{file.name}.lock"), None, False
    with contextlib.suppress(ImportError, OSError, ValueError):
        lock.parent.mkdir(parents=True, exist_ok=True)
        end = time.monotonic() + PATIENCE
        while (handle := _locked(lock)) is None and time.monotonic() < end:
            tell_once("compiling", "another process is compiling kernels for this machine; waiting for it")
            waited = True
            time.sleep(0.02)
    try:
        yield waited
    finally:
        if handle is not None:
            with contextlib.suppress(OSError):
                lock.unlink()
            os.close(handle)


def _locked(lock: Path) -> int | None:
    """Lock a file, which is made if it is missing; return None if another process has the lock."""
    import fcntl  # not on Windows

    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), os.stat(lock)):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)  # another process holds the lock, or has just removed the file
    return None


def refusal(folder: Path) -> str:
    """Make a folder, and return why nothing can be written to it, or an empty string if it can be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"probe.nbc.tmp.{uuid.uuid4().hex[:16]}"
        try:
            with open(probe, "xb") as stream:
                stream.write(bytes(1 << 16))  # on a full disk an empty file can be made
        finally:
            probe.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        return reason(error)
    return ""


def reason(error: Exception) -> str:
    """An error in a few words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Found(NamedTuple):
    """The machine code on disk: how many files and bytes, and which of them are damaged or cannot be read."""

    files: int
    size: int
    bad: list[Path]


def look(base: Path) -> Found:
    """Examine all files below a root."""
    count, size, bad = 0, 0, []
    for folder in base.iterdir() if base.is_dir() else ():
        if not _OURS.fullmatch(folder.name):
            continue
        try:
            files = sorted(folder.glob("*.nbc"))
        except OSError:
            files = [folder]
        for file in files:
            try:
                code = read(file, None)
            except (OSError, DamagedError):
                bad.append(file)
                code = b""
            if code is not None:  # the file was not removed in the meantime
                count, size = count + 1, size + len(code)
    return Found(count, size, bad)


# ------------------------------------------------------------------------------------------------ what the user is told

_told: set[str] = set()


def tell_once(kind: str, text: str) -> None:
    """Print a line on the standard error, unless this process has already printed one of that kind.

    It is not a Python warning: a program that turns warnings into errors would stop because of a cache.
    """
    if kind not in _told:
        _told.add(kind)
        if sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):  # closed
                print(f"minicnn: {text}", file=sys.stderr, flush=True)


def tell_damage(file: Path, why: str) -> None:
    """Tell that a file is damaged; only the first one in a process."""
    tell_once("damage", f"warning: machine code is damaged and is compiled again; {file}: {why}")


def tell_refusal(folder: Path | None, why: str) -> None:
    """Tell that machine code cannot be kept."""
    where = "anywhere" if folder is None else f"in {folder}"
    tell_once(
        "refusal",
        f"warning: compiled kernels cannot be kept {where} ({why}), so that the next run compiles them again; "
        "set NUMBA_CACHE_DIR to a folder that can be written",
    )
