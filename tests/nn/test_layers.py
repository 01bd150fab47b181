"""Layers: gradients through each layer, defaults, and refused inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minicnn
from minicnn import ShapeError, Tensor, nn
from minicnn.autograd import gradcheck

LAYERS = {
    "Conv2d": (lambda: nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=1, groups=2), (2, 2, 5, 4)),
    "Linear": (lambda: nn.Linear(5, 3), (4, 5)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (2, 2, 5, 4)),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1), (2, 2, 5, 4)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), (4, 3, 2, 2)),
    "BatchNorm2d in evaluation": (lambda: nn.BatchNorm2d(3).eval(), (4, 3, 2, 2)),
    "Tanh": (nn.Tanh, (3, 4)),
    "Sigmoid": (nn.Sigmoid, (3, 4)),
    "ReLU": (nn.ReLU, (3, 4)),
    "Flatten": (nn.Flatten, (2, 3, 2)),
    "Dropout in evaluation": (lambda: nn.Dropout().eval(), (3, 4)),
    "Identity": (nn.Identity, (3,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_input_and_parameters(name: str) -> None:
    build, shape = LAYERS[name]
    layer = build().double()
    x = Tensor(np.random.default_rng(0).standard_normal(shape), requires_grad=True)
    parameters = list(layer.parameters())
    names = [n for n, _ in layer.named_parameters()]

    def call(x: Tensor, *values: Tensor) -> Tensor:
        for path, value in zip(names, values, strict=True):
            layer._parameters[path] = value  # the copies that gradcheck perturbs
        return layer(x)

    assert gradcheck(call, [x, *parameters], eps=1e-5, atol=1e-8, rtol=1e-6)


def test_default_initialisation_is_pytorchs() -> None:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights and biases."""
    minicnn.manual_seed(0)
    for layer, fan_in in [
        (nn.Conv2d(8, 200, 5), 200),
        (nn.Linear(300, 400), 300),
        (nn.Conv2d(8, 400, 3, groups=4), 18),
    ]:
        bound = 1 / math.sqrt(fan_in)
        for values in (layer.weight.array, layer.bias.array):
            assert np.abs(values).max() <= bound
            assert np.abs(values).max() > 0.95 * bound
            assert abs(values.std() / (bound / math.sqrt(3)) - 1) < 0.1


def test_a_seed_repeats_the_weights() -> None:
    minicnn.manual_seed(3)
    first = nn.Conv2d(1, 2, 3).weight.array
    minicnn.manual_seed(3)
    assert np.array_equal(first, nn.Conv2d(1, 2, 3).weight.array)


def test_batch_norm_running_statistics() -> None:
    layer = nn.BatchNorm2d(2, momentum=0.25)
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 5)).astype(np.float32) * 3 + 1
    y = layer(Tensor(x)).detach().numpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var((0, 2, 3)), 1, atol=1e-4)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.25 * x.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.75 + 0.25 * x.var((0, 2, 3), ddof=1), rtol=1e-5)
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    mean, var = layer.running_mean.numpy()[:, None, None], layer.running_var.numpy()[:, None, None]
    np.testing.assert_allclose(
        layer(Tensor(x)).detach().numpy(), (x - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5
    )
    assert layer.num_batches_tracked.item() == 1
    average = nn.BatchNorm2d(2, momentum=None)
    average(Tensor(x))
    average(Tensor(x + 1))
    np.testing.assert_allclose(average.running_mean.numpy(), x.mean((0, 2, 3)) + 0.5, rtol=1e-5)


def test_batch_norm_corner_cases() -> None:
    layer = nn.BatchNorm2d(2)
    layer.bias.data.copy_([1.0, -2.0])
    y = layer(Tensor(np.full((3, 2, 2, 2), 7, np.float32)))  # a constant channel gives exactly beta
    assert (y.detach().numpy() == np.array([1, -2], np.float32)[None, :, None, None]).all()
    before = layer.running_mean.numpy().copy()
    layer(Tensor(np.zeros((0, 2, 2, 2), np.float32)))  # an empty batch leaves the statistics alone
    assert np.array_equal(layer.running_mean.numpy(), before)
    with pytest.raises(ShapeError, match="more than 1 value per channel"):
        layer(Tensor(np.zeros((1, 2, 1, 1), np.float32)))
    with pytest.raises(ShapeError, match=r"has 3 channels"):
        layer(Tensor(np.zeros((2, 3, 2, 2), np.float32)))


def test_dropout_keeps_the_mean_and_is_off_in_evaluation() -> None:
    minicnn.manual_seed(0)
    layer = nn.Dropout(0.25)
    x = minicnn.tensor(np.ones((200, 200), np.float32), requires_grad=True)
    y = layer(x)
    values = y.detach().numpy()
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((values == 0).mean() - 0.25) < 0.01
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), values)
    assert layer.eval()(x) is x
    assert not nn.Dropout(1.0)(x).detach().numpy().any()
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.Dropout(1.5)


def test_strict_fit_refuses_what_does_not_fit() -> None:
    x = Tensor(np.zeros((1, 1, 7, 7), np.float32))
    assert nn.Conv2d(1, 1, 3, stride=3)(x).shape == (1, 1, 2, 2)
    with pytest.raises(ShapeError, match=r"\(7 \+ 2\*0 - 3\) / 3 \+ 1 is not whole"):
        nn.Conv2d(1, 1, 3, stride=3, fit="strict")(x)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels must be divisible by groups, got 3"),
        (
            lambda: nn.Conv2d(1, 1, 3, 0)(Tensor(np.ones((1, 1, 4, 4), "f"))),
            ShapeError,
            "stride must be greater than zero",
        ),
        (
            lambda: nn.Conv2d(1, 1, 3, padding_mode="edge"),
            ValueError,
            "padding_mode must be .* padding_mode='edge'",
        ),
        (lambda: nn.Conv2d(1, 1, 2, 2, padding="same"), ValueError, "padding='same' is not supported for strided"),
        (lambda: nn.Conv2d(3, 4, 3)(Tensor(np.ones((1, 1, 4, 4), "f"))), ShapeError, "expects 3 input channels"),
        (lambda: nn.Conv2d(1, 4, 5)(Tensor(np.ones((1, 1, 4, 4), "f"))), ShapeError, "window is larger than the input"),
        (
            lambda: nn.Conv2d(1, 4, 3)(Tensor(np.ones((1, 1, 4, 4), np.uint8))),
            TypeError,
            r"got minicnn.uint8; convert it with",
        ),
        (
            lambda: nn.Conv2d(1, 4, 3)(Tensor(np.ones((1, 1, 4, 4)))),
            TypeError,
            "weight is minicnn.float32 but input is minicnn.float64",
        ),
        (lambda: nn.Conv2d(1, 4, 3)(np.ones((1, 1, 4, 4), "f")), TypeError, "input must be a Tensor, got ndarray"),
        (lambda: nn.Linear(4, 2)(Tensor(np.ones((2, 1, 2, 2), "f"))), ShapeError, "takes 4 input features.*flatten"),
        (
            lambda: nn.MaxPool2d(2, padding=2)(Tensor(np.ones((1, 1, 4, 4), "f"))),
            ShapeError,
            "at most half of kernel_size",
        ),
        (
            lambda: nn.CrossEntropyLoss()(Tensor(np.ones((2, 3), "f")), minicnn.tensor([0])),
            ShapeError,
            "as many class indices",
        ),
        (
            lambda: nn.CrossEntropyLoss()(Tensor(np.ones((2, 3), "f")), minicnn.tensor([0.0, 1.0])),
            TypeError,
            "class indices",
        ),
        (
            lambda: Tensor(np.ones((2, 3))) + Tensor(np.ones((2, 4))),
            ShapeError,
            r"\(2, 3\) and \(2, 4\) do not broadcast",
        ),
        (lambda: Tensor(np.ones((2, 3))) @ Tensor(np.ones((2, 3))), ShapeError, r"matmul: \(2, 3\) @ \(2, 3\)"),
        (lambda: Tensor(np.ones((2, 3))).reshape(4, 2), ShapeError, "invalid for 6 elements"),
        (lambda: minicnn.tensor("text"), TypeError, "invalid data type .str."),
    ],
)
def test_bad_input_gets_a_clear_error(call, error, text) -> None:
    with pytest.raises(error, match=text):
        call()


@pytest.mark.cpu_only("is about values that are checked on the CPU only: for a check on a GPU, the program would wait")
@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: nn.CrossEntropyLoss()(Tensor(np.ones((2, 3), "f")), minicnn.tensor([0, 3])),
            IndexError,
            "target 3 .* 0..2",
        ),
        (lambda: nn.CrossEntropyLoss()(Tensor(np.ones((2, 3), "f")), minicnn.tensor([0, -1])), IndexError, "target -1"),
    ],
)
def test_bad_labels_get_a_clear_error(call, error, text) -> None:
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_circular_padding_takes_one_number_of_axes(rank: int) -> None:
    layer = getattr(nn, f"CircularPad{rank}d")(1)
    for axes in (rank, rank + 3):
        with pytest.raises(ValueError, match=rf"expected {rank + 1}D or {rank + 2}D input \(got {axes}D input\)"):
            layer(minicnn.ones(*[2] * axes))
