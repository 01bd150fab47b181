"""Numbers on a GPU, emulated, are those of the CPU: parameters that are tensors of rank 0, and special values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor

pytestmark = pytest.mark.usefixtures("gpu")


def there(value: Any) -> Tensor:
    return minicnn.tensor(value, device="cuda")


def same(x: Tensor, expected: Any, device: Any = "cuda:0") -> None:
    assert str(x.device) == str(device)
    np.testing.assert_allclose(x.cpu().numpy(), expected, rtol=1e-6)


def test_numbers_may_be_0d_tensors_on_the_gpu() -> None:
    """As on the CPU; a random method draws the same numbers."""
    draws: list[tuple[Callable[..., Tensor], tuple[float, ...]]] = [
        (Tensor.normal_, (0.5, 2.0)), (Tensor.uniform_, (0.5, 2.0)), (Tensor.cauchy_, (0.5, 2.0)),
        (Tensor.log_normal_, (0.5, 2.0)), (Tensor.exponential_, (2.0,)), (Tensor.geometric_, (0.5,)),
    ]  # fmt: skip
    for draw, parameters in draws:
        minicnn.manual_seed(0)
        expected = draw(minicnn.zeros(3), *parameters).numpy()
        for device in ("cpu", "cuda"):
            minicnn.manual_seed(0)
            x = minicnn.zeros(3, device=device)
            same(draw(x, *[minicnn.tensor(p, device=device) for p in parameters]), expected, x.device)
        with pytest.raises(TypeError, match=rf"{draw.__name__}: .* must be a number, got a tensor of shape \(2,\)"):
            draw(x, *[there([p, p]) for p in parameters])
    same(minicnn.normal(there(5.0), there(0.0), (2,), device="cuda"), [5, 5])
    x = there([np.nan, np.inf, -np.inf])
    same(x.nan_to_num(there(1.0), posinf=there(2.0), neginf=there(3.0)), [1, 2, 3])
    with pytest.raises(TypeError, match=r"nan_to_num: posinf must be a number, got a tensor of shape \(1,\)"):
        x.nan_to_num(posinf=there([1.0]))
    assert there([1.0]).allclose(there([1.5]), rtol=there(0.0), atol=there(0.6))
    with pytest.raises(TypeError, match=r"isclose: atol must be a number, got a tensor of shape \(1,\)"):
        x.isclose(x, atol=there([0.6]))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_tensor_of_rank_0_has_no_axis_to_repeat_along(device: str) -> None:
    x = minicnn.tensor(2.5, device=device)
    with pytest.raises(IndexError, match="repeat_interleave: a tensor of rank 0 has no axis 0 to repeat along"):
        x.repeat_interleave(2, 0)
    same(x.repeat_interleave(2), [2.5, 2.5], x.device)
    same(x.repeat_interleave(1, 0), 2.5, x.device)


@pytest.mark.parametrize("dtype", [minicnn.float32, minicnn.float64, minicnn.float16])
def test_special_values_are_those_of_the_cpu(dtype: Any) -> None:
    special = [np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -1.0, 5.5, -5.5, 2.0, -3.0, 0.1]
    a, b = (minicnn.tensor(x.ravel(), dtype=dtype) for x in np.meshgrid(special, special))
    functions: list[Callable[..., Tensor]] = [
        minicnn.floor_divide, minicnn.remainder, minicnn.fmod, lambda a, b: a.div(b, rounding_mode="trunc"),
        lambda a, _: a.logit(1.0), lambda a, _: a.logit(0.6), lambda a, _: a.logit(0.1),
        lambda a, _: a // 2, lambda a, _: 2 // a, lambda a, _: a % -2.5, lambda a, _: -2.5 % a, lambda a, _: a // 0,
    ]  # fmt: skip
    for function in functions:
        expected, found = function(a, b).numpy(), function(a.cuda(), b.cuda())
        assert found.dtype == dtype
        np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=1e-5 if dtype != minicnn.float16 else 1e-2)
        if function is minicnn.floor_divide:
            number = ~np.isnan(expected)
            np.testing.assert_array_equal(np.signbit(found.cpu().numpy()[number]), np.signbit(expected[number]))
