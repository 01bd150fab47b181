"""Moving channels into pixels, pixels into channels, and channels between groups, by reshapes and transposes."""

from __future__ import annotations

from minicnn_kernels.geometry import ShapeError, whole

from ..autograd.nodes import shown_as
from ..tensor import Tensor

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Turn every r*r channels into r x r pixels: (..., C*r*r, H, W) -> (..., C, H*r, W*r).

        y[c, h*r + a, w*r + b] = x[c*r*r + a*r + b, h, w]

    W. Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
    network", 2016, https://arxiv.org/abs/1609.05158.

    Raises:
        ShapeError: there are fewer than 3 axes, or the channels are not a multiple of r*r.

    >>> F.pixel_shuffle(minicnn.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    r = whole(upscale_factor, "pixel_shuffle", "upscale_factor")
    if input.ndim < 3 or r < 1 or input.shape[-3] % (r * r):
        raise ShapeError(
            f"pixel_shuffle: input must be (..., C*{r}*{r}, H, W) for upscale_factor {r}, which must be at least 1, "
            f"got {tuple(input.shape)}"
        )
    *batch, c, h, w = input.shape
    n, c = len(batch), c // (r * r)
    cells = input.reshape(*batch, c, r, r, h, w)  # (..., C*r*r, H, W) -> (..., C, r, r, H, W)
    cells = cells.permute(*range(n + 1), n + 3, n + 1, n + 4, n + 2)  # -> (..., C, H, r, W, r)
    return shown_as(cells.reshape(*batch, c, h * r, w * r), "PixelShuffleBackward0")


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Turn every r x r pixels into r*r channels, (..., C, H*r, W*r) -> (..., C*r*r, H, W): undoes `pixel_shuffle`.

    Raises:
        ShapeError: there are fewer than 3 axes, or a side is not a multiple of r.

    >>> F.pixel_unshuffle(minicnn.arange(4.0).reshape(1, 2, 2), 2).shape
    minicnn.Size([4, 1, 1])
    """
    r = whole(downscale_factor, "pixel_unshuffle", "downscale_factor")
    if input.ndim < 3 or r < 1 or input.shape[-1] % r or input.shape[-2] % r:
        raise ShapeError(
            f"pixel_unshuffle: input must be (..., C, H*{r}, W*{r}) for downscale_factor {r}, which must be at least "
            f"1, got {tuple(input.shape)}"
        )
    *batch, c, h, w = input.shape
    n, h, w = len(batch), h // r, w // r
    cells = input.reshape(*batch, c, h, r, w, r)  # (..., C, H*r, W*r) -> (..., C, H, r, W, r)
    cells = cells.permute(*range(n + 1), n + 2, n + 4, n + 1, n + 3)  # -> (..., C, r, r, H, W)
    return shown_as(cells.reshape(*batch, c * r * r, h, w), "PixelUnshuffleBackward0")


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Take the channels of the `groups` groups in turn: (N, C, ...), channel g*C/G + c goes to c*G + g.

    Between two grouped convolutions it lets each group see the channels of all groups. X. Zhang et al., "ShuffleNet:
    an extremely efficient convolutional neural network for mobile devices", 2017, https://arxiv.org/abs/1707.01083.

    Raises:
        ShapeError: there are fewer than 3 axes, or the channels are not a multiple of the groups.

    >>> F.channel_shuffle(minicnn.arange(6.0).reshape(1, 6, 1), 2).flatten()
    tensor([0., 3., 1., 4., 2., 5.])
    """
    groups = whole(groups, "channel_shuffle", "groups")
    if input.ndim < 3 or groups < 1 or input.shape[1] % groups:
        raise ShapeError(
            f"channel_shuffle: input must be (N, C, ...) with C a multiple of groups={groups}, which must be at least "
            f"1, got {tuple(input.shape)}"
        )
    n, c, *rest = input.shape
    y = input.reshape(n, groups, c // groups, *rest).transpose(1, 2).reshape(n, c, *rest)  # swap the G and C/G axes
    return shown_as(y, "ChannelShuffleBackward0")
