"""Sequences of different lengths as one tensor, as collate functions of point sets, texts and signals make it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...compat.missing import answer as _answer
from ...ops.tensor.concatenate import stack
from ...ops.tensor.shape import transpose
from ...tensor import Tensor
from ..functional import pad

__all__ = ["pad_sequence", "unpad_sequence"]


def pad_sequence(
    sequences: Tensor | Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:  # fmt: skip
    """Join tensors (L_i, ...) of different lengths to one of shape (L, N, ...), or (N, L, ...) with `batch_first`.

    L is the largest length; the others are filled up with `padding_value`.

    Args:
        sequences: the tensors; all but their first axes are equal.
        batch_first: whether the axis of the sequences comes first.
        padding_value: what is added.
        padding_side: where it is added, "right" (at the end) or "left".

    Raises:
        RuntimeError: there are no sequences, their other axes differ, or the side is unknown.

    >>> from minicnn.nn.utils.rnn import pad_sequence
    >>> pad_sequence([minicnn.tensor([1, 2, 3]), minicnn.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    if not (isinstance(sequences, Tensor) or (isinstance(sequences, Iterable) and not isinstance(sequences, str))):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: " + type(sequences).__name__
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence: expected padding_side to be 'left' or 'right', but got {padding_side!r}")
    given = list(sequences.unbind(0) if isinstance(sequences, Tensor) else sequences)
    if not given:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    if len({tuple(x.shape[1:]) for x in given}) > 1:
        raise RuntimeError(
            f"pad_sequence: all axes but the first must be equal, got the shapes {[tuple(x.shape) for x in given]}"
        )
    longest = max(len(x) for x in given)
    rows = []
    for x in given:
        more = longest - len(x)
        sides = (0, 0) * (x.ndim - 1) + ((more, 0) if padding_side == "left" else (0, more))
        rows.append(pad(x, sides, value=padding_value) if more else x)
    found = stack(rows)
    return found if batch_first else transpose(found, 0, 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """Return the sequences that `pad_sequence` has joined, without what it has added at their ends.

    >>> from minicnn.nn.utils.rnn import unpad_sequence
    >>> unpad_sequence(minicnn.tensor([[1, 2, 3], [4, 0, 0]]), minicnn.tensor([3, 1]), batch_first=True)
    [tensor([1, 2, 3]), tensor([4])]
    """
    rows = padded_sequences if batch_first else transpose(padded_sequences, 0, 1)
    return [rows[i, : int(n)] for i, n in enumerate(lengths)]


_answer(globals())
