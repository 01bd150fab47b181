"""Sums of products along named axes: einsum, tensordot, kron, cross.

`einsum` has no kernel and no gradient of its own. It multiplies its operands two at a time, each time as a (batched)
matrix product, so that BLAS does the work and the gradient is that of the matrix products.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.geometry import ShapeError, whole

from ...tensor import Tensor, tensor_method
from .arguments import axes, axis, check_tensor, ints, numpy_names
from .diagonal import diagonal
from .expand import expand
from .matmul import check, matmul
from .operands import promote
from .out import with_out
from .shape import movedim, permute, reshape

__all__ = ["cross", "einsum", "kron", "tensordot"]

Labels = list[Any]  # one label for each axis of an operand: a letter, or (-1), (-2), ... for the axes of `...`


def _parse(equation: str, count: int) -> tuple[list[Labels], Labels | None]:
    """Return the labels of each operand, and of the result if it is given; `...` stays Ellipsis."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = [_letters(part, equation) for part in left.split(",")]
    if len(parts) != count:
        raise RuntimeError(f"einsum: {equation!r} names {len(parts)} operands, but {count} are given")
    return parts, _letters(right, equation) if arrow else None


def _letters(part: str, equation: str) -> Labels:
    labels: Labels = [Ellipsis if c == "." else c for c in part.replace("...", ".")]
    if any(c is not Ellipsis and c not in string.ascii_letters for c in labels) or labels.count(Ellipsis) > 1:
        raise RuntimeError(f"einsum: {part!r} in {equation!r} must be letters, and at most one '...'")
    return labels


def _sublists(operands: Sequence[Any]) -> tuple[list[Labels], Labels | None, list[Tensor]]:
    """Read the form einsum(a, [0, 1], b, [1, 2], [0, 2])."""
    pairs = len(operands) // 2
    lists = [*operands[1 : 2 * pairs : 2], *operands[2 * pairs :]]
    for numbers in lists:
        if not isinstance(numbers, (list, tuple)) or any(
            n is not Ellipsis and not (isinstance(n, int) and 0 <= n < 52) for n in numbers
        ):
            raise RuntimeError(
                f"einsum: a sublist must hold ints from 0 to 51 and at most one Ellipsis, got {numbers!r}"
            )
    labels = [[n if n is Ellipsis else string.ascii_letters[(n + 26) % 52] for n in numbers] for numbers in lists]
    return labels[:pairs], labels[pairs] if len(labels) > pairs else None, list(operands[: 2 * pairs : 2])


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Multiply the operands, and sum over all axes that the result does not name.

        einsum("ij,jk->ik", a, b)       a @ b
        einsum("ii", a)                 the trace
        einsum("...ij->...ji", a)       the transpose
        einsum(a, [0, 1], b, [1, 2])    the first again, with axes named by numbers

    Without `->` the result has the letters that occur once, in alphabetical order, after the axes of `...`.

    Raises:
        RuntimeError, ShapeError: the equation does not fit the operands, or a letter stands for two sizes other than 1.

    >>> a = minicnn.tensor([[1., 2.], [3., 4.]])
    >>> minicnn.einsum("ij,j->i", a, minicnn.ones(2)), minicnn.einsum("ii", a)
    (tensor([3., 7.]), tensor(5.))
    """
    if isinstance(equation, Tensor):
        inputs, output, given = _sublists((equation, *operands))
    else:
        given = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else list(operands)
        inputs, output = _parse(equation, len(given))
    if not given:
        raise RuntimeError("einsum: expected at least one operand")
    check_tensor("einsum", **{f"operand {i}": x for i, x in enumerate(given)})
    terms = [_named(x, labels) for x, labels in zip(given, inputs, strict=True)]
    wide = max((sum(isinstance(n, int) for n in labels) for _, labels in terms), default=0)
    dots: Labels = list(range(-wide, 0))
    if output is None:
        every = [c for labels in inputs for c in labels if c is not Ellipsis]
        result = dots + sorted(c for c in set(every) if every.count(c) == 1)
    else:
        at = output.index(Ellipsis) if Ellipsis in output else 0
        result = output[:at] + dots + output[at + 1 :] if Ellipsis in output else list(output)
    named = {label for _, labels in terms for label in labels}
    if len(set(result)) < len(result) or not set(result) <= named:
        raise RuntimeError(f"einsum: the result {result} must name axes of the operands, each once")
    sizes: dict[Any, int] = {}
    for x, labels in terms:
        for label, n in zip(labels, x.shape, strict=True):
            if sizes.setdefault(label, n) != n:
                if 1 not in (n, sizes[label]):
                    raise ShapeError(
                        f"einsum: axis {label!r} has size {sizes[label]} in one operand and {n} in another"
                    )
                sizes[label] = n if sizes[label] == 1 else sizes[label]
    return _contract(terms, result)


def _named(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """Give each axis one label: the axes of `...` count from the right, repeated labels become diagonals."""
    hidden = x.ndim - sum(label is not Ellipsis for label in labels)
    if hidden < 0 or (hidden and Ellipsis not in labels):
        raise ShapeError(f"einsum: {len(labels)} labels {labels} for an operand of shape {tuple(x.shape)}")
    if Ellipsis in labels:
        at = labels.index(Ellipsis)
        labels = [*labels[:at], *range(-hidden, 0), *labels[at + 1 :]]
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ShapeError(f"einsum: axis {label!r} occurs twice, with sizes {x.shape[i]} and {x.shape[j]}")
            x = diagonal(x, 0, i, j)
            labels = [n for k, n in enumerate(labels) if k not in (i, j)] + [label]
    return x, labels


def _contract(terms: list[tuple[Tensor, Labels]], result: Labels) -> Tensor:
    """Multiply from left to right, and sum over an axis as soon as no other operand needs it."""
    x, labels = terms[0]
    for place, (y, other) in enumerate(terms[1:], 1):
        later = {label for _, rest in terms[place + 1 :] for label in rest} | set(result)
        x, labels = _pair(x, labels, y, other, later)
    x, labels = _sum_out(x, labels, [label for label in labels if label not in result])
    return permute(x, tuple(labels.index(label) for label in result))


def _sum_out(x: Tensor, labels: Labels, gone: Labels) -> tuple[Tensor, Labels]:
    if not gone:
        return x, labels
    return x.sum(tuple(map(labels.index, gone)), dtype=x.dtype), [n for n in labels if n not in gone]


def _pair(x: Tensor, a: Labels, y: Tensor, b: Labels, later: set[Any]) -> tuple[Tensor, Labels]:
    """Multiply two operands by one batched matrix product (batch, left, inner) @ (batch, inner, right)."""
    size_x, size_y = dict(zip(a, x.shape, strict=True)), dict(zip(b, y.shape, strict=True))
    shared = [n for n in a if n in b]
    inner = [n for n in shared if n not in later and size_x[n] == size_y[n]]
    lone = [n for n in shared if n not in later and n not in inner]  # size 1 against a longer axis: summed separately
    x, a = _sum_out(x, a, [n for n in a if n not in later and (n not in b or n in lone)])
    y, b = _sum_out(y, b, [n for n in b if n not in later and (n not in size_x or n in lone)])
    batch = [n for n in shared if n in later]
    left, right = [n for n in a if n not in shared], [n for n in b if n not in shared]
    x = permute(x, tuple(a.index(n) for n in (*batch, *left, *inner)))
    y = permute(y, tuple(b.index(n) for n in (*batch, *inner, *right)))
    nb = len(batch)
    high, wide = tuple(x.shape[nb : nb + len(left)]), tuple(y.shape[nb + len(inner) :])
    if not inner:
        z = reshape(x, (*x.shape, *[1] * len(right))) * reshape(y, (*y.shape[:nb], *[1] * len(left), *wide))
        return z, batch + left + right
    depth = math.prod(size_x[n] for n in inner)
    p = reshape(x, (*x.shape[:nb], math.prod(high), depth))  # (batch, left, inner)
    q = reshape(y, (*y.shape[:nb], depth, math.prod(wide)))  # (batch, inner, right)
    check("einsum", p, q)
    z = matmul(p, q)
    return reshape(z, (*z.shape[:nb], *high, *wide)), batch + left + right


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sum over pairs of axes: the last `dims` axes of a with the first of b, or dims = (axes of a, axes of b).

    >>> minicnn.tensordot(minicnn.zeros(8, 3, 5, 5), minicnn.zeros(3, 5, 5, 16), 3).shape
    minicnn.Size([8, 16])
    """
    check("tensordot", a, b)
    given = dims.tolist() if isinstance(dims, Tensor) else dims
    if not isinstance(given, (tuple, list)):
        given = whole(given, "tensordot", "dims")
        if not 0 <= given <= min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot: expected 0 <= dims <= {min(a.ndim, b.ndim)}, got {given}")
        given = list(range(a.ndim - given, a.ndim)), list(range(given))
    if len(given) != 2:
        raise RuntimeError(f"tensordot: dims must be an int or (axes of a, axes of b), got {dims!r}")
    mine, theirs = (list(ints("tensordot", "dims", (n,))) for n in given)
    if len(mine) != len(theirs):
        raise RuntimeError(f"tensordot: both tensors need the same number of axes, got {mine} and {theirs}")
    mine, theirs = list(axes("tensordot", mine, a.ndim)), list(axes("tensordot", theirs, b.ndim))
    x, y = a, b
    for i, j in zip(mine, theirs, strict=True):
        if a.shape[i] != b.shape[j]:
            if 1 not in (a.shape[i], b.shape[j]):
                raise ShapeError(f"tensordot: axes {i} of {tuple(a.shape)} and {j} of {tuple(b.shape)} must be equal")
            x = x.sum(i, keepdim=True, dtype=x.dtype) if b.shape[j] == 1 else x  # an axis of size 1 is broadcast
            y = y.sum(j, keepdim=True, dtype=y.dtype) if a.shape[i] == 1 else y
    rest_a = [i for i in range(a.ndim) if i not in mine]
    rest_b = [j for j in range(b.ndim) if j not in theirs]
    depth = math.prod(x.shape[i] for i in mine)
    p = reshape(permute(x, (*rest_a, *mine)), (math.prod(x.shape[i] for i in rest_a), depth))  # (left, inner)
    q = reshape(permute(y, (*theirs, *rest_b)), (depth, math.prod(y.shape[j] for j in rest_b)))  # (inner, right)
    return reshape(matmul(p, q), (*(x.shape[i] for i in rest_a), *(y.shape[j] for j in rest_b)))


@tensor_method("kron")
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of the first tensor times the whole second tensor, with sizes n_k m_k.

    >>> minicnn.kron(minicnn.eye(2), minicnn.tensor([[1., 2.]]))
    tensor([[1., 2., 0., 0.],
            [0., 0., 1., 2.]])
    """
    check_tensor("kron", input=input, other=other)
    rank = max(input.ndim, other.ndim)
    a, b = ((1,) * (rank - x.ndim) + tuple(x.shape) for x in (input, other))
    x = reshape(input, tuple(n for side in a for n in (side, 1)))
    y = reshape(other, tuple(n for side in b for n in (1, side)))
    return reshape(x * y, tuple(n * m for n, m in zip(a, b, strict=True)))  # (n, m) of each axis -> n m


@tensor_method("cross")
@numpy_names
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product along an axis of size 3: `dim`, or the first such axis.

    >>> minicnn.cross(minicnn.tensor([1., 0., 0.]), minicnn.tensor([0., 1., 0.]))
    tensor([0., 0., 1.])
    """
    check_tensor("cross", input=input, other=other)
    if input.ndim != other.ndim:
        raise ShapeError(
            f"cross: the tensors must have the same number of axes, got {tuple(input.shape)} and {tuple(other.shape)}"
        )
    shape = geometry.broadcast("cross", tuple(input.shape), tuple(other.shape))
    a, b = promote("cross", expand(input, shape), expand(other, shape))
    at = next((i for i, n in enumerate(shape) if n == 3), None) if dim is None else axis("cross", dim, len(shape))
    if at is None or input.shape[at] != 3 or other.shape[at] != 3:
        raise ShapeError(f"cross: dimension {dim} of {tuple(input.shape)} and {tuple(other.shape)} must have size 3")
    a, b = movedim(a, at, 0), movedim(b, at, 0)
    turn, back = np.array([1, 2, 0]), np.array([2, 0, 1])
    return movedim(a[turn] * b[back] - a[back] * b[turn], 0, at)


@with_out
def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product along an axis of size 3."""
    return cross(input, other, dim)
