"""The recorded tape: its order, values and gradients are the engine's, and recording leaves nothing behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tapes import gradient, leaf, named, number

import minicnn
from minicnn import nn
from minicnn.autograd import Function
from minicnn.explain import Numbers, recorded
from minicnn.explain.tape import Operation
from minicnn.nn import functional as F


def names(operations: list[Operation]) -> list[str]:
    return [operation.name for operation in operations]


# ------------------------------------------------------------------------------------------------ a formula, by hand


def test_a_formula() -> None:
    """tanh(a b + c) a at a = 2, b = -3, c = 7: a b + c = 1, and a has two users."""
    a, b, c = leaf(2.0), leaf(-3.0), leaf(7.0)
    tape = recorded(lambda: (a * b + c).tanh() * a)
    assert names(tape.operations) == ["Mul", "Add", "Tanh", "Mul"] and names(tape.steps) == [
        "Mul",
        "Tanh",
        "Add",
        "Mul",
    ]
    t = np.tanh(1.0)
    values = [number(operation.outputs[0].numbers) for operation in tape.operations]
    np.testing.assert_allclose(values, [-6, 1, t, 2 * t], rtol=1e-6)
    gradients = [number(operation.outputs[0].gradient) for operation in tape.operations]
    d = 2 * (1 - t * t)
    np.testing.assert_allclose(gradients, [d, d, 2, 1], rtol=1e-6)
    of_a = named(tape, "a")
    assert [(c.step, c.argument) for c in of_a.contributions] == [(1, 1), (4, 0)]
    np.testing.assert_allclose([number(c.gradient) for c in of_a.contributions], [t, -3 * d], rtol=1e-6)
    np.testing.assert_allclose(gradient(tape, "a"), t - 3 * d, rtol=1e-6)
    np.testing.assert_allclose([gradient(tape, "b"), gradient(tape, "c")], [2 * d, d], rtol=1e-6)
    assert number(tape.result.numbers) == values[-1] and tape.result.contributions[0].by is None
    assert tape.operations[0].saved[0][0] == "b" and not tape.findings and tape.error is None


def test_a_tensor_that_one_operation_uses_twice() -> None:
    a = leaf(3.0)
    tape = recorded(a * a)
    (value,) = [one.value for one in tape.leaves]
    assert [(c.step, c.argument, number(c.gradient)) for c in value.contributions] == [(1, 0, 3), (1, 1, 3)]
    assert number(value.gradient) == 6 and len(tape.operations[0].sent) == 2


def test_the_state_after_each_step() -> None:
    a = leaf(2.0)
    value = named(recorded(lambda: a * 3 + a * 5 + a), "a")
    sums = [(len(found), total and number(total)) for found, total in map(value.until, range(5))]
    assert sums == [(0, None), (1, 1), (1, 1), (2, 6), (3, 9)]
    assert number(value.until(None)[1]) == 9


def test_a_loss_that_is_there_already() -> None:
    a, b = leaf(2.0), leaf(5.0)
    d = a * b
    loss = (d + 1).sqrt()
    tape = recorded(loss, names={"a": a, "d": d, "loss": loss, "no tensor": 3})
    assert [value.name for value in tape.values] == ["a", "", "d", "", "loss"]
    assert [value.numbers is None for value in tape.values] == [False, False, False, True, False]
    assert number(named(tape, "d").numbers) == 10 and number(tape.result.numbers) == pytest.approx(11**0.5)


def test_the_loss_is_a_leaf() -> None:
    a = leaf(1.0, 2.0)
    tape = recorded(a, grad=minicnn.tensor([5.0, 6.0]))
    assert not tape.operations and tape.result is tape.leaves[0].value
    np.testing.assert_array_equal(tape.result.gradient.values, [5, 6])  # type: ignore[union-attr]


# ----------------------------------------------------------------------------------- order and sums are the engine's


class Net(nn.Module):
    """Two branches, a layer used twice, a split of which one part is unused, an in-place write, a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, (3, 2), padding=(1, 0), groups=2), nn.BatchNorm2d(4), nn.ReLU())
        self.twice = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(2, 3)
        self.register_buffer("scale", minicnn.tensor(2.0))

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        x = self.stem(x)
        y = self.twice(F.relu(self.twice(x))) + x * self.scale
        first, _, last = minicnn.split(y, [1, 2, 1], 1)
        y = minicnn.cat([first, last], 1).mean((2, 3))
        y[0] = 0.0
        return self.head(y)


def net_and_loss() -> tuple[Net, Any]:
    minicnn.manual_seed(0)
    net, x, y = Net(), minicnn.randn(3, 2, 5, 4), minicnn.tensor([0, 2, 1])
    return net, lambda: F.cross_entropy(net(x), y)


@pytest.mark.parametrize("as_function", [True, False])
def test_the_gradients_are_those_of_backward(as_function: bool) -> None:
    net, loss_of = net_and_loss()
    loss = loss_of()
    tape = recorded(loss_of if as_function else loss, net)
    assert all(p.grad is None for p in net.parameters())
    loss.backward()
    for name, parameter in net.named_parameters():
        found, expected = named(tape, name).gradient, Numbers.of(parameter.grad.array)  # type: ignore[union-attr]
        assert found is not None and expected is not None and found.shape == expected.shape
        assert found.norm == pytest.approx(expected.norm, rel=1e-5)
        if found.values is not None and expected.values is not None:
            np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-7)
    assert not tape.findings and len(tape.steps) == len(tape.operations)


def test_the_order_is_that_in_which_the_engine_calls_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    from minicnn.autograd import backpropagation

    net, loss_of = net_and_loss()
    loss, order = loss_of(), []
    run = backpropagation._run_backward

    def note(node: Any, *rest: Any) -> Any:
        order.append(node.title.lstrip("_"))
        return run(node, *rest)

    tape, planned = recorded(loss, net), recorded(loss, net, gradients=False)
    monkeypatch.setattr(backpropagation, "_run_backward", note)
    loss.backward()
    assert names(tape.steps) == order == names(planned.steps)
    assert [operation.step for operation in tape.steps] == list(range(1, len(order) + 1))


def test_each_sum_is_the_sum_of_what_was_sent() -> None:
    net, loss_of = net_and_loss()
    tape = recorded(loss_of, net)
    several = [value for value in tape.values if len(value.contributions) > 1]
    assert {named(tape, "twice.weight"), named(tape, "twice.bias")} <= set(several) and len(several) == 3
    for value in several:
        assert value.gradient is not None
        total = sum(c.gradient.values for c in value.contributions if c.gradient.values is not None)  # type: ignore[union-attr]
        if value.gradient.values is not None:
            np.testing.assert_allclose(value.gradient.values, total, rtol=1e-5, atol=1e-8)


def test_several_results() -> None:
    x = minicnn.arange(6.0).reshape(2, 3).requires_grad_()

    def function() -> minicnn.Tensor:
        first, _, last = x.unbind(1)
        return (first * 2 + last).sum()

    tape = recorded(function)
    node = tape.operations[0]
    assert len(node.outputs) == 3 and [v.contributions != [] for v in node.outputs] == [True, False, True]
    assert node.outputs[1].gradient is None
    np.testing.assert_array_equal(gradient(tape, "x"), [[2, 0, 1], [2, 0, 1]])


def test_views_and_writes_in_place() -> None:
    x = leaf(1.0, 2.0, 3.0)

    def function() -> minicnn.Tensor:
        y = x * 1
        view = y.view(3, 1)
        y.mul_(4.0)
        view[0] = 7.0
        return (y * y).sum()

    tape = recorded(function)
    np.testing.assert_array_equal(gradient(tape, "x"), [0, 2 * 8 * 4, 2 * 12 * 4])
    assert "Overwritten" in names(tape.operations) and len(tape.steps) == len(tape.operations)


def test_hooks_change_what_is_shown() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    x.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: g + 1)
    tape = recorded(y.sum(), names={"x": x, "y": y})
    of_y, of_x = named(tape, "y"), named(tape, "x")
    assert of_y.hooked and of_x.hooked
    np.testing.assert_array_equal(of_y.contributions[0].gradient.values, [1, 1])  # type: ignore[union-attr]
    np.testing.assert_array_equal(gradient(tape, "y"), [2, 2])
    np.testing.assert_array_equal(gradient(tape, "x"), [60, 60])


class Twice(Function):
    """A user's function with two results, of which one has no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        whole = (x * 10).long()
        ctx.mark_non_differentiable(whole)
        return x * 2, whole

    @staticmethod
    def backward(ctx: Any, gy: Any, _: Any) -> Any:
        return gy * 2


def test_a_users_function() -> None:
    x = leaf(1.0, 2.0)
    tape = recorded(lambda: Twice.apply(x)[0].sum())
    assert names(tape.operations) == ["Twice", "Sum"]
    np.testing.assert_array_equal(gradient(tape, "x"), [2, 2])


# --------------------------------------------------------------------------------------------------- what goes wrong


def test_where_nan_begins() -> None:
    x = leaf(4.0, 0.0)
    (finding,) = recorded(lambda: ((x * 1).sqrt() * minicnn.tensor([1.0, 0.0])).sum()).findings
    assert finding == "Step 3, Sqrt: the gradient that it computes has 1 NaN of 2; what arrives is finite."


def test_where_nan_begins_in_the_values() -> None:
    x = leaf(4.0, -1.0)
    found = recorded(lambda: minicnn.where(x > 0, x.sqrt(), x).sum()).findings  # the loss is finite
    assert found == [
        "Sqrt: the result has 1 NaN of 2; its arguments are finite.",
        "Step 3, Sqrt: the gradient that it computes for x has 1 NaN of 2; what arrives is finite.",
    ]
    net, images = nn.Sequential(nn.Flatten(), nn.Linear(2, 2)), minicnn.tensor([[[1.0, np.nan]], [[0.0, 1.0]]])
    first = recorded(lambda: net(images).sum(), net).findings[0]
    assert first == "Linear in 1: the result has 2 NaN of 4; the constant already has 1 NaN of 4."
    z, mask = leaf(1.0, 2.0, 3.0), minicnn.tensor([0.0, -np.inf, 0.0])
    assert not recorded(lambda: (z + mask).softmax(0)[0]).findings  # Inf that is wanted and does no harm


def test_where_a_gradient_becomes_zero() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    net[0].bias.data.fill_(-100.0)
    (finding,) = recorded(lambda: net(minicnn.ones(4, 2)).sum(), net).findings
    assert finding == "Step 3, Relu in 1: all gradients that it computes are 0; what arrives is not."


def test_where_a_gradient_vanishes() -> None:
    x = leaf(1.0)

    def function() -> minicnn.Tensor:
        y = x
        for _ in range(4):
            y = y * 0.003
        return y

    (finding,) = recorded(function).findings
    assert finding == "Step 4, Mul: the gradient vanishes. Its norm is 2.7e-08 here, and 1.0e+00 at step 1."


class Second(Function):
    """x + y, whose backward returns a gradient for y alone."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        return x + y

    @staticmethod
    def backward(ctx: Any, gy: Any) -> Any:
        return None, gy


def test_where_no_gradient_arrives() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    tape = recorded(lambda: Second.apply(a * 2, b * 3).sum())
    assert [operation.step for operation in tape.operations] == [None, 3, 2, 1]
    assert gradient(tape, "a") is None and gradient(tape, "b").tolist() == [3, 3]
    assert tape.findings == ["No gradient arrives at Mul: what uses the result returned none."]


def test_a_graph_that_was_freed() -> None:
    a = leaf(2.0, 3.0)
    loss = (a * a).sum()
    loss.backward()
    before = a.grad.tolist()  # type: ignore[union-attr]
    tape = recorded(loss)
    assert isinstance(tape.error, RuntimeError) and [o.freed for o in tape.operations] == [True, True]
    assert tape.operations[0].error and not tape.operations[1].error and "retain_graph=True" in tape.findings[0]
    assert tape.leaves[0].value.gradient is None and a.grad.tolist() == before  # type: ignore[union-attr]


def test_a_saved_array_that_was_changed() -> None:
    a = leaf(2.0, 3.0)
    y = a * 1
    z = y * y
    y.data.mul_(5.0)
    tape = recorded(z.sum())
    assert "changed in place" in tape.findings[0] and tape.operations[1].error and tape.steps[-1] is tape.operations[1]


def test_a_backward_that_raises() -> None:
    x = leaf(1.0)

    def refuse(gradient: minicnn.Tensor) -> None:
        raise ValueError("not here")

    y = x * 2
    y.register_hook(refuse)
    tape = recorded(y + 1)
    assert tape.findings == ["The backward pass failed: not here"] and len(tape.steps) == 1
    assert not y.retains_grad and x.grad is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: recorded(3), TypeError, "must be a tensor, or a function that computes one, got 3"),  # type: ignore[arg-type]
        (lambda: recorded(lambda: 3), TypeError, "the function must return a tensor, got 3"),  # type: ignore[arg-type,return-value]
        (lambda: recorded(minicnn.ones(1)), RuntimeError, "does not require a gradient, so nothing was recorded"),
        (lambda: recorded(leaf(1.0, 2.0) * 2), RuntimeError, r"has the shape \(2,\); only a scalar has an implicit"),
        (lambda: recorded(leaf(1.0) * 2, grad=minicnn.ones(3)), RuntimeError, r"grad has the shape \(3,\), but"),
        (lambda: recorded(leaf(1.0) * 2, grad=1.0), TypeError, "grad must be a tensor of the shape"),  # type: ignore[arg-type]
        (lambda: recorded(leaf(1.0) * 2, names=[1]), TypeError, "names must be a dictionary of tensors"),  # type: ignore[arg-type]
        (lambda: recorded(leaf(1.0) * 2, "net"), TypeError, "recorded"),  # type: ignore[arg-type]
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_without_gradients_no_scalar_is_needed() -> None:
    tape = recorded(leaf(1.0, 2.0) * 2, gradients=False)
    assert not tape.backward and tape.steps and all(value.gradient is None for value in tape.values)


# ----------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("values", "text", "brief"),
    [
        (2.0, "2", "2"),
        ([[1, -2.5]], "[[1 -2.5]]", "[[1 -2.5]]"),
        (np.arange(5.0), "norm 5.48, mean 2, std 1.4", "norm 5.48"),
        (np.zeros((2, 3)), "all 0", "all 0"),
        ([1, np.nan, np.inf, 0, 1], "1 NaN and 1 Inf of 5", "1 NaN and 1 Inf of 5"),
        (np.zeros((0, 3)), "[]", "[]"),
        (True, "1", "1"),
    ],
)
def test_numbers(values: Any, text: str, brief: str) -> None:
    found = Numbers.of(np.asarray(values))
    assert found is not None and (found.text(), found.brief()) == (text, brief)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_numbers_of_a_large_array(dtype: str) -> None:
    """Several parts, the last one shorter, and an order of axes that is not C's."""
    array = (np.random.default_rng(0).normal(5, 3, (3, 7, 100, 200)).round(1)).astype(dtype).transpose(0, 3, 1, 2)
    found, wide = Numbers.of(array), array.astype(np.float64)
    assert found is not None and (found.nans, found.infs, found.zeros) == (0, 0, int((wide == 0).sum()))
    np.testing.assert_allclose(found[3:6], [wide.mean(), wide.std(), np.linalg.norm(wide.ravel())], rtol=1e-12)
    if dtype != "int64":
        array[2, 199, 6, 99], array[0, 0, 0, :2] = np.nan, np.inf
        assert Numbers.of(array).wrong == "1 NaN and 2 Inf of 420000"  # type: ignore[union-attr]


def test_numbers_are_copies_of_small_arrays() -> None:
    array = np.ones(3)
    found = Numbers.of(array)
    array[:] = 5
    assert found is not None and found.values is not None and found.values.tolist() == [1, 1, 1]
    assert Numbers.of(np.ones(65)).values is None and Numbers.of(None) is None  # type: ignore[union-attr]
