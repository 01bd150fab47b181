"""Files on disk: replaced in one step or not at all, whoever else writes them; and read only if they are files.

Everything the library writes goes through a `Draft`: a hidden file next to the one to be, with a name of its own, which
takes the real name by one rename when all of it has reached the disk. A reader, or a crash at any moment, finds all of
the old file or all of the new; of several savers to one path, the last one's file stays, whole.
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

_STALE = 3600.0  # seconds after which a draft can only be a dead process's, where files cannot be locked
_END = re.compile(r"[0-9a-f]{16}\.part")  # of a draft's name, after the file's
_alive: set[str] = set()  # drafts of this process: over a network, locks are between processes only
_LONGEST = 200  # bytes of a name; a draft's has 24 more, and file systems allow 255
_KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}  # fmt: skip


def write_atomically(path: FilePath, *pieces: Any, within: FilePath | None = None) -> None:
    """Put the pieces, one after another, under `path`: all of them or, if something fails, nothing. See `Draft`."""
    write_together({path: pieces}, within=within)


def write_together(files: Mapping[Any, Content], *, within: FilePath | None = None) -> None:
    """Replace several files of one folder so that, whatever fails or crashes, they hardly ever disagree.

    All of them are complete and on the disk before the first gets its name; the names then change in the order given,
    without anything in between. So a reader that takes the last file's word for which state counts is always right.

    Args:
        files: from a path to the pieces of its content.
        within: the folder that the files must be in once links are followed.

    Raises:
        OSError: the file system refuses, such as when it is full; it names the file that is concerned.
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
    """A file that takes the name `path` once it is complete; till then it is hidden beside it.

    It is created exclusively, never through a link, and locked while its writer lives, so that `Draft`s of the dead
    are known and removed. The new file has the mode of the old one, or that of the umask. If `path` is a link, the file
    it points to is replaced. What is no file, such as /dev/null or a pipe, is written to instead of being replaced.

    Args:
        path: the name to take.
        within: a folder that a link at `path` must not lead out of.

    Raises:
        OSError: no folder, no permission, a file that is write-protected, a link out of `within`, a full disk.
    """

    def __init__(self, path: FilePath, *, within: FilePath | None = None) -> None:
        if path and os.path.basename(path) in ("", ".", ".."):  # which Path drops
            raise IsADirectoryError(errno.EISDIR, "the path names a folder, not a file in it", os.fspath(path))
        self.path = Path(path)
        self.part: Path | None = None
        self.target, old, self.renames = _destination(self.path, within)
        with naming(self.path):
            if self.renames:
                _sweep(self.target)
                self._create(old)
            else:
                self.file: IO[bytes] = open(self.target, "wb")  # noqa: SIM115 (the draft is the context)

    def write(self, pieces: Content) -> None:
        """Write the pieces, and see that they are on the disk."""
        with naming(self.path):
            for piece in pieces:
                self.file.write(piece)
            self.file.flush()
            if self.renames:
                os.fsync(self.file.fileno())

    def publish(self) -> None:
        """Give the file its name. The folder's entry is on the disk only after `sync`."""
        with naming(self.path):
            if fcntl is None:
                self.file.close()  # Windows does not rename what is open
            if self.part is not None:
                os.replace(self.part, self.target)
                _alive.discard(str(self.part))
                self.part = None
            self.file.close()  # only now: it is locked till then

    def sync(self) -> None:
        """See that the name is on the disk, where the system can open folders at all."""
        if not self.renames:
            return
        try:
            folder = os.open(self.target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
                raise OSError(error.errno, error.strerror, str(self.path)) from error

    def discard(self) -> None:
        """Remove the file, unless it has its name already."""
        if self.part is not None:
            with suppress(OSError):
                self.part.unlink()
            _alive.discard(str(self.part))
            self.part = None
        with suppress(OSError):  # a full disk once more, at the flush of what was not written
            self.file.close()

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *error: object) -> None:
        self.discard()

    def _create(self, old: os.stat_result | None) -> None:
        """Open a hidden file with a new name, locked, with the mode of the old file."""
        mode = 0o666 if old is None else 0o600  # the first is for the umask to narrow
        while True:
            part = self.target.with_name(f".{_stem(self.target)}.{secrets.token_hex(8)}.part")
            _alive.add(str(part))
            try:
                self.file = open(part, "xb", opener=partial(os.open, mode=mode))  # noqa: SIM115
                self.part = part
                if _lock(self.file) and os.fstat(self.file.fileno()).st_nlink:
                    break  # else it was swept between its creation and its lock
                self.discard()
            except BaseException:
                _alive.discard(str(part))
                raise
        if old is not None and os.name == "posix":
            _take_over(self.file.fileno(), old)


def open_regular(path: FilePath) -> IO[bytes]:
    """Open a file for reading; a pipe, which could make us wait for ever, or a device, which never ends, is refused.

    Raises:
        OSError: it is missing, is no regular file, or must not be read; it names the file.
    """

    def check(mode: int) -> None:
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "no file")
            number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
            raise OSError(number, f"it is {kind}, and only regular files are read", os.fspath(path))

    check(os.stat(path).st_mode)
    never_wait = getattr(os, "O_NONBLOCK", 0)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | never_wait))  # noqa: SIM115 (given away)
    try:
        check(os.fstat(file.fileno()).st_mode)  # it may have been changed in between
    except OSError:
        file.close()
        raise
    return file


def read_text(path: FilePath, limit: int = 1 << 24) -> str:
    """The content of a text file of at most `limit` bytes.

    Raises:
        OSError: as `open_regular`; or it is larger.
        ValueError: it is not UTF-8.
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
    return known.get(error.errno or 0, "see that the file may be written")


def _destination(path: Path, within: FilePath | None) -> tuple[Path, os.stat_result | None, bool]:
    """What to write to, links followed; its status, if it is there; and whether it is to be replaced by a rename."""
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
        except OSError:  # a group that is not ours: ours may do no more than everybody
            mode = mode & 0o707 | (mode & 0o007) << 3
    with suppress(OSError):  # on file systems without modes
        os.chmod(descriptor, mode)


def _stem(target: Path) -> str:
    """The part of a draft's name that says of which file it is; short enough for file systems."""
    name = os.fsencode(target.name)
    return target.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()


def _lock(file: IO[bytes]) -> bool:
    """Lock a file till it is closed; False if somebody else has locked it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: then nobody can sweep there, either
        pass
    return True


def _sweep(target: Path) -> None:
    """Remove what killed savers of this file have left; what is locked belongs to a living one."""
    beginning = f".{_stem(target)}."
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            ours = entry.name.startswith(beginning) and _END.fullmatch(entry.name, len(beginning))
            if ours and entry.path not in _alive and entry.is_file(follow_symlinks=False):
                with suppress(OSError):  # another process was faster, or the file is another user's
                    _remove_dead(entry.path)


def _remove_dead(part: str) -> None:
    if fcntl is None:
        if time.time() - os.stat(part).st_mtime > _STALE:
            os.unlink(part)
        return
    descriptor = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(part)  # still locked, so that a writer who comes between creation and lock notices
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: FilePath) -> Iterator[None]:
    """Errors of the system name the file that the user asked for, and no hidden one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
