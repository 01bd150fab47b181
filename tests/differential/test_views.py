"""Random programs of views, in-place writes and reads: values and gradients against PyTorch."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor

torch = pytest.importorskip("torch", reason="compares with PyTorch")

VIEWS = [
    lambda t: t[1:], lambda t: t[:, ::2], lambda t: t.transpose(0, 1), lambda t: t.unsqueeze(0).squeeze(0),
    lambda t: t.narrow(0, 0, 1), lambda t: t[..., -1:], lambda t: t[:2].view(-1, 1) if t.is_contiguous() else t.t(),
]  # fmt: skip
WRITES = [
    lambda t, w: t.mul_(w), lambda t, w: t.add_(w, alpha=2), lambda t, w: t.exp_(), lambda t, w: t.fill_(w),
    lambda t, w: t.clamp_(-0.5, 0.5), lambda t, w: t.div_(w + 3), lambda t, w: t.tanh_(), lambda t, w: t.zero_(),
    lambda t, w: t.copy_(t.clone() * w), lambda t, w: t.__setitem__((slice(None), 0), t[:, -1].clone() * w),
]  # fmt: skip


def program(seed: int, x: Any, w: Any) -> tuple[Any, list[Any]]:
    """A sum over tensors that were read before, between and after the writes; and the tensors."""
    choose = random.Random(seed)
    tensors = [x * 1.0]
    total = 0
    for step in range(choose.randint(3, 8)):
        t, kind = choose.choice(tensors), choose.random()
        if kind < 0.45:
            view = choose.choice(VIEWS)(t)
            tensors += [view] if 0 not in view.shape else []
        elif kind < 0.85:
            choose.choice(WRITES)(t, w)
        else:
            total = total + (t * (1.5 + step)).sum()
    for i, t in enumerate(tensors):
        total = total + (t * (i + 1.0)).sum()
    return total, tensors


def outcome(lib: Any, seed: int, x: Any, w: Any) -> list[np.ndarray] | None:
    """The values of all tensors and the gradients of x and w; None where the library refuses the program."""
    try:
        total, tensors = program(seed, x, w)
        gradients = lib.autograd.grad(total, [x, w], allow_unused=True)
    except RuntimeError:
        return None
    zeros = (np.zeros((4, 4)), np.zeros(()))
    return [t.detach().numpy() for t in tensors] + [
        z if g is None else g.numpy() for g, z in zip(gradients, zeros, strict=True)
    ]


def test_random_programs() -> None:
    compared = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x, w = rng.standard_normal((4, 4)), np.asarray(rng.standard_normal())
        theirs = outcome(torch, seed, *(torch.from_numpy(a.copy()).requires_grad_() for a in (x, w)))
        mine = outcome(minicnn, seed, *(Tensor(a.copy(), requires_grad=True) for a in (x, w)))
        if theirs is None:  # PyTorch tracks more saved tensors; here, a copy may have been saved
            continue
        assert mine is not None, f"program {seed} is refused"
        compared += 1
        for found, expected in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=f"program {seed}")
    assert compared > 200
