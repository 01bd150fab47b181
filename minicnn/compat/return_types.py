"""The named tuples that operations with several results return, as in `torch.return_types`."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from .doors import door as _door


class ReturnType(tuple[Any, ...]):
    """A tuple whose elements have names: `y.values`, `y.indices`."""

    __slots__ = ()
    fields: tuple[str, ...] = ()

    def __new__(cls, *elements: Any) -> Any:
        """Make it from the elements one by one, or from one sequence of them."""
        given = elements[0] if len(elements) == 1 and len(cls.fields) > 1 else elements
        if len(given) != len(cls.fields):
            raise TypeError(f"{cls.__name__}: expected {len(cls.fields)} elements {cls.fields}, got {len(given)}")
        return super().__new__(cls, given)

    def __repr__(self) -> str:
        lines = (f"{name}={value!r}" for name, value in zip(self.fields, self, strict=True))
        return f"minicnn.return_types.{type(self).__name__}(\n" + ",\n".join(lines) + ")"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (tuple(self),)


def _kind(name: str, fields: str) -> Any:
    names = tuple(fields.split())
    space: dict[str, Any] = {
        "__slots__": (),
        "fields": names,
        "_fields": names,  # what code asks of a named tuple
        "__module__": "minicnn.return_types",
        "__doc__": f"({', '.join(names)})",
    }
    for place, field in enumerate(names):
        space[field] = property(itemgetter(place))
    return type(name, (ReturnType,), space)


sort, topk, kthvalue, mode = (_kind(name, "values indices") for name in ("sort", "topk", "kthvalue", "mode"))
max, min, median, nanmedian = (_kind(name, "values indices") for name in ("max", "min", "median", "nanmedian"))
cummax, cummin = _kind("cummax", "values indices"), _kind("cummin", "values indices")
aminmax = _kind("aminmax", "min max")
qr, svd = _kind("qr", "Q R"), _kind("svd", "U S V")
linalg_qr, linalg_svd = _kind("linalg_qr", "Q R"), _kind("linalg_svd", "U S Vh")
linalg_eigh = _kind("linalg_eigh", "eigenvalues eigenvectors")
linalg_slogdet = _kind("linalg_slogdet", "sign logabsdet")
linalg_inv_ex, linalg_cholesky_ex = _kind("linalg_inv_ex", "inverse info"), _kind("linalg_cholesky_ex", "L info")
frexp, histogram = _kind("frexp", "mantissa exponent"), _kind("histogram", "hist bin_edges")
histogramdd = _kind("histogramdd", "hist bin_edges")
linalg_lstsq = _kind("linalg_lstsq", "solution residuals rank singular_values")

_door(globals())
