"""What kind of function a layer is, by the rules and as measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arranged import Net, block, channels_last

import minicnn
from minicnn import ShapeError, nn
from minicnn.analysis import properties, property_table
from minicnn.nn import functional as F

Tensor = minicnn.Tensor


class Placed(nn.Module):
    """An embedding of each token's place is added to it."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(minicnn.zeros(1, 144, 4))

    def forward(self, x: Tensor) -> Tensor:
        y = x.flatten(2).transpose(1, 2) + self.places
        return y.transpose(1, 2).unflatten(2, (12, 12))


def attention(x: Tensor) -> Tensor:
    y = x.flatten(2).transpose(1, 2)
    return ((y @ y.transpose(1, 2)).softmax(2) @ y).transpose(1, 2).reshape(x.shape)


def line(x: Tensor, **where: Any) -> Tensor:
    return minicnn.linspace(-1, 1, x.shape[2], **where).view(1, 1, -1, 1)


def written(x: Tensor) -> Tensor:
    y = minicnn.zeros_like(x)
    y[:, :2, 1:] = x[:, :2, :-1]
    y[:, 2:, :, :-1] = x[:, 2:, :, 1:]
    return y


def masked(x: Tensor) -> Tensor:
    y = x * 1
    y[:, :, 5] = 0
    return y


three = nn.Conv2d(4, 4, 3, padding=1)

EXPECTED = [
    # layer, parametric, shift, fixed size, global context
    (nn.Conv2d(4, 4, 3, padding=1), True, "equivariant", False, False),
    (nn.Linear(16, 4), True, "neither", True, True),
    (nn.MaxPool2d(2, 1), False, "equivariant", False, False),
    (nn.BatchNorm2d(4), True, "equivariant", False, False),
    (nn.ReLU(), False, "equivariant", False, False),
    (nn.PReLU(4), True, "equivariant", False, False),
    (nn.Dropout(), False, "equivariant", False, False),
    (nn.Softmax(1), False, "equivariant", False, False),
    (nn.AdaptiveAvgPool2d(1), False, "invariant", False, True),
    (nn.GroupNorm(2, 4), True, "equivariant", False, True),
    (nn.LayerNorm([4, 12, 12]), True, "neither", True, True),
    (nn.Sequential(nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(200, 3)), True, "neither", True, True),
    (nn.Sequential(nn.Conv2d(4, 2, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten()), True, "invariant", False, True),
    (nn.SqueezeExcitation(4, 2), True, "equivariant", False, True),
    (nn.GroupNorm(1, 4), True, "equivariant", False, True),
    (nn.LayerNorm(12), True, "neither", True, False),
    (nn.InstanceNorm2d(4, affine=True), True, "equivariant", False, True),
    (Net(channels_last, three, nn.Linear(4, 4)), True, "equivariant", False, False),
    (
        Net(block, nn.Identity(), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.LayerNorm(4), *[nn.Linear(4, 4)] * 2),
        True, "equivariant", False, False,
    ),
    (Net(lambda x: x + line(x)), False, "neither", False, False),
    (Net(lambda x: x + line(x, device=x.device)), False, "neither", False, False),
    (Net(lambda x: x + minicnn.ones(1, 1, 12, 1)), False, "equivariant", True, False),
    (Net(lambda x: x * minicnn.ones(1).expand_as(x)), False, "equivariant", False, False),
    (Net(lambda x, c: c(minicnn.cat([x[:, 1:], line(x).expand(len(x), 1, -1, x.shape[3])], 1)), three),
     True, "neither", False, False),
    (Net(lambda x: x.where(minicnn.arange(12) > 5, 0 * x)), False, "neither", True, False),
    (Placed(), True, "neither", True, False),
    (Net(lambda x: x.flip(3)), False, "neither", False, False),
    (Net(lambda x, c: c(x.flip(3)).flip(3), three), True, "equivariant", False, False),
    (Net(lambda x: x + x.flip(2)), False, "neither", False, False),
    (Net(lambda x: x.flip(2).mean((2, 3))), False, "invariant", False, True),
    (Net(lambda x: x.transpose(2, 3)), False, "neither", False, False),
    (Net(lambda x: x + x.transpose(2, 3)), False, "neither", False, False),
    (Net(lambda x: minicnn.roll(x, 1, 2)), False, "equivariant", False, False),
    (Net(lambda x: x.flatten(1).reshape(x.shape)), False, "equivariant", False, False),
    (Net(lambda x: x @ minicnn.linspace(0, 1, 144).reshape(12, 12)), False, "neither", True, False),
    (Net(attention), False, "equivariant", False, True),
    (Net(lambda x: x.std((2, 3))), False, "invariant", False, True),
    (Net(lambda x: x.flatten(2).max(2)[0]), False, "invariant", False, True),
    (Net(lambda x: x.flatten(2).max(2)[1]), False, "neither", False, True),
    (Net(lambda x: x.flatten(2).argmax(2)), False, "neither", False, True),
    (Net(lambda x: x.max(1, keepdim=True)[1]), False, "equivariant", False, False),
    (Net(lambda x: x[:, :, [1, 0, *range(2, 12)]]), False, "neither", False, False),
    (Net(lambda x: x.sort(2)[0]), False, "neither", False, False),
    (Net(lambda x: x[:, :, 3, 3]), False, "neither", False, False),
    (Net(lambda x: x.tril()), False, "neither", False, False),
    (Net(written), False, "equivariant", False, False),
    (Net(masked), False, "neither", False, False),
    (Net(lambda x, a, b: minicnn.cat([a(x[:, :, :5]), b(x[:, :, 5:])], 2), three, nn.Conv2d(4, 4, 3, padding=1)),
     True, "neither", False, False),
    (Net(lambda x: minicnn.cat([x[:, :, -1:], x, x[:, :, :1]], 2)[:, :, 1:-1]), False, "equivariant", False, False),
    (Net(lambda x: minicnn.cat([x[:, :, i : i + 1] for i in (3, 0, 1, 2, 5, 4, *range(6, 12))], 2)),
     False, "neither", False, False),
    (Net(lambda x: F.fold(F.unfold(x, 3, padding=1), (12, 12), 3, padding=1)), False, "equivariant", True, False),
    (nn.Unfold(3), False, "neither", False, False), (nn.Flatten(), False, "neither", False, False),
]  # fmt: skip
LAYERS = [row[0] for row in EXPECTED]


@pytest.mark.parametrize(("layer", "parametric", "shift", "fixed", "context"), EXPECTED)
def test_properties(layer: nn.Module, parametric: bool, shift: str, fixed: bool, context: bool) -> None:
    """The rows feat-parametric and feat-param-dense of the courses, and more layers."""
    size = None if isinstance(layer, nn.Linear) else (4, 12, 12)
    found = properties(layer, size)
    assert found[1:] == (parametric, shift, fixed, context), found


@pytest.mark.parametrize("layer", [row[0] for row in EXPECTED if not isinstance(row[0], nn.Linear)])
def test_shifts_are_as_measured(layer: nn.Module) -> None:
    """An image in a black frame, moved in it by 1 pixel down and 2 right: the result is moved, the same or neither."""
    minicnn.manual_seed(0)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    rng = np.random.default_rng(0)
    image = np.zeros((1, 4, 12, 12), np.float32)
    image[:, :, 1:8, 2:8] = rng.standard_normal((1, 4, 7, 6))
    with minicnn.no_grad():
        a, b = (layer.eval()(minicnn.tensor(x)).numpy() for x in (image, np.roll(image, (1, 2), (2, 3))))
    layer.train()
    measured = "neither"
    if a.ndim == 2 or a.shape[2:] == (1, 1):
        measured = "invariant" if np.allclose(a, b, atol=1e-5) else "neither"
    elif a.ndim == 4 and np.allclose(np.roll(a, (1, 2), (2, 3))[:, :, 2:-2, 3:-2], b[:, :, 2:-2, 3:-2], atol=1e-5):
        measured = "equivariant"
    assert properties(layer, (4, 12, 12)).shift == measured


def test_shifts_by_more_than_a_pixel() -> None:
    """Up to shifts that are no multiple of the stride: patches, and pixels that are made channels and back."""
    patches = Net(lambda x, f: f(F.pixel_unshuffle(x, 2).permute(0, 2, 3, 1)).permute(0, 3, 1, 2), nn.Linear(16, 4))
    for layer in (patches, nn.PixelUnshuffle(2), nn.PixelShuffle(2), nn.Upsample(scale_factor=2), nn.AvgPool2d(2)):
        assert properties(layer, (4, 12, 12)).shift == "equivariant"
    assert properties(nn.Sequential(nn.PixelUnshuffle(2), nn.BatchNorm2d(16)), (4, 12, 12)).shift == "equivariant"


def test_vectors() -> None:
    for layer, found in (
        (nn.ReLU(), (False, "equivariant", False, False)),
        (nn.PReLU(), (True, "equivariant", False, False)),
        (nn.BatchNorm1d(7), (True, "neither", True, False)),
        (nn.Softmax(1), (False, "equivariant", False, True)),
        (nn.LayerNorm(7), (True, "neither", True, True)),
        (nn.Linear(7, 2), (True, "neither", True, True)),
        (Net(lambda x: x.mean(1)), (False, "invariant", False, True)),
    ):
        assert properties(layer, (7,))[1:] == found, layer


def test_the_table_and_errors() -> None:
    text = property_table([nn.Conv2d(1, 1, 3), nn.Linear(4, 4), nn.ReLU(), nn.Conv1d(2, 2, 3)])
    assert [line.split()[:3] for line in text.splitlines()[1:]] == [
        ["Conv2d", "yes", "equivariant"],
        ["Linear", "yes", "neither"],
        ["ReLU", "no", "equivariant"],
        ["Conv1d", "yes", "equivariant"],
    ]
    with pytest.raises(ShapeError, match="in the forward of Conv2d itself"):
        properties(nn.Conv2d(3, 1, 3), (4, 12, 12))
    with pytest.raises(ValueError, match="properties: input_size must be a shape such as"):
        properties(nn.Conv2d(3, 1, 3), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"must have one input, got \[\(3, 4, 4\), \(3, 4, 4\)\]"):
        properties(nn.ReLU(), [(3, 4, 4), (3, 4, 4)])  # type: ignore[arg-type]
