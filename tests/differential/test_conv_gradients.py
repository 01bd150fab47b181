"""`nn.grad` and its own gradients against PyTorch's."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

CASES = [
    (2, (2, 3, 6, 7), (4, 3, 3, 2), {}),
    (2, (2, 4, 7, 9), (6, 2, 3, 2), {"stride": (2, 3), "padding": (1, 0), "dilation": (1, 2), "groups": 2}),
    (1, (2, 4, 11), (4, 2, 3), {"stride": 3, "padding": 2, "dilation": 2, "groups": 2}),
    (3, (2, 4, 5, 4, 3), (2, 2, 2, 3, 2), {"stride": (2, 1, 1), "padding": (1, 0, 1), "groups": 2}),
]


@pytest.mark.parametrize(("rank", "x_shape", "w_shape", "options"), CASES)
def test_values_and_gradients(
    rank: int, x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any], compared: Counter[str]
) -> None:
    generator = torch.Generator().manual_seed(0)

    def random(shape: Any) -> Any:
        return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()

    def ours(tensor: Any) -> Any:
        return minicnn.from_numpy(tensor.detach().numpy()).requires_grad_()

    x, w = random(x_shape), random(w_shape)
    gy = random(getattr(torch.nn.functional, f"conv{rank}d")(x, w, **options).shape)
    for name, one, size in ((f"conv{rank}d_input", w, x_shape), (f"conv{rank}d_weight", x, w_shape)):
        first = name.endswith("input")
        theirs = getattr(torch.nn.grad, name)(*((size, one) if first else (one, size)), gy, **options)
        up = random(theirs.shape).detach()
        expected = [theirs, *torch.autograd.grad(theirs, (one, gy), up)]
        a, b = ours(one), ours(gy)
        found = getattr(minicnn.nn.grad, name)(*((size, a) if first else (a, size)), b, **options)
        got = [found, *minicnn.autograd.grad(found, (a, b), ours(up).detach())]
        for mine, right in zip(got, expected, strict=True):
            torch.testing.assert_close(torch.from_numpy(mine.detach().numpy()), right.detach(), rtol=1e-12, atol=1e-12)
        compared[f"nn.grad.{name}"] += 1
