"""Blocks of known nets whose axes are in another arrangement than (N, C, H, W): channels last, tokens, windows ..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minicnn
from minicnn import nn
from minicnn.nn import functional as F

Tensor = minicnn.Tensor
Rule = Callable[..., Tensor]


class Net(nn.Module):
    """A function of the input and of some layers."""

    def __init__(self, function: Rule, *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.layers)


def conv(channels: int, out: int, k: Any = 3, s: Any = 1, p: Any = 0, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, k, s, p, groups=groups)


def channels_last(x: Tensor, c: nn.Module, linear: nn.Module) -> Tensor:
    y: Tensor = linear(c(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return y


def block(x: Tensor, stem: nn.Module, depthwise: nn.Module, norm: nn.Module, a: nn.Module, b: nn.Module) -> Tensor:
    """A block of ConvNeXt."""
    x = stem(x)
    return x + b(F.gelu(a(norm(depthwise(x).permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)


def convnext() -> Net:
    layers = conv(3, 4, 2, 2), conv(4, 4, 3, 1, 1, 4), nn.LayerNorm(4, bias=False), nn.Linear(4, 8), nn.Linear(8, 4)
    return Net(block, *layers)


class Tokens(nn.Module):
    """Patches as tokens, perhaps after a token of the class, through a linear layer; `after` says what follows."""

    def __init__(self, first: bool, after: Rule = lambda y: y) -> None:
        super().__init__()
        self.patches, self.linear, self.after = conv(1, 4, 2, 2), nn.Linear(4, 3), after
        self.token = nn.Parameter(minicnn.zeros(1, 1, 4)) if first else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x).flatten(2).transpose(1, 2)  # (N, C, H, W) -> (N, L, C)
        if self.token is not None:
            y = minicnn.cat([self.token.expand(x.shape[0], -1, -1), y], 1)
        return self.after(self.linear(y))


def windows(y: Tensor, n: int = 2) -> Tensor:
    """(N, H, W, C) -> (N windows, n n, C)."""
    images, h, w, c = y.shape
    y = y.reshape(images, h // n, n, w // n, n, c).permute(0, 1, 3, 2, 4, 5)
    return y.reshape(-1, n * n, c)


def together(y: Tensor, h: int, w: int, n: int = 2) -> Tensor:
    """(N windows, n n, C) -> (N, H, W, C)."""
    y = y.reshape(-1, h // n, w // n, n, n, y.shape[-1]).permute(0, 1, 3, 2, 4, 5)
    return y.reshape(-1, h, w, y.shape[-1])


def in_windows(x: Tensor, c: nn.Module, linear: nn.Module) -> Tensor:
    return linear(windows(c(x).permute(0, 2, 3, 1)))


def attention(x: Tensor, c: nn.Module, linear: nn.Module) -> Tensor:
    """Attention within windows that are shifted by a pixel, as in Swin."""
    y = windows(minicnn.roll(c(x).permute(0, 2, 3, 1), (-1, -1), (1, 2)))
    y = y + linear((y @ y.transpose(1, 2)) @ y)
    return minicnn.roll(together(y, *x.shape[2:]), (1, 1), (1, 2)).permute(0, 3, 1, 2)


def space_to_depth(x: Tensor, c: nn.Module) -> Tensor:
    n, channels, h, w = x.shape
    y = x.reshape(n, channels, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4)
    return c(y.reshape(n, 4 * channels, h // 2, w // 2))


def depth_to_space(x: Tensor, c: nn.Module) -> Tensor:
    y = c(x)
    n, channels, h, w = y.shape
    y = y.reshape(n, channels // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
    return y.reshape(n, channels // 4, 2 * h, 2 * w)
