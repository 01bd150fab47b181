"""Batch renormalisation layers: S. Ioffe, 2017, https://arxiv.org/abs/1702.03275. Not in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops.batchnorm import batch_renorm
from ..tensor import Tensor
from .batchnorm import _NormBase

__all__ = ["BatchRenorm1d", "BatchRenorm2d", "BatchRenorm3d"]


class Ramp:
    """A value that is `first` up to batch `begin`, then rises linearly, and is `last` from batch `end` on."""

    def __init__(self, first: float, last: float, begin: int, end: int) -> None:
        self.first, self.last, self.begin, self.end = first, last, begin, end

    def __repr__(self) -> str:
        return f"Ramp(first={self.first}, last={self.last}, begin={self.begin}, end={self.end})"

    def __call__(self, batch: int) -> float:
        """Return the value at a batch, counted from 0."""
        share = (batch - self.begin) / max(1, self.end - self.begin)
        return self.first + (self.last - self.first) * min(max(share, 0.0), 1.0)


R_MAX, D_MAX = Ramp(1.0, 3.0, 5_000, 40_000), Ramp(0.0, 5.0, 5_000, 25_000)  # the schedule of the paper


class _BatchRenorm(_NormBase):
    """The common part of batch renormalisation layers; see `BatchRenorm2d`."""

    _spread = "running_std"
    running_std: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.01,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
        r_max: float | Callable[[int], float] = R_MAX,
        d_max: float | Callable[[int], float] = D_MAX,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, True, device, dtype, bias=bias)
        self.r_max, self.d_max = r_max, d_max

    def limits(self) -> tuple[float, float]:
        """Return r_max and d_max for the next batch."""
        if not callable(self.r_max) and not callable(self.d_max):
            return self.r_max, self.d_max
        count = self.num_batches_tracked
        batch = 0 if count is None or count.is_meta else int(count.item())  # on a GPU, the program waits for it
        r_max, d_max = (limit(batch) if callable(limit) else limit for limit in (self.r_max, self.d_max))
        return r_max, d_max

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, ...)."""
        self._check_input_dim(input)
        limits = self.limits()
        share = self._count()
        assert self.running_mean is not None
        return batch_renorm(
            input, self.running_mean, self.running_std, self.weight, self.bias, self.training, share, self.eps, *limits
        )

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"r_max={self.r_max}, d_max={self.d_max}"
        )


class BatchRenorm1d(_BatchRenorm):
    """Batch renormalisation of (N, C) or (N, C, L); see `BatchRenorm2d`.

    >>> nn.BatchRenorm1d(4)(minicnn.randn(8, 4)).shape
    minicnn.Size([8, 4])
    """

    _axes = (2, 3)


class BatchRenorm2d(_BatchRenorm):
    """Batch normalisation whose training result agrees with evaluation: `nn.functional.batch_renorm`.

    The factors r and d correct the statistics of the batch towards the running statistics, so that small batches, and
    batches of similar examples, do no harm. Training begins as plain batch normalisation; then the limits of r and d
    are raised. Shape: (N, C, H, W), unchanged. Parameters: `weight` and `bias`, (C,) each, if `affine`; buffers:
    `running_mean`, `running_std` and `num_batches_tracked`.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: the share of the newest batch in the running statistics; None means the average of all batches.
        affine: whether there are a weight and, with `bias`, a bias.
        device, dtype: of parameters and buffers.
        bias: False leaves out the bias.
        r_max, d_max: the limits, as numbers or as functions of the count of batches. The default is the schedule of
            the paper: 1 and 0 for 5,000 batches, then rising to 3 at batch 40,000 and to 5 at batch 25,000.

    S. Ioffe, "Batch renormalization: towards reducing minibatch dependence in batch-normalized models", 2017,
    https://arxiv.org/abs/1702.03275.

    >>> norm = nn.BatchRenorm2d(4)
    >>> norm.limits()  # r_max and d_max at first: as batch normalisation
    (1.0, 0.0)
    >>> norm(minicnn.randn(8, 4, 6, 6)).shape
    minicnn.Size([8, 4, 6, 6])
    """

    _axes = (4,)


class BatchRenorm3d(_BatchRenorm):
    """Batch renormalisation of (N, C, D, H, W); see `BatchRenorm2d`.

    >>> nn.BatchRenorm3d(4)(minicnn.randn(2, 4, 3, 8, 8)).shape
    minicnn.Size([2, 4, 3, 8, 8])
    """

    _axes = (5,)
