"""The numbers of nets' state dicts, to be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import nn


def values(model: nn.Module) -> dict[str, Any]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)
