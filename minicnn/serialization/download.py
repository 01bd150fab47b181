"""Files from the web: fetched into a folder, completely or not at all."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .files import sync_folder
from .source import CheckpointError
from .transfer import DISK, Part, WrongBytes

HASH = re.compile(r"-([a-f0-9]*)\.")  # the first digits of a file's SHA-256, in its name: resnet18-f37072fd.pth
_PYTORCH = "download.pytorch.org"  # whose names have them
_LARGEST = 1 << 36  # bytes of a file: 64 GB


def weights_folder() -> Path:
    """Where weights are kept: `$MINICNN_HOME/weights`, by default `~/.cache/minicnn/weights`."""
    home = os.environ.get("MINICNN_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "minicnn").expanduser() / "weights"


def pytorch_folder() -> Path:
    """The folder of PyTorch's downloads, `$TORCH_HOME/hub`, by default `~/.cache/torch/hub`."""
    home = os.environ.get("TORCH_HOME")
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else (Path(cache) if cache else Path.home() / ".cache") / "torch").expanduser() / "hub"


def is_url(path: object) -> bool:
    """Whether this is an address of the web, and not a path."""
    return isinstance(path, str) and path.lower().startswith(("http://", "https://"))


def fetched(url: str, progress: bool = True) -> Path:
    """The file behind a URL, from the folder of weights, or from that of PyTorch, or else downloaded.

    In the folder of weights, files from PyTorch's server have their own names, and others, whose names need not differ,
    are in a folder named after the URL. A file from PyTorch's server has digits of its SHA-256 in its name, which the
    content must have.

    Raises:
        CheckpointError: it could not be downloaded; the message says why, and where to put the file by hand.
        OSError: the folder cannot be written.
    """
    parts = urlsplit(url)
    name = unquote(parts.path.rpartition("/")[2])
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise CheckpointError(f"{url}: its path names no file")
    if parts.hostname == _PYTORCH:
        target, known = weights_folder() / name, pytorch_folder() / "checkpoints" / name
        if not target.is_file() and known.is_file():
            return known
        found = HASH.search(name)
        prefix = found[1] if found else ""
    else:
        target, prefix = weights_folder() / hashlib.sha256(url.encode()).hexdigest()[:8] / name, ""
    if not target.is_file():
        download(url, target, prefix, progress)
    return target


def download(url: str, target: Path, sha256: str = "", progress: bool = True) -> None:
    """Write the file behind a URL to `target`, in one step when it is complete.

    What a broken or interrupted download has left in `NAME.part` is continued.

    Args:
        url: its address, http or https.
        target: its path; folders are made.
        sha256: the first digits of its SHA-256.
        progress: show a bar, if the output is a terminal.

    Raises:
        CheckpointError, OSError: as `fetched`.
    """
    from http.client import HTTPException  # with much of the standard library, which `import minicnn` does without

    target.parent.mkdir(parents=True, exist_ok=True)
    with Part(target) as part:
        try:
            part.fill(url, _LARGEST, progress=progress)
            _check(part, sha256)
        except (WrongBytes, HTTPException, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in DISK:
                raise
            raise CheckpointError(
                f"{target.name} could not be downloaded from {url} ({error or type(error).__name__}). Fetch it with "
                f"another program and put it at {target}, or pass the path of the file instead of the URL"
            ) from error
        part.publish(target)
        sync_folder(target)


def _check(part: Part, sha256: str) -> None:
    """Refuse bytes whose SHA-256 does not begin with these digits."""
    if not part.size:
        raise WrongBytes("an empty file")
    digest = hashlib.sha256()
    for piece in part.pieces():
        digest.update(piece)
    if not digest.hexdigest().startswith(sha256):
        part.clear()
        raise WrongBytes(f"wrong content: its SHA-256 is {digest.hexdigest()}, and should begin with {sha256}")
