"""DeZero 0.0.13 (pip install dezero --no-deps) as a contender, with the names that `nets.py` uses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np


def namespace() -> Any:
    """DeZero's layers under PyTorch's names. DeZero was written for a NumPy that still had the alias `np.int`."""
    vars(np).setdefault("int", int)
    import dezero.functions as F
    import dezero.layers as L

    class Sequential(L.Layer):  # type: ignore[misc]
        def __init__(self, *parts: Any) -> None:
            super().__init__()
            self.parts = parts
            for number, part in enumerate(parts):
                if isinstance(part, L.Layer):
                    setattr(self, f"part{number}", part)

        def forward(self, x: Any) -> Any:
            for part in self.parts:
                x = part(x)
            return x

    def conv(c: int, o: int, k: int, stride: int = 1, padding: int = 0, bias: bool = True) -> Any:
        return L.Conv2d(o, k, stride, padding, nobias=not bias, in_channels=c)

    return SimpleNamespace(
        Module=L.Layer, Sequential=Sequential, Conv2d=conv, Linear=lambda i, o: L.Linear(o, in_size=i),
        BatchNorm2d=lambda c: L.BatchNorm(), ReLU=lambda inplace=False: F.relu, Tanh=lambda: F.tanh,
        MaxPool2d=lambda k: lambda x: F.pooling(x, k, k), Flatten=lambda: F.flatten, Identity=lambda: lambda x: x,
        AdaptiveAvgPool2d=lambda size: lambda x: F.average_pooling(x, x.shape[2]),
    )  # fmt: skip


def train_step(build: Any, lr: float, momentum: float) -> Any:
    """A function that trains one step on a batch and its labels, and returns the loss."""
    model = build(namespace())
    import dezero.functions as F
    from dezero.optimizers import MomentumSGD

    optimizer = MomentumSGD(lr, momentum).setup(model)
    for parameter in model.params():  # in NumPy 2, float32 times the np.float64 of DeZero's initialisation is float64
        if parameter.data is not None:
            parameter.data = parameter.data.astype(np.float32)

    def step(x: Any, target: Any) -> float:
        loss = F.softmax_cross_entropy(model(x), target)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return float(loss.data)

    return step
