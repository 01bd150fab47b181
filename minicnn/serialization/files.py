"""Files on disk: replaced in one step or not at all, even if others write them too; only regular files are read.

The library writes every file through a `Draft`: a hidden file in the same folder with a unique name, which gets the
real name when all its bytes have reached the disk. A reader, also after a crash, finds the complete old file or the
complete new one. If several processes save to one path, the file of the last one stays, complete.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FilePath = str | os.PathLike[str]
Content = Iterable[Any]  # pieces: bytes, memoryviews, contiguous arrays

_STALE = 3600.0  # seconds after which a draft is taken for that of a dead process, if files cannot be locked
_END = re.compile(r"[0-9a-f]{16}\.part")  # of a draft's name, after the file's
_alive: set[str] = set()  # drafts of this process: on network disks a lock does not keep out the own process
_LONGEST = 200  # bytes of a name; a draft's has 24 more, and file systems allow 255
_KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}  # fmt: skip


def write_atomically(path: FilePath, *pieces: Any, within: FilePath | None = None) -> None:
    """Put the pieces, one after another, under `path`: all of them or, if something fails, nothing. See `Draft`."""
    write_together({path: pieces}, within=within)


def write_together(files: Mapping[Any, Content], *, within: FilePath | None = None) -> None:
    """Replace several files of one folder together, so that after a failure or crash they hardly ever disagree.

    All files are complete and on the disk before the first is renamed; then they are renamed directly after each other,
    in the order given. So a reader is always right if it takes the state that the last file describes.

    Args:
        files: from a path to the pieces of its content.
        within: a folder that must hold the files after links are followed.

    Raises:
        OSError: a file cannot be written, for example because the disk is full; the error names the file.
    """
    drafts: list[Draft] = []
    try:
        for path, pieces in files.items():
            drafts.append(Draft(path, within=within))
            drafts[-1].write(pieces)
        for draft in drafts:
            draft.publish()
    finally:
        for draft in drafts:
            draft.discard()
    for draft in {draft.target.parent: draft for draft in drafts}.values():
        draft.sync()


class Draft:
    """A hidden file beside `path` that is renamed to `path` when it is complete.

    It is always a new file, never reached through a link, and is locked while its process lives, so that the drafts of
    dead processes are recognised and removed. The new file has the mode of the old one, or that of the umask. If `path`
    is a link, the file it points to is replaced. If `path` is not a regular file, such as /dev/null or a pipe, it is
    written to and not replaced.

    Args:
        path: the name to take.
        within: a folder; if `path` is a link, its target must be inside.

    Raises:
        OSError: the folder does not exist, there is no permission, the file is write-protected, a link leads out of
            `within`, or the disk is full.
    """

    def __init__(self, path: FilePath, *, within: FilePath | None = None) -> None:
        if path and os.path.basename(path) in ("", ".", ".."):  # which Path drops
            raise IsADirectoryError(errno.EISDIR, "the path names a folder, not a file in it", os.fspath(path))
        self.path = Path(path)
        self.part: Path | None = None
        self.target, old, self.renames = _destination(self.path, within)
        with naming(self.path):
            if self.renames:
                sweep(self.target)
                self._create(old)
            else:
                self.file: IO[bytes] = open(self.target, "wb")  # noqa: SIM115 (the draft is the context)

    def write(self, pieces: Content) -> None:
        """Write the pieces, and wait until they are on the disk."""
        with naming(self.path):
            for piece in pieces:
                self.file.write(piece)
            self.file.flush()
            if self.renames:
                os.fsync(self.file.fileno())

    def publish(self) -> None:
        """Rename the file to its real name. The new name is on the disk only after `sync`."""
        with naming(self.path):
            if fcntl is None:
                self.file.close()  # Windows cannot rename an open file
            if self.part is not None:
                os.replace(self.part, self.target)
                _alive.discard(str(self.part))
                self.part = None
            self.file.close()  # only now, since it must stay locked until the rename

    def sync(self) -> None:
        """Wait until the name is on the disk, if the system can open folders."""
        if self.renames:
            with naming(self.path):
                sync_folder(self.target)

    def discard(self) -> None:
        """Remove the file, unless it has its name already."""
        if self.part is not None:
            with suppress(OSError):
                self.part.unlink()
            _alive.discard(str(self.part))
            self.part = None
        with suppress(OSError):  # closing flushes, which fails again on a full disk
            self.file.close()

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *error: object) -> None:
        self.discard()

    def _create(self, old: os.stat_result | None) -> None:
        """Open a hidden file with a new name, locked, with the mode of the old file."""
        mode = 0o666 if old is None else 0o600  # 0o666 is reduced by the umask
        while True:
            part = self.target.with_name(f".{_stem(self.target)}.{secrets.token_hex(8)}.part")
            _alive.add(str(part))
            try:
                self.file = open(part, "xb", opener=partial(os.open, mode=mode))  # noqa: SIM115
                self.part = part
                if _lock(self.file) and os.fstat(self.file.fileno()).st_nlink:
                    break  # else another process removed it between creation and lock
                self.discard()
            except BaseException:
                _alive.discard(str(part))
                raise
        if old is not None and os.name == "posix":
            _take_over(self.file.fileno(), old)


def sync_folder(path: FilePath) -> None:
    """Wait until the name of a file is on the disk, if the system can open folders."""
    try:
        folder = os.open(Path(path).parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise


def open_regular(path: FilePath) -> IO[bytes]:
    """Open a file for reading, but not a pipe, where reading could wait for ever, or a device, which never ends.

    Raises:
        OSError: the file is missing, is no regular file, or may not be read; the error names the file.
    """

    def check(mode: int) -> None:
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
            number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
            raise OSError(number, f"it is {kind}, and only regular files are read", os.fspath(path))

    check(os.stat(path).st_mode)
    never_wait = getattr(os, "O_NONBLOCK", 0)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | never_wait))  # noqa: SIM115 (given away)
    try:
        check(os.fstat(file.fileno()).st_mode)  # it may have been replaced in the meantime
    except OSError:
        file.close()
        raise
    return file


def sweep(target: Path) -> None:
    """Remove the drafts of a file that killed processes have left; a locked draft belongs to a living process."""
    beginning = f".{_stem(target)}."
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            ours = entry.name.startswith(beginning) and _END.fullmatch(entry.name, len(beginning))
            if ours and entry.path not in _alive and entry.is_file(follow_symlinks=False):
                with suppress(OSError):  # another process was faster, or another user owns the file
                    _remove_dead(entry.path)


def read_text(path: FilePath, limit: int = 1 << 24) -> str:
    """The content of a text file of at most `limit` bytes.

    Raises:
        OSError: as `open_regular`, or the file is larger.
        ValueError: the file is not UTF-8.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", os.fspath(path))
    return data.decode()


def remedy(error: OSError) -> str:
    """What a user can do about a file that could not be written."""
    known = {
        errno.ENOSPC: "make room on the disk",
        errno.EDQUOT: "make room: your quota on the disk is used up",
        errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
        errno.EROFS: "make the disk writable",
        errno.ENOENT: "make the folder again",
        errno.EISDIR: "move the folder away",
        errno.ELOOP: "remove the link",
        errno.EIO: "copy what is on this disk, which has errors",
    }
    return known.get(error.errno or 0, "make sure that the file may be written")


def _destination(path: Path, within: FilePath | None) -> tuple[Path, os.stat_result | None, bool]:
    """The file to write, after links are followed; its status, or None; and whether a rename is to replace it."""
    try:
        old = os.stat(path)
    except FileNotFoundError:
        old = None
    target = Path(os.path.realpath(path))
    if within is not None and not target.is_relative_to(os.path.realpath(within)):
        raise PermissionError(
            errno.EPERM, f"a link leads out of the folder, to {target}, and is not followed; remove it", str(path)
        )
    if old is None:
        return target, None, True
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(old.st_mode):
        return path, old, False
    if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, "the file is write-protected", str(path))
    nameless = not os.path.lexists(target) and os.path.exists(path)  # /dev/stdout, where that is a deleted file
    return (path if nameless else target), old, not nameless


def _take_over(descriptor: int, old: os.stat_result) -> None:
    """Give a new file the mode of the old one, and its owner and group where that is allowed."""
    mode = old.st_mode & 0o777
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.chown(descriptor, old.st_uid if os.geteuid() == 0 else -1, old.st_gid)
        except OSError:  # the process is not in this group: its own group then gets only the rights of all users
            mode = mode & 0o707 | (mode & 0o007) << 3
    with suppress(OSError):  # on file systems without modes
        os.chmod(descriptor, mode)


def _stem(target: Path) -> str:
    """The part of a draft's name that names its file; short enough for file systems."""
    name = os.fsencode(target.name)
    return target.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()


def _lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed; False if another process has locked it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where other processes cannot remove drafts, either
        pass
    return True


def _remove_dead(part: str) -> None:
    if fcntl is None:
        if time.time() - os.stat(part).st_mtime > _STALE:
            os.unlink(part)
        return
    descriptor = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(part)  # while locked, so that a process that is between creation and lock notices
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: FilePath) -> Iterator[None]:
    """Make errors of the system name the user's file, not a hidden one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
