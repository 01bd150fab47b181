"""Losses that compare pairs or triplets of inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn_kernels.geometry import losses as geometry

from ...tensor import Tensor
from ..distance import pairwise_distance
from ..tensor.arguments import check_tensor
from ..tensor.clamp import clamp_min, minimum, where
from ..tensor.reduction import sum
from ..tensor.unary import sqrt
from .reduction import check, reduced

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x where t = 1, max(0, margin - x) where t = -1, for the distance x of similar (1) or different (-1) inputs.

    >>> x, target = minicnn.tensor([0.5, 0.25]), minicnn.tensor([1.0, -1.0])
    >>> F.hinge_embedding_loss(x, target, reduction="none")
    tensor([0.5000, 0.7500])
    """
    check_tensor("hinge_embedding_loss", input=input, target=target)
    reduction = check("hinge_embedding_loss", reduction, size_average, reduce)
    losses = where(target != 1, clamp_min(float(margin) - input, 0), 0.0) + where(target != -1, input, 0.0)
    return reduced(losses, reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin - t (x1 - x2)): t = 1 says that x1 should rank higher, -1 that x2 should.

    Raises:
        ShapeError: the inputs have different numbers of axes.

    >>> a, b, target = minicnn.tensor([2.0, 2.0]), minicnn.tensor([1.0, 3.0]), minicnn.ones(2)
    >>> F.margin_ranking_loss(a, b, target, margin=0.5, reduction="none")
    tensor([0.0000, 1.5000])
    """
    check_tensor("margin_ranking_loss", input1=input1, input2=input2, target=target)
    reduction = check("margin_ranking_loss", reduction, size_average, reduce)
    geometry.same_rank("margin_ranking_loss", input1=input1.shape, input2=input2.shape, target=target.shape)
    return reduced(clamp_min(-target * (input1 - input2) + float(margin), 0), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1.

    Args:
        input1, input2: vectors (N, D) or (D,).
        target: 1 or -1, (N,) or ().
        margin: between -1 and 1.
        reduction: "mean", "sum" or "none".
        size_average, reduce: deprecated.

    Raises:
        ShapeError: the shapes do not fit together.

    >>> a, b = minicnn.tensor([[3.0, 4.0]]), minicnn.tensor([[1.0, 0.0]])
    >>> F.cosine_embedding_loss(a, b, minicnn.ones(1))  # 1 - 0.6
    tensor(0.4000)
    """
    check_tensor("cosine_embedding_loss", input1=input1, input2=input2, target=target)
    reduction = check("cosine_embedding_loss", reduction, size_average, reduce)
    geometry.embedding_pairs("cosine_embedding_loss", input1.shape, input2.shape, target.shape)
    dim = target.ndim
    product = sum(input1 * input2, dim=dim)
    sizes = (sum(input1 * input1, dim=dim) + 1e-12) * (sum(input2 * input2, dim=dim) + 1e-12)
    cosine = product / sqrt(sizes)
    losses = where(target == 1, 1 - cosine, 0.0) + where(target == -1, clamp_min(cosine - float(margin), 0), 0.0)
    return reduced(losses, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), where d is the p-norm of the difference + eps.

    With `swap`, d(positive, negative) replaces the second distance if it is smaller.
    F. Schroff et al., "FaceNet", 2015, https://arxiv.org/abs/1503.03832; V. Balntas et al. 2016 for the swap.

    Args:
        anchor, positive, negative: vectors (N, D) or (D,).
        margin, p, eps, swap: see above.
        reduction: "mean", "sum" or "none".
        size_average, reduce: deprecated.

    Raises:
        ShapeError: the inputs have different numbers of axes.

    >>> anchor, positive, negative = minicnn.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 4.0]]).split(1)
    >>> F.triplet_margin_loss(anchor, positive, negative, margin=6.0)  # 6 + 1 - 5
    tensor(2.0000)
    """
    check_tensor("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)
    reduction = check("triplet_margin_loss", reduction, size_average, reduce)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return _triplet("triplet_margin_loss", anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with any distance function; None means `pairwise_distance`.

    >>> def manhattan(a, b): return (a - b).abs().sum(-1)
    >>> rows = minicnn.tensor([[0.0, 0.0], [1.0, 0.0], [0.25, 0.25]]).split(1)
    >>> F.triplet_margin_with_distance_loss(*rows, distance_function=manhattan)  # 1 + 1 - 0.5
    tensor(1.5000)
    """
    op = "triplet_margin_with_distance_loss"
    check_tensor(op, anchor=anchor, positive=positive, negative=negative)
    reduction = check(op, reduction)
    return _triplet(op, anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction)


def _triplet(
    op: str, anchor: Tensor, positive: Tensor, negative: Tensor, distance: Callable[..., Any], margin: float,
    swap: bool, reduction: str,
) -> Tensor:  # fmt: skip
    if margin <= 0:
        raise ValueError(f"{op}: margin must be greater than 0, got {margin}")
    geometry.same_rank(op, anchor=anchor.shape, positive=positive.shape, negative=negative.shape)
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp_min(margin + near - far, 0), reduction)
