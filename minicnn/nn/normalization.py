"""Instance, group, layer, root-mean-square and local response normalisation layers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from minicnn_kernels.geometry import counted, listed, whole

from ..ops.normalization import cross_map_lrn, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from ..ops.tensor.arguments import ints
from ..tensor import Tensor
from .batchnorm import Affine, _NormBase
from .module import Module

__all__ = [
    "CrossMapLRN2d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LayerNorm",
    "LocalResponseNorm", "RMSNorm",
]  # fmt: skip


class _InstanceNorm(_NormBase):
    """The common part of instance normalisation layers; see `InstanceNorm2d`."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _get_no_batch_dim(self) -> int:
        """Return the number of axes of an input without a batch."""
        return self._axes[0]

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, ...), or (C, ...) -> (C, ...)."""
        self._check_input_dim(input)
        axis = input.ndim - self._get_no_batch_dim()  # 1, or 0 without a batch axis
        if input.shape[axis] != self.num_features:
            found = f"{counted(input.shape[axis], 'channel')} at dim={axis} of input {tuple(input.shape)}"
            if self.affine:
                raise ValueError(
                    f"{type(self).__name__}: expected input's size at dim={axis} to match num_features "
                    f"({self.num_features}), but got: {found}"
                )
            warnings.warn(
                f"{type(self).__name__}: num_features={self.num_features} does not match {found}; it is a "
                "number which is not used because affine=False",
                stacklevel=2,
            )
        x = input if axis else input.reshape(1, *input.shape)  # (C, ...) -> (1, C, ...)
        y = instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, self.momentum or 0.0, self.eps,
        )  # fmt: skip
        return y if axis else y.reshape(input.shape)  # (1, C, ...) -> (C, ...)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], *rest: Any, **options: Any
    ) -> None:
        """Load a state; one from before version 1 may have running statistics, which this layer may not have."""
        old = [name for name in ("running_mean", "running_var") if f"{prefix}{name}" in state_dict]
        if local_metadata.get("version") is None and not self.track_running_stats and old:
            errors: list[str] = options["error_msgs"] if "error_msgs" in options else rest[-1]
            errors.append(
                f"Unexpected running stats buffer(s) {' and '.join(map(repr, old))} for {type(self).__name__} with "
                "track_running_stats=False; remove these keys from the state_dict, or set track_running_stats=True."
            )
            for name in old:
                del state_dict[f"{prefix}{name}"]
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest, **options)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L); see `InstanceNorm2d`.

    >>> nn.InstanceNorm1d(2)(minicnn.tensor([[1.0, 3.0], [10.0, 30.0]]))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """

    _axes = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalise each channel of each image: y = gamma (x - mean)/sqrt(var + eps) + beta.

    Without running statistics, the default, those of the input are used in training and evaluation. With running
    statistics, these are used in evaluation. Shape: (N, C, H, W) or one image (C, H, W), unchanged. Parameters and
    buffers are as in batch normalisation. D. Ulyanov, A. Vedaldi and V. Lempitsky, 2016,
    https://arxiv.org/abs/1607.08022.

    Args:
        num_features: C; not used unless `affine` or `track_running_stats`.
        eps: added to the variance.
        momentum: the share of the newest batch in the running statistics.
        affine: whether there are a weight and, with `bias`, a bias.
        track_running_stats: whether running statistics are collected.
        device, dtype: of parameters and buffers.
        bias: False leaves out the bias, beta.

    Raises:
        ShapeError: the input has other axes, or only one pixel.
        ValueError: the input has another number of channels, if `affine`.

    >>> nn.InstanceNorm2d(1)(minicnn.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """

    _axes = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W); see `InstanceNorm2d`.

    >>> nn.InstanceNorm3d(4)(minicnn.zeros(2, 4, 3, 8, 8)).shape
    minicnn.Size([2, 4, 3, 8, 8])
    """

    _axes = (4, 5)


class GroupNorm(Affine):
    """Normalise the channels of each image in groups, then scale and shift: `nn.functional.group_norm`.

    Shape: (N, C, ...), unchanged. Parameters: `weight` and `bias`, (C,) each, if `affine`.
    Y. Wu and K. He, 2018, https://arxiv.org/abs/1803.08494.

    Args:
        num_groups: a divisor of `num_channels`.
        num_channels: C.
        eps: added to the variance.
        affine: whether there are a weight and, with `bias`, a bias.

    Raises:
        ValueError: num_groups does not divide num_channels.

    >>> norm = nn.GroupNorm(2, 4, affine=False)
    >>> norm(minicnn.tensor([[1.0, 3.0, 10.0, 30.0]]))  # two groups of two channels
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        num_groups = whole(num_groups, "GroupNorm", "num_groups")
        num_channels = whole(num_channels, "GroupNorm", "num_channels")
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._register((num_channels,), affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, ...)."""
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        bias = self.bias is not None
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={bias}"


def _axes(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of the last axes as a tuple; an int means one axis."""
    return ints("layer_norm", "normalized_shape", (listed(normalized_shape),))


class LayerNorm(Affine):
    """Normalise over the last axes, then scale and shift each value: `nn.functional.layer_norm`.

    Shape: (..., *normalized_shape), unchanged. Parameters: `weight` and `bias` of `normalized_shape`, if
    `elementwise_affine`. J. L. Ba, J. R. Kiros and G. E. Hinton, 2016, https://arxiv.org/abs/1607.06450.

    Args:
        normalized_shape: the sizes of the last axes of the input; an int for one axis.
        eps: added to the variance.
        elementwise_affine: whether there are a weight and, with `bias`, a bias.

    >>> nn.LayerNorm(2, elementwise_affine=False)(minicnn.tensor([[1.0, 3.0], [10.0, 30.0]]))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape, self.eps, self.elementwise_affine = _axes(normalized_shape), eps, elementwise_affine
        self._register(self.normalized_shape, elementwise_affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """(..., *normalized_shape), unchanged."""
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Affine):
    """Divide by the root of the mean square over the last axes, then scale each value: `nn.functional.rms_norm`.

    Shape: (..., *normalized_shape), unchanged. Parameter: `weight` of `normalized_shape`, if `elementwise_affine`.
    B. Zhang and R. Sennrich, 2019, https://arxiv.org/abs/1910.07467.

    Args:
        normalized_shape: the sizes of the last axes of the input; an int for one axis.
        eps: added to the mean square; None means the distance from 1 to the next number of the input's type.
        elementwise_affine: whether there is a weight.

    >>> nn.RMSNorm(2, elementwise_affine=False)(minicnn.tensor([[1.0, 7.0]]))  # the mean square is 25
    tensor([[0.2000, 1.4000]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape, self.eps, self.elementwise_affine = _axes(normalized_shape), eps, elementwise_affine
        self._register(self.normalized_shape, elementwise_affine, False, device, dtype)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """(..., *normalized_shape), unchanged."""
        return rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """Divide each value by a power of the mean square of its neighbour channels: `nn.functional.local_response_norm`.

    Shape: (N, C, ...), unchanged. A. Krizhevsky, I. Sutskever and G. E. Hinton, 2012, section 3.3.

    Args:
        size: the number of channels in a window.
        alpha, beta, k: y = x / (k + alpha/size * sum x^2)^beta; the paper does not divide alpha by size.

    >>> norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)  # as in AlexNet, whose alpha is 1e-4
    >>> norm(minicnn.zeros(1, 96, 55, 55)).shape
    minicnn.Size([1, 96, 55, 55])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, ...)."""
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """`LocalResponseNorm` as PyTorch keeps it for old models, with two differences.

        y[c] = x[c] / (k + alpha/size * s[c])^beta,      s[c] = sum of x[j]^2, j = c - r ... c + r, r = (size - 1)//2

    The window is symmetric, with an even size too. And as in PyTorch, whose results this layer reproduces, the first
    channel stays in the sum: s[c] contains x[0]^2 for every c. `LocalResponseNorm` is right for new nets.

    Shape: (N, C, H, W), unchanged.

    >>> x = minicnn.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)  # three channels of one pixel
    >>> nn.CrossMapLRN2d(3, alpha=3.0, beta=1.0, k=0.0)(x).flatten()  # 1/(1 + 4), 2/(1 + 4 + 9), 3/(1 + 4 + 9)
    tensor([0.2000, 0.1429, 0.2143])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return cross_map_lrn(input, whole(self.size, "CrossMapLRN2d", "size", 1), self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
