"""Batch normalisation layers: S. Ioffe and C. Szegedy, 2015, https://arxiv.org/abs/1502.03167."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import numpy as np

from minicnn_kernels.arrays import on_gpu
from minicnn_kernels.geometry import ShapeError

from ..ops.batchnorm import batch_norm
from ..ops.tensor import creation
from ..ops.tensor.inplace import memory_to_write
from ..tensor import Tensor
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"]

N = TypeVar("N", bound="_NormBase")


class Affine(Module):
    """The common part of normalisation layers: a `weight` of ones and a `bias` of zeros, or neither, or no bias."""

    weight: Parameter | None
    bias: Parameter | None

    def _register(self, shape: tuple[int, ...], affine: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            values = creation.empty(shape, dtype=dtype, device=device) if wanted else None
            self.register_parameter(name, None if values is None else Parameter(values))

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _NormBase(Affine):
    """The base of layers with running statistics: batch and instance normalisation."""

    _version = 2  # the version of its state: 2 has num_batches_tracked
    _axes: tuple[int, ...] = ()  # the numbers of axes that the input may have
    _spread = "running_var"
    keeps_statistics = False  # whether it is frozen
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._register((num_features,), affine, bias, device, dtype)
        mean = creation.zeros(num_features, dtype=dtype, device=device) if track_running_stats else None
        var = creation.ones(num_features, dtype=dtype, device=device) if track_running_stats else None
        count = creation.zeros((), dtype=np.int64, device=device) if track_running_stats else None
        self.register_buffer("running_mean", mean)
        self.register_buffer(self._spread, var)
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Reset the running statistics: mean 0, variance 1, count of batches 0."""
        if self.track_running_stats:
            for name, value in (("running_mean", 0), (self._spread, 1), ("num_batches_tracked", 0)):
                buffer = getattr(self, name)
                if not buffer.is_meta:  # a meta tensor has no values, and nets are built there to be counted fast
                    buffer.fill_(value)

    def train(self: N, mode: bool = True) -> N:
        """As `Module.train`; but a layer that `minicnn.train.freeze` has frozen stays in evaluation mode."""
        return super().train(False if self.keeps_statistics else mode)

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0, and reset the running statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input_dim(self, input: Tensor) -> None:
        if not self._axes:
            raise NotImplementedError(f"{type(self).__name__}: the subclass must check the shape of its input")
        if input.ndim not in self._axes:
            wanted = " or ".join(f"{n}D" for n in self._axes)
            raise ShapeError(
                f"{type(self).__name__}: expected {wanted} input (got {input.ndim}D input), shape {tuple(input.shape)}"
            )

    def _count(self) -> float:
        """Count a batch of training, and return its share in the running statistics."""
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            count = self.num_batches_tracked
            plain = memory_to_write(count)
            if plain is not None:
                plain += 1
            elif on_gpu(count._array):
                count.add_(1)  # without waiting for the number
            elif not count.is_meta:
                count.fill_(count.item() + 1)
            if self.momentum is None and not count.is_meta:
                return float(1 / count.item())
        return 0.0 if self.momentum is None else self.momentum

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], *rest: Any, **options: Any
    ) -> None:
        """Load a state; one from before version 2 has no count of batches, and the count then stays as it is."""
        key = f"{prefix}num_batches_tracked"
        if (local_metadata.get("version") or 0) < 2 and self.track_running_stats and key not in state_dict:
            count = self.num_batches_tracked
            state_dict[key] = creation.tensor(0, device="cpu") if count is None or count.is_meta else count
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest, **options)


class _BatchNorm(_NormBase):
    """The common part of batch normalisation layers; see `BatchNorm2d`."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, ...)."""
        return self._run(batch_norm, input)

    def _run(self, function: Callable[..., Tensor], input: Tensor) -> Tensor:
        """Call `function`, which is `batch_norm` or a fusion with it, with this layer's arguments."""
        self._check_input_dim(input)
        share = self._count()
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        known = not self.training or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if known else (None, None)
        return function(input, mean, var, self.weight, self.bias, by_batch, share, self.eps)


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L); see `BatchNorm2d`.

    >>> nn.BatchNorm1d(2, affine=False)(minicnn.tensor([[1.0, 10.0], [3.0, 30.0]]))
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalise each channel over the batch, then scale and shift: y = gamma (x - mean)/sqrt(var + eps) + beta.

    In training, the mean and the (biased) variance of the batch are used, and running statistics are collected for
    evaluation, with the unbiased variance (`functional.batch_norm` shows how). Without running statistics, evaluation
    also uses those of the batch. Shape: (N, C, H, W), unchanged. Parameters: `weight` and `bias`, (C,) each, if
    `affine`; buffers: `running_mean`, `running_var` and `num_batches_tracked`, if `track_running_stats`.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: the share of the newest batch in the running statistics; None means the average of all batches.
        affine: whether there are a weight and, with `bias`, a bias.
        track_running_stats: whether running statistics are collected.
        device, dtype: of parameters and buffers.
        bias: False leaves out the bias, beta.

    Raises:
        ShapeError: the input has other axes or channels, or in training only one value per channel.

    S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", 2015, https://arxiv.org/abs/1502.03167.

    >>> norm = nn.BatchNorm2d(2)
    >>> y = norm(minicnn.arange(16.0).reshape(2, 2, 2, 2))
    >>> y.shape, bool(y.mean((0, 2, 3)).abs().max() < 1e-6)  # the mean of each channel is 0
    (minicnn.Size([2, 2, 2, 2]), True)
    >>> norm.running_mean  # a tenth of the way from 0 to the means 5.5 and 9.5
    tensor([0.5500, 0.9500])
    """

    _axes = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (N, C, D, H, W); see `BatchNorm2d`.

    >>> nn.BatchNorm3d(4)(minicnn.zeros(2, 4, 3, 8, 8)).shape
    minicnn.Size([2, 4, 3, 8, 8])
    """

    _axes = (5,)


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation over several processes: not supported; the name is there for `isinstance`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError("SyncBatchNorm: minicnn runs in one process; use BatchNorm1d, 2d or 3d")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> NoReturn:
        """Not supported."""
        raise NotImplementedError("convert_sync_batchnorm: minicnn runs in one process; leave the model as it is")
