"""`minicnn.func`: functions made from functions, see `minicnn.autograd.function_transforms` and `batched`."""

from __future__ import annotations

from ..autograd.batched import vmap
from ..autograd.function_transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from ..nn.utils.stateless import functional_call, stack_module_state
from .doors import door as _door

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "stack_module_state", "vjp", "vmap",
]  # fmt: skip

_door(globals())
