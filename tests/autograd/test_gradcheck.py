"""gradcheck passes right gradients, fails wrong ones, and names the wrong cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor, nn
from minicnn.autograd import GradcheckError, gradcheck
from minicnn.autograd.engine import Function

EXACT = {"eps": 1e-5, "atol": 1e-8, "rtol": 1e-6}


def inputs(*shapes: tuple[int, ...]) -> list[Tensor]:
    rng = np.random.default_rng(3)
    return [Tensor(rng.standard_normal(s), requires_grad=True) for s in shapes]


def squared(cell: int, factor: float) -> type[Function]:
    class Squared(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, gy):
            gx = 2 * ctx.saved[0] * gy
            gx.reshape(-1)[cell] *= factor
            return gx

    return Squared


def test_a_whole_net_passes() -> None:
    x, w, b = inputs((2, 1, 8, 8), (3, 1, 3, 3), (3,))
    assert gradcheck(lambda x, w, b: F.max_pool2d(F.conv2d(x, w, b).tanh(), 2).sum((0, 2)), [x, w, b], **EXACT)


@pytest.mark.parametrize("shape", [(3, 4), (20, 30)], ids=["full Jacobian", "random directions"])
def test_one_wrong_cell_is_named(shape: tuple[int, ...]) -> None:
    (x,) = inputs(shape)
    where = str(tuple(int(i) for i in np.unravel_index(7, shape)))
    value = 2 * x.array.ravel()[7]
    with pytest.raises(GradcheckError) as caught:
        gradcheck(squared(7, 1.5).apply, x, **EXACT)
    text = str(caught.value)
    assert f"input 0 is wrong at cell {where}" in text
    if shape == (3, 4):
        assert f"numerical {value:.6}"[:-1] in text
        assert f"analytical {1.5 * value:.6}"[:-1] in text
    assert not gradcheck(squared(7, 1.5).apply, x, raise_exception=False)
    assert gradcheck(squared(7, 1.0).apply, x, **EXACT)


def test_a_softmax_whose_backward_is_zero_fails() -> None:
    """With an upstream gradient of ones it would pass, because the rows of a softmax sum to 1."""

    class Softmax(Function):
        @staticmethod
        def forward(ctx, x):
            e = np.exp(x - x.max(1, keepdims=True))
            return e / e.sum(1, keepdims=True)

        @staticmethod
        def backward(ctx, gy):
            return np.zeros_like(gy)

    for shape in [(2, 3), (40, 30)]:
        with pytest.raises(GradcheckError):
            gradcheck(Softmax.apply, inputs(shape))


def test_nan_never_passes() -> None:
    with pytest.raises(GradcheckError):
        gradcheck(squared(0, float("nan")).apply, inputs((2, 2)))


@pytest.mark.cpu_only("its backward draws numbers with NumPy")
def test_a_backward_that_is_not_repeatable_fails() -> None:
    rng = np.random.default_rng(0)

    class Noisy(Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gy):
            return 2 * gy + 1e-9 * rng.standard_normal(gy.shape)

    with pytest.raises(GradcheckError, match="not deterministic"):
        gradcheck(Noisy.apply, inputs((2, 2)))
    assert gradcheck(Noisy.apply, inputs((2, 2)), nondet_tol=1e-6)


def test_several_outputs_and_the_name_of_the_wrong_one() -> None:
    wrong = squared(1, 0.5)
    with pytest.raises(GradcheckError, match=r"output 1 at \(1,\) with respect to input 1 is wrong at cell \(1,\)"):
        gradcheck(lambda a, b: (a * 2, wrong.apply(b)), inputs((2,), (3,)))


def test_bad_calls() -> None:
    with pytest.raises(ValueError, match="no input requires a gradient"):
        gradcheck(lambda x: x, Tensor(np.ones(2)))
    with pytest.raises(NotImplementedError):
        gradcheck(lambda x: x * 1, inputs((2,)), check_forward_ad=True)
    with pytest.raises(GradcheckError, match="no output depends"):
        gradcheck(lambda x: x.detach() * 1, inputs((2,)))


def test_it_leaves_the_inputs_alone() -> None:
    (x,) = inputs((3, 3))
    before = x.array.copy()
    gradcheck(lambda x: x * x, x)
    assert np.array_equal(x.array, before)
    assert x.grad is None


def test_parameters_that_a_layer_uses_without_taking_them_are_checked() -> None:
    class Layer(nn.Module):
        def __init__(self, right: bool) -> None:
            super().__init__()
            self.weight = nn.Parameter(minicnn.ones(3, dtype=minicnn.float64))
            self.right = right

        def forward(self, x: Any) -> Any:
            part = self.weight if self.right else self.weight.detach() + self.weight * 0  # a gradient of 0
            return x * part

    x = minicnn.tensor([[1.0, -2.0, 3.0]], dtype=minicnn.float64, requires_grad=True)
    for right in (True, False):
        layer = Layer(right)
        found = gradcheck(lambda x, *p: layer(x), (x, *layer.parameters()), raise_exception=False)  # noqa: B023
        assert found is right and layer.weight.tolist() == [1, 1, 1] and layer.weight.grad is None
    assert gradcheck(lambda x, y: x * 2, (x, x.detach().requires_grad_()))  # one that is not used at all


def test_other_types_than_float64_are_checked_with_a_warning() -> None:
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    for fast in (False, True):
        with pytest.warns(UserWarning, match=r"Input #0 .* not a double precision .*minicnn.float32.*\.double\(\)"):
            assert gradcheck(lambda x: x * x, x, eps=1e-2, atol=1e-2, fast_mode=fast)
        with pytest.warns(UserWarning, match="double"):
            assert not gradcheck(squared(0, 2.0).apply, x, eps=1e-2, raise_exception=False, fast_mode=fast)


def test_outputs_without_a_gradient() -> None:
    (x,) = inputs((2,))
    assert gradcheck(lambda x: x.detach() > 10, x)  # does not depend on x
    assert gradcheck(lambda x: (), x)
    assert not gradcheck(lambda x: (x.detach(),), x, raise_exception=False)
    with pytest.raises(GradcheckError, match="Numerical gradient for function expected to be zero"):
        gradcheck(lambda x: minicnn.tensor(x.tolist()), x)


def test_the_form_of_outputs_may_not_depend_on_the_values() -> None:
    x = minicnn.ones(1, dtype=minicnn.float64, requires_grad=True)
    with pytest.raises(AssertionError, match="with the same shape when inputs are perturbed"):
        gradcheck(lambda x: minicnn.cat([x, x]) if x.item() >= 1 else x * 1, x)
    with pytest.raises(AssertionError, match="with the same dtype when inputs are perturbed"):
        gradcheck(lambda x: x.float() if x.item() >= 1 else x * 1, x)
