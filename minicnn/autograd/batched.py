"""vmap: a function of one entry, called for each entry of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

from ..random import get_rng_state, set_rng_state
from . import backpropagation, engine
from .trees import leaves, rebuilt

__all__ = ["vmap"]


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function that calls `func` for each entry of a batch, and stacks the results.

    The calls are made one after the other: the results are those of PyTorch, which computes them at once, but it takes
    the time of a loop. Operations that take a batch axis themselves are faster.

    Args:
        func: takes arguments without the batch axis, and returns tensors.
        in_dims: the batch axis of each argument: a number for all, or a tuple with a number, or None (the same value
            for each call), for each argument; for an argument that is a list, tuple or dictionary also such a one of
            numbers.
        out_dims: where the batch axis of the results is: a number, or a form of numbers as the results have.
        randomness: "same" random numbers in each call, or "different" ones, which "error" gives too.
        chunk_size: has no effect.

    Raises:
        ValueError: (when called) there is no batch axis, or batches of different sizes.

    >>> minicnn.func.vmap(minicnn.dot)(minicnn.tensor([[1.0, 2.0], [3.0, 4.0]]), minicnn.ones(2, 2))
    tensor([3., 7.])
    """
    if randomness not in ("error", "same", "different"):
        raise RuntimeError(f"vmap: randomness should be 'error', 'same' or 'different', got {randomness!r}")

    @wraps(func)
    def batched(*args: Any, **options: Any) -> Any:
        given: Any = (args, options)
        dims: Any = (in_dims if isinstance(in_dims, tuple | list) else (in_dims,) * len(args), 0)
        if len(dims[0]) != len(args):
            raise ValueError(f"vmap: in_dims has {len(dims[0])} entries, but the function gets {len(args)} arguments")
        axes = list(_axes("in_dims", (tuple(dims[0]), dims[1]), given))
        entries = list(leaves(given))
        size = _batch(entries, axes)
        results = []
        for call in _repeated(size, randomness):
            one = [x if axis is None else x.select(axis, call) for x, axis in zip(entries, axes, strict=True)]
            positional, named = rebuilt(given, iter(one))
            results.append(func(*positional, **named))
        columns = zip(*(leaves(result) for result in results), strict=True)
        places = _axes("out_dims", out_dims, results[0])
        stacked = [backpropagation.stack(list(column), place) for column, place in zip(columns, places, strict=True)]
        return rebuilt(results[0], iter(stacked))

    return batched


def _axes(name: str, dims: Any, tree: Any) -> Iterator[Any]:
    """For each entry of a tree, its number in `dims`, which has the form of the tree, or of its upper part."""
    if dims is None or isinstance(dims, int):
        for entry in leaves(tree):
            yield dims if isinstance(entry, engine._tensor) else None
    elif isinstance(dims, dict) and isinstance(tree, dict) and dims.keys() == tree.keys():
        for key, value in tree.items():
            yield from _axes(name, dims[key], value)
    elif isinstance(dims, tuple | list) and isinstance(tree, tuple | list) and len(dims) == len(tree):
        for one, value in zip(dims, tree, strict=True):
            yield from _axes(name, one, value)
    else:
        raise ValueError(f"vmap: {name} {dims!r} does not have the form of what it is for")


def _batch(entries: Sequence[Any], axes: Sequence[Any]) -> int:
    """The size of the batch, which all arguments with a batch axis have."""
    sizes = []
    for x, axis in zip(entries, axes, strict=True):
        if axis is not None:
            if not -x.ndim <= axis < x.ndim:
                raise ValueError(f"vmap: in_dims says axis {axis}, but the argument has shape {tuple(x.shape)}")
            sizes.append(x.shape[axis])
    if not sizes:
        raise ValueError("vmap: no argument has a batch axis; give in_dims a number for at least one tensor")
    if len(set(sizes)) > 1:
        raise ValueError(f"vmap: the arguments have batches of different sizes: {', '.join(map(str, sizes))}")
    if not sizes[0]:
        raise ValueError("vmap: the batch is empty, so the shape of the results is not known")
    return int(sizes[0])


def _repeated(size: int, randomness: str) -> Iterator[int]:
    """The numbers of the calls; with "same", each begins with the random state of the first."""
    state = get_rng_state() if randomness == "same" else None
    for call in range(size):
        if state is not None:
            set_rng_state(state)
        yield call
