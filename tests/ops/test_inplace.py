"""In-place methods: what they write, and what they do to the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, no_grad
from minicnn.autograd import grad
from minicnn.ops.tensor import inplace
from minicnn_kernels.arrays import address
from minicnn_kernels.layout import is_channels_last


def leaf(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(len(shape)).random(shape) + 0.5, requires_grad=True)


METHODS = [
    ("add_", (2.0,), {"alpha": 3}), ("sub_", (2.0,), {}), ("mul_", (2.0,), {}), ("div_", (2.0,), {}), ("pow_", (3,),
    {}), ("div_", (0.4,), {"rounding_mode": "floor"}), ("clamp_", (0.6, 1.2), {}), ("clamp_min_", (0.7,), {}), ("exp_",
    (), {}), ("log_", (), {}), ("sqrt_", (), {}), ("rsqrt_", (), {}), ("reciprocal_", (), {}), ("neg_", (), {}),
    ("abs_", (), {}), ("sin_", (), {}), ("tan_", (), {}), ("square_", (), {}), ("floor_", (), {}), ("round_", (), {}),
    ("sign_", (), {}), ("remainder_", (0.4,), {}), ("fmod_", (0.4,), {}), ("erf_", (), {}), ("expm1_", (), {}),
    ("log1p_", (), {}), ("frac_", (), {}), ("cumsum_", (1,), {}), ("zero_", (), {}), ("fill_", (2.0,), {}), ("relu_",
    (), {}), ("sigmoid_", (), {}), ("tanh_", (), {}), ("nan_to_num_", (), {}), ("lerp_", (minicnn.ones(2, 3).double(),
    0.3), {}), ("addcmul_", (minicnn.ones(3).double(), minicnn.ones(2, 1).double()), {"value": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options"), METHODS)
def test_in_place_is_the_function_with_its_gradient(name: str, args: Any, options: Any) -> None:
    x = leaf(2, 3)
    if name in ("zero_", "fill_"):
        expected = (x * 0 + (2 if args else 0)) * 5
    else:
        expected = getattr(x * 1, name.rstrip("_"))(*args, **options) * 5
    y = x * 1
    memory = y._array
    assert getattr(y, name)(*args, **options) is y
    assert y._array is memory
    z = y * 5
    np.testing.assert_array_equal(z.detach().numpy(), expected.detach().numpy())
    up = Tensor(np.random.default_rng(0).random((2, 3)))
    np.testing.assert_allclose(grad(z, x, up)[0].numpy(), grad(expected, x, up)[0].numpy(), rtol=1e-12)


@pytest.mark.parametrize(("name", "args", "options"), METHODS)
def test_without_recording_only_the_memory_changes(name: str, args: Any, options: Any) -> None:
    x = leaf(2, 3)
    with no_grad():
        expected = (
            x.clone() * 0
            if name == "zero_"
            else x * 0 + 2
            if name == "fill_"
            else getattr(x, name[:-1])(*args, **options)
        )
        version = x._version
        getattr(x, name)(*args, **options)
    assert x.is_leaf
    assert x._version > version
    np.testing.assert_array_equal(x.detach().numpy(), expected.numpy())


def test_comparisons_keep_the_type() -> None:
    x = minicnn.tensor([1.0, 2.0])
    assert x.gt_(1.5).tolist() == [0, 1]
    assert x.dtype == minicnn.float32
    assert x.logical_not_().tolist() == [1, 0]
    assert minicnn.tensor([6]).bitwise_and_(3).tolist() == [2]


def test_a_saved_value_that_is_overwritten_raises() -> None:
    x = leaf(3)
    y = x * 1
    z = (y * y).sum()
    y.add_(1)
    with pytest.raises(RuntimeError, match="Mul saved was changed in place"):
        z.backward()


def test_the_gradient_of_the_other_operand() -> None:
    """y.mul_(w) needs the old y for the gradient of w, although the memory holds the new one."""
    x, w = leaf(3), leaf(3)
    y = x * 2
    y.mul_(w)
    gx, gw = grad(y.sum(), [x, w])
    np.testing.assert_allclose(gx.numpy(), 2 * w.detach().numpy())
    np.testing.assert_allclose(gw.numpy(), 2 * x.detach().numpy())


def test_a_constant_becomes_recorded() -> None:
    total, x = minicnn.zeros(3).double(), leaf(3)
    for _ in range(3):
        total.add_(x * x)
    assert total.requires_grad
    assert not total.is_leaf
    np.testing.assert_allclose(grad(total.sum(), x)[0].numpy(), 6 * x.detach().numpy())
    buffer = minicnn.zeros(3)
    buffer.copy_(x)
    assert buffer.dtype == minicnn.float32
    assert grad((buffer * 2).sum(), x)[0].dtype == minicnn.float64


VIEWS = {
    "row": lambda y: y[1],
    "column": lambda y: y[:, 2],
    "steps": lambda y: y[::2, 1:],
    "flat": lambda y: y.reshape(-1),
    "transposed": lambda y: y.transpose(0, 1),
    "view of a view": lambda y: y.reshape(-1)[1:9].reshape(2, 4),
    "flipped twice": lambda y: y.permute(1, 0)[3:],
}


@pytest.mark.parametrize("write", VIEWS)
@pytest.mark.parametrize("read", VIEWS)
def test_a_write_through_a_view_reaches_all_that_share_the_memory(write: str, read: str) -> None:
    """The result equals that of a program without views and in-place writes: y * (1, or w at the written places)."""
    x, w = leaf(3, 4), Tensor(np.array(1.5), requires_grad=True)
    y = x * 2
    seen, written = VIEWS[read](y), VIEWS[write](y)
    written.mul_(w).add_(1)
    mask = minicnn.zeros(3, 4, dtype=minicnn.bool)
    VIEWS[write](mask).fill_(True)
    expected = minicnn.where(mask, x * 2 * w + 1, x * 2)
    for found, right in ((y, expected), (seen, VIEWS[read](expected)), (written, VIEWS[write](expected))):
        np.testing.assert_allclose(found.detach().numpy(), right.detach().numpy())
        up = Tensor(np.random.default_rng(1).random(right.shape))
        gradients = grad(found, [x, w], up, retain_graph=True, allow_unused=True)
        for g, h in zip(gradients, grad(right, [x, w], up, retain_graph=True), strict=True):
            np.testing.assert_allclose(0 if g is None else g.numpy(), h.numpy(), rtol=1e-12)


def test_assignment_to_a_view() -> None:
    """Detection heads do this: y = x.view(...); y[..., 0] = f(y[..., 0])."""
    x = leaf(2, 6)
    base = x * 1
    y = base.view(2, 3, 2)
    y[..., 0] = y[..., 0].sigmoid()
    expected = minicnn.stack([(x * 1).view(2, 3, 2)[..., 0].sigmoid(), (x * 1).view(2, 3, 2)[..., 1]], -1).view(2, 6)
    up = Tensor(np.random.default_rng(0).random((2, 6)))
    np.testing.assert_allclose(grad(base, x, up)[0].numpy(), grad(expected, x, up)[0].numpy())


def test_a_write_to_the_base_reaches_its_views() -> None:
    x = leaf(2, 3)
    y = x * 1
    view = y.reshape(6)
    y.exp_()
    np.testing.assert_allclose(grad(view.sum(), x)[0].numpy(), np.exp(x.detach().numpy()))


def test_a_write_through_a_view_makes_a_constant_base_recorded() -> None:
    out, x = minicnn.zeros(2, 3).double(), leaf(3)
    out[0].copy_(x)
    assert out.requires_grad
    np.testing.assert_allclose(grad((out * out).sum(), x)[0].numpy(), 2 * x.detach().numpy())


def test_detached_tensors_are_outside() -> None:
    x = leaf(3)
    y = x * 1
    y.detach().mul_(0)
    assert y.tolist() == [0, 0, 0]
    assert grad(y.sum(), x)[0].tolist() == [1, 1, 1]


def test_augmented_assignment() -> None:
    x = leaf(3)
    y = first = x * 1
    part = y[:1]
    part += 1  # recorded, in the same memory
    y *= 2
    assert y is first
    assert y.tolist() == [2 * (v + (i == 0)) for i, v in enumerate(x.tolist())]
    assert grad(y.sum(), x)[0].tolist() == [2, 2, 2]
    for grown in (minicnn.ones(2, 3).double(), minicnn.ones(3, 3).double()):
        with pytest.raises(RuntimeError, match="cannot hold"):
            y += grown
    counts = minicnn.tensor([5, 6])
    alias = counts
    counts //= 2
    counts <<= 1
    assert alias.tolist() == [4, 6]
    mask = minicnn.tensor([True, False])
    mask |= True
    assert mask.tolist() == [True, True]
    z = minicnn.zeros(2, 3).double()
    z[0] += x
    assert grad(z.sum(), x)[0].tolist() == [1, 1, 1]


def test_errors() -> None:
    x = leaf(3)
    with pytest.raises(RuntimeError, match=r"add_: a leaf Variable that requires grad.*no_grad"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="a leaf Variable"):
        x[0].zero_()
    with pytest.raises(RuntimeError, match="a leaf Variable"):
        x += 1
    with pytest.raises(RuntimeError, match=r"result is minicnn\.float32, which cannot be cast to .* minicnn\.int64"):
        minicnn.tensor([1]).mul_(1.5)
    with pytest.raises(RuntimeError, match=r"int64.*bool"):
        minicnn.tensor([True]).add_(1)
    with pytest.raises(minicnn.ShapeError, match=r"add_: .* cannot hold the result, of shape \(2, 3\)"):
        minicnn.zeros(3).add_(minicnn.ones(2, 3))
    with pytest.raises(RuntimeError, match="share a place"):
        minicnn.zeros(1).expand(3).add_(1)
    with pytest.raises((ValueError, RuntimeError), match=r"(?i)copy_|expand"):
        minicnn.zeros(3).copy_(minicnn.zeros(2))
    with pytest.raises(RuntimeError, match="0-d"):
        minicnn.zeros(3).fill_(minicnn.ones(2))


def test_any_function_can_be_made_in_place() -> None:
    cube_ = inplace.in_place(lambda x: x**3)
    x = leaf(2)
    y = x * 1
    assert cube_(y) is y
    np.testing.assert_allclose(grad(y.sum(), x)[0].numpy(), 3 * x.detach().numpy() ** 2)


def test_meta() -> None:
    x = minicnn.empty(2, 3, device="meta")
    assert x.mul_(2).add_(x).zero_().fill_(1).copy_(minicnn.empty(3, device="meta")) is x
    with pytest.raises(minicnn.ShapeError):
        x.add_(minicnn.empty(4, 2, 3, device="meta"))


# ------------------------------------------------------------------------------------- straight into the memory

ORDERS = [minicnn.contiguous_format, minicnn.channels_last]


def large(seed: int, memory: Any = minicnn.contiguous_format) -> Tensor:
    values = np.random.default_rng(seed).standard_normal((3, 5, 40, 41)).astype(np.float32)
    return Tensor(values).contiguous(memory_format=memory)


@pytest.mark.parametrize("memory", ORDERS)
@pytest.mark.parametrize("other_memory", ORDERS)
def test_the_end_of_a_residual_block(memory: Any, other_memory: Any) -> None:
    def end(inplace: bool) -> list[Any]:
        x, other = large(0, memory).requires_grad_(), large(1, other_memory).requires_grad_()
        out, identity = x * 2, other * 3
        address = out.data_ptr()
        if inplace:
            out += identity
            out -= other
            out = minicnn.relu_(out)
            assert out.data_ptr() == address
            assert type(out.grad_fn).__name__ and out.grad_fn.title == "Relu"
        else:
            out = (out + identity - other).relu()
        (out * large(2)).sum().backward()
        return [out.detach().numpy(), x.grad.numpy(), other.grad.numpy()]

    for a, b in zip(end(True), end(False), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("memory", ORDERS)
def test_relu_in_place_notices_a_later_change(device: str, memory: Any) -> None:
    y = large(0, memory).to(device).requires_grad_() * 1
    z = y.relu_()
    assert z is y
    y.mul_(2)
    with pytest.raises(RuntimeError, match="Relu saved was changed in place"):
        y.sum().backward()


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("memory", ORDERS)
def test_sums_and_relu_write_into_their_memory(device: str, memory: Any) -> None:
    x, other = large(0, memory).to(device), large(1, memory).to(device)
    expected = ((x + other - other * 2).relu() + 1).cpu()
    place = address(x._array)
    for change in (lambda: x.add_(other), lambda: x.sub_(other * 2), x.relu_, lambda: x.add_(minicnn.ones_like(x))):
        assert change() is x and address(x._array) == place
    np.testing.assert_allclose(x.cpu().numpy(), expected.numpy(), 1e-6, 1e-6)
    assert is_channels_last(x._array) == (memory is minicnn.channels_last)


def test_what_was_saved_of_the_old_values_raises_however_it_is_overwritten() -> None:
    for change in (lambda y: y.add_(large(1)), lambda y: y.sub_(large(1)), lambda y: y.relu_()):
        y = large(0).requires_grad_() * 1
        z = (y * y).sum()
        change(y)
        with pytest.raises(RuntimeError, match="changed in place"):
            z.backward()


def test_views_see_a_straight_write_and_differentiate_through_it() -> None:
    x = large(0).requires_grad_()
    y = x * 1
    row = y[1]
    row.add_(large(1)[1])
    y.relu_()
    np.testing.assert_array_equal(row.detach().numpy(), y[1].detach().numpy())
    (row.sum() + y[0].sum()).backward()
    wanted = np.zeros(x.shape, np.float32)
    wanted[0] = x.detach().numpy()[0] > 0
    wanted[1] = (x.detach() + large(1)).numpy()[1] > 0
    np.testing.assert_array_equal(x.grad.numpy(), wanted)


def test_operands_that_overlap() -> None:
    values = large(0).numpy().reshape(-1)
    expected = values.copy()
    expected[1:] = values[1:] + values[:-1]
    y = Tensor(values.copy())
    y[1:].add_(y[:-1])
    np.testing.assert_array_equal(y.numpy(), expected)
    y = Tensor(values.copy())
    y += y
    np.testing.assert_array_equal(y.numpy(), values * 2)
    y -= y
    assert not y.numpy().any()


@pytest.mark.cpu_only("there is no read-only memory on a GPU")
def test_straight_writes_check_what_the_others_check() -> None:
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        large(0).requires_grad_().add_(large(1))
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        large(0).requires_grad_().relu_()
    frozen = large(0).numpy()
    frozen.flags.writeable = False
    for write in (lambda y: y.relu_(), lambda y: y.add_(large(1))):
        with pytest.raises(RuntimeError, match="cannot be written"):
            write(Tensor(frozen))
    y = large(0)
    version = y._version
    with no_grad():
        y.relu_().add_(large(1)).sub_(y)
    assert y._version == version + 3 and y.grad_fn is None
    with minicnn.autograd.detect_anomaly():
        z = large(0).requires_grad_() * 1
        z += large(1)
        z.relu_().sum().backward()


def test_gradients_that_meet_are_added_in_memory_of_their_own() -> None:
    """Three paths lead from x to the end, and one passes its gradient on as it is; a hook's gradient never changes."""
    x, seen = large(0, minicnn.channels_last).requires_grad_(), []
    y = x * 1
    a, b = y + 0, y.relu()
    for t in (a, b):
        t.register_hook(seen.append)
    up = large(3, minicnn.channels_last)
    ((a + b) + y.tanh() * 2 + y).backward(up, retain_graph=True)
    first, kept = x.grad.numpy().copy(), [g.numpy().copy() for g in seen]
    v, g = x.detach().numpy().astype(np.float64), up.numpy().astype(np.float64)
    np.testing.assert_allclose(first, g * (1 + (v > 0) + 2 * (1 - np.tanh(v) ** 2) + 1), rtol=1e-4, atol=1e-5)
    for got, wanted in zip(kept, (g, g), strict=True):
        np.testing.assert_array_equal(got, wanted.astype(np.float32))
    np.testing.assert_array_equal(up.numpy(), large(3).numpy())
    for got, wanted in zip(seen, kept, strict=True):
        np.testing.assert_array_equal(got.numpy(), wanted)
