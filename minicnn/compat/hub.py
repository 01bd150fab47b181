"""`minicnn.hub`: published weights. Nothing is downloaded: PyTorch's files are pickles, which minicnn never opens."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlparse as urlparse

from .doors import door as _door

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")  # the digits of the hash in the name of a file
_HOW = (
    "where PyTorch is installed, convert the file once: safetensors.torch.save_file(torch.hub."
    "load_state_dict_from_url(url), 'weights.safetensors'); then model.load_state_dict(minicnn.load("
    "'weights.safetensors'))"
)


def load_state_dict_from_url(url: str, *_: Any, **__: Any) -> NoReturn:
    """Raises NotImplementedError, which says how to convert the file."""
    raise NotImplementedError(f"load_state_dict_from_url: {url} is not downloaded; {_HOW}")


def load(repo_or_dir: str, model: str, *_: Any, **__: Any) -> NoReturn:
    """Raises NotImplementedError, which says how to get the weights."""
    raise NotImplementedError(f"hub.load: {repo_or_dir}/{model} is not downloaded; build the model here, and {_HOW}")


def download_url_to_file(url: str, dst: str, *_: Any, **__: Any) -> NoReturn:
    """Raises NotImplementedError: download the file by other means."""
    raise NotImplementedError(f"download_url_to_file: {url} is not downloaded; fetch the file to {dst} by other means")


def get_dir() -> str:
    """The folder of PyTorch's downloads: $TORCH_HOME/hub, by default ~/.cache/torch/hub."""
    return str(Path(os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch") / "hub")


load_url = load_state_dict_from_url  # the name in torch.utils.model_zoo

_door(globals())
