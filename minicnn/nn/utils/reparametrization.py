"""Weights that a hook computes from other parameters before each forward: PyTorch's older form.

`nn.utils.parametrizations` has the newer form, with other names in the state dict.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

import numpy as np

from minicnn_kernels.arrays import host

from ...autograd import no_grad
from ...ops.tensor.creation import empty
from ...ops.tensor.norm import vector_norm
from ...tensor import Tensor
from .. import init
from ..module import Module
from ..parameter import Parameter, is_lazy

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


def norm_except(v: Tensor, dim: int) -> Tensor:
    """Return the 2-norm over all axes except `dim`, with these kept at size 1; over all axes for -1."""
    if dim == -1:
        return vector_norm(v)
    return vector_norm(v, 2, tuple(axis for axis in range(v.ndim) if axis != dim), keepdim=True)


def with_norm(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """w = g v / |v|, with the norm over all axes except `dim`."""
    return v * (g / norm_except(v, dim))


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """Return the weight as a matrix whose rows belong to the axis `dim`."""
    front = weight.permute(dim, *(axis for axis in range(weight.ndim) if axis != dim)) if dim else weight
    return front.reshape(front.shape[0], -1)  # (O, product of the other sizes)


def unit(x: Tensor, eps: float) -> Tensor:
    """x / max(|x|, eps)."""
    return x / vector_norm(x).clamp(min=eps)


def random_unit(size: int, like: Tensor, eps: float) -> Tensor:
    """Return a vector of length 1 in a random direction."""
    return unit(init.normal_(empty(size, dtype=like.dtype, device=like.device)), eps)


def check_iterations(count: int) -> None:
    """Refuse a number of iterations below 1."""
    if count <= 0:
        raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={count}")


class _Hook:
    """A forward pre-hook that computes the weight `name`; the subclass defines `weight` and `remove`."""

    kind = ""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.weight(module))

    def weight(self, module: Any) -> Tensor:
        """Return the weight, computed from the parameters that it depends on."""
        raise NotImplementedError

    def remove(self, module: Any) -> None:
        """Make the current weight a parameter again."""
        raise NotImplementedError

    def prepare(self, module: Any) -> Tensor:
        """Check that the hook fits the module, and return the weight."""
        for hook in module._forward_pre_hooks.values():
            if type(hook) is type(self) and hook.name == self.name:
                raise RuntimeError(f"Cannot register two {self.kind} hooks on the same parameter {self.name}")
        weight = module._parameters[self.name]
        if weight is None:
            raise ValueError(f"{self.kind} cannot be applied as parameter `{self.name}` is None")
        if is_lazy(weight):
            raise ValueError(
                f"{self.kind}: the module can't have uninitialized parameters; run a dummy forward before applying it"
            )
        found: Tensor = weight
        return found


def _remove(module: M, name: str, kind: type[_Hook]) -> M:
    for number, hook in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[number]
            return module
    raise ValueError(f"{kind.kind} of '{name}' not found in {module}")


class WeightNorm(_Hook):
    """w = g v / |v|."""

    kind = "weight_norm"

    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.dim = -1 if dim is None else dim

    def weight(self, module: Any) -> Tensor:
        """Compute the weight from `name`_v and `name`_g."""
        return with_norm(getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g"), self.dim)

    def remove(self, module: Any) -> None:
        """Replace the two parameters by one."""
        with no_grad():
            weight = self.weight(module)
        for name in (self.name, f"{self.name}_g", f"{self.name}_v"):
            delattr(module, name)
        setattr(module, self.name, Parameter(weight))


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Replace the weight by g v / |v|: its length and its direction become two parameters, `name`_g and `name`_v.

    Deprecated, with a warning: `parametrizations.weight_norm` does the same, and has the equation as a module.
    T. Salimans and D. Kingma, "Weight normalization", 2016, https://arxiv.org/abs/1602.07868.

    Args:
        module: the layer, which is changed and returned.
        name: the parameter.
        dim: the axis along which each slice has a length of its own; None means one length for the whole weight.
    """
    warnings.warn(
        "`nn.utils.weight_norm` is deprecated in favor of `nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    hook = WeightNorm(name, dim)
    weight = hook.prepare(module)
    delattr(module, name)
    with no_grad():
        module.register_parameter(f"{name}_g", Parameter(norm_except(weight, hook.dim)))
    module.register_parameter(f"{name}_v", Parameter(weight))
    setattr(module, name, hook.weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make the weight one parameter again."""
    return _remove(module, name, WeightNorm)


class SpectralNorm(_Hook):
    """w / sigma(w), where power iteration finds sigma, the largest singular value."""

    kind = "spectral_norm"

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        check_iterations(n_power_iterations)
        super().__init__(name)
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim, eps

    def weight(self, module: Any) -> Tensor:
        """Compute it from `name`_orig; in training, a power iteration improves `name`_u and `name`_v first."""
        return self.scaled(module, self.n_power_iterations if module.training else 0)

    def scaled(self, module: Any, steps: int) -> Tensor:
        """Return the weight divided by its norm, estimated with some steps of power iteration."""
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        with no_grad():
            for _ in range(steps):
                v.copy_(unit(matrix.T @ u, self.eps))
                u.copy_(unit(matrix @ v, self.eps))
        return weight / (u.clone() * (matrix @ v.clone())).sum()  # clones, as the next forward changes u and v

    def remove(self, module: Any) -> None:
        """Replace the original by the divided weight."""
        with no_grad():
            weight = self.scaled(module, 0)
        for name in (self.name, *(f"{self.name}_{part}" for part in ("u", "v", "orig"))):
            delattr(module, name)
        module.register_parameter(self.name, Parameter(weight))
        for hooks in (module._state_dict_hooks, module._load_state_dict_pre_hooks):
            for number in [key for key, hook in hooks.items() if getattr(hook, "__self__", None) is self]:
                del hooks[number]

    def note_version(self, module: Any, state: Any, prefix: str, metadata: dict[str, Any]) -> None:
        """Write the version of this form of state into the metadata, as PyTorch does."""
        metadata.setdefault("spectral_norm", {})[f"{self.name}.version"] = 1

    def read_old_state(self, state: Any, prefix: str, metadata: Any, strict: bool, missing: list[str], *_: Any) -> None:
        """Turn a state of PyTorch's first form, with the divided weight and without v, into the present form.

        That form divided by sigma = u^T W v too, so the v along W^+ u that gives the same sigma is as good as the one
        it did not save:  v = s W^+ u  with s = sigma / (u^T W W^+ u), where W^+ is the pseudo-inverse.
        """
        weight, orig, u, v = (f"{prefix}{self.name}{part}" for part in ("", "_orig", "_u", "_v"))
        if metadata.get("spectral_norm", {}).get(f"{self.name}.version", 0) >= 1:
            return
        if weight not in state and v in state:  # the present form, from a dict that has lost its metadata
            return
        lacking = [key for key in (orig, weight, u) if key not in state]
        if lacking:
            missing += [key for key in lacking if strict and key == weight]  # the module reports the others itself
            return
        with no_grad():
            sigma = (state[orig] / state.pop(weight)).mean()
            matrix = as_matrix(state[orig], self.dim)
            inverse = Tensor(np.linalg.pinv(host(matrix.array))).to(matrix.device)
            direction = inverse @ state[u]
            state[v] = direction * (sigma / (state[u] @ (matrix @ direction)))


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Divide the weight, seen as a matrix, by its largest singular value, so that the layer's Lipschitz constant is 1.

    The singular vectors are buffers, `name`_u and `name`_v. At each forward in training they are improved by
    `n_power_iterations` steps of the power method. T. Miyato et al., "Spectral normalization for GANs", 2018,
    https://arxiv.org/abs/1802.05957.

    Args:
        module: the layer, which is changed and returned.
        name: the parameter, which becomes `name`_orig.
        n_power_iterations: steps at each forward.
        eps: the smallest length to divide a vector by.
        dim: the axis of the outputs; None means 1 for transposed convolutions, else 0.

    >>> fc = nn.utils.spectral_norm(nn.Linear(3, 2))
    >>> fc(minicnn.zeros(1, 3)).shape, list(fc.state_dict())
    (minicnn.Size([1, 2]), ['bias', 'weight_orig', 'weight_u', 'weight_v'])
    """
    hook = SpectralNorm(name, n_power_iterations, output_axis(module) if dim is None else dim, eps)
    weight = hook.prepare(module)
    with no_grad():
        rows, columns = as_matrix(weight, hook.dim).shape
        u, v = random_unit(rows, weight, eps), random_unit(columns, weight, eps)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)  # type: ignore[arg-type]
    setattr(module, name, weight.detach())
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    module._register_state_dict_hook(hook.note_version)
    module._register_load_state_dict_pre_hook(hook.read_old_state)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make the divided weight an ordinary parameter.

    >>> fc = nn.utils.remove_spectral_norm(nn.utils.spectral_norm(nn.Linear(3, 2)))
    >>> list(fc.state_dict())
    ['bias', 'weight']
    """
    return _remove(module, name, SpectralNorm)


def output_axis(module: Module) -> int:
    """Return the axis of the outputs in the weight."""
    return 1 if getattr(module, "transposed", False) else 0
