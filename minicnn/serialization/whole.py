"""Whole modules and other objects in files, which are pickles: the names of classes, and what their objects hold.

Reading a pickle can run any program that is hidden in it, so it is read only with `load(..., weights_only=False)`, as
in PyTorch. The class of an object must be importable then, and may have changed since. A state dict has neither
problem.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

from ..nn import Module
from ..tensor import Tensor
from .source import CheckpointError, Source, UntrustedError

_MAGIC = b"minicnn: a pickled object\n"
_LEAST = 4  # the protocol of pickles that is used at least: earlier ones copy arrays


def pack(obj: Any, protocol: int, why: str) -> list[bytes]:
    """The bytes of an object that holds modules or other objects than plain data.

    Raises:
        TypeError: something in it cannot be pickled; `why` says what is no plain data.
    """
    stream = io.BytesIO()
    try:
        pickle.Pickler(stream, max(protocol, _LEAST)).dump(obj)
    except (pickle.PicklingError, AttributeError, TypeError, NotImplementedError) as error:
        raise TypeError(f"{why}. As a whole it cannot be pickled: {error}") from error
    return [_MAGIC, stream.getvalue()]


def begins(source: Source) -> bool:
    """Whether a source begins as such a file; False for a pipe, which cannot go back."""
    if source.size is None:
        return False
    beginning = source.take(len(_MAGIC))
    source.stream.seek(source.start)
    return beginning == _MAGIC


def read(source: Source, trusted: bool, place: Callable[[Tensor], Tensor] | None) -> Any:
    """Read such a file.

    Args:
        source: the file.
        trusted: whether the user allows that what is in the file is run.
        place: where tensors go; None: where they were.

    Raises:
        UntrustedError: the file is not trusted.
        CheckpointError: it is damaged, or a class in it is not there.
    """
    if not trusted:
        raise UntrustedError(
            f"Weights only load failed. {source.name}: it holds a whole module, or another object that is no plain "
            "data, and reading it can run any code. If you trust its source, load it with weights_only=False. A file "
            "of module.state_dict(), or of vars() of a program's arguments, needs no trust"
        )
    source.take(len(_MAGIC))
    try:
        found = pickle.loads(source.take(source.size or 0))
    except (AttributeError, ImportError) as error:
        raise CheckpointError(f"{source.name}: a class of the object is not there ({error}); import it") from error
    except Exception as error:  # a damaged pickle can fail anywhere
        raise CheckpointError(
            f"{source.name}: the pickle is damaged ({error!r}); restore the file from a copy, or train again"
        ) from error
    return found if place is None else _placed(found, place)


def _placed(obj: Any, place: Callable[[Tensor], Tensor]) -> Any:
    """The object, with the tensors of modules and plain containers where they belong."""
    if isinstance(obj, Module):
        return obj._apply(place)
    if isinstance(obj, Tensor):
        return place(obj)
    if type(obj) in (list, tuple):
        return type(obj)(_placed(one, place) for one in obj)
    if isinstance(obj, dict):
        for key, value in obj.items():
            obj[key] = _placed(value, place)
    return obj
