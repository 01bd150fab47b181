"""PyTorch's wrappers for several devices, around the one there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..compat.missing import answer as _answer
from .module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """Run `module` as it is: there is one device, whose cores the kernels share already.

    Programs and state dicts made for several GPUs keep working: names in the state dict begin with "module.".
    """

    def __init__(
        self, module: Module, device_ids: Sequence[Any] | None = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.dim, self.device_ids, self.output_device = dim, list(device_ids or []), output_device

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module gives."""
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """Training by several processes: not supported; the name is there for `isinstance`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "DistributedDataParallel: minicnn trains in one process, whose threads share the work; leave it out"
        )


_answer(globals())
