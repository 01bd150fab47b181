"""The blocks of transformers: attention and a small net for each place, with what is added around them.

A. Vaswani et al., "Attention is all you need", 2017, https://arxiv.org/abs/1706.03762.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops.activation import gelu, relu
from ..ops.tensor.creation import full
from ..ops.tensor.diagonal import triu
from ..tensor import Tensor
from . import init
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .multihead_attention import MultiheadAttention
from .normalization import LayerNorm

__all__ = ["Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
           "TransformerEncoderLayer"]  # fmt: skip

Activation = str | Callable[[Tensor], Tensor]


def _function(activation: Activation) -> Callable[[Tensor], Tensor]:
    """The function of a name."""
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return relu if activation == "relu" else gelu


def _causal(mask: Tensor | None, is_causal: bool | None) -> bool:
    """Whether a mask hides from each place the places after it."""
    if is_causal is not None or mask is None or mask.is_meta:
        return bool(is_causal)
    hidden = mask.array if mask.dtype == np.bool_ else mask.array == -math.inf
    size = mask.shape[-1]
    return mask.ndim == 2 and mask.shape[0] == size and bool((hidden == np.triu(hidden | True, 1)).all())


class _Layer(Module):
    """The common part of both layers: attention to itself, and a small net for each place.

    With `norm_first` each part is x + part(norm(x)), else norm(x + part(x)).
    """

    parts = 2  # attention to itself, and the net; each has a norm and a dropout

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        like = {"device": device, "dtype": dtype}
        attention = {"dropout": dropout, "batch_first": batch_first, "bias": bias, **like}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        if self.parts == 3:
            self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **like)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **like)
        self.norm_first = norm_first
        for i in range(1, self.parts + 1):
            self.add_module(f"norm{i}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **like))
        for i in range(1, self.parts + 1):
            self.add_module(f"dropout{i}", Dropout(dropout))
        self.activation = _function(activation)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("activation", relu)

    def _around(self, x: Tensor, number: int, part: Callable[[Tensor], Tensor]) -> Tensor:
        """Add a part to x, and normalise."""
        norm, dropout = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        y: Tensor = x + dropout(part(norm(x))) if self.norm_first else norm(x + dropout(part(x)))
        return y

    def _net(self, x: Tensor) -> Tensor:
        """The small net of each place."""
        y: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return y


class TransformerEncoderLayer(_Layer):
    """Attention of a sequence to itself, then a net of two linear layers for each place.

        x = norm1(x + attention(x)),   y = norm2(x + linear2(activation(linear1(x))))

    Shape: (S, N, E), or (N, S, E) with `batch_first`, or (S, E); unchanged.

    Args:
        d_model, nhead: E and the number of heads, which must divide E.
        dim_feedforward: the width of the net.
        dropout: in the attention, in the net, and of what is added.
        activation: "relu", "gelu" or a function.
        layer_norm_eps: of both norms.
        batch_first: (N, S, E) instead of (S, N, E).
        norm_first: normalise the input of each part, and not the sum.
        bias: whether linear layers and norms have a bias.
        device, dtype: of the parameters.

    >>> layer = nn.TransformerEncoderLayer(d_model=16, nhead=4, dim_feedforward=32, batch_first=True)
    >>> layer(minicnn.zeros(2, 10, 16)).shape
    minicnn.Size([2, 10, 16])
    """

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """(S, N, E) -> (S, N, E); the masks are those of `MultiheadAttention`."""
        x = self._around(src, 1, lambda x: self._sa_block(x, src_mask, src_key_padding_mask, is_causal))
        return self._around(x, 2, self._net)

    def _sa_block(
        self, x: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None, is_causal: bool = False
    ) -> Tensor:
        y: Tensor = self.self_attn(x, x, x, key_padding_mask, False, attn_mask, is_causal=is_causal)[0]
        return y


class TransformerDecoderLayer(_Layer):
    """Attention of a sequence to itself, attention to the `memory` of an encoder, then a net for each place.

    Shape: tgt (T, N, E), memory (S, N, E) -> (T, N, E); with `batch_first` the N comes first. The arguments are those
    of `TransformerEncoderLayer`.

    >>> layer = nn.TransformerDecoderLayer(d_model=16, nhead=4, dim_feedforward=32)
    >>> layer(minicnn.zeros(5, 2, 16), minicnn.zeros(10, 2, 16)).shape
    minicnn.Size([5, 2, 16])
    """

    parts = 3  # attention to itself, attention to the memory, the net

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """(T, N, E), (S, N, E) -> (T, N, E); the masks are those of `MultiheadAttention`."""

        def to_itself(x: Tensor) -> Tensor:
            y: Tensor = self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]
            return y

        def to_memory(x: Tensor) -> Tensor:
            masks = memory_key_padding_mask, False, memory_mask
            y: Tensor = self.multihead_attn(x, memory, memory, *masks, is_causal=memory_is_causal)[0]
            return y

        x = self._around(self._around(tgt, 1, to_itself), 2, to_memory)
        return self._around(x, 3, self._net)


def _copies(layer: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


class TransformerEncoder(Module):
    """Copies of an encoder layer, one after the other, and a norm.

    Args:
        encoder_layer: a `TransformerEncoderLayer`, which is copied with its parameters' values.
        num_layers: how many copies.
        norm: a layer for the result, or None.
        enable_nested_tensor, mask_check: without effect, as there are no nested tensors.

    >>> layer = nn.TransformerEncoderLayer(d_model=16, nhead=4, dim_feedforward=32)
    >>> nn.TransformerEncoder(layer, num_layers=2)(minicnn.zeros(10, 2, 16)).shape
    minicnn.Size([10, 2, 16])
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None, enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers, self.num_layers, self.norm = _copies(encoder_layer, num_layers), num_layers, norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:  # fmt: skip
        """(S, N, E) -> (S, N, E)."""
        y, causal = src, _causal(mask, is_causal)
        for layer in self.layers:
            y = layer(y, src_mask=mask, is_causal=causal, src_key_padding_mask=src_key_padding_mask)
        return y if self.norm is None else self.norm(y)


class TransformerDecoder(Module):
    """Copies of a decoder layer, one after the other, and a norm; the arguments are as in `TransformerEncoder`.

    >>> layer = nn.TransformerDecoderLayer(d_model=16, nhead=4, dim_feedforward=32)
    >>> nn.TransformerDecoder(layer, num_layers=2)(minicnn.zeros(5, 2, 16), minicnn.zeros(10, 2, 16)).shape
    minicnn.Size([5, 2, 16])
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers, self.num_layers, self.norm = _copies(decoder_layer, num_layers), num_layers, norm

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """(T, N, E), (S, N, E) -> (T, N, E)."""
        y, causal = tgt, _causal(tgt_mask, tgt_is_causal)
        for layer in self.layers:
            y = layer(
                y, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return y if self.norm is None else self.norm(y)


class Transformer(Module):
    """An encoder of a source sequence, and a decoder that makes the target sequence from it.

    Shape: src (S, N, E), tgt (T, N, E) -> (T, N, E); with `batch_first` the N comes first. Matrices are drawn by
    `init.xavier_uniform_`.

    Args:
        d_model, nhead: E and the number of heads, which must divide E.
        num_encoder_layers, num_decoder_layers: the numbers of layers.
        dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias: of the layers.
        custom_encoder, custom_decoder: modules instead.
        device, dtype: of the parameters.

    >>> net = nn.Transformer(16, nhead=4, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=32)
    >>> net(minicnn.zeros(10, 2, 16), minicnn.zeros(5, 2, 16)).shape
    minicnn.Size([5, 2, 16])
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = relu,
        custom_encoder: Module | None = None, custom_decoder: Module | None = None, layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        like = {"device": device, "dtype": dtype}
        layer: Any = (
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
        )
        norm: Any = {"eps": layer_norm_eps, "bias": bias, **like}
        self.encoder: Module = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*layer, **like), num_encoder_layers, LayerNorm(d_model, **norm)
        )
        self.decoder: Module = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*layer, **like), num_decoder_layers, LayerNorm(d_model, **norm)
        )
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """(S, N, E), (T, N, E) -> (T, N, E).

        Raises:
            RuntimeError: source and target differ in N or E.
        """
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError(f"the batch number of src and tgt must be equal, got {src.shape} and {tgt.shape}")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(
                f"the feature number of src and tgt must be equal to d_model {self.d_model}, got {src.shape} and "
                f"{tgt.shape}"
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        y: Tensor = self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip
        return y

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """The causal mask (sz, sz): -Inf above the diagonal, 0 elsewhere.

        >>> nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return triu(full((sz, sz), -math.inf, device=device, dtype=dtype), 1)
