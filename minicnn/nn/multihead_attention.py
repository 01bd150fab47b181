"""Multi-head attention as a layer."""

from __future__ import annotations

from typing import Any

from minicnn_kernels.geometry import whole

from ..ops.attention import multi_head_attention_forward
from ..ops.tensor.creation import empty
from ..tensor import Tensor
from . import init
from .linear import NonDynamicallyQuantizableLinear
from .module import Module
from .parameter import Parameter

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention in H subspaces side by side; the equation is that of `functional.multi_head_attention_forward`.

    Shape: query (L, N, E), key (S, N, kdim), value (S, N, vdim) -> y (L, N, E) and the weights (N, L, S); with
    `batch_first` the N comes first; also without the N.

    Parameters: `in_proj_weight` (3E, E), or `q_proj_weight` (E, E), `k_proj_weight` (E, kdim) and `v_proj_weight`
    (E, vdim) if the sizes differ; `in_proj_bias` (3E,); `out_proj`, a linear layer; `bias_k` and `bias_v` (1, 1, E).
    Matrices are drawn by `init.xavier_uniform_`, biases are 0.

    Args:
        embed_dim, num_heads: E and H, which must divide E.
        dropout: the probability with which a weight is dropped in training.
        bias: whether the projections have a bias.
        add_bias_kv: add a learned key and value to each sequence.
        add_zero_attn: add a key and a value of zeros.
        kdim, vdim: the sizes of key and value; E if None.
        batch_first: (N, L, E) instead of (L, N, E).
        device, dtype: of the parameters.

    Raises:
        ValueError: embed_dim or num_heads is not positive.
        AssertionError: num_heads does not divide embed_dim.

    >>> attention = nn.MultiheadAttention(8, num_heads=2, batch_first=True)
    >>> x = minicnn.zeros(4, 10, 8)
    >>> y, weights = attention(x, x, x)
    >>> y.shape, weights.shape
    (minicnn.Size([4, 10, 8]), minicnn.Size([4, 10, 10]))
    """

    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed_dim = whole(embed_dim, "MultiheadAttention", "embed_dim")
        self.num_heads = whole(num_heads, "MultiheadAttention", "num_heads")
        if self.embed_dim <= 0 or self.num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                "instead"
            )
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}")
        like = {"device": device, "dtype": dtype}
        together = {"in_proj_weight": (3 * embed_dim, embed_dim)}
        apart = {
            f"{part}_proj_weight": (embed_dim, size)
            for part, size in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim))
        }
        used, unused = (together, apart) if self._qkv_same_embed_dim else (apart, together)
        for name, shape in used.items():
            self.register_parameter(name, Parameter(empty(shape, **like)))
        for name in unused:
            self.register_parameter(name, None)
        self.register_parameter("in_proj_bias", Parameter(empty(3 * embed_dim, **like)) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **like)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, Parameter(empty((1, 1, embed_dim), **like)) if add_bias_kv else None)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
        if self.out_proj.bias is not None:
            init.constant_(self.out_proj.bias, 0.0)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Return y, and the weights or None; the arguments are those of `functional.multi_head_attention_forward`."""
        turned = self.batch_first and query.ndim == 3
        q, k, v = (x.transpose(1, 0) if turned and x.ndim == 3 else x for x in (query, key, value))
        y, weights = multi_head_attention_forward(
            q, k, v, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k, self.bias_v,
            self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training,
            key_padding_mask, need_weights, attn_mask, not self._qkv_same_embed_dim, self.q_proj_weight,
            self.k_proj_weight, self.v_proj_weight, average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return y.transpose(1, 0) if turned else y, weights
