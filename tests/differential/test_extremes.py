"""Infinite values, NaN and the ends of float32 in both libraries: minicnn is right wherever PyTorch is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

inf, nan = np.inf, np.nan
VALUES = {
    "large": [1e20, -1e20, 2e20], "1e18": [1e18, -3e18, 2e18], "small": [1e-25, -1e-25, 3e-25], "zero": [0.0, 0.0, 0.0],
    "inf": [inf, 1.0, 2.0], "-inf": [-inf, 1.0, 2.0], "all inf": [inf] * 3, "both": [inf, -inf, 1.0],
    "nan": [nan, 1.0, 2.0],
}  # fmt: skip
Case = Callable[[Any, Any, Any], Any]
CASES: dict[str, Case] = {
    "softmax": lambda L, F, x: F.softmax(x * 1e3, dim=0),
    "log_softmax": lambda L, F, x: F.log_softmax(x, dim=0),
    "logsumexp": lambda L, F, x: L.logsumexp(x, 0),
    "logcumsumexp": lambda L, F, x: L.logcumsumexp(x, 0),
    "cumsum": lambda L, F, x: x.cumsum(0),
    "cumprod": lambda L, F, x: x.cumprod(0),
    "var": lambda L, F, x: x.var(),
    "std": lambda L, F, x: x.std(),
    "norm 1": lambda L, F, x: x.norm(1),
    "norm 2": lambda L, F, x: x.norm(),
    "norm 3": lambda L, F, x: x.norm(3),
    "norm inf": lambda L, F, x: x.norm(inf),
    "normalize": lambda L, F, x: F.normalize(x, dim=0),
    "hypot": lambda L, F, x: L.hypot(x, x.flip(0).detach()),
    "mse_loss": lambda L, F, x: F.mse_loss(x, x.detach() * 0),
    "l1_loss": lambda L, F, x: F.l1_loss(x, x.detach() * 0),
    "smooth_l1_loss": lambda L, F, x: F.smooth_l1_loss(x, x.detach() * 0, beta=2.0),
    "huber_loss": lambda L, F, x: F.huber_loss(x, x.detach() * 0, delta=2.0),
    "cross_entropy": lambda L, F, x: F.cross_entropy(x[None], L.tensor([1])),
    "bce": lambda L, F, x: F.binary_cross_entropy_with_logits(x, L.tensor([0.0, 1.0, 0.5])),
    "batch_norm": lambda L, F, x: F.batch_norm(x[:, None], None, None, training=True),
    "layer_norm": lambda L, F, x: F.layer_norm(x, (3,)),
    "local_response_norm": lambda L, F, x: F.local_response_norm(x[None, :, None], 3),
    "relu6": lambda L, F, x: F.relu6(x),
}


def run(library: Any, case: Case, values: list[float], kind: str) -> list[np.ndarray]:
    x = library.tensor(np.array(values, kind)).requires_grad_()
    y = case(library, library.nn.functional, x)
    y.backward(library.tensor(np.linspace(0.5, 1.5, y.numel()).reshape(tuple(y.shape)).astype(kind)))
    return [y.detach().numpy().astype(np.float64), x.grad.numpy().astype(np.float64)]


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("name", CASES)
def test_extremes(name: str, values: str) -> None:
    if (name, values) == ("mse_loss", "zero"):
        pytest.skip("nothing to compare")
    theirs, ours = (run(library, CASES[name], VALUES[values], "f4") for library in (torch, minicnn))
    exact = run(torch, CASES[name], VALUES[values], "f8")
    for a, b, c in zip(theirs, ours, exact, strict=True):
        with np.errstate(all="ignore"):
            size = np.nanmax(np.where(np.isfinite(a), np.abs(a), 0))
            like = np.isclose(b, a, 1e-3, 1e-6 * size, equal_nan=True)
            right = np.isclose(b, c.astype(np.float32), 1e-3, 1e-6 * size, equal_nan=True)
        assert (like | right).all(), (a, b, c)


OPTIMISERS: dict[str, list[dict[str, Any]]] = {
    "SGD": [{"lr": 0.1}, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}],
    "Adam": [{}, {"amsgrad": True}], "AdamW": [{}], "RMSprop": [{}, {"centered": True}], "Adagrad": [{}],
    "Adadelta": [{}], "Adamax": [{}], "NAdam": [{}], "RAdam": [{}], "Rprop": [{}, {"maximize": True}], "ASGD": [{}],
}  # fmt: skip
GRADIENTS = [
    [nan, 1.0, inf, -inf, 0.0, 1e-30, 1e20, -1e25], [1.0, nan, 1.0, -1.0, nan, 1e-25, 3e38, inf],
    [1.0, -1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0], [-1.0, 1.0, nan, inf, -inf, 0.0, -1e20, 1e-20],
]  # fmt: skip


@pytest.mark.parametrize("backend", [None, "numpy"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_with_gradients_of_nan_and_inf(name: str, backend: str | None) -> None:
    for options in OPTIMISERS[name]:
        found = []
        for library in (torch, minicnn):
            p = library.nn.Parameter(library.tensor(np.linspace(-1, 1, 8).astype(np.float32)))
            optimiser, steps = getattr(library.optim, name)([p], **options), []
            chosen = minicnn.use(backend=backend) if backend else contextlib.nullcontext()
            with chosen:
                for g in GRADIENTS:
                    p.grad = library.tensor(np.array(g, np.float32))
                    optimiser.step()
                    steps.append(p.detach().numpy().copy())
            found.append(np.array(steps))
        np.testing.assert_allclose(found[1], found[0], 1e-4, 1e-6, err_msg=str(options))
