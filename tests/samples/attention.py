"""Samples of attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import Op, S, Shape


def attend(lib: Any, q: Any, k: Any, v: Any, *, mask: Shape | None = None, **options: Any) -> Any:
    """Attention where a random half of the keys may be used; the last query may use none."""
    if mask is not None:
        allowed = np.random.default_rng(2).random(mask) < 0.5
        allowed[..., -1, :] = False
        options["attn_mask"] = lib.tensor(allowed).to(q.device)
    return lib.nn.functional.scaled_dot_product_attention(q, k, v, **options)


def heads(
    lib: Any, q: Any, k: Any, v: Any, *parameters: Any, number: int = 2, pads: bool = False, **options: Any
) -> Any:
    """Attention of several heads with the parameters in PyTorch's order."""
    w, b, bias_k, bias_v, out, out_bias = parameters
    if pads:
        hidden = np.zeros((q.shape[1], k.shape[0]), bool)
        hidden[0, 1:] = True
        options["key_padding_mask"] = lib.tensor(hidden).to(q.device)
    return lib.nn.functional.multi_head_attention_forward(
        q, k, v, q.shape[-1], number, w, b, bias_k, bias_v, options.pop("zero", False), 0.0, out, out_bias, **options
    )


E4 = ((12, 4), (12,))
OPS = {
    "scaled_dot_product_attention": Op(
        attend,
        [
            S((2, 3, 4), (2, 5, 4), (2, 5, 3)),
            S((3, 4), (5, 4), (5, 1), is_causal=True, scale=0.7),
            S((2, 2, 3, 4), (2, 1, 5, 4), (2, 1, 5, 2), mask=(3, 5)),
            S((1, 4, 3, 2), (1, 2, 3, 2), (1, 2, 3, 2), enable_gqa=True),
            S((0, 3, 4), (0, 2, 4), (0, 2, 3)),
        ],
    ),
    "multi_head_attention_forward": Op(
        heads,
        [
            S((3, 2, 4), (5, 2, 4), (5, 2, 4), *E4, None, None, (4, 4), (4,)),
            S((3, 2, 4), (5, 2, 4), (5, 2, 4), *E4, (1, 1, 4), (1, 1, 4), (4, 4), None, pads=True, zero=True),
            S((3, 4), (3, 4), (3, 4), (12, 4), None, None, None, (4, 4), (4,), number=4, need_weights=False),
        ],
    ),
}
