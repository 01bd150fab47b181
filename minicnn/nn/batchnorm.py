"""Batch normalisation layers: S. Ioffe and C. Szegedy, 2015, https://arxiv.org/abs/1502.03167."""

from __future__ import annotations

import numpy as np

from minicnn_kernels.geometry import ShapeError

from ..ops.batchnorm import batch_norm
from ..tensor import Tensor
from .module import Module, Parameter


class BatchNorm2d(Module):
    """Normalise each channel over the batch and its pixels, then scale and shift: y = gamma (x - mean)/sqrt(var + eps)
    + beta.

    In training the batch's mean and (biased) variance are used, and running ones are kept for evaluation, the variance
    there unbiased. Shape: (N, C, H, W), unchanged. Parameters: `weight` and `bias`, (C,) each, if `affine`; buffers
    `running_mean`, `running_var`, `num_batches_tracked` if `track_running_stats`.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: the share of the newest batch in the running statistics; None for the plain average of all batches.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: object = None,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        ones, zeros = np.ones(num_features, dtype or np.float32), np.zeros(num_features, dtype or np.float32)  # type: ignore[call-overload]
        self.register_parameter("weight", Parameter(ones.copy()) if affine else None)
        self.register_parameter("bias", Parameter(zeros.copy()) if affine else None)
        self.register_buffer("running_mean", Tensor(zeros) if track_running_stats else None)
        self.register_buffer("running_var", Tensor(ones) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", Tensor(np.zeros((), np.int64)) if track_running_stats else None)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if input.ndim != 4:
            raise ShapeError(f"BatchNorm2d: expected (N, C, H, W), got shape {input.shape}")
        share = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.fill_(self.num_batches_tracked.item() + 1)
            share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        batch_statistics = self.training or not self.track_running_stats
        return batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, batch_statistics, share, self.eps
        )

    def extra_repr(self) -> str:
        """As PyTorch prints it."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )
