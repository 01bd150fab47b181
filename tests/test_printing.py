"""The printed text of tensors; tests/differential compares it with PyTorch's text."""

from __future__ import annotations

import pytest

import minicnn


def test_formats() -> None:
    texts = {
        "tensor([1., 2.])": minicnn.tensor([1.0, 2.0]),
        "tensor([0.1000, 2.5000])": minicnn.tensor([0.1, 2.5]),
        "tensor([1.0000e+00, 1.0000e-05])": minicnn.tensor([1.0, 1e-5]),
        "tensor([1.0000e+00, 2.0005e+03])": minicnn.tensor([1.0, 2000.5]),
        "tensor([nan, inf, 1.])": minicnn.tensor([float("nan"), float("inf"), 1.0]),
        "tensor(3)": minicnn.tensor(3),
        "tensor([ True, False])": minicnn.tensor([True, False]),
        "tensor([[ 1, 20],\n        [ 3,  4]])": minicnn.tensor([[1, 20], [3, 4]]),
        "tensor([], size=(0, 2))": minicnn.zeros(0, 2),
        "tensor([], dtype=minicnn.int64)": minicnn.arange(0),
        "tensor([1.], dtype=minicnn.float64)": minicnn.ones(1, dtype=minicnn.float64),
        "tensor(..., device='meta', size=(2, 3))": minicnn.zeros(2, 3, device="meta"),
        "tensor([1.], requires_grad=True)": minicnn.ones(1, requires_grad=True),
        "tensor([  0,   1,   2,  ..., 997, 998, 999])": minicnn.arange(1000 + 1)[:1000],
    }
    with minicnn.printoptions(threshold=999):
        for text, x in texts.items():
            assert repr(x) == text
    assert repr(minicnn.ones(1, requires_grad=True) * 2).startswith("tensor([2.], grad_fn=<Mul")


def test_options() -> None:
    x = minicnn.tensor([1.25, 1000.5])
    with minicnn.printoptions(precision=1):
        assert repr(x) == "tensor([   1.2, 1000.5])"
        assert minicnn.get_printoptions()["precision"] == 1
    with minicnn.printoptions(sci_mode=True, linewidth=20):
        assert repr(x) == "tensor([1.2500e+00,\n        1.0005e+03])"
    with minicnn.printoptions(profile="short"):
        assert repr(x) == "tensor([   1.25, 1000.50])"
    assert minicnn.get_printoptions()["precision"] == 4
    with pytest.raises(ValueError, match="profile"):
        minicnn.set_printoptions(profile="long")


def test_formatted_numbers() -> None:
    assert f"{minicnn.tensor(2.345):.2f}" == "2.35"
    assert f"{minicnn.ones(2)}" == "tensor([1., 1.])"
    with pytest.raises(TypeError):
        f"{minicnn.ones(2):.2f}"
