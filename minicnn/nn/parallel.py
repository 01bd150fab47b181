"""PyTorch's wrappers for several devices; a net of minicnn computes on one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..compat.missing import answer as _answer
from ..device import Device
from ..tensor import Tensor
from .module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """Runs `module` as it is, on the device that it is on: on the CPU, the kernels already use all cores.

    If the module is on a GPU, tensors among the arguments are moved there, as PyTorch does.

    Programs and state dicts made for several GPUs keep working: the names in the state dict begin with "module.".

    >>> net = nn.DataParallel(nn.Linear(4, 2))
    >>> net(minicnn.zeros(1, 4)).shape, list(net.state_dict())
    (minicnn.Size([1, 2]), ['module.weight', 'module.bias'])
    """

    def __init__(
        self, module: Module, device_ids: Sequence[Any] | None = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.dim, self.device_ids, self.output_device = dim, list(device_ids or []), output_device

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Return the result of the module."""
        parameter = next(self.module.parameters(), None)
        if parameter is not None and parameter.is_cuda:
            inputs, kwargs = _to((inputs, kwargs), parameter.device)
        return self.module(*inputs, **kwargs)


def _to(value: Any, device: Device) -> Any:
    """The value with all tensors in it, also those in tuples, lists and dicts, on a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _to(one, device) for key, one in value.items()}
    if isinstance(value, list | tuple):
        moved = [_to(one, device) for one in value]
        return type(value)(*moved) if hasattr(value, "_fields") else type(value)(moved)
    return value


class DistributedDataParallel(Module):
    """Training by several processes, which is not supported; the class exists for `isinstance`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "DistributedDataParallel: minicnn trains in one process, whose threads share the work; leave it out"
        )


_answer(globals())
