"""How long compiled machine code is kept on disk: until nobody has used it for 60 days.

The machine code of a kernel file lies in a folder named by a hash of the sources it comes from (`runtime.py`), so each
version of minicnn, and each change to a kernel, leaves folders that nothing will look into again. A process that uses a
folder renews its date of modification, at most once a day; one that makes a new folder removes the machine code in
those whose date is old. A folder itself goes only when it was found empty another 60 days later, so that a process that
has run for months still finds it there to write to. Code that goes missing is compiled again.
"""

from __future__ import annotations

import functools
import re
import time
from pathlib import Path

DAY = 86_400  # seconds
KEPT = 60 * DAY

_OURS = re.compile(r"[0-9a-f]{16}")  # `NUMBA_CACHE_DIR` may hold machine code of others
_CODE = re.compile(r".*\.(nbi|nbc)(\.tmp\.[0-9a-f]+)?")  # Numba's files: an index, machine code, and one being written


def note_use(folder: Path) -> None:
    """Note that a process is about to read from a folder, or to make it; where that is forbidden, do nothing."""
    try:
        if not folder.is_dir():
            _prune(folder.parent)
        elif time.time() - folder.stat().st_mtime > DAY:
            folder.touch()
    except OSError:  # another process was faster, or the folder is another user's
        pass


@functools.cache  # a first run makes a folder for each kernel file
def _prune(root: Path) -> None:
    """Remove the machine code that has not been used, and the folders that were emptied long ago."""
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            ours = _OURS.fullmatch(folder.name) and not folder.is_symlink() and folder.is_dir()
            if ours and time.time() - folder.stat().st_mtime > KEPT:
                _empty(folder)
        except OSError:  # as above
            continue


def _empty(folder: Path) -> None:
    """Remove what Numba has written to a folder and the folders below; an empty one goes, and anything else stays."""
    files = [file for file in folder.rglob("*") if _CODE.fullmatch(file.name) and file.is_file()]
    for file in files:
        file.unlink(missing_ok=True)
    if files:
        folder.touch()
        return
    for inner in sorted(folder.rglob("*"), reverse=True):
        inner.rmdir()
    folder.rmdir()
