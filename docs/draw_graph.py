"""Draw the pictures of graph.md: python docs/draw_graph.py"""

from __future__ import annotations

from pathlib import Path

import minicnn
from minicnn import nn
from minicnn.nn import functional as F
from minicnn.visualize import graph

PICTURES = Path(__file__).parent / "images" / "graph"


def neuron() -> None:
    """A neuron with two inputs, numbers as in the lecture "micrograd" of A. Karpathy."""
    x1, x2, w1, w2, b = [minicnn.tensor(v, requires_grad=True) for v in (2.0, 0.0, -3.0, 1.0, 6.8813735870195432)]
    graph(lambda: (x1 * w1 + x2 * w2 + b).tanh(), out=PICTURES / "neuron.png")


def twice() -> None:
    """A tensor that is used twice, step by step."""
    a, b, c = [minicnn.tensor(v, requires_grad=True) for v in (2.0, -3.0, 10.0)]
    graph(lambda: (a * b + c) * a, out=PICTURES / "twice.gif")


class Residual(nn.Module):
    """relu(x + conv(x)), with one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.ReLU()

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        """Add the shortcut."""
        return self.relu(x + self.conv(x))


def residual() -> None:
    """Two residual blocks: the gradient of x is the sum of what comes through the shortcut and through the filter."""
    minicnn.manual_seed(0)
    net, x = nn.Sequential(Residual(), Residual()), minicnn.rand(1, 1, 8, 8, requires_grad=True)
    graph(lambda: net(x).mean(), net, out=PICTURES / "residual.png")


def lenet() -> None:
    """LeNet-5, a box for each layer."""
    minicnn.manual_seed(0)
    net, images, labels = minicnn.models.LeNet5(), minicnn.rand(4, 1, 32, 32), minicnn.tensor([3, 1, 4, 1])
    graph(lambda: F.cross_entropy(net(images), labels), net, depth=2, out=PICTURES / "lenet.png")


if __name__ == "__main__":
    neuron()
    twice()
    residual()
    lenet()
