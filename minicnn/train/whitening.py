"""A first layer that is computed from images in place of being learnt: its outputs are uncorrelated.

Neighbouring pixels and the colours of a pixel are nearly equal, so that a random filter mostly measures brightness. The
eigenvectors of the patches' covariance are filters whose outputs are uncorrelated; divided by the square roots of the
eigenvalues, they have the same variance, and a fine edge counts as much as brightness.
"""

from __future__ import annotations

import numpy as np

from ..autograd.modes import no_grad
from ..nn import Conv2d, Module
from ..ops.tensor.creation import tensor
from ..tensor import Tensor


def whiten_first_layer(model: Module, images: Tensor, eps: float = 5e-4) -> Conv2d:
    """Set the filters of a net's first convolution so that they whiten the patches of some training images.

    The patches p of the filters' size have the covariance, the mean of p pᵀ = sum over i of λᵢ vᵢ vᵢᵀ. The filters are

        vᵢ / √(λᵢ + eps)    and    -vᵢ / √(λᵢ + eps)

    with the largest λ first, all of one sign and then all of the other: an activation such as ReLU keeps both sides.
    The bias becomes 0.

    Args:
        model: the net; its first convolution is changed in place. It is trained further unless it is frozen.
        images: (N, C, H, W), as the net sees them in the training, normalised; test images must not be among them.
        eps: added to the eigenvalues: directions that are nearly constant, which are noise, are not blown up.

    Returns:
        The convolution.

    Raises:
        ValueError: the net has no convolution, it has groups or dilation, it has too many filters or they are larger
            than the images, or eps is not above 0.

    K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, https://arxiv.org/abs/2404.00498, section 3.2.

    >>> net = minicnn.models.airbench94()
    >>> images = minicnn.rand(20, 3, 32, 32)
    >>> features = minicnn.train.whiten_first_layer(net, images)(images)
    >>> outputs = features.detach().permute(1, 0, 2, 3).flatten(1)[:12]  # of the filters with one sign
    >>> minicnn.allclose(outputs @ outputs.T / outputs.shape[1], minicnn.eye(12), atol=0.01)
    True
    """
    conv = next((layer for layer in model.modules() if isinstance(layer, Conv2d)), None)
    if conv is None:
        raise ValueError(f"whiten_first_layer: the {type(model).__name__} has no Conv2d; leave it out")
    filters, channels, rows, columns = conv.weight.shape
    values = channels * rows * columns
    if conv.groups != 1 or tuple(conv.dilation) != (1, 1):
        raise ValueError(
            f"whiten_first_layer: the first convolution has groups={conv.groups}, dilation={tuple(conv.dilation)}; "
            "only a convolution with 1 of each sees the patches that are whitened"
        )
    if filters > 2 * values:
        raise ValueError(
            f"whiten_first_layer: {filters} filters of {channels} x {rows} x {columns}, but only {2 * values} of them "
            f"whiten, two for each of its {values} values; give the layer at most so many"
        )
    if not isinstance(images, Tensor) or images.dim() != 4 or images.shape[1] != channels or not len(images):
        raise ValueError(
            f"whiten_first_layer: images should be a tensor (N, {channels}, H, W), got "
            f"{tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__}"
        )
    if images.shape[2] < rows or images.shape[3] < columns:
        raise ValueError(
            f"whiten_first_layer: images of {images.shape[2]} x {images.shape[3]} pixels have no patch of {rows} x "
            f"{columns}; give larger images"
        )
    if not eps > 0:
        raise ValueError(f"whiten_first_layer: eps must be above 0, got {eps!r}")
    with no_grad():
        conv.weight.copy_(tensor(_filters(images.numpy(force=True), conv.weight.shape, eps), dtype=conv.weight.dtype))
        if conv.bias is not None:
            conv.bias.zero_()
    return conv


def _filters(images: np.ndarray, shape: tuple[int, ...], eps: float) -> np.ndarray:
    """As many whitening filters as the shape (O, C, KH, KW) says, of the patches of images (N, C, H, W)."""
    filters, _, rows, columns = shape
    windows = np.lib.stride_tricks.sliding_window_view(images, (rows, columns), (2, 3))
    products, patches = 0.0, 0
    for window in windows:  # one image after the other: all patches together would be large
        patch = window.transpose(1, 2, 0, 3, 4).reshape(-1, int(np.prod(shape[1:]))).astype(np.float64)
        products, patches = products + patch.T @ patch, patches + len(patch)
    eigenvalues, vectors = np.linalg.eigh(products / patches)
    whitening = (vectors / np.sqrt(np.maximum(eigenvalues, 0) + eps)).T[::-1]  # the largest eigenvalue first
    chosen = whitening[: (filters + 1) // 2]
    return np.concatenate([chosen, -chosen])[:filters].reshape(shape)
