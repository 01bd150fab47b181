"""The earlier paths of modules that were moved, for old pickles.

A pickle of an earlier version may name `minicnn.copying.leaf`, whose module has another path now. When a module is not
found, `Imports` looks here.
"""

from __future__ import annotations

from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

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
        normalisation=normalization renormalisation=renormalization shuffle=pixel_shuffle
    """,
    ("minicnn.nn.utils", "minicnn.nn.utils"): "reparametrisation=reparametrization",
}
MOVED = {
    f"{old}.{name.partition('=')[0]}": f"{new}.{name.rpartition('=')[2]}"
    for (old, new), names in _ROOMS.items()
    for name in names.split()
}


class Moved(Loader):
    """A loader that gives the module that has the new path."""

    def __init__(self, path: str) -> None:
        self.path = path

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module itself."""
        module = import_module(self.path)
        self.own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Put back what the import system has overwritten; the module itself has run already."""
        module.__spec__ = self.own
