"""The engine: depth, memory, versions, hooks, modes, errors."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import psutil
import pytest

import minicnn
from minicnn import Tensor, enable_grad, no_grad
from minicnn.autograd import grad
from minicnn.autograd.engine import Function


def leaf(*values: float) -> Tensor:
    return minicnn.tensor(list(values), dtype=np.float64, requires_grad=True)


class Double(Function):
    calls = 0

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return 2 * x

    @staticmethod
    def backward(ctx, gy):
        assert len(ctx.saved) == 1
        Double.calls += 1
        return 2 * gy


def test_a_value_used_twice_gets_both_gradients() -> None:
    x = leaf(3.0)
    y = x * x + x
    y.backward()
    assert x.grad.item() == 7


def test_a_diamond_runs_each_node_once() -> None:
    x = leaf(1.0)
    shared = Double.apply(x)
    Double.calls = 0
    (shared * 3 + shared * shared).backward()
    assert Double.calls == 1
    assert x.grad.item() == 2 * (3 + 2 * 2)


def test_gradients_add_up_over_calls() -> None:
    x = leaf(2.0)
    (x * x).backward()
    (x * x).backward()
    assert x.grad.item() == 8


def test_depth_of_20_000() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    del y  # and the graph is freed without recursion


def test_two_leaves_do_not_share_a_gradient() -> None:
    a, b = leaf(1.0), leaf(2.0)
    (a + b).backward()
    a.grad.fill_(5)
    assert b.grad.item() == 1
    upstream = Tensor(np.ones(1))
    c = leaf(1.0)
    (c + 0).backward(upstream)
    c.grad.fill_(7)
    assert upstream.item() == 1


def test_memory_is_flat_without_the_garbage_collector() -> None:
    x = minicnn.tensor(np.random.default_rng(0).standard_normal((256, 1024)), requires_grad=True)  # 2 MB
    process = psutil.Process()
    small = minicnn.tensor(np.ones((8, 8)), requires_grad=True)
    small.tanh().sum().backward()  # compilation leaves reference cycles

    def step() -> None:
        y = x
        for _ in range(5):
            y = y * 0.5 + 1
        y.sum().backward()
        x.grad = None

    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            step()
        before = process.memory_info().rss
        for i in range(2000):
            if i % 20 == 0:
                step()
            ((small * small).tanh().sum()).backward()
            small.grad = None
        grown = process.memory_info().rss - before
        assert gc.collect() == 0, "a reference cycle"
    finally:
        gc.enable()
    assert grown < 5e6


def test_a_loss_is_gone_when_it_is_deleted() -> None:
    x = leaf(1.0, 2.0)
    loss = (x * x).sum()
    gone = weakref.ref(loss)
    loss.backward()
    del loss
    assert gone() is None


@pytest.mark.cpu_only("watches the memory of .array, which is a copy here")
def test_saved_arrays_are_freed_by_backward() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    kept = weakref.ref(y.array)
    z = (y * y).sum()
    del y
    assert kept() is not None
    z.backward()
    assert kept() is None
    with pytest.raises(RuntimeError, match=r"backward of Mul has already run.*retain_graph=True"):
        z.backward()


def test_retain_graph_allows_a_second_walk() -> None:
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.data.fill_(0),
        lambda x: x.detach().__setitem__(0, 5.0),
        lambda x: setattr(x, "data", np.zeros(2)),
        lambda x: x.data.copy_(Tensor(np.ones(2))),
        lambda x: x.detach().reshape(1, 2).zero_(),  # through a view
        lambda x: x.detach()[:1].zero_(),
    ],
    ids=["fill_", "setitem", "data=", "copy_", "view", "slice"],
)
def test_a_saved_array_that_changed_is_noticed(change) -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    change(x)
    with pytest.raises(RuntimeError, match=r"\(2,\) that Mul saved was changed in place"):
        y.backward()


def test_a_change_that_does_not_matter_is_allowed() -> None:
    x = leaf(1.0, 2.0)
    y = (x + x).sum()  # saves nothing
    x.data.fill_(0)
    y.backward()
    assert x.grad.tolist() == [2, 2]


def test_a_saved_result_that_changed_is_noticed() -> None:
    y = leaf(1.0, 2.0).tanh()
    z = y.sum()
    y.data.zero_()
    with pytest.raises(RuntimeError, match="Tanh saved was changed"):
        z.backward()


def test_in_place_operators() -> None:
    x, identity = leaf(1.0), leaf(2.0)
    out = x * 2
    first = out
    out += identity  # recorded, in the same memory
    assert out is first and out.item() == 4
    out.backward()
    assert (x.grad.item(), identity.grad.item()) == (2, 1)
    with no_grad():
        before = x.data_ptr()
        x -= 0.5 * x.grad  # not recorded: in place
    assert x.data_ptr() == before
    assert x.item() == 0
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad is being used"):
        x += 1
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad is being used"):
        x[0] = 1


def test_hooks_see_and_change_gradients() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    assert seen == [[1, 1]]
    assert x.grad.tolist() == [31, 31]
    x.grad = None
    handle.remove()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [4, 4]
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match=r"hook turned a gradient of shape \(2,\)"):
        (x * 3).sum().backward()


def test_retain_grad() -> None:
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    (y * 5).backward()
    assert y.grad.item() == 5


def test_grad_of_results_and_leaves_touches_no_grad() -> None:
    x, w = leaf(2.0), leaf(5.0)
    y = x * w
    z = y * y
    gy, gx = grad(z, [y, x])
    assert (gy.item(), gx.item()) == (20, 100)
    assert x.grad is None
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        grad(x * 1, w)
    assert grad(x * 1, w, allow_unused=True) == (None,)


def test_modes_nest_and_are_per_thread() -> None:
    x = leaf(1.0)
    seen = []
    with no_grad():
        assert not (x * 2).requires_grad
        with enable_grad():
            assert (x * 2).requires_grad
        thread = threading.Thread(target=lambda: seen.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]
    assert (x * 2).requires_grad

    @no_grad()
    def inference(depth: int) -> bool:
        return inference(depth - 1) if depth else (x * 2).requires_grad

    assert not inference(3)
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (x * 2).requires_grad
    with minicnn.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad
    minicnn.set_grad_enabled(False)
    assert not minicnn.is_grad_enabled()
    minicnn.set_grad_enabled(True)


def test_errors_say_what_to_do() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"shape \(2,\).*Reduce it with .sum"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match=r"a shape of minicnn.Size\(\[3\]\) and output\[0\] has"):
        (x * 2).backward(Tensor(np.ones(3)))
    with pytest.raises(RuntimeError, match="does not require grad"):
        Tensor(np.ones(1)).backward()
    with pytest.raises(RuntimeError, match="only floating-point"):
        minicnn.tensor([1, 2], requires_grad=True)

    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, gy):
            return gy

    with pytest.raises(
        RuntimeError, match=r"Wrong.backward gave a gradient of shape \(\) for an input of shape \(2,\)"
    ):
        Wrong.apply(x).backward()


@pytest.mark.cpu_only("its function makes a NumPy array")
def test_functions_with_several_outputs() -> None:
    class Split(Function):
        @staticmethod
        def forward(ctx, x):
            index = np.arange(2)
            ctx.mark_non_differentiable(index)
            return x[:2].copy(), x[2:].copy(), index

        @staticmethod
        def backward(ctx, ga, gb, _):
            return np.concatenate([ga, gb])

    x = leaf(1.0, 2.0, 3.0, 4.0)
    _, b, index = Split.apply(x)
    assert not index.requires_grad
    (b * 3).sum().backward()
    assert x.grad.tolist() == [0, 0, 3, 3]


def test_hooks_of_a_leaf_see_all_of_its_gradient_once() -> None:
    x, seen = leaf(1.0, 2.0), []
    x.register_hook(lambda g: seen.append(g.tolist()) or g.clamp(max=3))
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    ((x * x) + x * 3 + x).sum().backward()
    assert seen == [[6, 8], [3, 3]]
    assert grad([x, (x * 2).sum()], x, [Tensor(np.ones(2)), None])[0].tolist() == [3, 3]
    assert seen[2:] == [[3, 3]]


def test_a_leafs_hook_is_called_as_soon_as_its_gradient_is_complete() -> None:
    first, last, order = leaf(1.0), leaf(1.0), []
    first.register_hook(lambda g: order.append("first"))
    last.register_hook(lambda g: order.append("last"))
    y = first * 2
    y.register_hook(lambda g: order.append("between"))
    (y * last * last).backward()
    assert order == ["last", "between", "first"]


def test_a_walk_for_some_inputs_runs_what_leads_to_them() -> None:
    x, w = leaf(1.0), leaf(2.0)
    u, v = x.exp(), w.exp()
    called = []
    v.register_hook(lambda g: called.append("v"))
    loss = u + v
    assert grad(loss, u)[0].item() == 1 and not called
    assert grad(loss, x)[0].item() == np.exp(1) and not called  # the walk to u changed nothing in the rest of the graph
    loss.backward(inputs=w)
    assert w.grad.item() == np.exp(2) and x.grad is None and called == ["v"]
    with pytest.raises(RuntimeError, match="has already run"):
        loss.backward()
    y = w * 3
    (y * 5).backward(inputs=[y])
    assert y.grad.item() == 5 and y.retains_grad
    with pytest.raises(RuntimeError, match="cannot be empty"):
        grad(loss, [])
    with pytest.raises(RuntimeError, match="cannot be empty"):
        loss.backward(inputs=[])
    with pytest.raises(ValueError, match="allow_unused"):
        grad(x * 1, w, materialize_grads=True, allow_unused=False)


def test_a_walk_of_a_part_computes_no_other_gradient() -> None:
    class Product(Function):
        wanted = None

        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, gy):
            Product.wanted = ctx.needs_input_grad
            return gy * ctx.saved[1], gy * ctx.saved[0]

    x, w = leaf(2.0), leaf(3.0)
    y = Product.apply(x, w)
    assert grad(y, w, retain_graph=True)[0].item() == 2 and Product.wanted == (False, True)
    assert [g.item() for g in grad(y, [x, w])] == [3, 2] and Product.wanted == (True, True)


def test_what_is_retained_is_the_gradient_of_the_newest_values() -> None:
    x, seen = leaf(1.0, 2.0), []
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.mul_(3)
    y[0] = 5
    y.sum().backward()
    assert y.grad.tolist() == [1, 1] and seen == [[0, 3]] and x.grad.tolist() == [0, 6]
    z = x * 2
    z.retain_grad()
    z.register_hook(lambda g: g * 10)
    z.sum().backward()
    assert z.grad.tolist() == [10, 10]
    a = x * 2
    a.retain_grad()
    a.unsqueeze_(0)
    a.sum().backward()
    assert a.grad.shape == (1, 2)
