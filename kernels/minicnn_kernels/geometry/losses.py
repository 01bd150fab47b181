"""Shapes of losses."""

from __future__ import annotations

from .sizes import Shape, ShapeError


def cross_entropy(
    logits: Shape,
    target: Shape,
    classes: tuple[int, int] | None = None,
    weight: Shape | None = None,
    op: str = "cross_entropy",
) -> None:
    """Check scores (N, K), (N, K, d1, ...) or (K,) against class indices (N,), (N, d1, ...) or ().

    Args:
        logits, target, weight: the shapes; a weight has one value per class.
        classes: the smallest and the largest index that is not ignored; None if there is none.
        op: the name of the operation, for the message.

    Raises:
        ShapeError: wrong shapes.
        IndexError: a target outside 0..K-1.
    """
    if not logits:
        raise ShapeError(f"{op}: scores must be (N, classes), (N, classes, d1, ...) or (classes,), got a 0-d tensor")
    k = logits[0] if len(logits) == 1 else logits[1]
    wanted = logits[:1] + logits[2:] if len(logits) > 1 else ()
    if target != wanted:
        raise ShapeError(
            f"{op}: scores of shape {logits}, {k} classes on axis {min(len(logits) - 1, 1)}, need as many class "
            f"indices, {wanted}, got {target}"
        )
    if weight is not None and weight != (k,):
        raise ShapeError(f"{op}: weight must have one value for each of the {k} classes, ({k},), got shape {weight}")
    if classes is not None and (classes[0] < 0 or classes[1] >= k):
        wrong = classes[0] if classes[0] < 0 else classes[1]
        raise IndexError(
            f"{op}: target {wrong} is not a class: {k} logits per row allow 0..{k - 1}. Target {wrong} is out of "
            "bounds."
        )


def probabilities(logits: Shape, weight: Shape | None, op: str = "cross_entropy") -> tuple[int, int]:
    """The class axis of scores (N, K, d1, ...) or (K,) whose targets are probabilities of the same shape, and K.

    Raises:
        ShapeError: there is no class axis, or not one weight per class.
    """
    if not logits:
        raise ShapeError(f"{op}: scores must be (N, classes, ...) or (classes,), got a 0-d tensor")
    axis = min(len(logits) - 1, 1)
    if weight is not None and weight != (logits[axis],):
        raise ShapeError(f"{op}: weight must have one value for each of the {logits[axis]} classes, got shape {weight}")
    return axis, logits[axis]


def class_rows(op: str, x: Shape, target: Shape, many: bool = False) -> tuple[int, int]:
    """Check scores (N, K), (K,) or () against one class per row, (N,) or (); `many`: against a list of classes, as x.

    Returns:
        N (1 where there is no batch) and K.

    Raises:
        ShapeError: wrong shapes.
    """
    if len(x) > 2 or x[-1:] == (0,):
        raise ShapeError(f"{op}: input must be (N, classes) or (classes,) with at least one class, got shape {x}")
    wanted = x if many else x[:-1]
    if target != wanted and (many or len(x) == 2 or target != (1,)):
        raise ShapeError(f"{op}: an input of shape {x} needs a target of shape {wanted}, got {target}")
    return (x[0] if len(x) == 2 else 1), x[-1] if x else 1


def same_rank(op: str, **shapes: Shape) -> None:
    """Check that shapes have the same number of axes.

    Raises:
        ShapeError: they have different numbers of axes.
    """
    if len({len(shape) for shape in shapes.values()}) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ShapeError(f"{op}: all inputs must have the same number of axes, got {listed}")


def embedding_pairs(op: str, x1: Shape, x2: Shape, target: Shape) -> None:
    """Check vectors (N, D) or (D,) in pairs against one label each, (N,) or ().

    Raises:
        ShapeError: wrong shapes.
    """
    if len(target) > 1 or len(x1) != len(target) + 1 or len(x2) != len(target) + 1:
        raise ShapeError(
            f"{op}: takes inputs (N, D) with a target (N,), or (D,) with (), got {x1}, {x2} and a target of {target}"
        )
