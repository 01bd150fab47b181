"""Results lie in the order of memory that is best for the kernels, and no program can tell."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import nn

pytestmark = [
    pytest.mark.usefixtures("channels_last_results"),
    pytest.mark.cpu_only("is about results on the CPU, the only ones that lie in another order"),
]
N, C, H, W = 2, 16, 6, 4
STRIDES = (C * H * W, H * W, W, 1)


@pytest.fixture
def channels_last_results() -> Any:
    with minicnn.use(memory_format="channels_last"):
        yield


def result(requires_grad: bool = False) -> minicnn.Tensor:
    """The result of a convolution, whose memory is channels-last."""
    minicnn.manual_seed(0)
    conv = nn.Conv2d(3, C, 3, padding=1).requires_grad_(requires_grad)
    y: minicnn.Tensor = conv(minicnn.randn(N, 3, H, W))
    assert y._order is not None
    assert not y.array.flags.c_contiguous
    return y


def expected() -> Any:
    """The same values in NCHW memory."""
    with minicnn.use(memory_format="contiguous_format"):
        minicnn.manual_seed(0)
        y = nn.Conv2d(3, C, 3, padding=1).requires_grad_(False)(minicnn.randn(N, 3, H, W))
    assert y._order is None
    return y.numpy()


def test_the_program_sees_the_usual_strides() -> None:
    y = result()
    assert y.stride() == STRIDES
    assert y.stride(1) == H * W
    assert y.is_contiguous()
    assert not y.is_contiguous(memory_format=minicnn.channels_last)
    assert y.contiguous() is y
    assert minicnn.zeros_like(y).stride() == y.clone().stride() == F.relu(y).stride() == (y + 1).stride() == STRIDES
    assert y._order is not None  # nothing of this has moved the elements


LOOKS: dict[str, Callable[[Any], Any]] = {
    "numpy": lambda y: y.numpy(),
    "array": lambda y: np.asarray(y),
    "flat view": lambda y: y.view(-1).numpy(),
    "flattened": lambda y: y.flatten(1).numpy(),
    "view of bits": lambda y: y.view(minicnn.int32).view(minicnn.float32).numpy(),
    "as_strided": lambda y: y.as_strided((N, C, H, W), STRIDES).numpy(),
    "DLPack": lambda y: np.from_dlpack(y),
    "storage": lambda y: (y.untyped_storage(), y.numpy())[1],
    "resized": lambda y: y.detach().resize_(N, C, H, W).numpy(),
    "deep copy": lambda y: copy.deepcopy(y).numpy(),
    "shallow copy": lambda y: copy.copy(y).numpy(),
    "pickle": lambda y: pickle.loads(pickle.dumps(y)).numpy(),
    "the constructor": lambda y: nn.Parameter(y).detach().numpy(),
    "data": lambda y: y.data.numpy(),
    "a piece": lambda y: minicnn.cat([y[:1], y[1:]]).numpy(),
    "unfolded": lambda y: y.unfold(3, W, W).squeeze(3).numpy(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=list(LOOKS))
def test_who_looks_at_the_memory_finds_the_usual_order(look: Callable[[Any], Any]) -> None:
    found = look(result())
    np.testing.assert_allclose(found.reshape(N, C, H, W), expected(), rtol=1e-5, atol=1e-6)
    assert found.flags.c_contiguous


def test_saved_and_loaded() -> None:
    file = io.BytesIO()
    minicnn.save({"y": result(), "first": result()[:1]}, file)
    file.seek(0)
    found = minicnn.load(file)
    assert found["y"].stride() == found["first"].stride() == STRIDES
    np.testing.assert_allclose(found["y"].numpy(), expected(), rtol=1e-5, atol=1e-6)


def test_views_share_memory_before_and_after_somebody_looks() -> None:
    y = result()
    views = [y.detach(), y[1], y.permute(0, 2, 3, 1), y.view(N, 4, 4, H, W), y.chunk(2, 1)[1], y.data, y[:, 1::2].mT]
    views[4].fill_(7)
    assert all(v._order is not None for v in (y, *views))
    flat = y.view(-1)  # this looks
    assert all(v._order is None for v in (y, *views))
    assert all(np.shares_memory(flat.numpy(), v.numpy()) for v in (y, *views))
    flat[0] = -5
    assert y[0, 0, 0, 0] == views[0][0, 0, 0, 0] == views[2][0, 0, 0, 0] == views[3][0, 0, 0, 0, 0] == -5
    assert (views[2][..., C // 2 :] == 7).all()
    assert (y.numpy()[:, C // 2 :] == 7).all()
    by_rows, in_groups = (C * H * W, W, 1, H * W), (C * H * W, 4 * H * W, H * W, W, 1)
    assert [v.stride() for v in views[:4]] == [STRIDES, STRIDES[1:], by_rows, in_groups]


def test_strides_of_views_are_the_usual_ones() -> None:
    y, usual = result(), minicnn.zeros(N, C, H, W)
    made: list[Callable[[Any], Any]] = [
        lambda t: t.permute(0, 2, 3, 1), lambda t: t.transpose(1, 2), lambda t: t[:, 3:7], lambda t: t[:, ::2, 1],
        lambda t: t.view(N, 2, C // 2, H, W).transpose(1, 2), lambda t: t.unsqueeze(2), lambda t: t.flatten(2).mT,
        lambda t: t.unbind(1)[2], lambda t: t.diagonal(dim1=2, dim2=3), lambda t: t[:1].expand(5, C, H, W),
    ]  # fmt: skip
    for view in made:
        a, b = view(y), view(usual)
        assert a.stride() == b.stride()
        assert a.is_contiguous() == b.is_contiguous()
        assert a.contiguous().stride() == b.contiguous().stride()
        np.testing.assert_array_equal(a.contiguous().numpy(), view(minicnn.tensor(y.tolist())).numpy())
        y = result()


def test_shuffled_channels_stay_in_channels_last_memory() -> None:
    y = result()
    shuffled = y.view(N, 2, C // 2, H, W).transpose(1, 2).contiguous().view(N, C, H, W)
    assert shuffled._order is not None
    assert shuffled.array.transpose(0, 2, 3, 1).flags.c_contiguous
    assert shuffled.stride() == STRIDES
    wanted = expected().reshape(N, 2, C // 2, H, W).swapaxes(1, 2).reshape(N, C, H, W)
    np.testing.assert_allclose(shuffled.numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_channels_last_that_the_program_asks_for_is_seen() -> None:
    y = result()
    asked = y.contiguous(memory_format=minicnn.channels_last)
    assert asked is not y
    assert asked.stride() == y.clone(memory_format=minicnn.channels_last).stride() == (C * H * W, 1, W * C, C)
    assert y.to(memory_format=minicnn.channels_last).is_contiguous(memory_format=minicnn.channels_last)
    assert F.relu(asked).stride() == asked.stride()


def test_gradients_are_those_of_nchw_memory() -> None:
    def gradients() -> list[Any]:
        minicnn.manual_seed(1)
        net = nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(16, 20, 3, groups=2), nn.Sigmoid(), nn.ConvTranspose2d(20, 8, 2, 2), nn.AdaptiveAvgPool2d(2),
            nn.Flatten(), nn.Linear(32, 3),
        )  # fmt: skip
        x = minicnn.randn(4, 3, 12, 10, requires_grad=True)
        net(x).square().sum().backward()
        assert x.grad is not None
        assert x.grad.stride() == x.stride()
        assert all(p.grad.stride() == p.stride() for p in net.parameters())
        return [x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]

    found = gradients()
    with minicnn.use(memory_format="contiguous_format"):
        wanted = gradients()
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_hooks_and_the_users_functions_see_the_usual_order() -> None:
    seen: list[Any] = []

    class Twice(minicnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            seen.append(x.view(-1).numpy().flags.c_contiguous)
            ctx.save_for_backward(x)
            return 2 * x

        @staticmethod
        def backward(ctx: Any, gy: Any) -> Any:
            seen.append(ctx.saved_tensors[0].view(N, -1).shape)
            return 2 * gy.view(-1).view(N, C, H, W)

    y = result(requires_grad=True)
    y.register_hook(lambda gradient: seen.append(gradient.view(N, -1).shape))
    packed = minicnn.autograd.graph.saved_tensors_hooks(lambda t: t.view(-1), lambda t: t.view(N, C, H, W))
    with packed:
        z = F.relu(Twice.apply(y) * y)
    z.sum().backward()
    assert seen == [True, (N, C * H * W), (N, C * H * W)]


def test_writes_are_noticed_whatever_memory_was_saved() -> None:
    y = result(requires_grad=True)
    z = y.exp()  # saves its result
    z.view(-1)  # moves the result
    z[0, 0, 0, 0] = 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_writes_into_views_reach_the_gradient() -> None:
    def gradient() -> Any:
        x = minicnn.ones(N, 3, H, W, requires_grad=True)
        y = F.conv2d(x, minicnn.ones(C, 3, 1, 1)) * 1
        y[:, 1:3] *= 5
        y.view(N, -1)[:, :7] = 0
        y.permute(0, 2, 3, 1)[..., 5].mul_(3)
        (y * y).sum().backward()
        return x.grad

    found = gradient()
    with minicnn.use(memory_format="contiguous_format"):
        assert minicnn.equal(found, gradient())


def test_a_detached_view_does_not_keep_the_graph() -> None:
    y = result(requires_grad=True)
    node = weakref.ref(y._edge[0])  # type: ignore[index]
    kept = y.detach()[0]
    del y
    gc.collect()
    assert node() is None
    assert kept.stride() == STRIDES[1:]
    assert kept.view(-1).shape == (C * H * W,)


def test_backward_hooks_of_modules() -> None:
    class Sum(nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a + b.view(N, C, -1).view(N, C, H, W)

    seen: list[Any] = []
    add, other = Sum(), minicnn.ones(N, C, H, W, requires_grad=True)
    add.register_full_backward_hook(lambda module, gxs, gys: seen.append([g.view(-1).shape for g in (*gxs, *gys)]))
    (add(other, result(requires_grad=True)) * 2).sum().backward()
    assert seen == [[(N * C * H * W,)] * 3]


def test_what_copies_for_the_program_is_a_copy() -> None:
    before, y = result().numpy().copy(), result()
    rows = y.permute(0, 2, 3, 1)
    for copied in (rows.contiguous(), rows.reshape(N, H, -1), rows.flatten(1), y.transpose(1, 2).contiguous()):
        copied.zero_()
    np.testing.assert_array_equal(y.numpy(), before)
    with pytest.raises(RuntimeError, match="needs another order of memory"):
        result().permute(0, 2, 3, 1).view(N, -1)


def test_writes_of_hooks_into_the_gradient() -> None:
    writes: list[Callable[[Any], Any]] = [
        lambda g: g.view(-1).zero_(), lambda g: g.numpy().fill(0), lambda g: g.mul_(0), lambda g: g[:].zero_(),
    ]  # fmt: skip
    for write in writes:
        x = minicnn.randn(N, 3, H, W, requires_grad=True)
        y = F.conv2d(x, minicnn.ones(C, 3, 1, 1)) * 2
        y.register_hook(lambda g, write=write: (write(g), None)[1])
        F.conv2d(y, minicnn.ones(C, C, 1, 1)).square().sum().backward()
        assert x.grad is not None
        assert (x.grad == 0).all()


def test_recorded_gradients_have_the_order_of_their_tensors() -> None:
    def loss(x: Any) -> Any:
        return F.conv2d(F.conv2d(x, minicnn.ones(C, 3, 1, 1)).relu(), minicnn.ones(C, C, 1, 1)).relu().square().sum()

    x = minicnn.randn(N, 3, H, W, requires_grad=True)
    (g,) = minicnn.autograd.grad(loss(x), [x], create_graph=True)
    assert g.stride() == x.stride()
    (g.view(N, -1).norm(dim=1) - 1).square().sum().backward()
    assert minicnn.func.grad(loss)(x.detach()).view(-1).shape == (x.numel(),)


def test_modules_backward_hooks_and_batches() -> None:
    seen: list[Any] = []
    conv, x = nn.Conv2d(3, C, 1), minicnn.randn(N, 3, H, W, requires_grad=True)
    conv.register_full_backward_hook(lambda module, gxs, gys: seen.extend(g.view(-1).shape for g in (*gxs, *gys)))
    F.conv2d(conv(x).relu(), minicnn.ones(C, C, 1, 1)).square().sum().backward()
    assert seen == [(x.numel(),), (N * C * H * W,)]
    batch = minicnn.utils.data.default_collate([result()[0], result()[1]])
    assert batch.view(N, -1).shape == (N, C * H * W)


def test_a_write_into_the_input_is_noticed() -> None:
    x, w = minicnn.randn(N, 3, H, W), minicnn.ones(C, 3, 1, 1, requires_grad=True)
    y = F.conv2d(x, w)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_views_of_views_of_views() -> None:
    y = result()
    z = y
    for _ in range(1000):
        z = z.unsqueeze(0).squeeze(0).detach()
    assert z.stride() == STRIDES
    z.view(-1)[0] = 5
    assert y[0, 0, 0, 0] == 5


def test_data_that_is_replaced() -> None:
    y, before = result(), result().numpy().copy()
    view = y[0]
    y.data = minicnn.zeros(N, C, H, W)
    assert y.stride() == STRIDES
    assert (y.numpy() == 0).all()
    np.testing.assert_array_equal(view.numpy(), before[0])
    z = minicnn.zeros(N, C, H, W)
    z.data = result()
    np.testing.assert_array_equal(z.view(-1).numpy(), before.reshape(-1))


def test_the_choice() -> None:
    x = minicnn.randn(1, 3, 5, 5)

    def ours(channels: int, x: Any = x, **options: Any) -> bool:
        with minicnn.use(**options):
            y = F.conv2d(x, minicnn.ones(channels, x.shape[1], 1, 1, dtype=x.dtype))
        assert y.stride() == (channels * 25, 25, 5, 1)
        return y._order is not None

    assert ours(16, memory_format="auto")
    assert not ours(8, memory_format="auto")  # few channels: rows of pixels are the better vectors
    assert not ours(16, x.double(), memory_format="auto")
    assert ours(16, x.double(), memory_format=minicnn.channels_last)
    assert not ours(16, minicnn.randn(1, 6, 5, 5), memory_format="auto")
    assert ours(16, minicnn.randn(1, 8, 5, 5), memory_format="auto")
    assert not ours(16, memory_format=minicnn.contiguous_format)
    assert not ours(16, memory_format="auto", algorithm="im2col")  # the user follows an algorithm
    assert not ours(16, memory_format="auto", backend="numpy")
    with pytest.raises(ValueError, match="channels_last, contiguous_format or 'auto', got 'nhwc'"):
        ours(16, memory_format="nhwc")
