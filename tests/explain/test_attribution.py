"""Attributions mean what they say: of a linear net, of a net that looks for a planted object, and of ReLUs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.explain import (
    deconvolution,
    feature_maps,
    grad_cam,
    guided_backprop,
    guided_grad_cam,
    input_x_gradient,
    integrated_gradients,
    occlusion,
    saliency,
    smooth_grad,
)
from minicnn.nn import functional as F
from minicnn_kernels.geometry import ShapeError

ALL = (
    deconvolution, grad_cam, guided_backprop, guided_grad_cam, input_x_gradient, integrated_gradients, occlusion,
    saliency, smooth_grad,
)  # fmt: skip


def net() -> nn.Module:
    minicnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(6 * 2 * 3, 5),
    )  # fmt: skip


def bright() -> nn.Module:
    """A net whose class 1 is the brightness of 3x3 squares, class 0 is a constant: it sees where an object is."""
    conv = nn.Conv2d(1, 1, 3, bias=False)
    conv.weight.data.fill_(1)
    head = nn.Linear(1, 2)
    head.weight.data.copy_(minicnn.tensor([[0.0], [1.0]]))
    head.bias.data.copy_(minicnn.tensor([1.0, 0.0]))
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), head)


def planted() -> minicnn.Tensor:
    x = minicnn.zeros(1, 1, 12, 12)
    x[0, 0, 6:9, 2:5] = 1
    return x


def linear() -> tuple[nn.Module, minicnn.Tensor, Any]:
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 3 * 3, 4))
    return model, minicnn.randn(2, 2, 3, 3), model[1].weight.detach().reshape(4, 2, 3, 3)


def test_of_a_linear_net() -> None:
    model, x, w = linear()
    for target, rows in ((2, [2, 2]), ([1, 3], [1, 3]), (minicnn.tensor([0, -1]), [0, 3])):
        weights = minicnn.stack([w[row] for row in rows])
        assert minicnn.allclose(saliency(model, x, target), weights.abs())
        assert minicnn.allclose(saliency(model, x, target, absolute=False), weights)
        assert minicnn.allclose(input_x_gradient(model, x, target), x * weights)
        assert minicnn.allclose(integrated_gradients(model, x, target, baseline=1.0), (x - 1) * weights, atol=1e-5)
        assert minicnn.allclose(smooth_grad(model, x, target, samples=3), weights.abs(), atol=1e-5)
        found = occlusion(model, x, target, window=1)
        assert minicnn.allclose(found, (x * weights).sum(1, keepdim=True).expand(2, 2, 3, 3), atol=1e-5)
    assert minicnn.equal(saliency(model, x), saliency(model, x, model(x).argmax(1)))


def test_the_planted_object_is_found() -> None:
    model, x = bright(), planted()
    inside = x[0, 0].numpy() > 0
    for name in ("saliency", "guided_backprop", "deconvolution", "occlusion", "guided_grad_cam"):
        found = globals()[name](model, x, 1, **({"window": 3, "stride": 1} if name == "occlusion" else {}))
        at = found[0, 0].abs().numpy()
        assert at[inside].mean() > 5 * at[~inside].mean(), name
    cam = grad_cam(model, x, 1)
    assert tuple(cam.shape) == (1, 1, 10, 10) and divmod(int(cam.argmax()), 10) == (6, 2)
    fall = occlusion(model, x, 1, window=3, stride=3)  # the window over the object covers all of it
    assert fall[0, 0, 6, 3] > 0 and float(occlusion(model, x, 0, window=3).abs().max()) == 0


def test_integrated_gradients_add_up_to_the_score() -> None:
    model, x = net().eval(), minicnn.randn(3, 2, 8, 10)
    base = minicnn.randn(1, 2, 8, 10)
    found = integrated_gradients(model, x, 3, baseline=base, steps=400)
    fall = (model(x) - model(base))[:, 3]
    np.testing.assert_allclose(found.sum((1, 2, 3)).numpy(), fall.detach().numpy(), rtol=0.02, atol=0.02)


def test_rules_of_relus() -> None:
    """y = w2 relu(w1 x): the gradients of one unit, by hand, for an input and an upstream gradient of every sign."""
    for x in (1.0, -1.0):
        for w1 in (2.0, -2.0):
            for w2 in (3.0, -3.0):
                model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False))
                model[0].weight.data.fill_(w1)
                model[2].weight.data.fill_(w2)
                given = minicnn.tensor([[x]])
                on = x * w1 > 0
                assert saliency(model, given, 0, absolute=False).item() == (w1 * w2 if on else 0)
                assert deconvolution(model, given, 0).item() == w1 * max(w2, 0)
                assert guided_backprop(model, given, 0).item() == (w1 * max(w2, 0) if on else 0)


class Functional(nn.Module):
    """ReLUs as functions, also in place and twice the same module."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.relu = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 1), nn.ReLU()
        self.head = nn.Linear(3, 5)

    def forward(self, x: Any) -> Any:
        x = self.relu(self.second(self.relu(self.first(x))))
        return self.head(F.relu_(x * 2 - 0.1).mean((2, 3)))


@pytest.mark.parametrize("make", [net, Functional])
def test_the_net_is_left_as_it_was(make: Any) -> None:
    model, x = make(), minicnn.randn(2, 2, 8, 10)
    if isinstance(model, nn.Sequential):
        model[6].eval()  # a mode of its own
    modes = [module.training for module in model.modules()]
    model(x).sum().backward()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    grads = [p.grad.clone() for p in model.parameters()]
    given = x.clone()
    for function in ALL:
        found = function(model, x, 1)
        assert not found.requires_grad and np.isfinite(found.numpy()).all(), function.__name__
        assert found.shape == x.shape or function is grad_cam
        again = function(model, x, 1) if function is not smooth_grad else found
        assert minicnn.equal(found, again), f"{function.__name__}: dropout or statistics of the batch were at work"
    assert [module.training for module in model.modules()] == modes and minicnn.equal(x, given)
    assert all(minicnn.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(minicnn.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert not any(module._forward_hooks for module in model.modules())


def test_layers_by_name_and_default() -> None:
    model, x = net(), minicnn.randn(2, 2, 8, 10)
    assert minicnn.equal(grad_cam(model, x, 1), grad_cam(model, x, 1, "4"))
    assert minicnn.equal(grad_cam(model, x, 1, "1"), grad_cam(model, x, 1, model[1]))  # a ReLU in place after it
    assert tuple(grad_cam(model, x, 1, "0").shape) == (2, 1, 8, 10)
    signed = grad_cam(model, x, 1, relu=False)
    assert float(signed.min()) < 0 and minicnn.equal(F.relu(signed), grad_cam(model, x, 1))
    maps = feature_maps(model, x)
    assert list(maps) == ["0", "1", "2", "3", "4", "5", "6"]
    assert minicnn.equal(maps["2"], F.relu(maps["1"])) and tuple(maps["3"].shape) == (2, 4, 4, 5)
    assert list(feature_maps(model, x, ["8", model[0]])) == ["0", "8"]


def test_windows_that_do_not_fit_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    x = minicnn.randn(1, 1, 7, 5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(35, 2))
    found = occlusion(model, x, 0, window=(3, 2), stride=(2, 2), progress=True)
    w, base = model[1].weight.detach()[0].reshape(7, 5).numpy(), x[0, 0].numpy()
    total, count = np.zeros((7, 5)), np.zeros((7, 5))
    for p in (0, 2, 4):
        for q in (0, 2, 4):
            part = np.s_[p : p + 3, q : q + 2]
            total[part] += (w * base)[part].sum()
            count[part] += 1
    np.testing.assert_allclose(found[0, 0].numpy(), total / count, atol=1e-5)
    assert capsys.readouterr().err.endswith("occluded 9 of 9\n")


def test_errors() -> None:
    model, x = net(), minicnn.randn(2, 2, 8, 10)
    with pytest.raises(ValueError, match=r"saliency: target 5 .*is not among the 5 classes"):
        saliency(model, x, 5)
    with pytest.raises(ValueError, match="must be one class or 2, one for each input, got 3"):
        saliency(model, x, [1, 2, 3])
    with pytest.raises(TypeError, match="target must be a class or one for each input"):
        saliency(model, x, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"output of the net must be \(N, K\), scores of K classes, got shape \(2, 4"):
        saliency(model[0], x)
    with pytest.raises(ValueError, match=r"the net has no layer 'conv' .*; there are: 0, 1"):
        grad_cam(model, x, 1, "conv")
    with pytest.raises(ShapeError, match=r"must be \(N, C, h, w\)"):
        grad_cam(model, x, 1, "8")
    with pytest.raises(ValueError, match="the net has no Conv2d"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(160, 3)), x, 1)
    with pytest.raises(ValueError, match="the net has no ReLU"):
        guided_backprop(nn.Sequential(nn.Flatten(), nn.Linear(160, 3)), x, 1)
    with pytest.raises(ShapeError, match="must not be larger than the image"):
        occlusion(model, x, 1, window=9)
    for function in ALL:
        with pytest.raises(TypeError, match=function.__name__):
            function(lambda x: x, x, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("compute", [saliency, guided_backprop, grad_cam, integrated_gradients])
def test_inside_no_grad(compute: Any) -> None:
    minicnn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    x = minicnn.randn(2, 1, 6, 6)
    want = compute(model, x, 1)
    with minicnn.no_grad():
        assert minicnn.equal(compute(model, x, 1), want)
