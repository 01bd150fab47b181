"""Attention: masks, heads and shapes; transformers without dropout are functions of their parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.nn import functional as F


def draw(*shape: int, seed: int = 0) -> minicnn.Tensor:
    return minicnn.tensor(np.random.default_rng(seed).standard_normal(shape))


Q, K, V = draw(2, 3, 4), draw(2, 5, 4, seed=1), draw(2, 5, 6, seed=2)


def test_the_definition() -> None:
    scores = np.einsum("nle,nse->nls", Q.numpy(), K.numpy()) / 2
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    found = F.scaled_dot_product_attention(Q, K, V)
    np.testing.assert_allclose(found.numpy(), weights @ V.numpy(), rtol=1e-12)


def test_masks_of_truth_values_and_of_numbers() -> None:
    allowed = minicnn.tensor([[True, False, True, True, False]])
    added = minicnn.zeros(1, 5, dtype=minicnn.float64).masked_fill(~allowed, -math.inf)
    expected = F.scaled_dot_product_attention(Q, K[:, [0, 2, 3]], V[:, [0, 2, 3]])
    minicnn.testing.assert_close(F.scaled_dot_product_attention(Q, K, V, allowed), expected)
    minicnn.testing.assert_close(F.scaled_dot_product_attention(Q, K, V, added), expected)
    causal = F.scaled_dot_product_attention(Q, K, V, is_causal=True)
    minicnn.testing.assert_close(causal[:, 0], V[:, 0])
    triangle = minicnn.ones(3, 5, dtype=minicnn.bool).tril()
    minicnn.testing.assert_close(causal, F.scaled_dot_product_attention(Q, K, V, triangle))


def test_a_query_without_keys_gets_zero_and_no_gradient_is_nan() -> None:
    q = Q.clone().requires_grad_()
    y = F.scaled_dot_product_attention(q, K, V, minicnn.zeros(3, 5, dtype=minicnn.bool))
    assert y.abs().sum().item() == 0
    y.sum().backward()
    assert q.grad.abs().sum().item() == 0


def test_dropout_of_weights() -> None:
    minicnn.manual_seed(0)
    assert F.scaled_dot_product_attention(Q, K, V, dropout_p=1.0).abs().sum().item() == 0
    mean = sum(F.scaled_dot_product_attention(Q, K, V, dropout_p=0.3) for _ in range(500)) / 500
    minicnn.testing.assert_close(mean, F.scaled_dot_product_attention(Q, K, V), atol=0.12, rtol=0)


def test_heads_that_share_keys() -> None:
    q, k, v = draw(2, 6, 3, 4), draw(2, 2, 5, 4, seed=1), draw(2, 2, 5, 4, seed=2)
    y = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    for head in range(6):
        one = F.scaled_dot_product_attention(q[:, head], k[:, head // 3], v[:, head // 3])
        minicnn.testing.assert_close(y[:, head], one)
    with pytest.raises(RuntimeError, match="the number of heads, axis -3, of key and value must divide"):
        F.scaled_dot_product_attention(q, k[:, :1].expand(2, 4, 5, 4), v, enable_gqa=True)


def test_one_head_is_attention_of_the_projections() -> None:
    layer = nn.MultiheadAttention(4, 1, batch_first=True, dtype=minicnn.float64)
    q, k, v = (F.linear(x, w) for x, w in zip((Q, K, K), layer.in_proj_weight.chunk(3), strict=True))
    expected = layer.out_proj(F.scaled_dot_product_attention(q, k, v))
    for need in (True, False):
        y, weights = layer(Q, K, K, need_weights=need)
        minicnn.testing.assert_close(y, expected)
        assert (weights is None) != need
    assert layer(Q, K, K)[1].sum(-1).sub(1).abs().max().item() < 1e-12


@pytest.mark.parametrize("options", [{}, {"kdim": 3, "vdim": 6}, {"add_bias_kv": True}, {"add_zero_attn": True}])
def test_shapes_agree(options: dict[str, Any]) -> None:
    """Sequences first, batches first and without a batch give the same; so do masks and shorter sequences."""
    layer = nn.MultiheadAttention(4, 2, **options, dtype=minicnn.float64)
    q, k, v = draw(3, 2, 4), draw(5, 2, layer.kdim, seed=1), draw(5, 2, layer.vdim, seed=2)
    if layer.kdim == 4:
        v = k
    pads = minicnn.tensor([[False] * 5, [False, False, False, True, True]])
    y, weights = layer(q, k, v, key_padding_mask=pads, average_attn_weights=False)
    assert weights.shape[:3] == (2, 2, 3)
    for i, size in ((0, 5), (1, 3)):
        one, seen = layer(q[:, i], k[:size, i], v[:size, i])
        minicnn.testing.assert_close(one, y[:, i])
        assert seen.ndim == 2
    layer.batch_first = True
    turned, _ = layer(*(x.transpose(0, 1) for x in (q, k, v)), key_padding_mask=pads, need_weights=False)
    minicnn.testing.assert_close(turned.transpose(0, 1), y)


def test_start_values() -> None:
    minicnn.manual_seed(0)
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    bound = math.sqrt(6 / (64 + 3 * 64))
    assert 0.95 * bound < np.abs(layer.in_proj_weight.array).max() <= bound
    assert not layer.in_proj_bias.array.any() and not layer.out_proj.bias.array.any() and layer.bias_k.array.any()
    assert nn.MultiheadAttention(4, 2, bias=False).in_proj_bias is None


def test_on_meta_and_in_evaluation() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, device="meta")
    assert layer(minicnn.zeros(5, 3, 8, device="meta")).shape == (5, 3, 8)
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    x = minicnn.randn(5, 3, 8)
    assert not np.array_equal(layer(x).detach().numpy(), layer(x).detach().numpy())
    layer.eval()
    assert np.array_equal(layer(x).detach().numpy(), layer(x).detach().numpy())


def test_the_encoder_is_its_layers_one_after_the_other() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, norm_first=True, activation="gelu")
    net = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(8))
    x = minicnn.randn(5, 3, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    first, second = net.layers
    minicnn.testing.assert_close(net(x, mask), net.norm(second(first(x, mask), mask)))
    minicnn.testing.assert_close(net(x[:2], mask[:2, :2]), net(x, mask)[:2], atol=1e-5, rtol=1e-5)
    assert first.linear1.weight is not second.linear1.weight


def test_a_layer_is_told_whether_the_mask_is_causal() -> None:
    told = []

    class Layer(nn.Module):
        def forward(self, x: Any, src_mask: Any, is_causal: bool, src_key_padding_mask: Any) -> Any:
            told.append(is_causal)
            return x

    net = nn.TransformerEncoder(Layer(), 1)
    causal = nn.Transformer.generate_square_subsequent_mask(4)
    for mask in (None, causal, causal == -math.inf, causal.T, causal[:3]):
        net(minicnn.zeros(4, 1, 2), mask)
    assert told == [False, True, True, False, False]


X = minicnn.zeros(3, 2, 4)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: nn.MultiheadAttention(0, 1), ValueError, "embed_dim and num_heads must be greater than 0"),
        (lambda: nn.MultiheadAttention(5, 2), AssertionError, "embed_dim must be divisible by num_heads"),
        (lambda: nn.MultiheadAttention(4, 2)(X[0, 0], X, X), AssertionError, "received 1-D query tensor"),
        (lambda: nn.MultiheadAttention(4, 2)(X, X[0], X), AssertionError, "expected `key` and `value` to be 3-D"),
        (lambda: nn.MultiheadAttention(4, 2)(X, X, X[:2]), AssertionError, "does not match value shape"),
        (
            lambda: nn.MultiheadAttention(4, 2)(X, X, X, attn_mask=minicnn.zeros(3, 2)),
            RuntimeError,
            r"The shape of the 2D attn_mask is \(3, 2\), but should be \(3, 3\)",
        ),
        (lambda: nn.MultiheadAttention(4, 2)(X, X, X, is_causal=True), RuntimeError, "Need attn_mask if specifying"),
        (
            lambda: F.scaled_dot_product_attention(Q, K, V, minicnn.ones(3, 5, dtype=minicnn.bool), is_causal=True),
            RuntimeError,
            "Explicit attn_mask should not be set when is_causal=True",
        ),
        (lambda: F.scaled_dot_product_attention(Q, K.float(), V), RuntimeError, "to have the same floating dtype"),
        (
            lambda: F.scaled_dot_product_attention(Q, K, V, minicnn.ones(3, 5).long()),
            RuntimeError,
            "Expected attn_mask dtype to be bool or float",
        ),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), RuntimeError, "should be relu/gelu, not tanh"),
        (lambda: nn.Transformer(4, 2, 1, 1, 8)(X, X[:, :1]), RuntimeError, "batch number of src and tgt must be equal"),
    ],
)
def test_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
