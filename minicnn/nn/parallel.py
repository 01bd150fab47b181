"""PyTorch's wrappers for several devices; a net of minicnn computes on one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..compat.missing import answer as _answer
from .module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """Runs `module` as it is, on the device that it is on: on the CPU, the kernels already use all cores.

    Programs and state dicts made for several GPUs keep working: the names in the state dict begin with "module.".
    """

    def __init__(
        self, module: Module, device_ids: Sequence[Any] | None = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.dim, self.device_ids, self.output_device = dim, list(device_ids or []), output_device

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Return the result of the module."""
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """Training by several processes, which is not supported; the class exists for `isinstance`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "DistributedDataParallel: minicnn trains in one process, whose threads share the work; leave it out"
        )


_answer(globals())
