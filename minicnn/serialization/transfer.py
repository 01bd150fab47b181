"""Bytes from a web server into a file, continued where an earlier try broke off.

The bytes so far are in `NAME.part` beside the file NAME that they are for, and `NAME.part.json` says which address they
come from and which version of the file. The next try, also of another process on another day, asks the server for the
rest only. Nothing here is trusted: whoever takes the bytes checks them, usually by a hash, before they get their name.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from .files import fcntl, naming

SILENCE = 30.0  # seconds without a byte after which a server is given up
PATIENCE = 60.0  # seconds in which a server must have answered, and then must have sent SLOWEST bytes each second
SLOWEST = 1000.0
TRIES = 10  # times that one address is asked to continue
PAUSE = 1.0  # seconds before the second of these; longer each time
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}  # another server would not help
_CHUNK = 1 << 16


class WrongBytes(Exception):
    """The server answered, but not with the file."""


class _CutOff(OSError):
    """The connection ended before the file did."""


class _Answer(NamedTuple):
    """What a server sends: `start` is the position in the file of the first byte, `total` the bytes of the whole file,
    if known; `version` names the version of the file in a later request, `continues` says that there can be one."""

    start: int
    total: int | None
    version: str
    continues: bool
    pieces: Iterator[bytes]


class Part:
    """The file `NAME.part` for a file NAME, locked: another process that fetches the same file waits for this one."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")
        with naming(self.path):
            self.file = self._open()

    def _open(self) -> IO[bytes]:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        while True:
            descriptor = os.open(self.path, flags | getattr(os, "O_BINARY", 0), 0o666)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(errno.EINVAL, "it is no regular file; remove it", str(self.path))
                if fcntl is not None:
                    with suppress(OSError):  # of a file system without locks
                        fcntl.flock(descriptor, fcntl.LOCK_EX)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.stat(self.path), os.fstat(descriptor)):
                        return os.fdopen(descriptor, "r+b")
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # the process that had locked it has finished, and renamed or removed it

    @property
    def size(self) -> int:
        """The bytes so far."""
        return os.fstat(self.file.fileno()).st_size

    def fill(self, url: str, limit: int, *, any_version: bool = False, progress: bool = True) -> bool:
        """Fetch what is lacking of the file behind a URL. True if bytes of an earlier try are part of it.

        Args:
            url: its address, http or https.
            limit: the most bytes that the file may have.
            any_version: continue also bytes of another address or version: the caller knows the file's hash.
            progress: show a bar, if the output is a terminal.

        Raises:
            WrongBytes: the server sends something else: a web page, more than `limit` bytes, another part of the file.
            OSError, HTTPException, ValueError: there is no such server or file, it is silent or slow, or broke off; the
                bytes so far are kept.
        """
        known = self._note()
        if self.size > limit or (not any_version and (known.get("url") != url or not known.get("version"))):
            self.clear()
        resumed = self.size > 0
        for number in range(TRIES):
            before = self.size
            try:
                self._continue(url, limit, "" if any_version else self._note().get("version", ""), progress)
                return resumed
            except _Restart:
                self.clear()
                resumed = False
            except OSError as error:
                again = isinstance(error, _CutOff | TimeoutError | ConnectionError) and self.size > before
                if not again or not self._note().get("continues") or number == TRIES - 1:
                    raise
                time.sleep(PAUSE * (number + 1))
        raise WrongBytes("it keeps sending another part of the file than it was asked for")

    def _continue(self, url: str, limit: int, version: str, progress: bool) -> None:
        """One request for the bytes after those that are there."""
        from tqdm import tqdm

        with _answer(url, self.size, version) as answer:
            first = next(answer.pieces, b"")  # a web page is refused before what is there is given up
            if answer.start == 0:
                self.clear()
                note = {"url": url, "version": answer.version, "continues": answer.continues}
                self._notes.write_text(json.dumps(note), "utf-8")
            self.file.seek(answer.start)
            total = answer.start
            bar = tqdm(
                total=answer.total, initial=total, desc=self.path.stem, unit="B", unit_scale=True,
                disable=None if progress else True,  # None: only on a terminal
            )  # fmt: skip
            with bar:
                for piece in chain([first], answer.pieces):
                    total += len(piece)
                    if total > limit:
                        self.clear()
                        raise WrongBytes(f"more than the {limit} bytes of the file")
                    with naming(self.path):
                        self.file.write(piece)
                        self.file.flush()
                    bar.update(len(piece))
        if answer.total is not None and total != answer.total:
            raise _CutOff(f"cut off after {total} of {answer.total} bytes")

    def _note(self) -> dict[str, Any]:
        """Where the bytes come from: of any doubtful content, nothing."""
        try:
            found = json.loads(self._notes.read_text("utf-8")) if self._notes.stat().st_size < 1 << 14 else {}
        except (OSError, ValueError, RecursionError):
            return {}
        version = found.get("version") if isinstance(found, dict) else None
        return found if isinstance(version, str) and version.isprintable() else {}

    def clear(self) -> None:
        """Forget the bytes."""
        self.file.seek(0)
        self.file.truncate()
        with suppress(OSError):
            self._notes.unlink()

    def pieces(self) -> Iterator[bytes]:
        """The bytes, from the first."""
        self.file.seek(0)
        return iter(lambda: self.file.read(_CHUNK), b"")

    def publish(self, target: Path) -> None:
        """Give the bytes the name `target`, when they are on the disk."""
        with naming(target):
            self.file.flush()
            os.fsync(self.file.fileno())
            if fcntl is None:
                self.file.close()  # Windows cannot rename an open file
            os.replace(self.path, target)
            self.file.close()
        with suppress(OSError):
            self._notes.unlink()

    def remove(self) -> None:
        """Delete the file, which nobody will continue."""
        for path in (self.path, self._notes):
            with suppress(OSError):
                path.unlink()

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *error: object) -> None:
        if not self.file.closed:
            with suppress(OSError):  # closing flushes, which fails again on a full disk
                if not self.size:
                    self.remove()
            with suppress(OSError):
                self.file.close()


class _Restart(Exception):
    """The bytes so far do not fit what the server has."""


@contextmanager
def _answer(url: str, start: int, version: str) -> Iterator[_Answer]:
    """Ask a server for the bytes of a file from position `start`, if it still has this version, or else for all."""
    from urllib.error import HTTPError

    headers = {"User-Agent": "minicnn", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if version:
            headers["If-Range"] = version
    try:
        opened = _opened(url, headers)
    except HTTPError as error:
        error.close()  # it holds the connection
        if error.code == 416 and start:  # there are no such bytes
            raise _Restart from error
        raise
    with opened as answer:
        length = answer.headers.get("Content-Length", "")
        rest = int(length) if length.isdecimal() and len(length) < 20 else None
        begin, total = 0, rest
        if answer.status == 206:
            span = re.fullmatch(r"bytes (\d{1,20})-\d{1,20}/(\d{1,20}|\*)", answer.headers.get("Content-Range", ""))
            if not start or span is None or int(span[1]) != start:
                raise _Restart
            begin, total = start, int(span[2]) if span[2] != "*" else None if rest is None else start + rest
        etag = answer.headers.get("ETag", "")
        version = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")
        ranges = answer.status == 206 or answer.headers.get("Accept-Ranges", "").strip().lower() == "bytes"
        yield _Answer(begin, total, version, ranges, _pieces(answer, begin))


def _opened(url: str, headers: dict[str, str]) -> Any:
    """The answer of a server. A thread waits for it: looking up a name and reading headers know no time limit."""
    from urllib.request import Request, urlopen

    request = Request(url, headers=headers)
    answers: list[Any] = []
    late = threading.Event()

    def ask() -> None:
        try:
            answers.append(urlopen(request, timeout=SILENCE))
            if late.is_set():
                answers[0].close()
        except BaseException as error:
            answers.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if not answers:
        late.set()
        raise TimeoutError(f"no answer within {PATIENCE:.0f} seconds")
    if isinstance(answers[0], BaseException):
        raise answers[0]
    return answers[0]


def _pieces(answer: Any, start: int) -> Iterator[bytes]:
    """What a server sends, as it comes."""
    began, got = time.monotonic(), 0
    piece = answer.read1(_CHUNK)
    if not start and piece.lstrip()[:1] == b"<":
        title = re.search(rb"<title[^>]*>([^<]{1,200})", piece, re.IGNORECASE)
        said = " ".join(title[1].decode("utf-8", "replace").split()) if title else ""
        raise WrongBytes(f"a web page instead of the file{f', titled {said!r}' if said else ''}")
    while piece:
        yield piece
        got += len(piece)
        if (spent := time.monotonic() - began) > PATIENCE:
            if got < SLOWEST * spent:
                raise TimeoutError(f"slow: {got / spent:,.0f} bytes a second")
            began, got = time.monotonic(), 0
        piece = answer.read1(_CHUNK)
