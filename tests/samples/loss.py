"""Samples of losses."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .table import Op, S, apart, positive

Call = Callable[..., Any]
REDUCTIONS = [S((2, 3, 4), (2, 3, 4), reduction=reduction) for reduction in ("mean", "sum", "none")]
PAIRS = [*REDUCTIONS, S((), ()), S((0, 3), (0, 3), reduction="sum"), S((5,), (5,))]
WEIGHTED = [S((4, 3), (4, 3), (4, 3), reduction=reduction) for reduction in ("mean", "sum", "none")]


def loss(name: str) -> Call:
    return lambda lib, *inputs, **options: getattr(lib.nn.functional, name)(*inputs, **options)


def weighted(name: str) -> Call:
    """Make a call of a loss whose third input is its weight."""
    return lambda lib, x, t, w, **o: getattr(lib.nn.functional, name)(x, t, weight=w, **o)


def classes(lib: Any, shape: tuple[int, ...], k: int, device: Any) -> Any:
    """Class indices of a shape, for k classes; if k > 1, some of them are 1, the ignore_index."""
    return (lib.arange(int(np.prod(shape)), device=device) * 2 % max(k, 1)).reshape(shape)


def fixed(lib: Any, shape: tuple[int, ...] | None, like: Any) -> Any:
    """Weights without a gradient; None for None."""
    if shape is None:
        return None
    n = int(np.prod(shape))
    return ((lib.arange(n, device=like.device) + 1.0) / n).reshape(shape).to(like.dtype)


def of_classes(name: str) -> Call:
    """Make a call of a loss of scores, class indices and, if `w` is given, class weights of shape `w`."""

    def call(lib: Any, x: Any, w: Any = None, **options: Any) -> Any:
        shape = tuple(x.shape[:1] + x.shape[2:]) if x.ndim > 1 else ()
        target = classes(lib, shape, x.shape[min(x.ndim - 1, 1)], x.device)
        return getattr(lib.nn.functional, name)(x, target, weight=fixed(lib, w, x), **options)

    return call


def of_pairs(name: str, *weights: str) -> Call:
    """Make a call of a loss of inputs and targets, and of weights of given shapes."""

    def call(lib: Any, x: Any, t: Any, **options: Any) -> Any:
        options.update({weight: fixed(lib, options.get(weight), x) for weight in weights})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # kl_div warns of its default
            return getattr(lib.nn.functional, name)(x, t, **options)

    return call


def signs(lib: Any, shape: tuple[int, ...], like: Any) -> Any:
    """1 and -1 in turn."""
    return (lib.arange(int(np.prod(shape)), device=like.device) % 2 * 2 - 1).reshape(shape).to(like.dtype)


def by_sign(name: str, axes: int | None = None) -> Call:
    """Make a call of a loss against 1 and -1; with `axes`, the targets have only the inputs' first axes."""
    return lambda lib, *x, **o: getattr(lib.nn.functional, name)(*x, signs(lib, tuple(x[0].shape)[:axes], x[0]), **o)


def inside(rng: np.random.Generator, s: tuple[int, ...]) -> np.ndarray:
    """Probabilities."""
    return rng.random(s) * 0.9 + 0.05


SCORES = [
    S((4, 5)),
    S((1, 1)),
    S((3, 2), reduction="sum"),
    S((3, 4), reduction="none"),
    S((0, 3), reduction="sum"),
    S((4,)),
    S((4,), reduction="none"),
    S((2, 3, 4, 2)),
    S((2, 3, 4), reduction="none"),
    S((2, 3, 1, 2, 2), reduction="sum"),
    S((5, 3), ignore_index=1),
    S((5, 3), ignore_index=1, reduction="none"),
    S((5, 4), w=(4,)),
    S((3, 4), w=(4,), reduction="none"),
    S((5, 3), w=(3,), ignore_index=2),
    S((2, 3, 4, 2), w=(3,), reduction="sum", ignore_index=0),
]
SMOOTH = [
    S((4, 5), label_smoothing=0.1),
    S((5, 3), w=(3,), label_smoothing=0.3, ignore_index=1),
    S((2, 3, 4, 2), w=(3,), label_smoothing=1.0, reduction="none"),
    S((4,), label_smoothing=0.2),
]
PROBABILITIES = [
    S((4, 5), (4, 5)),
    S((4,), (4,)),
    S((2, 3, 4, 2), (2, 3, 4, 2), reduction="none"),
    S((3, 4), (3, 4), reduction="sum", label_smoothing=0.2),
    S((3, 4), (3, 4), weight=(4,), label_smoothing=0.2),
    S((2, 3, 2), (2, 3, 2), weight=(3,)),
    S((0, 3), (0, 3), reduction="sum"),
]

OPS = {
    "cross_entropy": Op(of_classes("cross_entropy"), [*SCORES, *SMOOTH]),
    "cross_entropy (probabilities)": Op(of_pairs("cross_entropy", "weight"), PROBABILITIES),
    "nll_loss": Op(of_classes("nll_loss"), SCORES, linear=(0,)),
    "multi_margin_loss": Op(
        of_classes("multi_margin_loss"),
        [
            S((4, 5)),
            S((4,), reduction="none"),
            S((3, 4), w=(4,), p=2),
            S((3, 2), margin=0.4, reduction="none"),
            S((3, 1)),
        ],
        draw=apart,
    ),
    "multilabel_margin_loss": Op(
        lambda lib, x, t, **o: lib.nn.functional.multilabel_margin_loss(x, lib.tensor(t, device=x.device), **o),
        [
            S((2, 4), t=[[3, 0, -1, 1], [-1, 0, 1, 2]]),
            S((4,), t=[1, 2, 0, -1], reduction="none"),
            S((2, 3), t=[[0, 1, 2], [2, 2, -1]], reduction="none"),
        ],
        draw=apart,
    ),
    "multilabel_soft_margin_loss": Op(loss("multilabel_soft_margin_loss"), [*REDUCTIONS, S((4, 3), (4, 3), (3,))]),
    "one_hot": Op(
        lambda lib, x, t, **o: lib.nn.functional.one_hot(lib.tensor(t, device=x.device, dtype=lib.int64), **o) * x,
        [
            S((3,), t=[[0, 2], [1, 1]], num_classes=3),
            S((2, 1), t=3, num_classes=5),
            S((0, 4), t=[], num_classes=4),
        ],
        linear=(0,),
    ),
    "mse_loss": Op(loss("mse_loss"), PAIRS),
    "mse_loss (weighted)": Op(weighted("mse_loss"), WEIGHTED, draw=positive),
    "l1_loss": Op(loss("l1_loss"), PAIRS),
    "l1_loss (weighted)": Op(weighted("l1_loss"), WEIGHTED, draw=positive),
    "smooth_l1_loss": Op(
        loss("smooth_l1_loss"), [*PAIRS, S((4, 5), (4, 5), beta=0.3), S((4, 5), (4, 5), beta=0.0, reduction="none")]
    ),
    "huber_loss": Op(loss("huber_loss"), [*PAIRS, S((4, 5), (4, 5), delta=0.3, reduction="none")]),
    "huber_loss (weighted)": Op(weighted("huber_loss"), WEIGHTED, draw=positive),
    "binary_cross_entropy": Op(
        of_pairs("binary_cross_entropy", "weight"),
        [*PAIRS, S((4, 3), (4, 3), weight=(3,)), S((4, 3), (4, 3), weight=(4, 1), reduction="none")],
        draw=inside,
    ),
    "binary_cross_entropy_with_logits": Op(
        of_pairs("binary_cross_entropy_with_logits", "weight", "pos_weight"),
        [
            *PAIRS,
            S((4, 3), (4, 3), weight=(4, 3)),
            S((4, 3), (4, 3), pos_weight=(3,)),
            S((2, 3), (2, 3), weight=(3,), pos_weight=(2, 3), reduction="sum"),
        ],
    ),
    "soft_margin_loss": Op(
        by_sign("soft_margin_loss"), [S((3, 4)), S((), reduction="sum"), S((3, 4), reduction="none")]
    ),
    "kl_div": Op(
        of_pairs("kl_div"),
        [
            *PAIRS,
            *(S((4, 3), (4, 3), reduction=r, log_target=log) for r in ("batchmean", "sum") for log in (True, False)),
        ],
        draw=positive,
    ),
    "poisson_nll_loss": Op(
        loss("poisson_nll_loss"),
        [
            *PAIRS,
            S((3, 4), (3, 4), log_input=False),
            S((3, 4), (3, 4), full=True, reduction="none"),
            S((3,), (3,), eps=0.1),
        ],
        draw=positive,
    ),
    "gaussian_nll_loss": Op(
        loss("gaussian_nll_loss"),
        [
            *(S((3, 4), (3, 4), s, full=full) for s in ((3, 4), (3,), (3, 1)) for full in (True, False)),
            S((3, 4), (3, 4), (3, 4), eps=0.2, reduction="none"),
            S((3, 4), (3, 4), (3, 4), reduction="sum"),
        ],
        draw=positive,
    ),
    "hinge_embedding_loss": Op(
        by_sign("hinge_embedding_loss"),
        [S((3, 4)), S((3, 4), margin=0.3, reduction="none"), S((5,), reduction="sum")],
        draw=apart,
    ),
    "margin_ranking_loss": Op(
        by_sign("margin_ranking_loss"), [S((3, 4), (3, 4)), S((5,), (5,), margin=0.3, reduction="none")]
    ),
    "cosine_embedding_loss": Op(
        by_sign("cosine_embedding_loss", -1),
        [S((4, 3), (4, 3)), S((3,), (3,)), S((4, 3), (4, 3), margin=0.3, reduction="none")],
    ),
    "triplet_margin_loss": Op(
        loss("triplet_margin_loss"),
        [
            S((4, 3), (4, 3), (4, 3)),
            S((3,), (3,), (3,), reduction="sum"),
            S((4, 3), (4, 3), (4, 3), margin=0.5, p=1.5, swap=True, reduction="none"),
        ],
    ),
    "triplet_margin_with_distance_loss": Op(
        loss("triplet_margin_with_distance_loss"),
        [S((4, 3), (4, 3), (4, 3)), S((4, 3), (4, 3), (4, 3), swap=True, margin=0.5)],
    ),
}
