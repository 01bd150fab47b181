"""detect_anomaly names the operation, the layer and the line."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.autograd import AnomalyError, detect_anomaly
from minicnn.autograd.engine import Function


def test_a_nan_weight_is_traced_to_its_layer_and_line() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 3)))
    net[1][1].weight.data[0, 0, 0, 0] = float("nan")
    x = minicnn.tensor(np.ones((1, 1, 8, 8), np.float32))
    with detect_anomaly(), pytest.raises(AnomalyError) as caught:
        net(x)  # the line to be named
    text = str(caught.value)
    assert "forward pass of Convolution gave" in text
    assert "in layer 1.1 (Conv2d)" in text
    assert "net(x)  # the line to be named" in text
    assert "input 1 already had 1 NaN among 36 values, first at (0, 0, 0, 0)" in text
    net(x)  # outside the block nothing is checked


def test_inf_and_the_loss_count_too() -> None:
    with (
        detect_anomaly(),
        pytest.raises(AnomalyError, match=r"forward pass of Div gave 1 Inf.*all its inputs were finite"),
    ):
        minicnn.tensor([1.0, 1.0], requires_grad=True) / minicnn.tensor([1.0, 0.0])


def test_a_bad_gradient_names_where_its_operation_was_called() -> None:
    x = minicnn.tensor([0.0, 4.0], requires_grad=True)
    with detect_anomaly():
        y = x.sqrt().sum()  # the forward is finite, the backward is 1/0
        with pytest.raises(AnomalyError, match=r"backward pass of Sqrt gave 1 Inf .* \(0,\).*y = x\.sqrt\(\)"):
            y.backward()
    y = x.sqrt().sum()
    with detect_anomaly(), pytest.raises(AnomalyError, match="recorded outside detect_anomaly"):
        y.backward()


def test_it_nests_and_ends() -> None:
    class ToNan(Function):
        @staticmethod
        def forward(ctx, x):
            return x * np.nan

    x = minicnn.tensor([1.0])
    with detect_anomaly():
        with detect_anomaly():
            pass
        with pytest.raises(AnomalyError):
            ToNan.apply(x)
    ToNan.apply(x)


def test_a_cell_of_a_notebook_is_named_by_its_line() -> None:
    cell = compile("\ny = x.log()", "/tmp/ipykernel_123/4567.py", "exec")
    expected = r"forward pass of Log gave 1 Inf .*, called in line 2 of a notebook's cell"
    with detect_anomaly(), pytest.raises(AnomalyError, match=expected):
        exec(cell, {"x": minicnn.tensor([0.0], requires_grad=True)})
