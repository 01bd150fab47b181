"""Functions that users write, on tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.autograd import Function, gradcheck


class Scaled(Function):
    """y = a x^2, and the sign of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: float) -> tuple[Tensor, Tensor]:
        ctx.a = a
        sign = (x > 0).to(x.dtype)
        ctx.save_for_backward(x)
        ctx.mark_non_differentiable(sign)
        return a * x * x, sign

    @staticmethod
    def backward(ctx: Any, gy: Tensor, _: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return 2 * ctx.a * x * gy, None


class Separate(Function):
    """x w, with separate forward and setup_context."""

    @staticmethod
    def forward(x: Tensor, w: Tensor) -> Tensor:
        return x * w

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        _, w = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False)
        return gy * w, None


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def test_gradients_and_constants() -> None:
    x = leaf(1.0, -2.0)
    y, sign = Scaled.apply(x, 3.0)
    assert y.requires_grad and not sign.requires_grad and sign.tolist() == [1, 0]
    assert gradcheck(lambda t: Scaled.apply(t, 3.0)[0], [x])
    w = Tensor(np.array([5.0, 7.0]))
    Separate.apply(x, w).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [5, 7]


def test_forward_is_not_recorded_and_saved_tensors_are_watched() -> None:
    x = leaf(1.0)
    y, _ = Scaled.apply(x * 1, 2.0)
    assert not y.is_leaf and y.grad_fn is not None and "Scaled" in repr(y.grad_fn)
    z = x * 1
    y, _ = Scaled.apply(z, 2.0)
    z.detach().fill_(9)
    with pytest.raises(RuntimeError, match="Scaled saved was changed in place"):
        y.sum().backward()


def test_marked_dirty_input_is_the_output() -> None:
    class Double(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            x.detach().copy_(x.detach() * 2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx: Any, gy: Tensor) -> Tensor:
            return gy * 2

    x = leaf(1.0, 3.0)
    y = x * 1
    z = Double.apply(y)
    assert z is y and y.tolist() == [2, 6]
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="leaf"):
        Double.apply(leaf(1.0))


def test_unused_outputs_get_zeros_or_none() -> None:
    seen = []

    class Two(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, materialize: bool) -> tuple[Tensor, Tensor]:
            ctx.set_materialize_grads(materialize)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx: Any, g1: Tensor, g2: Tensor | None) -> tuple[Tensor, None]:
            seen.append(g2)
            return g1, None

    for materialize in (True, False):
        Two.apply(leaf(1.0), materialize)[0].sum().backward()
    assert seen[0].tolist() == [0] and seen[1] is None


def test_meta_tensors_run_forward_on_shapes() -> None:
    y, sign = Scaled.apply(minicnn.zeros(2, 3, device="meta", requires_grad=True), 2.0)
    assert y.is_meta and y.shape == (2, 3) and sign.shape == (2, 3)


def test_mistakes_are_named() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Any:
            return x.array

        @staticmethod
        def backward(ctx: Any, gy: Tensor) -> Any:
            return gy, gy

    with pytest.raises(TypeError, match="Wrong: forward must return tensors"):
        Wrong.apply(leaf(1.0))
    with pytest.warns(DeprecationWarning, match="should not be instantiated"):
        made = Wrong()
    with pytest.raises(RuntimeError, match=r"Wrong.apply"):
        made(leaf(1.0))

    class Many(Wrong):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 1

    with pytest.raises(RuntimeError, match="2 gradients for 1 arguments"):
        Many.apply(leaf(1.0)).sum().backward()
    with pytest.raises(TypeError, match="only tensors can be saved"):

        class Saves(Many):
            @staticmethod
            def forward(ctx: Any, x: Tensor) -> Tensor:
                ctx.save_for_backward(3)
                return x * 1

        Saves.apply(leaf(1.0))


def test_variables_of_old_code() -> None:
    x = leaf(1.0, 2.0)
    v = minicnn.autograd.Variable(x * 2)
    assert (
        not v.requires_grad
        and isinstance(v, minicnn.autograd.Variable)
        and not isinstance(3, minicnn.autograd.Variable)
    )
    w = minicnn.autograd.Variable(v, requires_grad=True)
    assert w.is_leaf and w.requires_grad and w.data_ptr() == v.data_ptr()


class AddInto(Function):
    """a += w; the gradient of w has a factor of 5, by which it is recognised."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, w: Tensor) -> Tensor:
        ctx.mark_dirty(a)
        return a.add_(w)

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor]:
        return gy, gy * 5


def test_an_input_changed_in_place_may_be_a_view_or_have_views() -> None:
    for whole in (False, True):
        x, w = leaf(1.0, 2.0), leaf(4.0, 4.0) if whole else leaf(4.0)
        y = x * 2
        v = y[1:]
        AddInto.apply(y if whole else v, w)
        ((y * Tensor(np.array([1.0, 10.0]))).sum() + v.sum() * 100).backward()
        assert x.grad.tolist() == [2, 220] and w.grad.tolist() == ([5, 550] if whole else [550])
    constant, w = Tensor(np.zeros(2)), leaf(3.0)
    AddInto.apply(constant[1:], w)
    (constant * 2).sum().backward()
    assert w.grad.tolist() == [10]
    with pytest.raises(RuntimeError, match="AddInto: a view of a leaf Variable"):
        AddInto.apply(leaf(1.0, 2.0)[1:], leaf(1.0))


def test_a_result_that_is_a_view_of_an_input() -> None:
    class Reversal(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.view_as(x)

        @staticmethod
        def backward(ctx: Any, gy: Tensor) -> Tensor:
            return -gy

    x = leaf(1.0, 2.0)
    y = x.exp()
    z = Reversal.apply(y)
    with pytest.raises(RuntimeError, match="mul_: Output 0 of ReversalBackward is a view"):
        z[:1].mul_(2)
    used = z * 3
    with minicnn.no_grad():
        z.mul_(2)  # counts as a change of y
    with pytest.raises(RuntimeError, match="Exp saved was changed"):
        y.sum().backward()
    a = x * 2
    b = Reversal.apply(a)
    used = b * 3
    a.add_(1)
    (used.sum() + a.sum()).backward()
    assert x.grad.tolist() == [-4, -4]
    with pytest.raises(RuntimeError, match="shares the memory of an input"):
        b.sum().backward()


def test_gradients_fit_the_arguments() -> None:
    class Times(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor]:
            x, w = ctx.saved_tensors
            assert x.requires_grad and x.is_leaf and w.requires_grad and not w.is_leaf
            return (gy * w).float(), gy * x

    x, w = Tensor(np.ones((3, 2)), requires_grad=True), leaf(1.0, 2.0)
    Times.apply(x, w * 1).sum().backward()
    assert x.grad.dtype == minicnn.float64 and w.grad.tolist() == [3, 3]


def test_forms_of_functions_that_pytorch_takes() -> None:
    class Twice(Function):
        """Returns one tensor twice, and has its backward under the other name."""

        @staticmethod
        def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
            y = x * 2
            return y, y

        @staticmethod
        def vjp(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
            return 2 * (first + second)

    x = leaf(1.0, 2.0)
    a, b = Twice.apply(x)
    assert a is b
    (a + b * 3).sum().backward()
    assert x.grad.tolist() == [8, 8]

    class Nothing(Function): ...

    with pytest.raises(NotImplementedError, match="must implement the forward"):
        Nothing.apply(x)

    class Forward(Nothing):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 1

    with pytest.raises(NotImplementedError, match="either the backward or vjp"):
        Forward.apply(x).sum().backward()


def test_a_separate_forward_with_defaults_and_other_results() -> None:
    class Scale(Function):
        @staticmethod
        def forward(x: Tensor, factor: float = 3.0, *, name: str = "scaled") -> tuple[Tensor, str]:
            return x * factor, name

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, str]) -> None:
            assert len(inputs) == 2 and output[1] == "scaled"
            ctx.factor = inputs[1]

        @staticmethod
        def backward(ctx: Any, gy: Tensor, _: None) -> tuple[Tensor, None]:
            return gy * ctx.factor, None

    x = leaf(1.0, 2.0)
    y, name = Scale.apply(x)
    y.sum().backward()
    assert name == "scaled" and x.grad.tolist() == [3, 3] and y.tolist() == [3, 6]
