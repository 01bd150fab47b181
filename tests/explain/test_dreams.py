"""Images that a net makes: the objective rises, a known best image is found, and the net stays as it was."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.explain import deep_dream, feature_maps, maximize_activation
from minicnn.explain.dreams import _blurred
from minicnn_kernels.geometry import ShapeError


def net() -> nn.Module:
    minicnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(8, 5),
    )  # fmt: skip


def test_the_objective_rises() -> None:
    model = net()
    for layer, channel in (("4", 3), (model[1], 0), ("9", 0)):
        few, many = (maximize_activation(model, layer, channel, (2, 12, 10), steps=n) for n in (1, 30))
        assert tuple(many.shape) == (1, 2, 12, 10)
        before, after = (
            float(next(iter(feature_maps(model, image, [layer]).values()))[:, channel].mean()) for image in (few, many)
        )
        assert after > before + 0.05, layer


def test_the_best_image_of_a_filter_is_the_filter() -> None:
    conv = nn.Conv2d(1, 2, 5, bias=False)
    image = maximize_activation(nn.Sequential(conv), "0", 1, (1, 5, 5), steps=60, smooth=False, decay=0.5)
    a, b = image.numpy().ravel(), conv.weight.detach()[1].numpy().ravel()
    assert np.corrcoef(a, b)[0, 1] > 0.98


def test_a_dream_amplifies_what_the_layer_sees() -> None:
    model, x = net(), minicnn.rand(2, 2, 20, 16)
    given = x.clone()
    found = deep_dream(model, x, "4", steps=4)
    assert found.shape == x.shape and minicnn.equal(x, given) and not found.requires_grad
    before, after = (float((feature_maps(model, image, ["4"])["4"] ** 2).mean()) for image in (x, found))
    assert after > 1.2 * before
    assert deep_dream(model, x, "4", steps=1, octaves=1).shape == x.shape


def test_the_net_is_left_as_it_was() -> None:
    model = net()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    maximize_activation(model, "4", 0, (2, 8, 8), steps=2)
    deep_dream(model, minicnn.rand(1, 2, 12, 12), "0", steps=1)
    assert all(minicnn.equal(value, state[key]) for key, value in model.state_dict().items())
    assert model.training and all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_errors() -> None:
    model, x = net(), minicnn.rand(1, 2, 12, 12)
    with pytest.raises(ValueError, match="no channel 8 among 8"):
        maximize_activation(model, "4", 8, (2, 12, 12))
    with pytest.raises(ValueError, match="the net has no layer"):
        deep_dream(model, x, "conv")
    with pytest.raises(ValueError, match="scale must be above 1"):
        deep_dream(model, x, "0", scale=1.0)
    with pytest.raises(ShapeError, match=r"x must be \(N, C, H, W\)"):
        deep_dream(model, x[0], "0")
    with pytest.raises(ValueError, match="steps"):
        maximize_activation(model, "4", 0, (2, 12, 12), steps=0)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)], ids=["rows", "columns", "chess"])
def test_units_that_like_fine_patterns_are_excited(axes: tuple[int, ...]) -> None:
    """Stripes of one pixel: a plain mean of 3 x 3 pixels of this gradient would point downhill."""
    at = np.indices((12, 12))
    liked = (-1.0) ** sum(at[axis] for axis in axes)
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 1, bias=False))
    model[1].weight.data.copy_(minicnn.tensor(liked.astype(np.float32).reshape(1, -1)))
    found = maximize_activation(model, "1", 0, (1, 12, 12))
    assert float(model(found)) > 100  # the first image is noise of 0.1, with about 1.2


def test_a_blurred_step_never_goes_downhill() -> None:
    for size in ((1, 1), (1, 4), (6, 5)):
        unit = minicnn.eye(size[0] * size[1]).reshape(-1, 1, *size)
        blur = _blurred(unit).reshape(len(unit), -1).numpy().astype(float)
        assert np.allclose(blur, blur.T) and np.linalg.eigvalsh(blur).min() > 0
    assert np.allclose(_blurred(minicnn.ones(1, 1, 5, 5))[..., 1:-1, 1:-1].numpy(), 1)


def test_the_image_has_the_type_of_the_net_and_no_grad_does_not_matter() -> None:
    model = net().double()
    with minicnn.no_grad():
        found = maximize_activation(model, "4", 1, (2, 8, 8), steps=2)
        assert deep_dream(model, found, "4", steps=1, octaves=1).dtype == minicnn.float64
    assert found.dtype == minicnn.float64
    with pytest.raises(TypeError, match="channel"):
        maximize_activation(model, "4", 1.5, (2, 8, 8))  # type: ignore[arg-type]
