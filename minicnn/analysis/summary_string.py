"""The table of `summary` as a text, in torchsummary's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..nn.module import Module
from .summary import Size, summary

__all__ = ["summary_string"]


def summary_string(
    model: Module, input_size: Size | Sequence[Size], batch_size: int = -1, device: Any = "cpu", dtypes: Any = None
) -> tuple[str, tuple[int, int]]:
    """Return the text that `summary` prints, and the numbers of all parameters and of those that are trained.

    The arguments are those of `summary`.

    >>> text, numbers = minicnn.summary_string(nn.Linear(4, 2), (4,))
    >>> numbers, "Linear" in text
    ((10, 10), True)
    """
    found = summary(model, input_size, batch_size, str(device).partition(":")[0], dtypes, verbose=0)
    return str(found), (found.total_params, found.trainable_params)
