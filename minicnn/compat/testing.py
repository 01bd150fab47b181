"""`minicnn.testing`: comparing tensors in tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor, array_of
from .doors import door as _door

_TOLERANCES = {np.dtype(np.float16): (1e-3, 1e-5), np.dtype(np.float32): (1.3e-6, 1e-5)}  # rtol, atol


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: Any = None,
) -> None:
    """Check |actual - expected| <= atol + rtol |expected|, elementwise; shapes, types and devices must be the same too.

    Sequences and dicts are compared entry by entry. By default the tolerances (rtol, atol) are PyTorch's: (1.3e-6,
    1e-5) for float32, (1e-7, 1e-7) for float64, exact for integers.

    Raises:
        AssertionError: they differ; the message names the largest difference and its place.
    """
    options = {"rtol": rtol, "atol": atol, "equal_nan": equal_nan, "check_dtype": check_dtype, "msg": msg}
    options["check_device"] = check_device
    if isinstance(actual, dict) and isinstance(expected, dict):
        assert actual.keys() == expected.keys(), f"keys differ: {sorted(actual)} and {sorted(expected)}"
        for key in actual:
            assert_close(actual[key], expected[key], **options)
        return
    if isinstance(actual, (list, tuple)) and isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected), f"lengths differ: {len(actual)} and {len(expected)}"
        for a, b in zip(actual, expected, strict=True):
            assert_close(a, b, **options)
        return
    places = [t.device for t in (actual, expected) if isinstance(t, Tensor)]
    assert not check_device or len({*places}) < 2, f"devices differ: {places[0]} and {places[-1]}"
    a, b = (array_of(t) for t in (actual, expected))
    text = msg if isinstance(msg, str) else "tensors are not close"
    assert a.shape == b.shape, f"{text}: shapes {a.shape} and {b.shape}"
    assert not check_dtype or a.dtype == b.dtype, f"{text}: types {a.dtype} and {b.dtype}"
    exact = a.dtype.kind != "f" and b.dtype.kind != "f"
    default = (0.0, 0.0) if exact else max(_TOLERANCES.get(t.dtype, (1e-7, 1e-7)) for t in (a, b))
    tolerance = [given if given is not None else usual for given, usual in zip((rtol, atol), default, strict=True)]
    relative, absolute = tolerance
    np.testing.assert_allclose(a, b, rtol=relative, atol=absolute, equal_nan=equal_nan, err_msg=text)


_door(globals())
