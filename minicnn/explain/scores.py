"""The score of a class, which attributions are about, and the state of a net in which it is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn_kernels import use
from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import ShapeError, shown

from ..autograd import enable_grad, no_grad
from ..nn import Module
from ..nn.module import check_module
from ..tensor import Tensor, array_of

Target = int | Sequence[int] | Tensor | None  # a class, one for each input, or the class that the net predicts


@contextmanager
def evaluating(op: str, model: Module) -> Iterator[None]:
    """Inside the block the net is in evaluation mode, and each layer runs by itself; then it is as before."""
    check_module(op, model)
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with use(fused=False):
            yield
    finally:
        for module in training:
            module.training = True


def score(op: str, model: Module, x: Tensor, target: Any) -> Tensor:
    """The sum over the batch of the scores of the classes: the gradient of each input is that of its own score."""
    with enable_grad():  # also inside no_grad, since the gradient is what is asked for
        y = model(x)
        return chosen(op, y, classes(op, y, target, len(x))).sum()


def targets(op: str, model: Module, x: Tensor, target: Any) -> Array:
    """The classes, found out once for several runs."""
    with no_grad():
        return classes(op, model(x), target, len(x))


def classes(op: str, y: Any, target: Any, count: int) -> Array:
    """A class for each input."""
    if not isinstance(y, Tensor) or y.ndim != 2 or len(y) != count:
        what = f"shape {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        raise ShapeError(f"{op}: the output of the net must be (N, K), scores of K classes, got {what}")
    if target is None:
        return array_of(y.argmax(1))
    found = array_of(target)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{op}: target must be a class or one for each input, got {shown(target)}")
    if found.size not in (1, count) or found.ndim > 1:
        raise ValueError(f"{op}: target must be one class or {count}, one for each input, got {found.size}")
    if found.size and not (-y.shape[1] <= found.min() and found.max() < y.shape[1]):
        raise ValueError(f"{op}: target {shown(target)} is not among the {y.shape[1]} classes")
    return np.broadcast_to(found.reshape(-1), count) if found.size == 1 else found


def chosen(op: str, y: Tensor, classes: Array) -> Tensor:
    """(N,), the scores of the classes."""
    onehot = np.arange(y.shape[1]) == (classes % y.shape[1])[:, None]
    return (y * y.new_tensor(onehot.astype(np.float32)).to(y.dtype)).sum(1)
