"""Training on a GPU, emulated: the losses of the CPU, steps that never wait for the GPU, and mistakes that are seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor, nn, optim
from minicnn.autograd.engine import Function
from minicnn.models import LeNet5
from minicnn_kernels.emulated.traffic import DeviceSynchronized, counting, no_waits

pytestmark = pytest.mark.usefixtures("gpu")


class Block(nn.Module):
    """A residual block with the projection shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        y += self.shortcut(x)
        return F.relu(y)


def lenet() -> nn.Module:
    net = LeNet5(activation="relu")
    net.features.insert(1, nn.BatchNorm2d(6))
    return net


def resnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        Block(4, 6, 1), Block(6, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 10),
    )  # fmt: skip


def losses(make: Callable[[], nn.Module], optimizer: Any, device: str, clip: bool, size: int) -> list[float]:
    """The losses of 20 steps; on a GPU, every step but the first is one that may not wait for it."""
    minicnn.manual_seed(0)
    net, rng = make().to(device), np.random.default_rng(0)
    update = optimizer(net.parameters())
    found = []
    for number in range(20):
        x = Tensor(rng.standard_normal((4, 1, size, size)).astype(np.float32)).to(device, non_blocking=True)
        t = Tensor(rng.integers(0, 10, 4)).to(device, non_blocking=True)

        def step(x: Tensor = x, t: Tensor = t) -> Tensor:
            update.zero_grad()
            loss = F.cross_entropy(net(x), t)
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            update.step()
            return loss.detach()

        if device == "cuda" and number:
            with no_waits():
                found.append(step())
        else:
            found.append(step())
    return [loss.item() for loss in found]


OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda params: optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=1e-4),
    "Adam": lambda params: optim.Adam(params, lr=1e-3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("make", "size", "backend"), [(lenet, 32, "cupy"), (resnet, 12, None)])
def test_training_gives_the_losses_of_the_cpu_and_never_waits(
    make: Any, size: int, backend: str | None, name: str
) -> None:
    expected = losses(make, OPTIMIZERS[name], "cpu", make is resnet, size)
    with minicnn.use(backend=backend):
        found = losses(make, OPTIMIZERS[name], "cuda", make is resnet, size)
    assert np.abs(np.array(found) - expected).max() < 1e-5
    assert found[-1] != found[0]


def test_a_step_copies_little() -> None:
    """Its inputs and a few constants go to the GPU, nothing comes back."""
    net, x = lenet().cuda(), minicnn.ones(2, 1, 32, 32, device="cuda")
    update = optim.Adam(net.parameters())
    for _ in range(2):
        with counting() as seen:
            update.zero_grad()
            F.cross_entropy(net(x), minicnn.tensor([1, 2]).to("cuda")).backward()
            update.step()
    assert (seen.to_host, seen.waits) == (0, 0) and seen.to_device <= 4


# ------------------------------------------------------------------------------------------------------------ mistakes


class Forgets(nn.Module):
    """Makes a tensor on the CPU in forward, whatever its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x + minicnn.ones(3, device="cpu")


class Waits(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_mistakes_are_seen() -> None:
    x = minicnn.ones(2, 3, device="cuda")
    with pytest.raises(RuntimeError, match=r"Expected all tensors to be on the same device"):
        Forgets()(x)
    with pytest.raises(RuntimeError, match=r"Expected all tensors to be on the same device"):
        nn.Linear(3, 2)(x)
    with pytest.raises(DeviceSynchronized), no_waits():
        Waits()(x)


def test_a_backward_that_returns_zeros_of_the_cpu() -> None:
    class Bad(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, gy: Any) -> Any:
            return np.zeros(gy.shape, gy.dtype)

    x = minicnn.ones(3, device="cuda", requires_grad=True)
    with pytest.raises(RuntimeError, match="CPU"):
        Bad.apply(x).sum().backward()
    with pytest.raises(RuntimeError, match="CPU"):
        Bad.apply(x * 1).sum().backward()
