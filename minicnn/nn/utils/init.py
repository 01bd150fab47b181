"""Building a module without drawing its parameters."""

from __future__ import annotations

from typing import Any

from ..module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: Any, *args: Any, **kwargs: Any) -> Any:
    """`module_cls(*args, **kwargs)` with arbitrary values in its parameters: built on "meta", then given memory.

    >>> nn.utils.skip_init(nn.Linear, 400, 120).weight.shape
    minicnn.Size([120, 400])
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    import inspect

    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", "cpu")
    return module_cls(*args, device="meta", **kwargs).to_empty(device=device)
