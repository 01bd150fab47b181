"""The table of test samples: one row per operation; `ops/test_ops.py` runs every check on every row.

A sample has the shapes of the tensor inputs and the options of the call. To test a new operation, add its row to the
file of its family here. The `OPS` of all files are merged into one table.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from minicnn_kernels import conv2d

from .table import Op, S, Sample, apart, positive

# Files whose operations do not have the usual two fast backends, but several algorithms, or NumPy only.
KERNELS = {
    "conv": (("numpy", "im2col"), *(("numba", algorithm) for algorithm in conv2d.FORWARD.algorithms)),
    **dict.fromkeys(("arithmetic", "reduction", "shape", "indexing", "linalg", "statistics"), (("numpy",),)),
}
OPS: dict[str, Op] = {}
for _module in pkgutil.iter_modules(__path__):
    for _name, _op in getattr(import_module(f"{__name__}.{_module.name}"), "OPS", {}).items():
        assert _name not in OPS, f"two rows are called {_name!r}"
        OPS[_name] = _op._replace(kernels=KERNELS.get(_module.name, _op.kernels))

__all__ = ["OPS", "Op", "S", "Sample", "apart", "positive"]
