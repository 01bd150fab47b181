"""Ownership of a gradient's memory: a leaf's `.grad` belongs to it alone, and is added to in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.autograd import Function


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float64), requires_grad=True)


def test_a_hook_that_clears_one_gradient_leaves_the_others() -> None:
    x, z = leaf(1, 1), leaf(1, 1)

    def clear(p: Tensor) -> None:
        p.grad.zero_()

    x.register_post_accumulate_grad_hook(clear)
    ((x + minicnn.tanh(z)) * minicnn.tensor([1.0, 2.0]).double()).sum().backward()
    expected = (1 - np.tanh(1) ** 2) * np.array([1, 2])
    np.testing.assert_allclose(z.grad.numpy(), expected)
    assert x.grad.tolist() == [0, 0]


def test_arrays_of_hooks_and_functions_are_copied() -> None:
    x, mask, seen = leaf(1, 2), Tensor(np.array([3.0, 4.0])), []
    handle = x.register_hook(lambda g: seen.append(g))
    (x * mask).sum().backward()
    x.grad.zero_()
    assert seen[0].tolist() == [3, 4] and mask.tolist() == [3, 4]
    handle.remove()
    x.register_hook(lambda g: mask)
    x.grad = None
    x.sum().backward()
    x.grad.zero_()
    assert mask.tolist() == [3, 4]

    class Times(Function):
        @staticmethod
        def forward(ctx: Any, a: Tensor, w: Tensor) -> Tensor:
            ctx.save_for_backward(w)
            return (a * w).sum()

        @staticmethod
        def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, None]:
            return ctx.saved_tensors[0], None

    y = leaf(1, 2)
    loss = Times.apply(y, mask)
    loss.backward(retain_graph=True)
    y.grad.zero_()
    loss.backward()
    assert mask.tolist() == [3, 4] == y.grad.tolist()


def test_gradients_are_added_in_place() -> None:
    flat = minicnn.zeros(5).double()
    p = leaf(1, 2)
    p.grad = flat[:2]
    (p.sum() * 2).backward()
    assert flat.tolist() == [2, 2, 0, 0, 0]
    before = p.grad
    p.sum().backward()
    assert p.grad is before and flat.tolist() == [3, 3, 0, 0, 0]


def test_a_gradient_passed_in_stays_the_callers() -> None:
    x, up = leaf(1, 2), Tensor(np.ones(2))
    x.backward(up)
    x.grad.zero_()
    assert up.tolist() == [1, 1]


def test_grad_and_requires_grad_are_checked() -> None:
    x = leaf(1, 2)
    for wrong in (Tensor(np.ones(3)), Tensor(np.ones(2, np.float32))):
        with pytest.raises(RuntimeError, match="does not fit"):
            x.grad = wrong
    with pytest.raises(TypeError, match="grad"):
        x.grad = np.ones(2)
    x.grad = Tensor(np.ones(2))
    del x.grad
    assert x.grad is None
    with pytest.raises(TypeError, match="expected a bool"):
        x.requires_grad = "yes"
    with pytest.raises(RuntimeError, match="only floating-point"):
        minicnn.tensor([1]).requires_grad = True
    with pytest.raises(RuntimeError, match="detach"):
        (x * 2).requires_grad = False
    x.requires_grad = False
    assert not x.requires_grad


def test_overwriting_by_a_constant_stays_in_the_graph() -> None:
    x = leaf(1, 2)
    y = x * 3
    y.copy_(minicnn.zeros(2))
    y.sum().backward()
    assert x.grad.tolist() == [0, 0]


def test_many_views_of_one_tensor_are_cheap() -> None:
    x = minicnn.zeros(3000, 2)
    views = [x[i] for i in range(3000)]
    assert len(x._views) == 3001 and len(views) == 3000


def test_dataset_draws_belong_to_the_sample() -> None:
    class Noisy(minicnn.utils.data.Dataset[Tensor]):
        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> Tensor:
            return minicnn.ones(3) + minicnn.rand(3)

    def run() -> list[float]:
        minicnn.manual_seed(0)
        drop = minicnn.nn.Dropout(0.5)
        return [float(drop(x).sum()) for x in minicnn.utils.data.DataLoader(Noisy(), 4)]

    assert run() == run() == run()


def test_half_precision_is_added_up_in_single() -> None:
    assert minicnn.ones(70_000).half().mean().item() == 1
    assert minicnn.full((1000,), 100.0).half().var().item() == 0
    assert minicnn.nn.functional.mse_loss(minicnn.full((1000,), 10.0).half(), minicnn.zeros(1000).half()).item() == 100


def test_joined_tensors_lie_as_new_ones_do() -> None:
    image = minicnn.zeros(4, 5, 3).permute(2, 0, 1)
    assert minicnn.stack([image, image]).view(2, -1).shape == (2, 60)
    b = minicnn.ones(2, 3).t()
    for y in (
        minicnn.cat([b, b]),
        minicnn.nn.functional.pad(b, (1, 1)),
        b.roll(1, 0),
        b.cumsum(0),
        b.masked_fill(b > 0, 1),
    ):
        assert y.is_contiguous()
    channels_last = minicnn.zeros(2, 3, 4, 5).to(memory_format=minicnn.channels_last)
    assert minicnn.cat([channels_last, channels_last]).is_contiguous(memory_format=minicnn.channels_last)


REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": Tensor.sum,
    "mean": Tensor.mean,
    "norm": Tensor.norm,
    "var": Tensor.var,
    "prod": Tensor.prod,
    "max": Tensor.max,
    "logsumexp": lambda x: x.logsumexp(0),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_gradients_of_reductions_can_be_written_to(name: str) -> None:
    """At a leaf, and where two gradients meet; also if they arrive as a view that repeats one value."""
    reduce = REDUCTIONS[name]
    x = leaf(1, 2, 4)
    reduce(x).backward()
    once = x.grad.numpy().copy()
    reduce(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * once)
    x.grad.zero_()
    y = x * 1
    (reduce(y) + (y * y).sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), once + 2 * x.detach().numpy())
    x.grad.zero_()
    y = x * 1
    ((y * y).sum() + reduce(y)).backward()
    np.testing.assert_allclose(x.grad.numpy(), once + 2 * x.detach().numpy())
