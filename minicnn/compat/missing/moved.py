"""The earlier paths of modules that were moved, for old pickles.

A pickle of an earlier version may name `minicnn.copying.leaf`, whose module has another path now. When a module is not
found, `Imports` looks here.
"""

from __future__ import annotations

from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_ROOMS = {  # (earlier package, new package): files; old=new if the name of the file changed too
    ("minicnn.ops", "minicnn.ops.tensor"): """
        arguments arithmetic comparison creation cumulative diagonal einsum elementwise indexing inplace
        inplace_shape interchange linear_map norm operands reduction sampling scatter_add scatter_reduce
        searching shape sorting types choice=clamp extrema=max_min gathering=gather index_parts=index_parsing
        infer=from_data joining=concatenate likeness=zeros_like linear=matmul mathematics=unary moving=flip_roll
    """,
    ("minicnn.ops", "minicnn.ops"): """
        dropping=drop_block normalisation=normalization resample=interpolate shuffle=pixel_shuffle
        sized_pooling=adaptive_pooling pairs=distance
    """,
    ("minicnn.ops", "minicnn.compat"): "legacy=tensor_types",
    ("minicnn", "minicnn.compat"): "missing settings",
    ("minicnn", "minicnn"): "memory=memory_formats",
    ("minicnn", "minicnn.tensor"): "copying printing",
    ("minicnn", "minicnn.serialization"): "files",
    ("minicnn", "minicnn.cli"): "starting=early_interrupt",
    ("minicnn.analysis", "minicnn.bench"): "compare timing doctor peer=pytorch",
    ("minicnn.nn", "minicnn.nn"): """
        activated_pooling=fused normalisation=normalization renormalisation=renormalization shuffle=pixel_shuffle
    """,
    ("minicnn.nn.utils", "minicnn.nn.utils"): "reparametrisation=reparametrization",
    ("minicnn.autograd", "minicnn.autograd"): "part=subgraph sharing=inplace walk=backpropagation",
    ("minicnn.optim", "minicnn.optim"): "compiled=first_order elementwise=first_order together=first_order",
}
MOVED = {
    f"{old}.{name.partition('=')[0]}": f"{new}.{name.rpartition('=')[2]}"
    for (old, new), names in _ROOMS.items()
    for name in names.split()
}


# Names that have left the module that the others stayed in, or have another name there.
ELSEWHERE = {
    **{
        f"minicnn.ops.reduction.{name}": "minicnn.ops.tensor.variance"
        for name in ("std", "std_mean", "var", "var_mean")
    },
    **{
        f"minicnn.ops.{old}.{name}": f"minicnn.ops.tensor.{new}"
        for old, new, names in (
            ("shape", "expand", "broadcast_shapes broadcast_tensors broadcast_to expand expand_as"),
            ("shape", "strides", "clone contiguous is_contiguous storage_offset stride"),
            ("joining", "grids", "cartesian_prod combinations meshgrid"),
            ("extrema", "quantile", "nanquantile quantile"),
            ("creation", "ranges", "arange linspace logspace tril_indices triu_indices"),
            ("gathering", "masks", "masked_fill masked_scatter masked_select"),
            ("sampling", "inplace_sampling", "bernoulli_ normal_ random_ uniform_"),
        )
        for name in names.split()
    },
    **{f"minicnn.ops.operands.{name}": "minicnn.ops.tensor.promotion" for name in ("promote_types", "result_type")},
}
RENAMED = {"minicnn.analysis.compare.Row": "Measurement"}


class Moved(Loader):
    """A loader that gives a module whose names are those of the module with the new path."""

    def __init__(self, path: str) -> None:
        self.path = path

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module that looks its names up where they are now."""
        old, module = spec.name, ModuleType(spec.name, f"The earlier path of `{self.path}`.")

        def __getattr__(name: str) -> Any:
            place = import_module(ELSEWHERE.get(f"{old}.{name}", self.path))
            return getattr(place, RENAMED.get(f"{old}.{name}", name))

        module.__getattr__ = __getattr__  # type: ignore[method-assign]
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: the names are those of a module that has run."""
