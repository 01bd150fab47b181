"""Tables of vectors: which rows get a gradient, how rows are scaled, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.autograd import gradcheck, gradgradcheck
from minicnn.nn import functional as F


def table(rows: int = 4, size: int = 2) -> minicnn.Tensor:
    return minicnn.tensor(np.random.default_rng(0).standard_normal((rows, size)), requires_grad=True)


def test_the_padding_row_gets_no_gradient() -> None:
    w = table()
    F.embedding(minicnn.tensor([[0, 3], [3, 1]]), w, padding_idx=-1).sum().backward()
    assert w.grad.tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]]


def test_gradients_divided_by_how_often_a_row_occurs() -> None:
    w = table()
    F.embedding(minicnn.tensor([2, 0, 2, 2]), w, scale_grad_by_freq=True).sum().backward()
    assert w.grad[:, 0].tolist() == [1, 0, pytest.approx(1), 0]


@pytest.mark.parametrize("options", [{}, {"padding_idx": 1}])
def test_gradients_of_gradients(options: dict[str, object]) -> None:
    index, w = minicnn.tensor([[1, 0], [1, 2]]), table()
    assert gradgradcheck(lambda w: F.embedding(index, w, **options) ** 3, (w,))
    if not options:
        assert gradcheck(lambda w: F.embedding(index, w) ** 3, (w,))


def test_long_rows_are_shortened_in_place() -> None:
    w = minicnn.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])
    y = F.embedding(minicnn.tensor([0, 1]), w, max_norm=1.0)
    minicnn.testing.assert_close(w, minicnn.tensor([[0.6, 0.8], [0.3, 0.4], [6.0, 8.0]]))
    minicnn.testing.assert_close(y, w[:2])
    layer = nn.Embedding(3, 2, max_norm=1.0, norm_type=1.0)
    layer.weight.data.fill_(5)
    assert layer(minicnn.tensor([1])).abs().sum().item() == pytest.approx(1)
    layer(minicnn.tensor([1])).sum().backward()
    assert layer.weight.grad.sum().item() == 2


def test_bags_without_padding_rows() -> None:
    w = minicnn.tensor([[1.0], [10.0], [100.0]], requires_grad=True)
    index, offsets = minicnn.tensor([0, 1, 2, 1, 1]), minicnn.tensor([0, 3])
    for mode, expected in (("sum", [101, 0]), ("mean", [50.5, 0]), ("max", [100, 0])):
        y = F.embedding_bag(index, w, offsets, mode=mode, padding_idx=1)
        assert y.flatten().tolist() == expected
        (gw,) = minicnn.autograd.grad(y.sum(), w)
        assert gw[1].item() == 0


def test_the_first_of_equal_rows_gets_the_gradient() -> None:
    w = minicnn.ones(3, 1, requires_grad=True)
    F.embedding_bag(minicnn.tensor([[2, 0, 1]]), w, mode="max").backward()
    assert w.grad.flatten().tolist() == [0, 0, 1]


def test_the_row_for_padding_is_zero() -> None:
    assert nn.Embedding(4, 3, padding_idx=-2).weight[2].abs().sum().item() == 0
    assert nn.EmbeddingBag(4, 3, padding_idx=1).weight[1].abs().sum().item() == 0
    given = minicnn.ones(4, 3)
    layer = nn.Embedding.from_pretrained(given, freeze=False, padding_idx=0)
    assert layer.weight.sum().item() == 12 and layer.weight.requires_grad
    assert not nn.EmbeddingBag.from_pretrained(given).weight.requires_grad


def test_start_values_are_standard_normal() -> None:
    minicnn.manual_seed(0)
    values = nn.Embedding(200, 50).weight.array
    assert abs(values.mean()) < 0.03 and abs(values.std() - 1) < 0.02


def test_on_meta() -> None:
    index = minicnn.zeros(2, 3, dtype=minicnn.int64, device="meta")
    assert nn.Embedding(5, 4, device="meta")(index).shape == (2, 3, 4)
    for mode in ("sum", "mean", "max"):
        assert nn.EmbeddingBag(5, 4, mode=mode, device="meta")(index).shape == (2, 4)


ONE = minicnn.tensor([0])


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda: F.embedding(minicnn.tensor([4]), table()),
            IndexError,
            "index out of range in self: 4 in a",
        ),
        (lambda: F.embedding(minicnn.tensor([-1]), table()), IndexError, "index out of range in self: -1"),
        (
            lambda: F.embedding(minicnn.tensor([0.0]), table()),
            RuntimeError,
            "Expected tensor for argument #1 'indices'",
        ),
        (lambda: F.embedding(ONE, minicnn.ones(3)), RuntimeError, "'weight' must be 2-D"),
        (lambda: F.embedding(ONE, table(), sparse=True), NotImplementedError, "sparse=True is not supported"),
        (lambda: nn.Embedding(3, 2, sparse=True), NotImplementedError, "Embedding: sparse=True is not supported"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), AssertionError, "Padding_idx must be within num_embeddings"),
        (lambda: nn.Embedding(3, 2, _weight=minicnn.ones(2, 2)), AssertionError, "Shape of weight does not match"),
        (lambda: nn.Embedding.from_pretrained(minicnn.ones(2)), AssertionError, "expected to be 2-dimensional"),
        (lambda: F.embedding_bag(ONE, table()), ValueError, "offsets has to be a 1D Tensor but got None"),
        (lambda: F.embedding_bag(ONE.reshape(1, 1), table(), ONE), ValueError, "offsets has to be None"),
        (lambda: F.embedding_bag(ONE, table(), ONE, mode="min"), ValueError, "mode has to be one of sum, mean or max"),
        (lambda: F.embedding_bag(ONE, table(), ONE + 1), RuntimeError, r"offsets\[0\] has to be 0"),
        (
            lambda: F.embedding_bag(ONE, table(), minicnn.tensor([0, 2])),
            RuntimeError,
            r"offsets\[-1\] can not be greater than input's length\(1\) but got offsets\[-1\] of 2",
        ),
        (
            lambda: F.embedding_bag(ONE, table(), ONE, per_sample_weights=minicnn.ones(1).double()),
            NotImplementedError,
            "only supported for mode='sum'",
        ),
        (
            lambda: F.embedding_bag(ONE, table(), ONE, mode="sum", per_sample_weights=minicnn.ones(2).double()),
            ValueError,
            "must have the same shape as the input",
        ),
        (
            lambda: F.embedding_bag(ONE, table(), ONE, mode="max", scale_grad_by_freq=True),
            ValueError,
            "max mode does not support scaling the gradient",
        ),
    ],
)
def test_refused(call: object, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()  # type: ignore[operator]
