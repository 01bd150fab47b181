"""Convolution layers of well-known nets, for measurements."""

from __future__ import annotations

from typing import NamedTuple


class Layer(NamedTuple):
    """A convolution layer: the shapes of x (N, C, H, W) and w (O, C/groups, KH, KW), and the options of `nn.Conv2d`."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    bias: bool = False

    def __str__(self) -> str:
        x, w = ("x".join(map(str, shape)) for shape in (self.x, self.w))
        usual = Layer((), ())
        options = [f"--{name} {getattr(self, name)}" for name in ("stride", "padding", "groups")
                   if getattr(self, name) != getattr(usual, name)]  # fmt: skip
        return " ".join([f"--x {x} --w {w}", *options, *(["--bias"] if self.bias else [])])


def _layers() -> dict[str, Layer]:
    """Layers of well-known nets, with the batch sizes of `benchmarks/nets.py`; ResNet's have torchvision's names."""
    found = {
        "lenet5.conv1": Layer((100, 1, 32, 32), (6, 1, 5, 5), bias=True),
        "lenet5.conv2": Layer((100, 6, 14, 14), (16, 6, 5, 5), bias=True),
        "alexnet.conv1": Layer((16, 3, 224, 224), (64, 3, 11, 11), 4, 2, bias=True),
        "alexnet.conv2": Layer((16, 64, 27, 27), (192, 64, 5, 5), 1, 2, bias=True),
        "alexnet.conv3": Layer((16, 192, 13, 13), (384, 192, 3, 3), 1, 1, bias=True),
        "vgg16.conv1_1": Layer((2, 3, 224, 224), (64, 3, 3, 3), 1, 1, bias=True),
        "vgg16.conv1_2": Layer((2, 64, 224, 224), (64, 64, 3, 3), 1, 1, bias=True),
        "vgg16.conv3_2": Layer((2, 256, 56, 56), (256, 256, 3, 3), 1, 1, bias=True),
        "vgg16.conv5_2": Layer((2, 512, 14, 14), (512, 512, 3, 3), 1, 1, bias=True),
        "resnet20.conv1": Layer((128, 3, 32, 32), (16, 3, 3, 3), 1, 1),
        "resnet18.conv1": Layer((8, 3, 224, 224), (64, 3, 7, 7), 2, 3),
        "mobilenet.conv1": Layer((64, 3, 32, 32), (32, 3, 3, 3), 1, 1),
        "mobilenet.depthwise": Layer((64, 128, 16, 16), (128, 1, 3, 3), 1, 1, groups=128),
        "mobilenet.pointwise": Layer((64, 128, 16, 16), (128, 128, 1, 1)),
    }
    for net, n, first, side, stages in (("resnet20", 128, 16, 32, 3), ("resnet18", 8, 64, 56, 4)):
        for stage in range(stages):
            c, size = first << stage, side >> stage
            found[f"{net}.layer{stage + 1}"] = Layer((n, c, size, size), (c, c, 3, 3), 1, 1)
            if stage:
                before = n, c // 2, 2 * size, 2 * size
                found[f"{net}.layer{stage + 1}.0.conv1"] = Layer(before, (c, c // 2, 3, 3), 2, 1)
                found[f"{net}.layer{stage + 1}.0.downsample"] = Layer(before, (c, c // 2, 1, 1), 2)
    return dict(sorted(found.items()))


LAYERS = _layers()
USUAL = Layer((32, 64, 56, 56), (64, 64, 3, 3))
