"""Nets trained on kernels in CUDA alone, on the emulated GPU: every table takes its row in CUDA; losses are NumPy's."""

from __future__ import annotations

from typing import Any

import pytest

import minicnn
from minicnn import models, nn, optim
from minicnn.models.resnet import BasicBlock, Bottleneck
from minicnn.nn import functional as F
from minicnn_kernels import cuda


def lenet() -> nn.Module:
    return models.LeNet5()


def residual() -> nn.Module:
    """A stem and two blocks with strides, a projection and batch norm, as in ResNet-18 and ResNet-50."""
    down = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
    wider = nn.Sequential(nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16))
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        BasicBlock(8, 16, 2, down), Bottleneck(16, 4, 1, wider),
        nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.SiLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(16 * 2 * 2, 10),
    )  # fmt: skip


def losses(make: Any, optimizer: Any, device: str, steps: int, **choice: Any) -> list[float]:
    """Those of some steps on four batches of 8 images, 32 x 32."""
    minicnn.manual_seed(0)
    x, y = minicnn.randn(32, 1, 32, 32), minicnn.randint(0, 10, (32,))
    net = make().to(device)
    updates = optimizer(net.parameters())
    found = []
    with minicnn.use(**choice):
        for step in range(steps):
            part = slice(step % 4 * 8, step % 4 * 8 + 8)
            updates.zero_grad()
            loss = F.cross_entropy(net(x[part].to(device)), y[part].to(device))
            loss.backward()
            updates.step()
            found.append(loss.item())
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "optimizer", "expected"),
    [
        (lenet, lambda p: optim.SGD(p, 0.05, momentum=0.9), {
            "conv2d/implicit/implicit.cu", "pooling/largest.cu", "activations/relu_tanh_sigmoid.cu", "gemm.cu",
            "softmax_xent.cu", "optimizers/sgd.cu",
        }),
        (residual, lambda p: optim.Adam(p, 1e-3), {
            "conv2d/implicit/implicit.cu", "conv2d/depthwise/depthwise.cu", "batchnorm/channels.cu",
            "pooling/largest.cu", "pooling/average.cu", "activations/relu_tanh_sigmoid.cu", "activations/loops.cu",
            "dropout.cu", "gemm.cu", "softmax_xent.cu", "optimizers/adam.cu",
        }),
    ],
)  # fmt: skip
def test_training_on_rows_in_cuda(
    make: Any, optimizer: Any, expected: set[str], gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[tuple[str, str]] = []
    real = cuda._kernel

    def kernel(file: str, name: str, *rest: Any) -> Any:
        launched.append((file, name))
        return real(file, name, *rest)

    monkeypatch.setattr(cuda, "_kernel", kernel)
    found = losses(make, optimizer, "cuda", 20, backend="cuda")
    assert expected <= {file for file, _ in launched}, sorted({file for file, _ in launched})
    updates = [name for file, name in launched if file.startswith("optimizers/")]
    assert len(updates) == 20, "an optimiser step is one launch for the group"
    assert found == pytest.approx(losses(make, optimizer, "cpu", 20, backend="numpy"), rel=1e-4, abs=1e-4)
    assert found[-1] < found[0]


def test_the_same_on_arrays_of_the_cpu() -> None:
    sgd = lambda p: optim.SGD(p, 0.05, momentum=0.9)  # noqa: E731
    found = losses(lenet, sgd, "cpu", 3, backend="cuda-emulated")
    assert found == pytest.approx(losses(lenet, sgd, "cpu", 3, backend="numpy"), rel=1e-5)
