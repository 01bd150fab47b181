"""The nets of the benchmarks, written once for both libraries: `build(nn)` takes `minicnn.nn` or `torch.nn`.

Each is a published net, or a small typical net of its kind, with the shape of its training batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Net(NamedTuple):
    """A net, the shape of a batch for it, the number of its classes, and whether it gives one for each pixel."""

    build: Callable[[Any], Any]
    batch: tuple[int, int, int, int]
    classes: int
    per_pixel: bool = False


def lenet5(nn: Any) -> Any:
    """LeNet-5 as it is usually taught: tanh and max pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def two_conv(nn: Any) -> Any:
    """Two convolutions of 32 and 64 channels and two linear layers, the usual first net for MNIST."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def conv_bn_relu(nn: Any, channels: int, out: int, kernel_size: int, **options: Any) -> list[Any]:
    """A convolution without bias, batch norm and ReLU."""
    convolution = nn.Conv2d(channels, out, kernel_size, bias=False, **options)
    return [convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]


def _residual(nn: Any, body: Any, shortcut: Any) -> Any:
    """relu(body(x) + shortcut(x))."""

    class Residual(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.body, self.shortcut, self.relu = body, shortcut, nn.ReLU(inplace=True)

        def forward(self, x: Any) -> Any:
            out = self.body(x)
            out += self.shortcut(x)
            return self.relu(out)

    return Residual()


def _basic_block(nn: Any, channels: int, out: int, stride: int) -> Any:
    body = nn.Sequential(
        *conv_bn_relu(nn, channels, out, 3, stride=stride, padding=1),
        nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out),
    )  # fmt: skip
    shortcut = nn.Identity()
    if stride > 1 or channels != out:
        shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
    return _residual(nn, body, shortcut)


def _stages(nn: Any, first: int, stages: list[tuple[int, int, int]]) -> list[Any]:
    """Basic blocks; each stage has channels, a number of blocks, and the stride of the first block."""
    layers, channels = [], first
    for out, blocks, stride in stages:
        for i in range(blocks):
            layers.append(_basic_block(nn, channels, out, stride if i == 0 else 1))
            channels = out
    return layers


def resnet20(nn: Any) -> Any:
    """ResNet-20 for CIFAR (He et al. 2015), with 1x1 convolutions in the shortcuts."""
    return nn.Sequential(
        *conv_bn_relu(nn, 3, 16, 3, padding=1),
        *_stages(nn, 16, [(16, 3, 1), (32, 3, 2), (64, 3, 2)]),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def resnet18(nn: Any) -> Any:
    """ResNet-18 for ImageNet."""
    return nn.Sequential(
        *conv_bn_relu(nn, 3, 64, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1),
        *_stages(nn, 64, [(64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)]),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000),
    )  # fmt: skip


def small_resnet(nn: Any) -> Any:
    """Two stages of one basic block each, for small images."""
    return nn.Sequential(
        *conv_bn_relu(nn, 3, 8, 3, padding=1),
        *_stages(nn, 8, [(8, 1, 1), (16, 1, 2)]),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


def _bottleneck(nn: Any, channels: int, width: int, stride: int) -> Any:
    """1x1, 3x3 and 1x1 convolutions, the last with four times as many channels; the 3x3 has the stride."""
    out = 4 * width
    body = nn.Sequential(
        *conv_bn_relu(nn, channels, width, 1), *conv_bn_relu(nn, width, width, 3, stride=stride, padding=1),
        nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out),
    )  # fmt: skip
    shortcut = nn.Identity()
    if stride > 1 or channels != out:
        shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
    return _residual(nn, body, shortcut)


def resnet50(nn: Any) -> Any:
    """ResNet-50 for ImageNet (He et al. 2015), with the stride in the 3x3 convolutions, as in torchvision."""
    layers, channels = [], 64
    for width, blocks, stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for i in range(blocks):
            layers.append(_bottleneck(nn, channels, width, stride if i == 0 else 1))
            channels = 4 * width
    return nn.Sequential(
        *conv_bn_relu(nn, 3, 64, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1),
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000),
    )  # fmt: skip


def _vgg(nn: Any, plan: list[int | str], norm: bool) -> list[Any]:
    layers: list[Any] = []
    channels = 3
    for step in plan:
        if step == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, step, 3, padding=1), *([nn.BatchNorm2d(step)] if norm else [])]
            layers.append(nn.ReLU(inplace=True))
            channels = int(step)
    return layers


def vgg11_cifar(nn: Any) -> Any:
    """VGG-11 with batch norm and one linear layer, the usual form for CIFAR."""
    plan: list[int | str] = [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]
    return nn.Sequential(*_vgg(nn, plan, norm=True), nn.Flatten(), nn.Linear(512, 10))


def vgg16(nn: Any) -> Any:
    """VGG-16 for ImageNet."""
    plan: list[int | str] = [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"]
    return nn.Sequential(
        *_vgg(nn, plan, norm=False), nn.Flatten(),
        nn.Linear(25088, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 1000),
    )  # fmt: skip


def mobilenet_cifar(nn: Any) -> Any:
    """Depthwise separable convolutions for CIFAR, in the manner of MobileNet (Howard et al. 2017)."""
    layers, channels = conv_bn_relu(nn, 3, 32, 3, padding=1), 32
    for out, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        layers += conv_bn_relu(nn, channels, channels, 3, stride=stride, padding=1, groups=channels)
        layers += conv_bn_relu(nn, channels, out, 1)
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def alexnet(nn: Any) -> Any:
    """AlexNet on one device (Krizhevsky 2014)."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(inplace=True), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(inplace=True),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 1000),
    )  # fmt: skip


NETS = {
    "lenet5": Net(lenet5, (100, 1, 32, 32), 10),
    "two_conv": Net(two_conv, (64, 1, 28, 28), 10),
    "resnet20": Net(resnet20, (128, 3, 32, 32), 10),
    "vgg11_cifar": Net(vgg11_cifar, (64, 3, 32, 32), 10),
    "mobilenet_cifar": Net(mobilenet_cifar, (64, 3, 32, 32), 10),
    "resnet18": Net(resnet18, (8, 3, 224, 224), 1000),
    "alexnet": Net(alexnet, (16, 3, 224, 224), 1000),
    "vgg16": Net(vgg16, (2, 3, 224, 224), 1000),
}
# With batches that fill a GPU.
ON_GPU = {
    "lenet5": NETS["lenet5"],
    "resnet18": Net(resnet18, (64, 3, 224, 224), 1000),
    "resnet50": Net(resnet50, (64, 3, 224, 224), 1000),
    "vgg16": Net(vgg16, (32, 3, 224, 224), 1000),
}
