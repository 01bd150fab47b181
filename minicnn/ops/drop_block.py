"""Leaving out whole residual branches, or blocks of images, at random, with torchvision's names."""

from __future__ import annotations

from ..tensor import Tensor
from .dropout import Dropout
from .pad import pad
from .pooling import check, max_pool2d
from .tensor.sampling import rand

__all__ = ["drop_block2d", "stochastic_depth"]


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """Zero each row of the batch with probability p in training, and scale the others by 1/(1 - p) to keep the mean.

    Args:
        input: a residual branch, (N, ...), before it is added to its shortcut.
        p: the probability of a zero.
        mode: "row", or "batch", in which all rows share one random decision.
        training: if false, return the input unchanged.

    Raises:
        ValueError: p is outside [0, 1], or the mode is unknown.

    G. Huang et al., "Deep networks with stochastic depth", 2016, https://arxiv.org/abs/1603.09382.

    >>> from minicnn.ops import stochastic_depth
    >>> y = stochastic_depth(minicnn.ones(100, 3), p=0.5, mode="row")
    >>> sorted(set(y.sum(1).tolist()))  # whole rows: 0, or 3/(1 - 0.5)
    [0.0, 6.0]
    """
    _probability("stochastic_depth", p)
    if mode not in ("batch", "row"):
        raise ValueError(f"stochastic_depth: mode has to be either 'batch' or 'row', but got {mode!r}")
    if not training or p == 0:
        return input
    check("stochastic_depth", input)
    found: Tensor = Dropout.apply(input, p=float(p), axes=int(mode == "row"), alpha=False)
    return found


def drop_block2d(
    input: Tensor, p: float, block_size: int, inplace: bool = False, eps: float = 1e-6, training: bool = True
) -> Tensor:
    """Zero squares of `block_size` pixels at random in training, and scale the rest so that the mean stays.

    At each of the (H - B + 1)(W - B + 1) positions inside the image, a square begins with probability

        gamma = p H W / (B^2 (H - B + 1)(W - B + 1))

    so that each pixel is zeroed with probability p, if we neglect that squares overlap.

    Args:
        input: (N, C, H, W); each channel has squares of its own.
        p: the fraction of pixels to be zeroed.
        block_size: B, odd.
        inplace: overwrite the input.
        eps: added to the number of kept pixels before the scale is divided by it.
        training: if false, return the input unchanged.

    Raises:
        ValueError: p is outside [0, 1], the input is not (N, C, H, W), or the block is even or larger than the image.

    G. Ghiasi et al., "DropBlock: a regularization method for convolutional networks", 2018,
    https://arxiv.org/abs/1810.12890.

    >>> from minicnn.ops import drop_block2d
    >>> y = drop_block2d(minicnn.ones(1, 1, 8, 8), p=0.3, block_size=3)
    >>> y.shape, round(y.mean().item(), 4)
    (minicnn.Size([1, 1, 8, 8]), 1.0)
    """
    _probability("drop_block2d", p)
    if not training or p == 0:
        return input
    check("drop_block2d", input)
    if input.ndim != 4:
        raise ValueError(f"drop_block2d: input must be (N, C, H, W), got shape {tuple(input.shape)}")
    n, c, h, w = input.shape
    free = h - block_size + 1, w - block_size + 1
    if block_size % 2 == 0 or min(free) < 1:
        raise ValueError(f"drop_block2d: block_size must be odd and within {h} x {w}, got {block_size}")
    gamma = p * h * w / (block_size**2 * free[0] * free[1])
    centres = (rand(n, c, *free, dtype=input.dtype, device=input.device) < gamma).to(input.dtype)
    half = block_size // 2
    keep = 1 - max_pool2d(pad(centres, [half] * 4), block_size, 1, half)  # (N, C, H, W)
    scale = keep.numel() / (eps + keep.sum())
    found: Tensor = input.mul_(keep).mul_(scale) if inplace else input * keep * scale
    return found


def _probability(op: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: drop probability has to be between 0 and 1, but got {p}")
