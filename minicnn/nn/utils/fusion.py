"""Folding a batch normalisation into the layer before it, for evaluation.

With s = bn.weight / sqrt(running_var + eps), a layer with the weight w s and the bias (b - running_mean) s + bn.bias
gives the same result as the layer and the normalisation after it.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from ...autograd import no_grad
from ...ops.tensor.creation import zeros
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

M = TypeVar("M", bound=Module)


def fuse_conv_bn_eval(conv: M, bn: Any, transpose: bool = False) -> M:
    """Return a convolution that gives the same result as `conv` followed by `bn`, both in evaluation mode.

    Args:
        conv: the convolution, which is copied.
        bn: a batch normalisation with running statistics.
        transpose: whether it is a transposed convolution.

    >>> conv, norm = nn.Conv2d(3, 8, 3).eval(), nn.BatchNorm2d(8).eval()
    >>> fused, x = nn.utils.fuse_conv_bn_eval(conv, norm), minicnn.randn(1, 3, 6, 6)
    >>> bool((fused(x) - norm(conv(x))).abs().max() < 1e-5)
    True
    """
    return _fused(conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear: M, bn: Any) -> M:
    """Return a linear layer that gives the same result as `linear` followed by `bn`, both in evaluation mode.

    >>> fc, norm = nn.Linear(4, 8).eval(), nn.BatchNorm1d(8).eval()
    >>> fused, x = nn.utils.fuse_linear_bn_eval(fc, norm), minicnn.randn(2, 4)
    >>> bool((fused(x) - norm(fc(x))).abs().max() < 1e-5)
    True
    """
    outputs: Any = linear.out_features
    if bn.num_features not in (1, outputs):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"linear.out_features={outputs} and bn.num_features={bn.num_features}"
        )
    return _fused(linear, bn, 0)


def _fused(layer: M, bn: Any, axis: int) -> M:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    fused: Any = copy.deepcopy(layer)
    fused.weight, fused.bias = _weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, axis
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Return weight and bias of the fused convolution, w s and (b - mean) s + beta with s = gamma/sqrt(var + eps).

    Args:
        conv_w, conv_b: w and b of the convolution; None for b is 0.
        bn_rm, bn_rv, bn_eps: mean, var and eps of the batch norm.
        bn_w, bn_b: gamma and beta; None is 1 and 0.
        transpose: whether it is a transposed convolution.

    >>> w, mean, var = minicnn.ones(1, 1, 1, 1), minicnn.tensor([2.0]), minicnn.tensor([4.0])
    >>> weight, bias = nn.utils.fuse_conv_bn_weights(w, None, mean, var, 0.0, None, None)
    >>> weight.item(), bias.item()  # (x - 2)/2
    (0.5, -1.0)
    """
    return _weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Return weight and bias of the fused linear layer; the equations are those of `fuse_conv_bn_weights`.

    >>> w, mean, var = minicnn.ones(1, 1), minicnn.tensor([2.0]), minicnn.tensor([4.0])
    >>> one, zero = minicnn.ones(1), minicnn.zeros(1)
    >>> weight, bias = nn.utils.fuse_linear_bn_weights(w, zero, mean, var, 0.0, one, zero)
    >>> weight.item(), bias.item()  # (x - 2)/2
    (0.5, -1.0)
    """
    return _weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


@no_grad()
def _weights(
    w: Tensor,
    b: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    scale: Tensor | None,
    shift: Tensor | None,
    axis: int,
) -> tuple[Parameter, Parameter]:
    """Fold; `axis` is the axis of the output channels."""
    factor = (var + eps).rsqrt() if scale is None else scale * (var + eps).rsqrt()
    across = [1] * w.ndim
    across[axis] = -1
    bias = ((zeros(mean.shape, dtype=mean.dtype, device=mean.device) if b is None else b) - mean) * factor
    bias = bias if shift is None else bias + shift
    return (
        Parameter((w * factor.reshape(across)).to(w.dtype), w.requires_grad),  # (O,) -> (O, 1, ..) or (1, O, ..)
        Parameter(bias.to(w.dtype if b is None else b.dtype), b is not None and b.requires_grad),
    )
