"""`minicnn.hub`: files of published weights. Programs of repositories, which `torch.hub.load` runs, are not fetched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlparse as urlparse

from ..serialization import load as _read
from ..serialization.download import HASH as HASH_REGEX
from ..serialization.download import download as _download
from ..serialization.download import pytorch_folder as _pytorch_folder
from .doors import door as _door


def load_state_dict_from_url(
    url: str,
    model_dir: str | os.PathLike[str] | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = True,
) -> Any:
    """What is in the file behind a URL, downloaded once; see `minicnn.load`.

    Args:
        url: its address; http or https.
        model_dir: the folder that keeps it; by default PyTorch's, `get_dir() + "/checkpoints"`.
        map_location: the device of the tensors.
        progress: show a bar.
        check_hash: compare the content with the digits of its SHA-256 in the name, as in resnet18-f37072fd.pth.
        file_name: its name in the folder; by default that in the URL.
        weights_only: without effect; nothing in a file is run.

    Raises:
        CheckpointError: it could not be downloaded or read; the message says what to do.
    """
    name = file_name or os.path.basename(urlparse(url).path)
    target = (Path(model_dir) if model_dir is not None else _pytorch_folder() / "checkpoints") / name
    if not target.exists():
        found = HASH_REGEX.search(name) if check_hash else None
        _download(url, target, found[1] if found else "", progress)
    return _read(target, map_location)


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Write the file behind a URL to the path `dst`, if its SHA-256 begins with `hash_prefix`."""
    _download(url, Path(dst), hash_prefix or "", progress)


def load(repo_or_dir: str, model: str, *_: Any, **__: Any) -> NoReturn:
    """Raises NotImplementedError: a repository is a program, which would have to be run."""
    raise NotImplementedError(
        f"hub.load: the program of {repo_or_dir} is not fetched and run; minicnn.models has nets, minicnn.models."
        f"get_model({model!r}, weights='DEFAULT'), and minicnn.hub.load_state_dict_from_url reads weights"
    )


def get_dir() -> str:
    """The folder of PyTorch's downloads: $TORCH_HOME/hub, by default ~/.cache/torch/hub."""
    return str(_pytorch_folder())


load_url = load_state_dict_from_url  # the name in torch.utils.model_zoo

_door(globals())
