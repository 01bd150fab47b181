"""The graph as programs see it: nodes, edges, their hooks, and hooks on saved tensors."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn
from minicnn.autograd import Function, grad, graph

F = nn.functional


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float64), requires_grad=True)


def test_nodes_lead_to_the_leaves() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    loss = F.cross_entropy(net(minicnn.randn(2, 1, 4, 4)), minicnn.tensor([0, 2]))
    found, todo, names = [], [loss.grad_fn], []
    while todo:
        node = todo.pop()
        assert isinstance(node, graph.Node)
        names.append(node.name())
        assert names[-1].removeprefix("minicnn::autograd::") == type(node).__name__
        if hasattr(node, "variable"):
            found.append(node.variable)
        todo += [before for before, _ in node.next_functions if before is not None]
    assert {id(p) for p in found} == {id(p) for p in net.parameters()}
    assert {"ConvolutionBackward0", "AddmmBackward0", "minicnn::autograd::AccumulateGrad"} <= set(names)


def test_the_same_node_each_time_and_no_cycle() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0)
        y = x * 2
        assert y.grad_fn is y.grad_fn and y.grad_fn.next_functions[0][0] is y.grad_fn.next_functions[0][0]
        y.grad_fn.metadata["key"] = 3
        assert y.grad_fn.metadata == {"key": 3}
        gone = weakref.ref(x), weakref.ref(y.grad_fn)
        del x, y
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()


def test_a_users_function_is_a_node_with_its_name_and_its_context() -> None:
    class Cube(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, power: int = 3) -> Tensor:
            ctx.power = power
            ctx.save_for_backward(x)
            return x**power

        @staticmethod
        def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, None]:
            (x,) = ctx.saved_tensors
            assert ctx.name() == "CubeBackward" and len(ctx.next_functions) == 1
            return ctx.power * x ** (ctx.power - 1) * gy, None

    x = leaf(2.0)
    y = Cube.apply(x)
    assert type(y.grad_fn).__name__ == "CubeBackward" and y.grad_fn.power == 3 and y.grad_fn.saved_tensors[0] is x
    with pytest.raises(AttributeError, match="nothing"):
        y.grad_fn.nothing  # noqa: B018
    y.backward()
    assert x.grad.tolist() == [12]
    with pytest.raises(RuntimeError, match="second time"):
        y.grad_fn.saved_tensors  # noqa: B018


def test_hooks_of_nodes_change_gradients_in_order() -> None:
    x, told = leaf(1.0, 2.0), []
    y = x * 3

    def before(outputs: Any) -> Any:
        told.append("before")
        return (outputs[0] * 2,)

    def after(inputs: Any, outputs: Any) -> Any:
        told.append("after")
        assert outputs[0].tolist() == [2, 2] and inputs[1] is None
        return inputs[0] + 1, None

    y.register_hook(lambda g: told.append("tensor"))
    handles = y.grad_fn.register_hook(after), y.grad_fn.register_prehook(before)
    y.sum().backward(retain_graph=True)
    assert told == ["tensor", "before", "after"] and x.grad.tolist() == [7, 7]
    for handle in handles:
        handle.remove()
    (gx,) = grad(y.sum(), x, retain_graph=True)
    assert gx.tolist() == [3, 3]
    y.grad_fn.register_hook(lambda inputs, outputs: (1,))
    with pytest.raises(RuntimeError, match="incorrect number of values"):
        y.sum().backward()


def test_hooks_of_a_leafs_node() -> None:
    x, told = leaf(1.0), []
    node = (x * 1).grad_fn.next_functions[0][0]
    x.register_hook(lambda g: told.append("tensor") or 2 * g)
    node.register_prehook(lambda grads: told.append("pre") or (3 * grads[0],))
    x.register_post_accumulate_grad_hook(lambda t: told.append(("accumulated", t.grad.item())))
    node.register_hook(lambda inputs, outputs: told.append((inputs, outputs[0].item())))
    del node
    (x * 5).backward()
    assert told == ["tensor", "pre", ("accumulated", 30), ((), 30)]
    told.clear()
    assert grad(x * 5, x)[0].item() == 10 and told == ["tensor"]


def test_edges_stand_for_tensors() -> None:
    x = leaf(1.0, 2.0)
    y = x.exp()
    edge, of_x = graph.get_gradient_edge(y), graph.get_gradient_edge(x)
    z = (y * y).sum()
    del y
    gy, gx = grad(z, [edge, of_x], retain_graph=True)
    np.testing.assert_allclose(gy.numpy(), 2 * np.exp([1, 2]))
    np.testing.assert_allclose(gx.numpy(), 2 * np.exp([2, 4]))
    np.testing.assert_allclose(grad(edge, x, gy, retain_graph=True)[0].numpy(), gx.numpy())
    minicnn.autograd.backward(z, inputs=of_x)
    np.testing.assert_allclose(x.grad.numpy(), gx.numpy())
    with pytest.raises(RuntimeError, match="only for scalar"):
        grad(edge, x)
    with pytest.raises(RuntimeError, match="does not require"):
        graph.get_gradient_edge(minicnn.zeros(1))


def test_upstream_gradients_in_a_batch_are_rows_of_the_jacobian() -> None:
    x, w = leaf(1.0, 2.0, 3.0), leaf(2.0)
    y = x * x * w
    rows = grad(y, [x, w], minicnn.eye(3).double(), is_grads_batched=True, retain_graph=True)
    np.testing.assert_allclose(rows[0].numpy(), np.diag([4.0, 8.0, 12.0]))
    np.testing.assert_allclose(rows[1].numpy(), [[1.0], [4.0], [9.0]])
    with pytest.raises(RuntimeError, match="we interpret the first"):
        grad(y, x, minicnn.ones(3), is_grads_batched=True)


@pytest.mark.parametrize("mode", ["all", "any"])
def test_a_hook_on_several_gradients(mode: str) -> None:
    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    middle, told = a * b, []
    handle = graph.register_multi_grad_hook([a, middle, c], lambda grads: told.append(grads), mode=mode)
    for _ in range(2):
        (middle * 2 + c).backward(retain_graph=True)
    (middle * 2).backward(retain_graph=True)
    grad((middle * 2 + c).sum(), b, retain_graph=True)
    if mode == "any":
        assert len(told) == 4 and all(isinstance(g, Tensor) for g in told)
    else:
        found = [[None if g is None else g.item() for g in grads] for grads in told]
        assert found == [[4, 2, 1], [4, 2, 1], [4, 2, None], [None, 2, None]]
    handle.remove()
    count = len(told)
    (middle * 2).backward()
    assert len(told) == count
    with pytest.raises(ValueError, match="mode"):
        graph.register_multi_grad_hook([a], told.append, mode="some")


def test_saved_tensors_go_through_the_hooks() -> None:
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> int:
        kept[len(kept)] = tensor.clone()
        return len(kept) - 1

    x = leaf(1.0, 2.0)
    w = minicnn.ones(2, 2, dtype=minicnn.float64, requires_grad=True)
    net = nn.Conv2d(1, 1, 1).double()
    with graph.saved_tensors_hooks(pack, lambda i: kept[i]):
        y = F.linear(x.sin() ** 2, w).sum() + net(x.reshape(1, 1, 1, 2)).sum()
    plain = F.linear(x.sin() ** 2, w).sum() + net(x.reshape(1, 1, 1, 2)).sum()
    expected = grad(plain, [x, w, net.weight])
    assert kept
    for found, right in zip(grad(y, [x, w, net.weight], create_graph=True), expected, strict=True):
        np.testing.assert_allclose(found.numpy(force=True), right.numpy())
    with graph.saved_tensors_hooks(lambda t: t, lambda t: 1):
        y = x.exp()
    with pytest.raises(TypeError, match="expected to be a Tensor"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="modifying its input"), graph.saved_tensors_hooks(Tensor.zero_, pack):
        x.exp()
    refused = pytest.raises(RuntimeError, match="not here")
    with graph.disable_saved_tensors_hooks("not here"), refused, graph.save_on_cpu():
        pass


def test_saved_tensors_may_change_where_that_is_allowed() -> None:
    x = leaf(2.0)
    with graph.allow_mutation_on_saved_tensors():
        y = x.clone()
        z = y**3
        y.fill_(7)
        with pytest.raises(RuntimeError, match="cannot be nested"), graph.allow_mutation_on_saved_tensors():
            pass
    z.backward()
    assert x.grad.item() == 12


def test_saved_tensors_have_pytorchs_names() -> None:
    a, b = leaf(2.0), leaf(3.0)
    node = (a * b).grad_fn
    assert node._saved_self is a and node._saved_other is b
    y = a.exp()
    assert y.grad_fn._saved_result.grad_fn is y.grad_fn and not hasattr(y.grad_fn, "_saved_self")
    node._raw_saved_self.register_hooks(lambda t: t.numpy(), lambda array: Tensor(array * 10))
    with pytest.raises(RuntimeError, match="already been set"):
        node._raw_saved_self.register_hooks(lambda t: t, lambda t: t)
    assert node._saved_self.item() == 20


def test_writes_that_are_refused() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"add_: a leaf Variable that requires grad"):
        x.add_(1)
    with pytest.raises(RuntimeError, match=r"add_: a view of a leaf Variable that requires grad"):
        x[:1].add_(1)
    with pytest.raises(RuntimeError, match=r"Output 1 of UnbindBackward0 is a view.*multiple views"):
        (x * 1).unbind()[1].mul_(2)
    with minicnn.no_grad():
        view = x[:1]
    with pytest.raises(RuntimeError, match=r"created in no_grad mode"):
        view.mul_(2)
    with pytest.raises(RuntimeError, match=r"created in no_grad mode"):
        view[0] = 2
    with minicnn.no_grad():
        view.mul_(2)
    assert x.tolist() == [2, 2] and x._version == 1
    with pytest.raises(RuntimeError, match="detach views"):
        (x * 1)[:1].detach_()


def test_a_gradient_of_a_result_is_asked_for_in_vain() -> None:
    x = leaf(1.0)
    y = x * 2
    with pytest.warns(UserWarning, match="not a leaf Tensor"):
        assert y.grad is None
    y.retain_grad()
    assert y.grad is None  # without a warning
    with pytest.raises(RuntimeError, match="different size"):
        x.grad = minicnn.zeros(2).double()
    with pytest.raises(TypeError, match="got grad of type int"):
        x.grad = 3


def test_views_know_their_base() -> None:
    x = leaf(1.0, 2.0)
    view = x[1:]
    assert view._is_view() and view._base is x and not x._is_view() and x._base is None
    assert not x.detach()._is_view() and (x * 1)._base is None
