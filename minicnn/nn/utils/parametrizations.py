"""Orthogonal weights, weight and spectral normalisation as parametrisations: PyTorch's newer form.

`nn.utils.weight_norm` and `nn.utils.spectral_norm` are the older form, with other names in the state dict.
"""

from __future__ import annotations

from typing import Any, TypeVar

from ...autograd import no_grad
from ...compat.missing import answer as _answer
from ...tensor import Tensor
from ..module import Module
from .orthogonal import MAPS, _Orthogonal
from .parametrize import register_parametrization
from .reparametrization import as_matrix, check_iterations, norm_except, output_axis, random_unit, unit, with_norm

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


def orthogonal(
    module: M, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> M:
    """Keep a weight orthogonal: its columns, or its rows if there are fewer of them, are orthonormal.

    The equations are in `nn/utils/orthogonal.py`. A weight of more axes is a batch of matrices of its last two.

    Args:
        module: the layer, which is changed and returned.
        name: the parameter, which becomes `parametrizations.weight.original`.
        orthogonal_map: "matrix_exp", "cayley" or "householder"; None means "matrix_exp" for square matrices, else
            "householder".
        use_trivialization: start at the orthogonal factor of the weight, and allow the weight to be set. False needs
            less memory; then only "householder" allows it.

    Raises:
        ValueError: there is no such parameter, it is not a matrix, or the map is unknown.

    >>> fc = nn.utils.parametrizations.orthogonal(nn.Linear(5, 3))
    >>> bool(minicnn.dist(fc.weight @ fc.weight.T, minicnn.eye(3)) < 1e-5)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    return register_parametrization(
        module, name, _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization), unsafe=True
    )


class _WeightNorm(Module):
    """w = g v / |v| from (g, v)."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        """The weight."""
        return with_norm(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(g, v) of a weight."""
        return norm_except(weight, self.dim), weight


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Replace the weight by g v / |v|, and train the length g and the direction v: T. Salimans and D. Kingma, 2016.

    They are `parametrizations.weight.original0` and `original1`; state dicts of the older form can be loaded too.

    Args:
        module: the layer, which is changed and returned.
        name: the parameter.
        dim: the axis along which each slice has a length of its own; None means one length for the whole weight.

    >>> fc = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> [(name, tuple(p.shape)) for name, p in fc.named_parameters()]
    [('bias', (2,)), ('parametrizations.weight.original0', (2, 1)), ('parametrizations.weight.original1', (2, 3))]
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state: Any, prefix: str, *_: Any) -> None:
        old = [f"{prefix}{name}_{part}" for part in ("g", "v")]
        if all(key in state for key in old):
            for number, key in enumerate(old):
                state[f"{prefix}parametrizations.{name}.original{number}"] = state.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    """w / sigma(w), where power iteration finds sigma, the largest singular value; w / |w| for a vector."""

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        check_iterations(n_power_iterations)
        self.dim, self.eps = dim % weight.ndim, eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            with no_grad():
                matrix = as_matrix(weight, self.dim)
                for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                    self.register_buffer(name, random_unit(size, weight, eps))
            self._power_method(matrix, 15)

    @no_grad()
    def _power_method(self, matrix: Tensor, steps: int) -> None:
        for _ in range(steps):
            self._u.copy_(unit(matrix @ self._v, self.eps))
            self._v.copy_(unit(matrix.T @ self._u, self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the divided weight; in training, improve the singular vectors by power iteration first."""
        if weight.ndim == 1:
            return unit(weight, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # clones, because the next forward changes the vectors before the backward of this one
        return weight / (self._u.clone() * (matrix @ self._v.clone())).sum()

    def right_inverse(self, value: Tensor) -> Tensor:
        """Return the value itself: the forward divides it in any case."""
        return value


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Divide the weight, seen as a matrix, by its largest singular value: T. Miyato et al., 2018.

    Args:
        module: the layer, which is changed and returned.
        name: the parameter, which becomes `parametrizations.weight.original`.
        n_power_iterations: steps of the power method each time the weight is computed in training.
        eps: the smallest length to divide a vector by.
        dim: the axis of the outputs; None means 1 for transposed convolutions, else 0.

    >>> fc = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2), n_power_iterations=50).eval()
    >>> round(np.linalg.svd(fc.weight.detach().numpy())[1][0].item(), 2)  # the largest singular value
    1.0
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    axis = output_axis(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, axis, eps))


_answer(globals())
