"""The same net here and in PyTorch: weights, outputs, gradients."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch

import minicnn

# torchvision's compiled operations do not fit every build of PyTorch; its models need none of them, only their names.
_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    with contextlib.suppress(RuntimeError):
        _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def same_keys(ours: Any, theirs: Any) -> None:
    """The state dicts have the same names in the same order, of the same shapes."""
    mine = [(name, tuple(value.shape)) for name, value in ours.state_dict().items()]
    assert mine == [(name, tuple(value.shape)) for name, value in theirs.state_dict().items()]


def share_weights(ours: Any, theirs: Any, seed: int = 0) -> None:
    """Give both nets the same random running statistics and PyTorch's weights; by name, or else by order."""
    generator = torch.Generator().manual_seed(seed)
    state = theirs.state_dict()
    for name, value in state.items():
        if name.endswith("running_mean"):
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
        elif name.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    theirs.load_state_dict(state)
    arrays = {name: minicnn.tensor(value.numpy().copy()) for name, value in state.items()}
    if list(arrays) != list(ours.state_dict()):
        arrays = dict(zip(ours.state_dict(), arrays.values(), strict=True))
    ours.load_state_dict(arrays)


def same_results(
    ours: Any, theirs: Any, *size: int, batch: int = 2, dtype: Any = np.float32, tol: float = 1e-4
) -> None:
    """Outputs in evaluation mode, and outputs and all gradients in training mode, within `tol` of the largest value.

    Nets with dropout must have it off: p = 0. A gradient that is zero but for rounding, such as that of a bias before
    batch norm, is compared with the net's largest gradient: a millionth of it counts as the largest value.
    """
    share_weights(ours, theirs)
    double = dtype == np.float64
    ours, theirs = (ours.double(), theirs.double()) if double else (ours.float(), theirs.float())
    x = np.random.default_rng(0).standard_normal((batch, *size)).astype(dtype)
    with minicnn.no_grad(), torch.no_grad():
        near("output", ours.eval()(minicnn.tensor(x)), theirs.eval()(torch.from_numpy(x)), tol)
    mine, other = _tuple(ours.train()(minicnn.tensor(x))), _tuple(theirs.train()(torch.from_numpy(x)))
    assert len(mine) == len(other)
    total, reference = 0, 0
    for a, b in zip(mine, other, strict=True):
        near("training output", a, b, tol)
        g = np.random.default_rng(1).standard_normal(tuple(b.shape)).astype(dtype)
        total, reference = total + (a * minicnn.tensor(g)).sum(), reference + (b * torch.from_numpy(g)).sum()
    total.backward()
    reference.backward()
    floor = 1e-6 * max(q.grad.abs().max().item() for q in theirs.parameters())
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        near(f"the gradient of {name}", p.grad, q.grad, tol, floor)


def near(what: str, ours: Any, theirs: Any, tol: float, floor: float = 1e-12) -> None:
    a, b = ours.detach().numpy(), theirs.detach().numpy()
    assert a.shape == b.shape, f"{what}: {a.shape} and {b.shape}"
    error, largest = np.abs(a - b).max(), np.abs(b).max()
    assert error <= tol * max(largest, floor), f"{what} differs by {error:.3g}, its largest value is {largest:.3g}"


def _tuple(outputs: Any) -> tuple[Any, ...]:
    return tuple(o for o in outputs if o is not None) if isinstance(outputs, tuple) else (outputs,)
