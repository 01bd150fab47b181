"""A small framework in plain NumPy, as in a textbook, as a contender: clear and vectorised, without other optimisation.

It has the names of `nn` that `nets.py` uses. Each layer keeps what its backward pass needs; there is no graph.
Convolution copies the windows of the whole batch into one array (im2col) and multiplies once with `tensordot`; max
pooling uses the same windows. Everything is float32, and only BLAS uses threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
LR, MOMENTUM = 0.001, 0.9


class Module:
    """A layer, or the residual block that `nets.py` builds from layers: relu(body(x) + shortcut(x))."""

    body: Any
    shortcut: Any
    relu: Any

    def __call__(self, x: Array) -> Array:
        return self.forward(x)

    def forward(self, x: Array) -> Array:
        raise NotImplementedError

    def backward(self, gy: Array) -> Array:
        gy = self.relu.backward(gy)
        return self.body.backward(gy) + self.shortcut.backward(gy)

    def layers(self) -> list[Any]:
        return [self.body, self.shortcut]

    def update(self) -> None:
        """SGD with momentum."""
        for layer in self.layers():
            layer.update()


class Sequential(Module):
    def __init__(self, *parts: Any) -> None:
        self.parts = list(parts)

    def forward(self, x: Array) -> Array:
        for part in self.parts:
            x = part(x)
        return x

    def backward(self, gy: Array) -> Array:
        for part in reversed(self.parts):
            gy = part.backward(gy)
        return gy

    def layers(self) -> list[Any]:
        return self.parts


class Layer(Module):
    """A layer with its parameters by name in `p`, and their gradients in `g`."""

    p: dict[str, Array]
    g: dict[str, Array]

    def setup(self, **parameters: Array) -> None:
        self.p = {name: np.asarray(value, np.float32) for name, value in parameters.items()}
        self.v = {name: np.zeros_like(value) for name, value in self.p.items()}
        self.g = {}

    def update(self) -> None:
        for name in getattr(self, "p", {}):
            self.v[name] = MOMENTUM * self.v[name] + self.g[name]
            self.p[name] -= LR * self.v[name]


def windows(x: Array, k: int, stride: int, padding: int, fill: float = 0.0) -> Array:
    """(N, C, H, W) -> (N, C, K, K, OH, OW), a copy: all pixels under each cell of the window."""
    xp = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), constant_values=fill)
    n, c, h, w = xp.shape
    oh, ow = (h - k) // stride + 1, (w - k) // stride + 1
    col = np.empty((n, c, k, k, oh, ow), x.dtype)
    for a in range(k):
        for b in range(k):
            col[:, :, a, b] = xp[:, :, a : a + stride * oh : stride, b : b + stride * ow : stride]
    return col


def unwindows(col: Array, shape: tuple[int, ...], stride: int, padding: int) -> Array:
    """The transpose of `windows`: every pixel gets the sum of its values in all windows."""
    n, c, k, _, oh, ow = col.shape
    xp = np.zeros((n, c, shape[2] + 2 * padding + stride - 1, shape[3] + 2 * padding + stride - 1), col.dtype)
    for a in range(k):
        for b in range(k):
            xp[:, :, a : a + stride * oh : stride, b : b + stride * ow : stride] += col[:, :, a, b]
    return xp[:, :, padding : padding + shape[2], padding : padding + shape[3]]


class Conv2d(Layer):
    def __init__(self, c: int, o: int, k: int, stride: int = 1, padding: int = 0, bias: bool = True) -> None:
        scale = np.sqrt(1 / (c * k * k))
        self.k, self.stride, self.padding = k, stride, padding
        b = {"b": np.zeros(o)} if bias else {}
        self.setup(w=np.random.default_rng(0).standard_normal((o, c, k, k)) * scale, **b)

    def forward(self, x: Array) -> Array:
        self.shape, self.col = x.shape, windows(x, self.k, self.stride, self.padding)
        y = np.tensordot(self.col, self.p["w"], ((1, 2, 3), (1, 2, 3)))  # (N, OH, OW, O)
        if "b" in self.p:
            y += self.p["b"]
        return np.rollaxis(y, 3, 1)

    def backward(self, gy: Array) -> Array:
        self.g["w"] = np.tensordot(gy, self.col, ((0, 2, 3), (0, 4, 5)))
        if "b" in self.p:
            self.g["b"] = gy.sum((0, 2, 3))
        col = np.tensordot(self.p["w"], gy, (0, 1))  # (C, K, K, N, OH, OW)
        return unwindows(np.rollaxis(col, 3), self.shape, self.stride, self.padding)


class Linear(Layer):
    def __init__(self, i: int, o: int) -> None:
        self.setup(w=np.random.default_rng(0).standard_normal((i, o)) * np.sqrt(1 / i), b=np.zeros(o))

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.p["w"] + self.p["b"]

    def backward(self, gy: Array) -> Array:
        self.g = {"w": self.x.T @ gy, "b": gy.sum(0)}
        return gy @ self.p["w"].T


class BatchNorm2d(Layer):
    def __init__(self, c: int) -> None:
        self.setup(gamma=np.ones((c, 1, 1)), beta=np.zeros((c, 1, 1)))

    def forward(self, x: Array) -> Array:
        self.scale = 1 / np.sqrt(x.var((0, 2, 3), keepdims=True) + np.float32(1e-5))
        self.x_hat = (x - x.mean((0, 2, 3), keepdims=True)) * self.scale
        return self.p["gamma"] * self.x_hat + self.p["beta"]

    def backward(self, gy: Array) -> Array:
        count = gy.size // gy.shape[1]
        self.g = {"gamma": (gy * self.x_hat).sum((0, 2, 3))[:, None, None], "beta": gy.sum((0, 2, 3))[:, None, None]}
        mean = (self.g["beta"] + self.x_hat * self.g["gamma"]) / np.float32(count)
        return self.p["gamma"] * self.scale * (gy - mean)


class ReLU(Layer):
    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Array) -> Array:
        self.y = np.maximum(x, 0)
        return self.y

    def backward(self, gy: Array) -> Array:
        return gy * (self.y > 0)


class Tanh(Layer):
    def forward(self, x: Array) -> Array:
        self.y = np.tanh(x)
        return self.y

    def backward(self, gy: Array) -> Array:
        return gy * (1 - self.y * self.y)


class MaxPool2d(Layer):
    def __init__(self, k: int) -> None:
        self.k = k

    def forward(self, x: Array) -> Array:
        n, c, h, w = self.shape = x.shape
        col = windows(x, self.k, self.k, 0, -np.inf).reshape(n, c, self.k**2, h // self.k, w // self.k)
        self.at = col.argmax(2)
        return col.max(2)

    def backward(self, gy: Array) -> Array:
        n, c, oh, ow = gy.shape
        col = np.zeros((n, c, self.k**2, oh, ow), gy.dtype)
        np.put_along_axis(col, self.at[:, :, None], gy[:, :, None], 2)
        return unwindows(col.reshape(n, c, self.k, self.k, oh, ow), self.shape, self.k, 0)


class AdaptiveAvgPool2d(Layer):
    """Average pooling to one pixel."""

    def __init__(self, size: int) -> None:
        assert size == 1

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.mean((2, 3), keepdims=True)

    def backward(self, gy: Array) -> Array:
        return np.broadcast_to(gy / np.float32(self.shape[2] * self.shape[3]), self.shape)


class Flatten(Layer):
    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, gy: Array) -> Array:
        return gy.reshape(self.shape)


class Identity(Layer):
    def forward(self, x: Array) -> Array:
        return x

    def backward(self, gy: Array) -> Array:
        return gy


def train_step(model: Any, x: Array, target: Array) -> float:
    """Forward, softmax and cross-entropy, backward, SGD with momentum; the loss."""
    logits = model(x)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    rows = np.arange(len(x))
    loss = -float(np.log(p[rows, target]).mean())
    p[rows, target] -= 1
    model.backward(p / np.float32(len(x)))
    model.update()
    return loss
