"""Printing a tensor in PyTorch's layout, so that the output looks as it does in books about PyTorch.

All elements have one format, chosen from the elements that are shown: whole numbers with a point, or four decimals, or
scientific if they span more than three powers of ten (or are above 1e8 or below 1e-4). Of a long axis only the ends
are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import Array, host, on_gpu

from ..dtypes import default_type

if TYPE_CHECKING:
    from . import Tensor


class Options:
    """The settings of `set_printoptions`."""

    def __init__(
        self,
        precision: int = 4,
        threshold: float = 1000,
        edgeitems: int = 3,
        linewidth: int = 80,
        sci_mode: bool | None = None,
    ) -> None:
        self.precision, self.threshold, self.edgeitems = precision, threshold, edgeitems
        self.linewidth, self.sci_mode = linewidth, sci_mode


OPTIONS = Options()
_PROFILES = {"default": Options(), "short": Options(2, 1000, 2), "full": Options(4, inf)}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; None leaves a setting as it is.

    Args:
        precision: decimals (4).
        threshold: the number of elements above which axes are shortened (1000).
        edgeitems: the elements shown at each end of a shortened axis (3).
        linewidth: characters in a line (80).
        profile: "default", "short" or "full" sets all of the above.
        sci_mode: whether numbers are printed as 2.0000e+00; None decides by their range.

    >>> minicnn.set_printoptions(precision=2)
    >>> minicnn.tensor([3.14159])
    tensor([3.14])
    >>> minicnn.set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions: profile must be one of {', '.join(_PROFILES)}, got {profile!r}")
        vars(OPTIONS).update(vars(_PROFILES[profile]))
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    vars(OPTIONS).update({name: value for name, value in given.items() if value is not None}, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """Return the settings by name.

    >>> minicnn.get_printoptions()["precision"]
    4
    """
    return dict(vars(OPTIONS))


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Use `set_printoptions` for the length of a `with` block.

    >>> from minicnn.tensor.printing import printoptions
    >>> with printoptions(precision=1):
    ...     print(minicnn.tensor([3.14159]))
    tensor([3.1])
    """
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


class _Format:
    """One format for all the numbers of a tensor."""

    def __init__(self, shown: Array) -> None:
        self.floats, self.width, self.spec, self.whole = shown.dtype.kind == "f", 1, ".0f", True
        if not self.floats:
            self.width = max((len(str(value)) for value in shown.reshape(-1).tolist()), default=1)
            return
        values = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64)
        if not values.size:
            return
        sizes = np.abs(values)
        self.whole = bool((values == np.ceil(values)).all())
        scientific = OPTIONS.sci_mode
        if scientific is None:
            with np.errstate(over="ignore"):
                scientific = bool(sizes.max() / sizes.min() > 1000 or sizes.max() > 1e8 or sizes.min() < 1e-4)
        if scientific or not self.whole:
            self.spec, self.whole = f".{OPTIONS.precision}{'e' if scientific else 'f'}", False
        point = self.whole  # whole numbers get a point, which needs one character
        self.width = max(1, max(len(format(value, self.spec)) for value in values.tolist()) + point)

    def __call__(self, value: Any) -> str:
        if not self.floats:
            return str(value).rjust(self.width)
        point = "." if self.whole and abs(value) < inf else ""
        return (format(value, self.spec) + point).rjust(self.width)


def _body(x: Array, indent: int, shorten: bool, form: _Format) -> str:
    """Return the elements in nested brackets."""
    if not x.ndim:
        return form(x.item())
    edge = OPTIONS.edgeitems
    short = shorten and len(x) > 2 * edge
    ends = (range(edge), range(len(x) - edge, len(x))) if short else (range(len(x)), range(0))
    if x.ndim > 1:
        first, last = ([_body(x[i], indent + 1, shorten, form) for i in part] for part in ends)
        return "[" + ("," + "\n" * (x.ndim - 1) + " " * (indent + 1)).join(first + ["..."] * short + last) + "]"
    first, last = ([form(x[i].item()) for i in part] for part in ends)
    parts = first + [" ..." if edge else "..."] * short + last
    per_line = max(1, (OPTIONS.linewidth - indent) // (form.width + 2))
    lines = [", ".join(parts[i : i + per_line]) for i in range(0, len(parts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _shown(x: Array) -> Array:
    """Return the elements that a shortened text shows."""
    edge = OPTIONS.edgeitems
    for axis, size in enumerate(x.shape):
        if size > 2 * edge:
            x = np.take(x, [*range(edge), *range(size - edge, size)], axis)
    return x


def text(tensor: Tensor, name: str = "tensor") -> str:
    """Return `tensor([1., 2.], requires_grad=True)`: the elements, then the properties that are not the default."""
    x, indent, extra = tensor.array, len(name) + 1, []
    usual = x.dtype in (default_type(), np.int64, np.bool_)
    if tensor.is_meta:
        body, extra, usual = "...", ["device='meta'", f"size={tuple(x.shape)}"], x.dtype == default_type()
    elif not x.size:
        body, usual = "[]", x.dtype == default_type()
        extra += [f"size={tuple(x.shape)}"] if x.ndim != 1 else []
    else:
        extra += [] if OPTIONS.edgeitems else [f"size={tuple(x.shape)}"]
        shorten = x.size > OPTIONS.threshold
        x = host(x)
        body = _body(x, indent, shorten, _Format(_shown(x) if shorten else x))
    if on_gpu(tensor._array):
        extra = [f"device='{tensor.device}'", *extra]
    extra += [] if usual else [f"dtype=minicnn.{x.dtype}"]
    if tensor.grad_fn is not None:
        extra.append(f"grad_fn={tensor.grad_fn}")
    elif tensor.requires_grad:
        extra.append("requires_grad=True")
    line = f"{name}({body}"
    length = len(line) - line.rfind("\n")
    for part in extra:
        if length + len(part) + 2 > OPTIONS.linewidth:
            line, length = f"{line},\n{' ' * indent}{part}", indent + len(part)
        else:
            line, length = f"{line}, {part}", length + len(part) + 2
    return line + ")"
