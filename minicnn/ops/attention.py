"""Attention: each query takes the mean of the values, weighted by how well it fits their keys.

    y = softmax(q k^T / sqrt(E) + mask) v        q (L, E), k (S, E), v (S, Ev) -> y (L, Ev)

A. Vaswani et al., "Attention is all you need", 2017, https://arxiv.org/abs/1706.03762.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from minicnn_kernels.geometry import ShapeError, real

from ..tensor import Tensor
from .dropout import dropout
from .linear import linear
from .pad import pad
from .softmax import softmax
from .tensor.arguments import check_tensor
from .tensor.clamp import where
from .tensor.concatenate import cat
from .tensor.creation import ones, zeros
from .tensor.diagonal import tril
from .tensor.types import to

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """For each query the mean of the values, weighted by the softmax of q k^T times the scale.

    Args:
        query, key, value: (..., L, E), (..., S, E) and (..., S, Ev), whose leading axes broadcast.
        attn_mask: broadcast to (..., L, S): of truth values, True where a key may be used; or numbers that are added
            before the softmax. A query that may use no key gets 0.
        dropout_p: the probability with which a weight is set to 0, in evaluation too.
        is_causal: query i may use the keys 0 ... i.
        scale: instead of 1/sqrt(E).
        enable_gqa: key and value have fewer heads, axis -3, each of which serves several heads of the query.

    Returns:
        (..., L, Ev).

    Raises:
        RuntimeError: the arguments do not fit together.

    >>> q, k = minicnn.tensor([[0.0, 1.0]]), minicnn.tensor([[5.0, 0.0], [-3.0, 0.0]])
    >>> F.scaled_dot_product_attention(q, k, minicnn.tensor([[2.0], [4.0]]))  # q fits both keys equally well
    tensor([[3.]])
    """
    op = "scaled_dot_product_attention"
    check_tensor(op, query=query, key=key, value=value)
    if not query.dtype == key.dtype == value.dtype or query.dtype.kind != "f":
        raise RuntimeError(
            f"{op}: Expected query, key, and value to have the same floating dtype, but got query.dtype: "
            f"{query.dtype} key.dtype: {key.dtype} and value.dtype: {value.dtype} instead."
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise ShapeError(
            f"{op}: Expected query, key, and value to all be at least 2 dimensional, got "
            f"{query.ndim}, {key.ndim} and {value.ndim}"
        )
    if attn_mask is not None and is_causal:
        raise RuntimeError(f"{op}: Explicit attn_mask should not be set when is_causal=True")
    if enable_gqa:
        key, value = _for_all_heads(op, query, key), _for_all_heads(op, query, value)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else real(scale, op, "scale")
    scores = (query * factor) @ key.transpose(-2, -1)  # (..., L, S)
    if is_causal:
        attn_mask = tril(ones(*scores.shape[-2:], dtype=np.bool_, device=query.device))
    if attn_mask is not None:
        weights = _masked_softmax(op, scores, attn_mask)
    else:
        weights = softmax(scores, -1)
    return dropout(weights, dropout_p) @ value if dropout_p else weights @ value


def _for_all_heads(op: str, query: Tensor, x: Tensor) -> Tensor:
    """Repeat the heads, axis -3, until there are as many as in the query."""
    if query.ndim < 3 or x.ndim < 3 or query.shape[-3] % x.shape[-3]:
        raise ShapeError(
            f"{op}: with enable_gqa the number of heads, axis -3, of key and value must divide that of the query, got "
            f"{tuple(query.shape)} and {tuple(x.shape)}"
        )
    return x.repeat_interleave(query.shape[-3] // x.shape[-3], -3)


def _masked_softmax(op: str, scores: Tensor, mask: Tensor) -> Tensor:
    """The softmax of what the mask leaves; 0 where it leaves nothing."""
    if mask.dtype == np.bool_:
        scores = where(mask, scores, -math.inf)
    elif mask.dtype.kind == "f":
        scores = scores + to(mask, scores.dtype)
    else:
        raise RuntimeError(
            f"{op}: Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{mask.dtype} and query.dtype: {scores.dtype} instead."
        )
    if not scores.shape[-1]:
        return softmax(scores, -1)
    nothing = scores.detach().amax(-1, keepdim=True) == -math.inf
    return softmax(scores.masked_fill(nothing, 0.0), -1).masked_fill(nothing, 0.0)


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None,
    add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor, out_proj_bias: Tensor | None,
    training: bool = True, key_padding_mask: Tensor | None = None, need_weights: bool = True,
    attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None, static_k: Tensor | None = None,
    static_v: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attention in H subspaces side by side: what `nn.MultiheadAttention` computes with its parameters.

        head h = attention(q wq[h]^T, k wk[h]^T, v wv[h]^T)         y = [head 1 ... head H] wo^T + bo

    Args:
        query, key, value: (L, N, E), (S, N, Ek) and (S, N, Ev); or without the N.
        embed_dim_to_check, num_heads: E and H, which must divide E.
        in_proj_weight, in_proj_bias: wq, wk and wv below each other, (3E, E), and their bias (3E,).
        use_separate_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight: the three matrices instead.
        bias_k, bias_v: (1, 1, E): a key and a value that are added to each sequence.
        add_zero_attn: add a key and a value of zeros.
        dropout_p, training: drop weights in training.
        out_proj_weight, out_proj_bias: wo (E, E) and bo.
        key_padding_mask: (N, S): True for keys that nobody may use; or numbers that are added.
        attn_mask: (L, S) or (N*H, L, S): True where a query may not use a key; or numbers that are added.
        need_weights, average_attn_weights: also return the weights, (N, L, S), the mean over the heads, or
            (N, H, L, S).
        static_k, static_v: (N*H, S, E/H), instead of the projected key and value.
        is_causal: a hint that `attn_mask` is the causal mask.

    Returns:
        y (L, N, E), and the weights or None.

    Raises:
        AssertionError, RuntimeError: shapes or types that do not fit together.

    >>> x, eye = minicnn.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]), minicnn.eye(2)  # L = 2, N = 1, E = 2
    >>> w, b = minicnn.cat([eye * 0, eye * 0, eye]), minicnn.zeros(6)  # all keys fit equally well
    >>> y, weights = F.multi_head_attention_forward(x, x, x, 2, 1, w, b, None, None, False, 0.0, eye, None)
    >>> y[0], weights[0]
    (tensor([[2., 3.]]), tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]]))
    """
    heads, batched = num_heads, _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = (x.unsqueeze(1) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, n, e = query.shape
    _check_sizes(query, key, value, embed_dim_to_check, heads, use_separate_proj_weight)
    if is_causal and attn_mask is None:
        raise RuntimeError("multi_head_attention_forward: Need attn_mask if specifying the is_causal hint.")
    pads, mask = _additive_masks(key_padding_mask, attn_mask, query.dtype)
    if use_separate_proj_weight:
        parts = {"q_proj_weight": q_proj_weight, "k_proj_weight": k_proj_weight, "v_proj_weight": v_proj_weight}
        for name, w in parts.items():
            assert w is not None, f"use_separate_proj_weight is True but {name} is None"
        weights: Any = list(parts.values())
    else:
        assert in_proj_weight is not None, "use_separate_proj_weight is False but in_proj_weight is None"
        weights = in_proj_weight.chunk(3)
    biases: Any = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    q, k, v = [linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]
    mask = _checked_mask(mask, n, heads, length, key.shape[0])
    more = 0  # the keys that are added
    if bias_k is not None and bias_v is not None:
        assert static_k is None, "bias cannot be added to static key."
        assert static_v is None, "bias cannot be added to static value."
        k, v, more = cat([k, bias_k.repeat(1, n, 1)]), cat([v, bias_v.repeat(1, n, 1)]), 1
    else:
        assert bias_k is None and bias_v is None, "bias_k and bias_v must be given together"
    q = _heads(q, heads)
    k = _heads(k, heads) if static_k is None else _static("static_k", static_k, n * heads, e // heads)
    v = _heads(v, heads) if static_v is None else _static("static_v", static_v, n * heads, e // heads)
    if add_zero_attn:
        nothing = zeros(n * heads, 1, e // heads, dtype=k.dtype, device=k.device)
        k, v, more = cat([k, nothing], 1), cat([v, nothing], 1), more + 1
    if more:
        mask, pads = (None if x is None else pad(x, (0, more)) for x in (mask, pads))
    if pads is not None:
        assert tuple(pads.shape) == (n, k.shape[1]), (
            f"expecting key_padding_mask shape of {(n, k.shape[1])}, but got {tuple(pads.shape)}"
        )
        pads = pads.reshape(n, 1, 1, -1).expand(-1, heads, -1, -1).reshape(n * heads, 1, -1)
        mask = pads if mask is None else mask + pads
    y, seen = _attend(q, k, v, mask, dropout_p if training else 0.0, need_weights)
    y = linear(y.transpose(0, 1).reshape(length, n, e), out_proj_weight, out_proj_bias)  # (L, N*H, E/H) -> (L, N, E)
    if seen is not None:
        seen = seen.reshape(n, heads, length, -1)
        seen = seen.mean(1) if average_attn_weights else seen
        seen = seen if batched else seen.squeeze(0)
    return (y if batched else y.squeeze(1)), seen


def _heads(x: Tensor, heads: int) -> Tensor:
    """(S, N, E) -> (N*H, S, E/H)."""
    size, n, e = x.shape
    return x.reshape(size, n * heads, e // heads).transpose(0, 1)


def _static(name: str, x: Tensor, count: int, width: int) -> Tensor:
    assert x.shape[0] == count, f"expecting {name}.size(0) of {count}, but got {x.shape[0]}"
    assert x.shape[2] == width, f"expecting {name}.size(2) of {width}, but got {x.shape[2]}"
    return x


def _attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, need_weights: bool
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attention of (N*H, L, E/H); with weights, a query that may use no key gets NaN, as in PyTorch."""
    if not need_weights:
        return scaled_dot_product_attention(q, k, v, mask, dropout_p), None
    scores = (q * math.sqrt(1.0 / q.shape[-1])) @ k.transpose(-2, -1)
    weights = softmax(scores if mask is None else scores + mask, -1)
    weights = dropout(weights, dropout_p) if dropout_p else weights
    return weights @ v, weights


def _additive_masks(pads: Tensor | None, mask: Tensor | None, dtype: Any) -> tuple[Tensor | None, Tensor | None]:
    """Masks of truth values, True where a key may not be used, as numbers that are added."""
    if pads is not None and mask is not None and pads.dtype != mask.dtype:
        warnings.warn(
            "Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type for both instead.",
            stacklevel=4,
        )
    return additive_mask("key_padding_mask", pads, dtype), additive_mask("attn_mask", mask, dtype)


def additive_mask(name: str, mask: Tensor | None, dtype: Any) -> Tensor | None:
    """A mask of truth values, True where a key may not be used, as 0 and -Inf; one of numbers as it is."""
    if mask is None or mask.dtype.kind == "f":
        return mask
    if mask.dtype != np.bool_:
        raise AssertionError(f"only bool and floating types of {name} are supported, got {mask.dtype}")
    return zeros(*mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, -math.inf)


def _checked_mask(mask: Tensor | None, n: int, heads: int, length: int, size: int) -> Tensor | None:
    """The mask of queries and keys, (1, L, S) or (N*H, L, S)."""
    if mask is None:
        return None
    if mask.ndim not in (2, 3):
        raise RuntimeError(f"attn_mask's dimension {mask.ndim} is not supported")
    wanted = (length, size) if mask.ndim == 2 else (n * heads, length, size)
    if tuple(mask.shape) != wanted:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {tuple(mask.shape)}, but should be {wanted}.")
    return mask.unsqueeze(0) if mask.ndim == 2 else mask


def _check_sizes(query: Tensor, key: Tensor, value: Tensor, expected: int, heads: int, separate: bool) -> None:
    """Check the embedding dimension, and that key and value belong together."""
    e = query.shape[2]
    assert e == expected, f"was expecting embedding dimension of {expected}, but got {e}"
    assert e % heads == 0, f"embed_dim {e} not divisible by num_heads {heads}"
    k, v = tuple(key.shape), tuple(value.shape)
    if separate:
        assert k[:2] == v[:2], f"key's sequence and batch dims {k[:2]} do not match value's {v[:2]}"
    else:
        assert k == v, f"key shape {k} does not match value shape {v}"


def _check_shapes(
    query: Tensor, key: Tensor, value: Tensor, pads: Tensor | None, mask: Tensor | None, heads: int
) -> bool:  # fmt: skip
    """Check the numbers of axes; return whether the inputs are a batch."""
    check_tensor("multi_head_attention_forward", query=query, key=key, value=value)
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
        )
    batched = query.ndim == 3
    kind = "batched (3-D)" if batched else "unbatched (2-D)"
    assert key.ndim == value.ndim == query.ndim, (
        f"For {kind} `query`, expected `key` and `value` to be {query.ndim}-D but found {key.ndim}-D and "
        f"{value.ndim}-D tensors respectively"
    )
    assert pads is None or pads.ndim == query.ndim - 1, (
        f"For {kind} `query`, expected `key_padding_mask` to be `None` or {query.ndim - 1}-D but found "
        f"{pads.ndim if pads is not None else 0}-D tensor instead"
    )
    assert mask is None or mask.ndim in (2, 3), (
        f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
        f"{mask.ndim if mask is not None else 0}-D tensor instead"
    )
    if not batched and mask is not None and mask.ndim == 3:
        wanted = heads, query.shape[0], key.shape[0]
        assert tuple(mask.shape) == wanted, f"Expected `attn_mask` shape to be {wanted} but got {tuple(mask.shape)}"
    return batched
