"""More nets for `train_step.py`: those that nobody tuned for, as papers, courses and torchvision write them.

`zoo` takes a net from `torchvision.models` or `minicnn.models`, under the same name. The others are written once for
both libraries, with `forward` as users write it: `F.relu(self.bn(self.conv(x)))`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

from nets import NETS, Net, conv_bn_relu


def zoo(name: str, **options: Any) -> Callable[[Any], Any]:
    """Return what builds the net `name` of the library's own zoo, with random weights."""

    def build(nn: Any) -> Any:
        models = _torchvision() if nn.__name__.startswith("torch") else importlib.import_module("minicnn.models")
        return getattr(models, name)(**options)

    return build


@functools.cache
def _torchvision() -> Any:
    """Import `torchvision.models`, also if torchvision's compiled operations do not fit the build of PyTorch.

    The models need none of these operations, only their names.
    """
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _torchvision.library = library  # type: ignore[attr-defined]  # the names last as long as it does
    return importlib.import_module("torchvision.models")


def _library(nn: Any) -> Any:
    """Return the library that `nn` belongs to: the one of `cat`."""
    return sys.modules[nn.__name__.partition(".")[0]]


def densenet_cifar(nn: Any) -> Any:
    """Densely connected, three blocks of six layers with growth 12 and bottlenecks (Huang et al. 2016)."""
    F, cat = nn.functional, _library(nn).cat

    class Layer(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int, growth: int) -> None:
            super().__init__()
            self.bn1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, 4 * growth, 1, bias=False)
            self.bn2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

        def forward(self, x: Any) -> Any:
            out = self.conv1(F.relu(self.bn1(x)))
            out = self.conv2(F.relu(self.bn2(out)))
            return cat([x, out], 1)

    class Transition(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.bn, self.conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, channels // 2, 1, bias=False)

        def forward(self, x: Any) -> Any:
            return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)

    growth, channels = 12, 24
    layers = [nn.Conv2d(3, channels, 3, padding=1, bias=False)]
    for block in range(3):
        for _ in range(6):
            layers.append(Layer(channels, growth))
            channels += growth
        if block < 2:
            layers.append(Transition(channels))
            channels //= 2
    head = [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    return nn.Sequential(*layers, *head)


def wide_resnet_cifar(nn: Any) -> Any:
    """Wide ResNet 16-2 with norm and ReLU before each convolution (Zagoruyko and Komodakis 2016)."""
    F = nn.functional

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int, out: int, stride: int) -> None:
            super().__init__()
            self.bn1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, out, 3, stride, 1, bias=False)
            self.bn2, self.conv2 = nn.BatchNorm2d(out), nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.shortcut = nn.Conv2d(channels, out, 1, stride, bias=False) if channels != out else None

        def forward(self, x: Any) -> Any:
            out = F.relu(self.bn1(x))
            identity = x if self.shortcut is None else self.shortcut(out)
            out = self.conv1(out)
            return self.conv2(F.relu(self.bn2(out))) + identity

    layers, channels = [nn.Conv2d(3, 16, 3, padding=1, bias=False)], 16
    for out, stride in [(32, 1), (64, 2), (128, 2)]:
        layers += [Block(channels, out, stride), Block(out, out, 1)]
        channels = out
    return nn.Sequential(
        *layers, nn.BatchNorm2d(128), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)
    )


def se_resnet_cifar(nn: Any) -> Any:
    """A residual net with squeeze and excitation (Hu et al. 2017), one block of each width."""
    F = nn.functional

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int, out: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
            self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
            self.fc1, self.fc2 = nn.Conv2d(out, out // 8, 1), nn.Conv2d(out // 8, out, 1)
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

        def forward(self, x: Any) -> Any:
            out = F.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            scale = F.adaptive_avg_pool2d(out, 1)
            scale = self.fc2(F.relu(self.fc1(scale))).sigmoid()
            return F.relu(out * scale + self.shortcut(x))

    layers, channels = conv_bn_relu(nn, 3, 32, 3, padding=1), 32
    for out, stride in [(32, 1), (64, 2), (128, 2)]:
        layers.append(Block(channels, out, stride))
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def inception_cifar(nn: Any) -> Any:
    """Five Inception modules with batch norm (Szegedy et al. 2014, Ioffe and Szegedy 2015)."""
    cat = _library(nn).cat

    class Inception(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int, n1: int, r3: int, n3: int, r5: int, n5: int, pool: int) -> None:
            super().__init__()
            self.b1 = nn.Sequential(*conv_bn_relu(nn, channels, n1, 1))
            self.b3 = nn.Sequential(*conv_bn_relu(nn, channels, r3, 1), *conv_bn_relu(nn, r3, n3, 3, padding=1))
            self.b5 = nn.Sequential(*conv_bn_relu(nn, channels, r5, 1), *conv_bn_relu(nn, r5, n5, 5, padding=2))
            self.bp = nn.Sequential(nn.MaxPool2d(3, 1, 1), *conv_bn_relu(nn, channels, pool, 1))

        def forward(self, x: Any) -> Any:
            return cat([self.b1(x), self.b3(x), self.b5(x), self.bp(x)], 1)

    return nn.Sequential(
        *conv_bn_relu(nn, 3, 64, 3, padding=1),
        Inception(64, 32, 32, 48, 8, 16, 16), Inception(112, 48, 48, 64, 8, 16, 16), nn.MaxPool2d(3, 2, 1),
        Inception(144, 64, 48, 96, 16, 32, 32), Inception(224, 64, 64, 128, 16, 32, 32), nn.MaxPool2d(3, 2, 1),
        Inception(256, 96, 64, 160, 16, 48, 48), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(352, 10),
    )  # fmt: skip


def convnext_small_images(nn: Any) -> Any:
    """ConvNeXt blocks (Liu et al. 2022): depthwise 7x7, layer norm over the channels, two linear layers with GELU."""

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
            self.norm, self.act = nn.LayerNorm(channels, eps=1e-6), nn.GELU()
            self.up, self.down = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)

        def forward(self, x: Any) -> Any:
            out = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
            out = self.down(self.act(self.up(out)))
            return x + out.permute(0, 3, 1, 2)

    layers, channels = [nn.Conv2d(3, 48, 4, 4)], 48
    for out in (48, 96, 192):
        if out != channels:
            layers += [nn.BatchNorm2d(channels), nn.Conv2d(channels, out, 2, 2)]
            channels = out
        layers += [Block(out), Block(out)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(192, 10))


def unet(nn: Any) -> Any:
    """U-Net (Ronneberger et al. 2015) of three levels, with padding and batch norm: a class for each pixel."""
    F, cat = nn.functional, _library(nn).cat

    class Double(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int, out: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out)
            self.conv2, self.bn2 = nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out)

        def forward(self, x: Any) -> Any:
            return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))

    class UNet(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.down1, self.down2, self.bottom = Double(3, 24), Double(24, 48), Double(48, 96)
            self.up2, self.right2 = nn.ConvTranspose2d(96, 48, 2, 2), Double(96, 48)
            self.up1, self.right1 = nn.ConvTranspose2d(48, 24, 2, 2), Double(48, 24)
            self.last = nn.Conv2d(24, 5, 1)

        def forward(self, x: Any) -> Any:
            one = self.down1(x)
            two = self.down2(F.max_pool2d(one, 2))
            out = self.bottom(F.max_pool2d(two, 2))
            out = self.right2(cat([two, self.up2(out)], 1))
            out = self.right1(cat([one, self.up1(out)], 1))
            return self.last(out)

    return UNet()


def dcgan(nn: Any) -> Any:
    """A generator of 32x32 images and a discriminator after it (Radford et al. 2015): the generator's step."""

    def up(channels: int, out: int, stride: int, padding: int) -> list[Any]:
        convolution = nn.ConvTranspose2d(channels, out, 4, stride, padding, bias=False)
        return [convolution, nn.BatchNorm2d(out), nn.ReLU(True)]

    def down(channels: int, out: int) -> list[Any]:
        convolution = nn.Conv2d(channels, out, 4, 2, 1, bias=False)
        return [convolution, nn.BatchNorm2d(out), nn.LeakyReLU(0.2, inplace=True)]

    return nn.Sequential(
        *up(64, 128, 1, 0), *up(128, 64, 2, 1), *up(64, 32, 2, 1), nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Tanh(),
        nn.Conv2d(3, 32, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True), *down(32, 64), *down(64, 128),
        nn.Conv2d(128, 2, 4), nn.Flatten(),
    )  # fmt: skip


ALL = NETS | {
    "densenet_cifar": Net(densenet_cifar, (32, 3, 32, 32), 10),
    "wide_resnet_cifar": Net(wide_resnet_cifar, (32, 3, 32, 32), 10),
    "se_resnet_cifar": Net(se_resnet_cifar, (32, 3, 32, 32), 10),
    "inception_cifar": Net(inception_cifar, (32, 3, 32, 32), 10),
    "convnext_small": Net(convnext_small_images, (16, 3, 64, 64), 10),
    "unet": Net(unet, (4, 3, 96, 96), 5, per_pixel=True),
    "dcgan": Net(dcgan, (64, 64, 1, 1), 2),
    "densenet121": Net(zoo("densenet121"), (4, 3, 96, 96), 1000),
    "googlenet": Net(zoo("googlenet", aux_logits=False, init_weights=False), (8, 3, 96, 96), 1000),
    "squeezenet1_1": Net(zoo("squeezenet1_1"), (16, 3, 96, 96), 1000),
    "shufflenet_v2": Net(zoo("shufflenet_v2_x1_0"), (16, 3, 96, 96), 1000),
    "mobilenet_v2": Net(zoo("mobilenet_v2"), (8, 3, 96, 96), 1000),
    "mobilenet_v3": Net(zoo("mobilenet_v3_small"), (16, 3, 96, 96), 1000),
    "efficientnet_b0": Net(zoo("efficientnet_b0"), (8, 3, 96, 96), 1000),
    "mnasnet": Net(zoo("mnasnet1_0"), (8, 3, 96, 96), 1000),
    "resnext50": Net(zoo("resnext50_32x4d"), (4, 3, 96, 96), 1000),
    "wide_resnet50": Net(zoo("wide_resnet50_2"), (2, 3, 96, 96), 1000),
}
