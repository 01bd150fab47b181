"""Scenarios: functions that are given a library, minicnn or torch, and must give the same with both.

What they give may hold tensors, shapes, dtypes and modules; an exception counts as its type and text. Texts are
compared after the substitution that programs go through, and PyTorch's must be part of ours, which may say more.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Scenario = Callable[[Any], Any]


def here(text: str) -> str:
    """A text of PyTorch's as a program reads it after the substitution."""
    return re.sub(r"\b(torchvision|torchsummary|torch)\b", "minicnn", text).replace("nn.modules.", "nn.")


class Raised(str):
    """The type and text of an exception."""


def plain(value: Any) -> Any:
    """Tensors as lists rounded to 10 digits, the rest as text, numbers and containers of those."""
    if hasattr(value, "requires_grad"):
        if getattr(value, "is_meta", False):
            return "meta", list(value.shape)
        return np.round(np.asarray(value.detach().tolist(), np.float64), 10).tolist()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 10)
    return value if isinstance(value, (str, int, type(None))) else str(value).replace("torch.", "")


def outcome(scenario: Scenario, library: Any) -> Any:
    """What a scenario gives, or what it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(scenario(library))
        except Exception as error:
            return Raised(f"{type(error).__name__}: {error}")


def assert_same(scenario: Scenario, ours: Any, theirs: Any) -> None:
    """Run a scenario in both libraries and compare."""
    got, wanted = outcome(scenario, ours), outcome(scenario, theirs)
    if isinstance(wanted, Raised):
        assert isinstance(got, Raised), f"PyTorch raised {wanted!r}, minicnn gave {got!r}"
        got, wanted = str(got), here(wanted)
        for part in (wanted.partition(": ")[0], wanted.partition(": ")[2].rstrip(".'\"")):
            assert part in got, f"{wanted!r} is not part of {got!r}"
        return
    assert not isinstance(got, Raised), f"minicnn raised {got!r}, PyTorch gave {wanted!r}"
    assert _here(got) == _here(wanted)


def _here(value: Any) -> Any:
    if isinstance(value, str):
        return here(value)
    if isinstance(value, dict):
        return {_here(key): _here(item) for key, item in value.items()}
    return [_here(item) for item in value] if isinstance(value, list) else value


def double(library: Any, *shape: int, seed: int = 0) -> Any:
    """The same random float64 tensor in both libraries."""
    return library.tensor(np.random.default_rng(seed).standard_normal(shape))


def filled(library: Any, module: Any, seed: int = 3) -> Any:
    """The module in float64 with the same positive values in both libraries."""
    draw = np.random.default_rng(seed)
    module = module.double()
    with library.no_grad():
        for _, tensor in sorted(module.state_dict().items()):
            if tensor.dtype == library.float64:
                tensor.copy_(library.tensor(np.abs(draw.standard_normal(tuple(tensor.shape))) + 0.1))
    return module
