"""Losses: reductions, warnings, corner cases and errors beyond the table of samples."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor, nn, tensor

BACKENDS = ["python", "numpy", "numba"]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3))


def test_modules_pass_their_arguments_on() -> None:
    x, y, z = (Tensor(RNG.standard_normal((4, 3))) for _ in range(3))
    p, classes, signs = Tensor(RNG.random((4, 3))), tensor([0, 2, 1, 1]), tensor([1, -1, 1, -1])
    w = tensor([0.5, 1.0, 2.0], dtype=minicnn.float64)
    pairs: list[tuple[nn.Module, tuple[Any, ...], Tensor]] = [
        (
            nn.CrossEntropyLoss(w, ignore_index=2, label_smoothing=0.1),
            (x, classes),
            F.cross_entropy(x, classes, w, ignore_index=2, label_smoothing=0.1),
        ),
        (nn.NLLLoss(w, ignore_index=2), (x, classes), F.nll_loss(x, classes, w, ignore_index=2)),
        (nn.MultiMarginLoss(2, 0.3, w), (x, classes), F.multi_margin_loss(x, classes, 2, 0.3, w)),
        (nn.SmoothL1Loss(beta=0.3), (x, y), F.smooth_l1_loss(x, y, beta=0.3)),
        (nn.HuberLoss("sum", 0.3), (x, y), F.huber_loss(x, y, "sum", 0.3)),
        (nn.BCELoss(w, reduction="sum"), (p, p), F.binary_cross_entropy(p, p, w, reduction="sum")),
        (
            nn.BCEWithLogitsLoss(w, pos_weight=2 * w),
            (x, p),
            F.binary_cross_entropy_with_logits(x, p, w, pos_weight=2 * w),
        ),
        (nn.KLDivLoss(reduction="batchmean", log_target=True), (x, y), F.kl_div(x, y, None, None, "batchmean", True)),
        (nn.PoissonNLLLoss(False, True, eps=0.1), (p, p), F.poisson_nll_loss(p, p, False, True, None, 0.1)),
        (nn.GaussianNLLLoss(full=True, eps=0.3), (x, y, p), F.gaussian_nll_loss(x, y, p, True, 0.3)),
        (nn.HingeEmbeddingLoss(0.3), (x[:, 0], signs), F.hinge_embedding_loss(x[:, 0], signs, 0.3)),
        (nn.MarginRankingLoss(0.3), (x[:, 0], y[:, 0], signs), F.margin_ranking_loss(x[:, 0], y[:, 0], signs, 0.3)),
        (nn.CosineEmbeddingLoss(0.3), (x, y, signs), F.cosine_embedding_loss(x, y, signs, 0.3)),
        (nn.TripletMarginLoss(0.3, 1, 0.1, True), (x, y, z), F.triplet_margin_loss(x, y, z, 0.3, 1, 0.1, True)),
        (nn.MultiLabelSoftMarginLoss(w), (x, p), F.multilabel_soft_margin_loss(x, p, w)),
    ]
    for module, inputs, expected in pairs:
        np.testing.assert_array_equal(module(*inputs).numpy(), expected.numpy(), err_msg=repr(module))


def test_weights_are_buffers() -> None:
    loss = nn.CrossEntropyLoss(tensor([1.0, 2.0]))
    assert list(loss.state_dict()) == ["weight"] and loss.double().weight.dtype == minicnn.float64
    assert list(nn.BCEWithLogitsLoss(pos_weight=tensor([1.0])).state_dict()) == ["pos_weight"]
    assert repr(nn.CrossEntropyLoss()) == "CrossEntropyLoss()" and nn.MSELoss().reduction == "mean"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((None, None), "mean"),
        ((True, True), "mean"),
        ((False, True), "sum"),
        ((False, None), "sum"),
        ((None, False), "none"),
    ],
)
def test_deprecated_reductions(old: tuple[bool | None, bool | None], new: str) -> None:
    x, y = Tensor(X), Tensor(X[::-1].copy())
    expected = F.mse_loss(x, y, reduction=new)
    if old == (None, None):
        np.testing.assert_array_equal(F.mse_loss(x, y, *old).numpy(), expected.numpy())
        return
    with pytest.warns(UserWarning, match=f"use reduction='{new}'"):
        np.testing.assert_array_equal(F.mse_loss(x, y, *old).numpy(), expected.numpy())
    with pytest.warns(UserWarning, match="deprecated"):
        assert nn.CrossEntropyLoss(None, old[0], reduce=old[1]).reduction == new


def test_the_mean_of_nothing_is_nan() -> None:
    none, classes = minicnn.ones(0, 3), minicnn.zeros(0, dtype=minicnn.int64)
    for loss in (
        F.mse_loss(none, none),
        F.l1_loss(none, none),
        F.cross_entropy(none, classes),
        F.nll_loss(none, classes),
        F.cross_entropy(none, none),
        F.cross_entropy(minicnn.ones(2, 3), tensor([-100, -100])),
        F.cross_entropy(minicnn.ones(2, 3), tensor([1, 1]), ignore_index=1, label_smoothing=0.1),
        F.multi_margin_loss(none, classes),
    ):
        assert math.isnan(loss.item())
    assert F.cross_entropy(none, classes, reduction="sum").item() == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_ignored_row_has_no_part_in_anything(backend: str) -> None:
    values = np.concatenate([X, [[np.nan, np.inf, 0]]])
    x = Tensor(values, requires_grad=True)
    kept = Tensor(X, requires_grad=True)
    with minicnn.use(backend=backend):
        loss = F.cross_entropy(x, tensor([0, 1, 2, 0, -7]), ignore_index=-7, label_smoothing=0.2)
        expected = F.cross_entropy(kept, tensor([0, 1, 2, 0]), label_smoothing=0.2)
        loss.backward()
        expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-14)
    np.testing.assert_allclose(x.grad.numpy(), np.concatenate([kept.grad.numpy(), np.zeros((1, 3))]), rtol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_cross_entropy_is_accurate_far_out(backend: str) -> None:
    x = tensor([[1e4, 0.0], [0.0, 1e4], [-1e30, 1e30]], requires_grad=True)
    with minicnn.use(backend=backend):
        losses = F.cross_entropy(x, tensor([0, 0, 1]), reduction="none")
        losses.sum().backward()
    assert losses.tolist() == [0, 1e4, 0]
    assert x.grad.tolist() == [[0, 0], [-1, 1], [0, 0]]


def test_indices_are_one_hot_probabilities() -> None:
    x = Tensor(RNG.standard_normal((2, 3, 4)), requires_grad=True)
    classes = tensor([[0, 1, 2, 2], [1, 1, 0, 2]])
    w = tensor([0.3, 1.0, 2.0], dtype=minicnn.float64)
    hot = F.one_hot(classes, 3).permute(0, 2, 1).double()
    for options in ({}, {"label_smoothing": 0.3}, {"weight": w}, {"weight": w, "label_smoothing": 0.3}):
        a = F.cross_entropy(x, classes, reduction="none", **options)
        b = F.cross_entropy(x, hot, reduction="none", **options)
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12)
    mean = F.cross_entropy(x, classes, w)
    losses = F.cross_entropy(x, classes, w, reduction="sum").item() / w[classes].sum().item()
    assert mean.item() == pytest.approx(losses, rel=1e-14)


def test_nll_of_log_softmax_is_cross_entropy() -> None:
    x, w = Tensor(RNG.standard_normal((2, 3, 4, 5))), Tensor(RNG.random(3))
    classes = Tensor(RNG.integers(0, 3, (2, 4, 5)))
    for options in ({}, {"weight": w}, {"ignore_index": 1, "weight": w}):
        a = F.cross_entropy(x, classes, **options).item()
        assert a == pytest.approx(F.nll_loss(F.log_softmax(x, 1), classes, **options).item(), rel=1e-13)


def test_binary_cross_entropy_clamps_its_logarithms() -> None:
    x = tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    losses = F.binary_cross_entropy(x, tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    assert losses.tolist() == [0, 0, 100, 100]
    losses.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, -1e12, 1e12])


def test_binary_cross_entropy_with_logits_does_not_overflow() -> None:
    x = tensor([1e4, -1e4, 1e4, -1e4], requires_grad=True)
    losses = F.binary_cross_entropy_with_logits(x, tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    assert losses.tolist() == [1e4, 1e4, 0, 0]
    losses.sum().backward()
    assert x.grad.tolist() == [1, -1, 0, 0]
    assert F.soft_margin_loss(tensor([-1e4]), tensor([1.0])).item() == 1e4


def test_gaussian_nll_lifts_small_variances_and_passes_the_gradient() -> None:
    var = tensor([0.0, 4.0], requires_grad=True, dtype=minicnn.float64)
    loss = F.gaussian_nll_loss(tensor([1.0, 1.0]).double(), tensor([0.0, 0.0]).double(), var, eps=0.5, reduction="sum")
    assert loss.item() == pytest.approx(0.5 * (math.log(0.5) + 1 / 0.5 + math.log(4) + 1 / 4))
    loss.backward()
    np.testing.assert_allclose(var.grad.numpy(), [0.5 * (1 / 0.5 - 1 / 0.25), 0.5 * (1 / 4 - 1 / 16)])
    assert var.tolist() == [0, 4]


def test_smooth_l1_with_beta_0_is_l1() -> None:
    x, y = Tensor(X), Tensor(X * 0.5)
    np.testing.assert_array_equal(F.smooth_l1_loss(x, y, beta=0).numpy(), F.l1_loss(x, y).numpy())


def test_targets_get_gradients() -> None:
    for loss in (F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss):
        x, y = Tensor(X, requires_grad=True), Tensor(X * 0.7 + 0.1, requires_grad=True)
        loss(x, y).backward()
        np.testing.assert_allclose(x.grad.numpy(), -y.grad.numpy())
        assert y.grad.numpy().any()


def test_broadcast_targets_are_warned_of() -> None:
    for loss in (F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss):
        with pytest.warns(
            UserWarning, match=r"target size \(\(3,\)\) that is different to the input size \(\(4, 3\)\)"
        ):
            assert loss(Tensor(X), Tensor(X[0]), reduction="none").shape == (4, 3)
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(Tensor(X), Tensor(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        F.mse_loss(Tensor(X), Tensor(X))


def test_mixed_types() -> None:
    assert F.mse_loss(minicnn.ones(3), minicnn.ones(3, dtype=minicnn.float64)).dtype == minicnn.float64
    assert F.mse_loss(minicnn.ones(3), minicnn.ones(3, dtype=minicnn.int64)).dtype == minicnn.float32
    half = F.cross_entropy(minicnn.ones(2, 4, dtype=minicnn.float16), tensor([0, 1]))
    assert half.dtype == minicnn.float16 and half.item() == pytest.approx(math.log(4), rel=1e-3)
    assert F.cross_entropy(minicnn.ones(2, 4), tensor([0, 1], dtype=minicnn.uint8)).item() == pytest.approx(math.log(4))


def test_one_hot() -> None:
    y = F.one_hot(tensor([[0, 2], [1, 1]]))
    assert y.dtype == minicnn.int64 and y.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 1, 0]]]
    assert F.one_hot(tensor(1), 3).tolist() == [0, 1, 0]
    assert F.one_hot(minicnn.zeros(0, 2, dtype=minicnn.int64), 5).shape == (0, 2, 5)
    assert F.one_hot(minicnn.zeros(2, dtype=minicnn.int64, device="meta"), 5).shape == (2, 5)


ONES, CLASSES = minicnn.ones(3, 4), tensor([0, 1, 2])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.cross_entropy(ONES, tensor([0, 1])), ValueError, r"as many class indices, \(3,\), got \(2,\)"),
        (lambda: F.cross_entropy(ONES, tensor([0.0, 1, 2])), TypeError, "class indices, got minicnn.float32"),
        (
            lambda: F.cross_entropy(ONES, ONES.long()),
            TypeError,
            "probabilities and must be floating point, got minicnn.int64",
        ),
        (lambda: F.cross_entropy(ONES, CLASSES, minicnn.ones(3)), RuntimeError, r"each of the 4 classes, \(4,\), got"),
        (lambda: F.cross_entropy(ONES, ONES, minicnn.ones(3)), RuntimeError, "each of the 4 classes"),
        (lambda: F.cross_entropy(ONES, ONES, ignore_index=1), RuntimeError, "ignore_index is for class indices"),
        (lambda: F.cross_entropy(ONES, CLASSES, label_smoothing=1.1), RuntimeError, "between 0.0 and 1.0, got 1.1"),
        (lambda: F.cross_entropy(ONES, CLASSES, reduction="avg"), ValueError, "avg is not a valid value for reduction"),
        (lambda: F.multi_margin_loss(ONES, CLASSES, p=3), ValueError, "p must be 1 or 2, got 3"),
        (lambda: nn.MultiMarginLoss(weight=ONES), ValueError, "must be one-dimensional"),
        (
            lambda: F.mse_loss(ONES.long(), ONES.long()),
            TypeError,
            "mse_loss: input must be floating point, got minicnn.int64",
        ),
        (lambda: F.mse_loss(ONES, ONES, weight=ONES[0]), ValueError, r"weight .*\(3, 4\)"),
        (lambda: F.mse_loss(ONES, [1.0]), TypeError, "must be Tensors, got Tensor and list"),
        (lambda: F.smooth_l1_loss(ONES, ONES, beta=-1), RuntimeError, "beta must not be negative, got -1"),
        (lambda: F.huber_loss(ONES, ONES, delta=0), RuntimeError, "delta must be positive, got 0"),
        (lambda: F.binary_cross_entropy(ONES, ONES[0]), ValueError, "must be the same as input size"),
        (
            lambda: F.binary_cross_entropy(ONES, ONES.double()),
            TypeError,
            "target is minicnn.float64 but input is minicnn.float32",
        ),
        (lambda: F.binary_cross_entropy_with_logits(ONES, ONES.long()), TypeError, "target must be floating point"),
        (
            lambda: F.binary_cross_entropy_with_logits(ONES[:, :1], ONES[:, :1], pos_weight=ONES[0]),
            ValueError,
            r"pos_weight of shape \(4,\) would enlarge losses of shape \(3, 1\)",
        ),
        (lambda: F.gaussian_nll_loss(ONES, ONES, minicnn.ones(3, 2)), ValueError, r"var has shape \(3, 2\)"),
        (lambda: F.margin_ranking_loss(ONES, ONES, ONES[0]), RuntimeError, "same number of axes"),
        (lambda: F.cosine_embedding_loss(ONES, ONES, ONES), RuntimeError, r"\(N, D\) with a target \(N,\)"),
        (lambda: F.triplet_margin_loss(ONES, ONES, ONES, margin=0), ValueError, "margin must be greater than 0"),
        (lambda: nn.TripletMarginLoss(-1.0), ValueError, "margin must be greater than 0"),
        (lambda: F.one_hot(tensor([1, -1])), RuntimeError, "class -1 is not in"),
        (lambda: F.one_hot(tensor([1, 2]), 2), RuntimeError, r"class 2 is not in 0..1"),
        (lambda: F.one_hot(tensor([1.0])), RuntimeError, "int64 tensor of class indices, got minicnn.float32"),
        (lambda: F.one_hot(minicnn.zeros(0, dtype=minicnn.int64)), RuntimeError, "pass num_classes"),
        (lambda: F.one_hot(tensor([0]), 0), RuntimeError, "num_classes must be positive, got 0"),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


@pytest.mark.cpu_only("is about values that are checked on the CPU only: for a check on a GPU, the program would wait")
@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.cross_entropy(ONES, tensor([0, 1, 4])), IndexError, "target 4 is not a class: .* 0..3"),
        (lambda: F.nll_loss(ONES, tensor([0, 1, -1])), IndexError, "nll_loss: target -1"),
        (lambda: F.multi_margin_loss(ONES, tensor([0, 1, 4])), IndexError, "target 4"),
        (lambda: F.multilabel_margin_loss(ONES[:1], tensor([[0, -2, 1, 1]])), IndexError, "target -2"),
        (lambda: F.binary_cross_entropy(ONES * 2, ONES), RuntimeError, "elements of input should be between 0 and 1"),
        (lambda: F.binary_cross_entropy(ONES, ONES * 2), RuntimeError, "elements of target should be between 0 and 1"),
        (lambda: F.gaussian_nll_loss(ONES, ONES, -ONES), ValueError, "negative entries"),
    ],
)
def test_bad_values(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_errors_name_the_loss_and_its_own_reduction() -> None:
    for loss in (F.kl_div, F.poisson_nll_loss):
        with pytest.raises(ValueError, match=f"^{loss.__name__}: shapes"):
            loss(minicnn.zeros(2), minicnn.zeros(3), reduction="sum")
    with pytest.raises(ValueError, match=r"kl_div: avg is not .* 'batchmean'"):
        F.kl_div(minicnn.zeros(2), minicnn.zeros(2), reduction="avg")
