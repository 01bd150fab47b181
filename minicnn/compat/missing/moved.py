"""Modules that were moved, by their earlier paths, which pickles name.

A pickle says `minicnn.copying.leaf` where it was written by an earlier version; the module of that path is now another
one. `Imports` asks here for a module that is not found.
"""

from __future__ import annotations

from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

_ROOMS = {  # earlier room, new room: files; old=new where the file has another name too
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
    """A loader that gives the module of another path, as it is."""

    def __init__(self, path: str) -> None:
        self.path = path

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module itself."""
        module = import_module(self.path)
        self.own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It has run; only what the import system wrote over is put back."""
        module.__spec__ = self.own
