"""The earlier paths of modules and functions that were moved, for old pickles.

A pickle of an earlier version may name `minicnn.copying.leaf`, whose module has another path now. When a module is not
found, `Imports` looks here. It may also name `minicnn.ops.tensor.shape.expand`, whose module is there, without it.
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
    ("minicnn.train", "minicnn.train.recipes"): "settings fitting",
    ("minicnn.train", "minicnn.train.runs"): "run config description checkpoint interrupt",
    ("minicnn.optim", "minicnn.optim"): "compiled=first_order elementwise=first_order together=first_order",
}
MOVED = {
    f"{old}.{name.partition('=')[0]}": f"{new}.{name.rpartition('=')[2]}"
    for (old, new), names in _ROOMS.items()
    for name in names.split()
}


# Functions that have left a file for another one: (file, its new file): names.
_LEFT = {
    ("loss.pointwise", "loss.likelihood"): "gaussian_nll_loss kl_div poisson_nll_loss",
    ("tensor.concatenate", "tensor.grids"): "cartesian_prod combinations meshgrid",
    ("tensor.concatenate", "tensor.diagonal"): "block_diag",
    ("tensor.creation", "tensor.ranges"): "arange linspace logspace tril_indices triu_indices",
    ("tensor.gather", "tensor.masks"): "masked_fill masked_scatter masked_select",
    ("tensor.max_min", "tensor.quantile"): "nanquantile quantile",
    ("tensor.operands", "tensor.promotion"): "result_type",
    ("tensor.operands", "tensor.types"): "promote_types",
    ("tensor.promotion", "tensor.types"): "promote_types",
    ("tensor.reduction", "tensor.variance"): "std std_mean var var_mean",
    ("tensor.sampling", "tensor.inplace_sampling"): "bernoulli_ normal_ random_ uniform_",
    ("tensor.shape", "tensor.expand"): "broadcast_shapes broadcast_tensors broadcast_to expand expand_as",
    ("tensor.shape", "tensor.strides"): "clone contiguous is_contiguous storage_offset",
}
LEFT = {
    f"minicnn.ops.{old}.{name}": f"minicnn.ops.{new}" for (old, new), names in _LEFT.items() for name in names.split()
} | {
    f"minicnn.train.recipes.settings.{name}": f"minicnn.train.recipes.{new}"
    for new, names in {
        "building": "build_loss build_model build_optimizer build_schedule build_transform",
        "data": "build_dataset",
        "names": "SettingError UnknownNameError",
    }.items()
    for name in names.split()
}
RENAMED = {"minicnn.analysis.compare.Row": "Measurement"}


def answer_for_functions(package: str) -> None:
    """Let each file of a package that functions have left give them out as attributes still."""
    for file in {path.rpartition(".")[0] for path in LEFT if path.startswith(f"{package}.")}:

        def __getattr__(name: str, file: str = file) -> Any:
            if f"{file}.{name}" not in LEFT:
                raise AttributeError(f"module {file!r} has no attribute {name!r}", name=name)
            return getattr(import_module(LEFT[f"{file}.{name}"]), name)

        import_module(file).__getattr__ = __getattr__  # type: ignore[method-assign]


class Moved(Loader):
    """A loader that gives a module whose names are those of the module with the new path."""

    def __init__(self, path: str) -> None:
        self.path = path

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module that looks its names up where they are now."""
        old, module = spec.name, ModuleType(spec.name, f"The earlier path of `{self.path}`.")

        def __getattr__(name: str) -> Any:
            return getattr(import_module(self.path), RENAMED.get(f"{old}.{name}", name))

        module.__getattr__ = __getattr__  # type: ignore[method-assign]
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: the names are those of a module that has run."""
