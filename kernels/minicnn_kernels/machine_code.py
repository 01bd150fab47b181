"""Machine code on disk: where it lies, how long it is kept, and how a damaged file is told from a good one.

**Where.** The machine code of a kernel file lies in a folder named by a hash of the sources it comes from, so each
version of minicnn, and each change to a kernel, leaves folders that nothing will look into again. In the folder is one
file for each kernel and each set of types it was compiled for; what else the code depends on, such as the processor, is
in the file's name as a hash.

**How long.** Until nobody has used it for 60 days. A process that uses a folder renews its date of modification, at
most once a day; one that makes a new folder removes the machine code in those whose date is old. A folder itself goes
only when it was found empty another 60 days later, so that a process that has run for months still finds it there to
write to. Code that goes missing is compiled again.

**What is in a file**, bytes in this order: `MAGIC`, the SHA-256 of all that follows, the SHA-256 of what the code
depends on, the code. Code is used only when all of it is as it was written: LLVM ends the process when it is given
anything else. A file is written under a name of its own and then renamed, so that processes which compile the same
kernel at the same time each leave a whole one. Nothing is forced to the disk: what a loss of power leaves half written
is found out like any other damage, and costs a compilation.

**Who compiles.** The first process that finds no code. It locks a file beside it (`turn`), and the others wait and then
load what it has left. The system frees the lock when its holder ends, however it ends.
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

_OURS = re.compile(r"[0-9a-f]{16}")  # `NUMBA_CACHE_DIR` may hold machine code of others
_CODE = re.compile(r".*\.(nbi|nbc)(\.tmp\.[0-9a-f]+|\.lock)?")  # also Numba's index, files half written


class DamagedError(Exception):
    """A file of machine code is not as it was written."""


# ------------------------------------------------------------------------------------------------------------- where


def root() -> Path | None:
    """The folder of all machine code that is kept: `NUMBA_CACHE_DIR`, or one in the user's cache.

    None where there is no such place: the user of a container may have no home.
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
    """Where the machine code of a kernel file is: named by the sources that went into it, which are those of the file
    and of all kernel files that it imports from, near or far.

    Numba itself looks only at the date and size of the one file, which misses a changed function imported from another.
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


# `from .a import b, c` and `from . import (a, b)`; parsing the syntax of all files took 0.2 s of each process's start
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
    """Note that a process is about to read from a folder, or to make it; where that is forbidden, do nothing."""
    try:
        if not folder.is_dir():
            _prune(folder.parent)
        elif time.time() - folder.stat().st_mtime > DAY:
            folder.touch()
    except (OSError, ValueError):  # another process was faster, or the folder is another user's, or has no such name
        pass


@functools.cache  # a first run makes a folder for each kernel file
def _prune(base: Path) -> None:
    """Remove the machine code that has not been used, and the folders that were emptied long ago."""
    for folder in base.iterdir() if base.is_dir() else ():
        try:
            ours = _OURS.fullmatch(folder.name) and not folder.is_symlink() and folder.is_dir()
            if ours and time.time() - folder.stat().st_mtime > KEPT:
                _empty(folder)
        except OSError:  # as above
            continue


def _empty(folder: Path) -> None:
    """Remove the machine code in a folder and in the folders below; an empty one goes, and anything else stays."""
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
        file: where it lies.
        key: the SHA-256 of what the code depends on; None accepts any.

    Raises:
        DamagedError: it is not as it was written, or depends on something else.
        OSError: it cannot be read.
    """
    try:
        found = os.stat(file)
    except ValueError:  # no file can have that name
        return None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise
    if not stat.S_ISREG(found.st_mode):  # a pipe would have us wait for ever
        raise DamagedError("it is not a file")
    if found.st_size > LARGEST:
        raise DamagedError(f"{found.st_size:,} bytes are too many")
    content = file.read_bytes()
    start = len(MAGIC) + HASH
    if content[: len(MAGIC)] != MAGIC or len(content) < start + HASH:
        raise DamagedError("its beginning is wrong")
    body = memoryview(content)[start:]
    if hashlib.sha256(body).digest() != content[len(MAGIC) : start]:
        raise DamagedError("its checksum is wrong")
    if key is not None and body[:HASH] != key:
        raise DamagedError("it belongs elsewhere")
    return bytes(body[HASH:])


def write(file: Path, key: bytes, code: bytes) -> None:
    """Put code into a file, all of it or nothing.

    Raises:
        OSError: it cannot be written; nothing half written stays.
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
    """One process at a time inside, for each file of code; gives whether another one has been there meanwhile.

    Nobody waits where there are no such locks, as on Windows or in a folder that cannot be written to, nor for longer
    than `PATIENCE`: code that is compiled twice costs time and harms nothing.
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
    """Make a file, if need be, and lock it; None if another process has the lock."""
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
    os.close(handle)  # its holder is at work, or has just removed the file: the next to come makes another
    return None


def refusal(folder: Path) -> str:
    """Why nothing can be written to a folder, which is made; empty if it can."""
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
            if code is not None:  # it was not removed meanwhile
                count, size = count + 1, size + len(code)
    return Found(count, size, bad)


# ------------------------------------------------------------------------------------------------ what the user is told

_told: set[str] = set()


def tell_once(kind: str, text: str) -> None:
    """Print a line on the standard error, if this process has told nothing of that kind. It is no Python warning: a
    program that makes errors of those would end because of a cache.
    """
    if kind not in _told:
        _told.add(kind)
        if sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):  # closed
                print(f"minicnn: {text}", file=sys.stderr, flush=True)


def tell_damage(file: Path, why: str) -> None:
    """Tell that a file is damaged, the first one of a process."""
    tell_once("damage", f"warning: machine code is damaged and is compiled again; {file}: {why}")


def tell_refusal(folder: Path | None, why: str) -> None:
    """Tell that machine code cannot be kept."""
    where = "anywhere" if folder is None else f"in {folder}"
    tell_once(
        "refusal",
        f"warning: compiled kernels cannot be kept {where} ({why}), so that the next run compiles them again; "
        "set NUMBA_CACHE_DIR to a folder that can be written",
    )
