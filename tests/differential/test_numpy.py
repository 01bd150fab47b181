"""NumPy's functions of tensors: a tensor, an array or a scalar, with the values that PyTorch's tensors give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="compares with PyTorch")

# Functions of one tensor; after a colon, further arguments.
_NAMES = """
    transpose reshape:-1 ravel squeeze sum mean std var max min amax amin argmax argmin prod cumsum cumprod any
    all sort argsort ptp clip:1,3 round around abs absolute sin exp sqrt log square sign floor ceil isnan
    isfinite isinf negative nonzero flatnonzero diagonal trace repeat:2 take:[0,1] swapaxes:0,-1 moveaxis:0,-1
    expand_dims:0 flip fliplr flipud roll:2 rot90 tile:2 unique median percentile:50 quantile:.5 histogram
    gradient diff copy array asarray ascontiguousarray asanyarray atleast_1d atleast_2d shape ndim zeros_like
    ones_like full_like:2 linalg.norm broadcast_to:(2,2,3) nan_to_num count_nonzero tril triu average nanmean
    nansum argwhere array_split:2 pad:1 compress:[True,False] resize:(3,2) degrees tanh maximum:2 minimum:2
    add:1 trapezoid partition:1 argpartition:1 delete:0 append:9 mod:2 logical_not float_power:2 cbrt rint fix
    trunc isin:[1,2] cov corrcoef fft.fft linalg.svd matrix_transpose
"""

OTHERS: dict[str, Callable[[Any], Any]] = {
    "stack": lambda x: np.stack([x, x]), "concatenate": lambda x: np.concatenate([x, x]),
    "vstack": lambda x: np.vstack([x, x]), "where": lambda x: np.where(x > 2, x, 0), "outer": lambda x: np.outer(x, x),
    "einsum": lambda x: np.einsum("...i->...", x), "allclose": lambda x: np.allclose(x, x),
    "array_equal": lambda x: np.array_equal(x, x), "isclose": lambda x: np.isclose(x, x),
    "kron": lambda x: np.kron(x, x), "meshgrid": lambda x: np.meshgrid(x, x), "matmul": lambda x: np.matmul(x, x.T),
    "dot": lambda x: np.dot(x, x.T), "transpose: axes": lambda x: np.transpose(x[None], (2, 0, 1)),
    "squeeze: axis": lambda x: np.squeeze(x[None], axis=0), "clip: one bound": lambda x: np.clip(x, None, 3),
    "reshape: order": lambda x: np.reshape(x, (x.shape[-1], -1), order="F"),
    "take: axis": lambda x: np.take(x, [0], axis=-1),
    "argmax: axis": lambda x: np.argmax(x, axis=0), "cumsum: axis": lambda x: np.cumsum(x, axis=0),
    "sum: axis": lambda x: np.sum(x, axis=0), "std: axis": lambda x: np.std(x, axis=0),
    "max: axis": lambda x: np.max(x, axis=-1, keepdims=True), "array: type": lambda x: np.array(x, dtype=np.float64),
    "array of rows": lambda x: np.array(list(x)), "mean of a list": lambda x: np.mean([x.max(), x.min()]),
    "float": float, "int": int, "len": len, "index": lambda x: np.arange(9)[x.long()], "iteration": lambda x: list(x),
}  # fmt: skip


def function(name: str) -> Callable[[Any], Any]:
    if name in OTHERS:
        return OTHERS[name]
    path, _, arguments = name.partition(":")
    found: Any = np
    for part in path.split("."):
        found = getattr(found, part)
    given = eval(f"[{arguments}]")
    return lambda x: found(x, *given)


def outcome(lib: Any, name: str, array: Any) -> Any:
    """Kind, shape and values; a truth value is a bool of 8 bits in PyTorch's results, which are made of NumPy's."""

    def plain(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return [plain(part) for part in value]
        kind = "tensor" if isinstance(value, lib.Tensor) else type(value).__name__
        values = np.asarray(value)
        dtype = str(values.dtype).replace("uint8", "bool")
        return kind, dtype, values.shape, np.round(values.astype(complex), 4).tolist()

    try:
        return plain(function(name)(lib.tensor(array)))
    except Exception as error:
        return type(error).__name__


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*_NAMES.split(), *OTHERS])
def test_as_pytorchs_tensors(name: str) -> None:
    arrays = [np.array([[3, 1, 2], [4, 6, 5]], np.float32), np.array([3.0, 1, 2]), np.array([2, 0, 1]), np.float32(2.5)]
    for array in arrays:
        ours, theirs = outcome(minicnn, name, array), outcome(torch, name, array)
        errors = isinstance(ours, str) and isinstance(theirs, str)
        assert errors or str(ours) == str(theirs), array
