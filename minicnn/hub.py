"""`minicnn.hub`: published weights. Nothing is downloaded: PyTorch's files are pickles, which minicnn never opens."""

from __future__ import annotations

from typing import Any, NoReturn

_HOW = (
    "where PyTorch is installed, convert the file once: safetensors.torch.save_file(torch.hub."
    "load_state_dict_from_url(url), 'weights.safetensors'); then model.load_state_dict(minicnn.load("
    "'weights.safetensors'))"
)


def load_state_dict_from_url(url: str, *_: Any, **__: Any) -> NoReturn:
    """Refused, with the way to convert the file."""
    raise NotImplementedError(f"load_state_dict_from_url: {url} is not downloaded; {_HOW}")


def load(repo_or_dir: str, model: str, *_: Any, **__: Any) -> NoReturn:
    """Refused, with the way to get the weights."""
    raise NotImplementedError(f"hub.load: {repo_or_dir}/{model} is not downloaded; build the model here, and {_HOW}")


load_url = load_state_dict_from_url  # the name in torch.utils.model_zoo
