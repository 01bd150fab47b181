"""PyTorch's rules for tensors on a GPU, emulated: mixed devices, indices, labels, writes, the graph, interchange."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor
from minicnn.autograd import detect_anomaly, engine, grad
from minicnn.ops.drop_block import drop_block2d, stochastic_depth
from minicnn_kernels.emulated.traffic import counting, no_waits

pytestmark = pytest.mark.usefixtures("gpu")
CPU, CUDA, OTHER = minicnn.device("cpu"), minicnn.device("cuda:0"), minicnn.device("cuda:1")
SAME = "Expected all tensors to be on the same device"


def there(*values: Any, **options: Any) -> Tensor:
    return minicnn.tensor(*values, device="cuda", **options)


def equal(x: Tensor, expected: Any, device: Any = CUDA) -> None:
    assert x.device == device
    np.testing.assert_allclose(x.detach().cpu().numpy(), expected, rtol=1e-6)


# ------------------------------------------------------------------------------------------------------ mixed devices


def test_a_0d_tensor_on_the_cpu_counts_as_a_number() -> None:
    x = there([1.0, 2.0], requires_grad=True)
    a = minicnn.tensor(3.0, requires_grad=True)
    with no_waits():
        y = (a * x + a) / minicnn.tensor(2.0)
        w = minicnn.where(x > 1.5, a, 0.0)
    equal(y, [3, 4.5])
    equal(w, [0, 3])
    (y + w).sum().backward()
    equal(x.grad, [1.5, 1.5])
    equal(a.grad, 1.5 + 1 + 1, CPU)


@pytest.mark.parametrize(
    ("op", "name"),
    [
        (lambda x, y: x + y, "add"),
        (lambda x, y: y @ x, "matmul"),
        (lambda x, y: minicnn.cat((x, y)), "cat"),
        (lambda x, y: minicnn.where(x > 0, x, y), "where"),
        (lambda x, y: F.linear(x, y), "linear"),
        (lambda x, y: x.masked_fill(y > 0, 1.0), "masked_fill"),
        (lambda x, y: x.gather(0, y.long()), "gather"),
        (lambda x, y: F.cross_entropy(x, y[0].long()), "cross_entropy"),
        (lambda x, y: F.cross_entropy(x, x[0].long(), y[0]), "cross_entropy"),
        (lambda x, y: x.add_(y), "add"),
        (lambda x, y: F.conv2d(x[None, None], y[None, None]), "convolution"),
        (lambda x, y: x.allclose(y), "isclose"),
        (lambda x, y: x.equal(y), "equal"),
        (lambda x, y: x.equal(y[:1]), "equal"),
        (lambda x, y: x.permute(1, 0).index_select(0, y[0].long()), "index"),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_tensors_on_several_devices_raise(op: Callable[..., Any], name: str, device: str) -> None:
    x, y = minicnn.zeros(2, 2, device="cuda"), minicnn.zeros(2, 2, device=device)
    with pytest.raises(RuntimeError, match=f"^{name}: {SAME}, but found at least two devices, .*{device}"):
        op(x, y)


def test_the_second_gpu() -> None:
    """Everything on a GPU that is not the current one."""
    x = minicnn.randn(3, 4, device="cuda:1").requires_grad_()
    y = F.dropout(x.softmax(1) @ minicnn.ones(4, 2, device="cuda:1")) + minicnn.zeros_like(x[:, :2])
    y[0, :] = 2.0
    y.register_hook(lambda g: g * 2)
    y.retain_grad()
    (y * y).mean().backward()
    (x * 2).sum().backward()
    loss = F.cross_entropy(x, minicnn.tensor([1, 0, 3], device="cuda:1"), ignore_index=0)
    gx, unused = grad(loss, (x, y.detach().requires_grad_()), materialize_grads=True)
    drawn = [F.gumbel_softmax(x, hard=True), minicnn.bernoulli(x.sigmoid()), x.softmax(1).multinomial(2)]
    found = [x[[0, 1]], x[x > 0], x.topk(2)[0], x.nonzero(), x.unique(), x.clone(), x.double()]
    tensors = [x.grad, y, y.grad, gx, unused, loss, *drawn, *found, minicnn.rand_like(x), x.detach().uniform_()]
    assert {t.device for t in tensors} == {OTHER}
    assert x.allclose(x) and x.equal(x) and 700.0 not in x and isinstance(repr(x), str)


def test_a_result_that_left_the_gpu_raises() -> None:
    class Lost(engine.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, forwards: bool) -> Any:
            return np.zeros(x.shape) if forwards else x

        @staticmethod
        def backward(ctx: Any, gy: Any) -> Any:
            return np.zeros(gy.shape), None

    x = there([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="Lost: a result of tensors on cuda:0 came out on the CPU"):
        Lost.apply(x, True)
    with pytest.raises(RuntimeError, match="Lost: a gradient of tensors on cuda:0 came out on the CPU"):
        Lost.apply(x, False).sum().backward()


# ------------------------------------------------------------------------------------------------------------ indexing


def test_an_index_may_be_on_the_cpu() -> None:
    """As in PyTorch; it is checked there, so that the program does not wait."""
    values = np.arange(12.0).reshape(3, 4)
    x = there(values, requires_grad=True)
    mask = np.array([True, False, True])
    with no_waits():
        found = [x[[2, 0, 2]], x[minicnn.tensor([2, 0, 2])], x[np.array([2, 0, 2])], x[:, minicnn.tensor([1, -1])]]
        found += [x[minicnn.tensor(mask)], x[mask], x[mask.tolist(), 1]]
        (gx,) = grad(sum(y.sum() for y in found), x)
        with pytest.raises(IndexError, match="index 3 is out of bounds for dimension 0 with size 3"):
            x[[3]]
    expected = [values[[2, 0, 2]]] * 3 + [values[:, [1, -1]]] + [values[mask]] * 2 + [values[mask, 1]]
    for y, e in zip(found, expected, strict=True):
        equal(y, e)
    equal(gx, [[5, 7, 5, 6], [0, 1, 0, 1], [8, 10, 8, 9]])


def test_an_index_on_the_gpu() -> None:
    values = np.arange(12.0).reshape(3, 4)
    x, i = there(values), there([2, -1])
    with counting() as seen:
        equal(x[i], values[[2, -1]])
        equal(x[i, i[:1]], values[[2, -1], 2])
        equal(x[there([[True] * 4, [False] * 4, [True, False] * 2])], [0, 1, 2, 3, 8, 10])
        equal(x[there(1)], values[1])
    assert seen.waits > 0
    with pytest.raises(IndexError, match="index -4 is out of bounds for dimension 0 with size 3"):
        x[there([0, -4])]
    for index in (i, there([True, False, True])):
        with pytest.raises(RuntimeError, match=r"indices should be either on cpu or on the same device .*\(cpu\)"):
            x.cpu()[index]
        with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same device"):
            x.to("cuda:1")[index]


def test_writing_to_an_index() -> None:
    values = np.zeros((3, 4))
    x = there(values)
    with no_waits():
        x[1] = 5
        x[2] = np.arange(4.0)  # a copy from the CPU, as in PyTorch
        x[:, 0] = minicnn.tensor([7.0, 8.0, 9.0], dtype=minicnn.float64)
        x[[0, 0], [2, 3]] = minicnn.tensor(6.0, dtype=minicnn.float64)
        x[x == 0] = -1.0
    equal(x, [[7, -1, 6, 6], [8, 5, 5, 5], [9, 1, 2, 3]])
    x[there([0, 1]), 1] = there([3.0, 4.0], dtype=minicnn.float64)
    x[x > 8] = there(0.5)
    equal(x[:, :2], [[7, 3], [8, 4], [0.5, 1]])
    with pytest.raises(RuntimeError, match=SAME):
        x[[0, 1]] = minicnn.zeros(2, 4, dtype=minicnn.float64)
    y = minicnn.zeros(3)
    y[1] = there(2.0)
    y[:1] = there([1.0])
    equal(y, [1, 2, 0], CPU)
    with pytest.raises(RuntimeError, match="the memory cannot be written"):
        x[:1].expand(3, 4)[0] = 1
    with pytest.raises(IndexError, match="the shape of the mask"):
        x[there([True, False])] = 1.0


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_gradients_of_writes(device: str) -> None:
    x, v, s = (minicnn.tensor(a, device=device, requires_grad=True) for a in ([1.0, 2.0, 3.0], [5.0, 6.0], 2.0))
    y = x * 3
    y[minicnn.tensor([2, 0], device=device)] = v
    y[y == 6] = s
    y[1:].mul_(2)
    gx, gv, gs = grad((y * minicnn.tensor([1.0, 10.0, 100.0], device=device)).sum(), (x, v, s))
    place = minicnn.zeros(0, device=device).device
    equal(gx, [0, 0, 0], place)
    equal(gv, [200, 0], place)
    equal(gs, 21, place)


def test_gradients_of_what_is_written_from_the_cpu() -> None:
    x = there([1.0, 2.0, 3.0], requires_grad=True)
    on_cpu = minicnn.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    y[:2] = on_cpu
    equal(grad((y * y).sum(), on_cpu)[0], [2, 4], CPU)


# ------------------------------------------------------------------------------------------------------------- losses

ROWS = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "cross_entropy, smoothed": lambda x, t, **o: F.cross_entropy(x, t, label_smoothing=0.1, **o),
    "nll_loss": F.nll_loss,
    "multi_margin_loss": F.multi_margin_loss,
    "multilabel_margin_loss": lambda x, t, **o: F.multilabel_margin_loss(x, minicnn.stack([t, t * 0 - 1, t], 1), **o),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("wrong", [3, -1, 10**9])
@pytest.mark.parametrize("name", LOSSES)
def test_a_wrong_label_gives_nan(name: str, wrong: int, weighted: bool) -> None:
    """Not an error, for which the program would wait, and not another class; `detect_anomaly` finds it."""
    if name == "multilabel_margin_loss" and (weighted or wrong == -1):  # without weights, and -1 ends a list
        return
    x, t = there(ROWS, requires_grad=True), there([0, wrong, 2, 1])
    options = {"weight": there([1.0, 2.0, 0.5])} if weighted else {}
    with no_waits():
        losses = LOSSES[name](x, t, reduction="none", **options)
        (gx,) = grad(losses.sum(), x)
        mean = LOSSES[name](x, t, **options)
    assert losses.isnan().tolist() == [False, True, False, False] == gx.isnan().any(1).tolist()
    assert mean.isnan().item()
    with detect_anomaly(), pytest.raises(IndexError, match=f"target {wrong} is not a class"):
        LOSSES[name](x, t, **options)
    with pytest.raises(IndexError):
        LOSSES[name](x.cpu(), t.cpu(), **{k: w.cpu() for k, w in options.items()})


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", [[0, 7, 2, 7], [7, 7, 7, 7], [1, 1, 0, 2]])
@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy, smoothed", "nll_loss"])
def test_ignored_labels_do_not_count(name: str, labels: list[int], weighted: bool, reduction: str) -> None:
    """The mean over no labels is NaN, as on the CPU."""
    found = []
    for device in ("cpu", "cuda"):
        x, t = minicnn.tensor(ROWS, device=device, requires_grad=True), minicnn.tensor(labels, device=device)
        weight = minicnn.tensor([1.0, 2.0, 0.5], device=device) if weighted else None
        with no_waits():
            loss = LOSSES[name](x, t, weight=weight, ignore_index=7, reduction=reduction)
            found += [loss, *grad(loss.sum(), x)]
    for on_cpu, on_gpu in zip(found[:2], found[2:], strict=True):
        equal(on_gpu, on_cpu.detach().numpy())
    assert found[0].isnan().any().item() == (labels == [7] * 4 and reduction == "mean")


def test_other_checks_of_values_do_not_wait() -> None:
    p, t = there([0.5, 2.0]), there([1.0, 1.0])
    with no_waits():
        losses = F.binary_cross_entropy(p, t, reduction="none")
        normal = F.gaussian_nll_loss(p, t, there([1.0, -1.0]), reduction="none")
        soft = minicnn.ops.softmax.temperature_softmax(p, there(-1.0))
    for x in (losses, normal, soft):
        assert x.isnan()[-1].item()
    with detect_anomaly():
        for wrong in (
            lambda: F.binary_cross_entropy(p, t),
            lambda: F.gaussian_nll_loss(p, t, there([1.0, -1.0])),
            lambda: minicnn.ops.softmax.temperature_softmax(p, there(-1.0)),
        ):
            with pytest.raises((RuntimeError, ValueError), match=r"between 0 and 1|negative|positive"):
                wrong()


# ------------------------------------------------------------------------------------- making, drawing, interchanging


def test_tensors_from_data() -> None:
    x = there([[1.0, 2.0], [3.0, 4.0]])
    same = [minicnn.as_tensor(x), minicnn.asarray(x.array), minicnn.from_dlpack(x.array), Tensor(x.array)]
    assert {t.data_ptr() for t in same} == {x.data_ptr()} and {t.device for t in same} == {CUDA}
    copies = [minicnn.tensor(x.array), minicnn.asarray(x, copy=True), x.new_tensor(x.array), x.clone(), x.new_tensor(1)]
    assert x.data_ptr() not in {t.data_ptr() for t in copies} and {t.device for t in copies} == {CUDA}
    for t in (minicnn.as_tensor(x.array, device="cpu"), minicnn.tensor(x.array, device="cpu"), x.cpu()):
        equal(t, [[1, 2], [3, 4]], CPU)
    equal(x.to("cpu:0") + minicnn.zeros(2, 2, device="cpu:0"), [[1, 2], [3, 4]], CPU)
    equal(minicnn.tensor([x[0, 0], 5.0]), [1, 5], CPU)  # a list of numbers, one of which is on the GPU
    equal(minicnn.tensor(np.array([[1, 2], [3, 4]], order="F"), device="cuda"), [[1, 2], [3, 4]])
    assert there(np.array([[1, 2], [3, 4]], order="F")).is_contiguous()
    with pytest.raises(ValueError, match="needs a copy, which copy=False forbids"):
        minicnn.asarray(x.array, device="cpu", copy=False)
    with pytest.raises(ValueError, match="needs a copy to be on cpu, which copy=False forbids"):
        minicnn.from_dlpack(x.array, device="cpu", copy=False)
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        x.numpy()
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        np.asarray(x)
    np.testing.assert_array_equal(x.numpy(force=True), [[1, 2], [3, 4]])
    assert x.__dlpack_device__() == (2, 0) and not hasattr(minicnn.zeros(1), "__cuda_array_interface__")
    equal(x.array + x, [[2, 4], [6, 8]])  # CuPy's array first
    for made in (minicnn.arange(3, device="cuda"), minicnn.eye(3, device=CUDA)[0], minicnn.linspace(0, 2, 3, device=0)):
        assert made.device == CUDA


@pytest.mark.parametrize(
    "draw",
    [
        lambda d, g: minicnn.rand(3, 2, device=d, generator=g),
        lambda d, g: minicnn.randint(5, (4,), device=d, generator=g),
        lambda d, g: minicnn.randperm(5, device=d, generator=g),
        lambda d, g: minicnn.normal(minicnn.arange(3.0, device=d), 0.5, generator=g),
        lambda d, g: minicnn.normal(1.0, minicnn.arange(3.0, device=d), generator=g),
        lambda d, g: minicnn.bernoulli(minicnn.full((9,), 0.5, device=d), generator=g),
        lambda d, g: minicnn.multinomial(minicnn.tensor([0.1, 0.6, 0.3], device=d), 2, generator=g),
        lambda d, g: minicnn.multinomial(minicnn.tensor([[0.1, 0.6, 0.3]], device=d), 5, True, generator=g),
        lambda d, g: minicnn.poisson(minicnn.arange(5.0, device=d), generator=g),
        lambda d, g: minicnn.empty(9, device=d).bernoulli_(minicnn.full((9,), 0.5, device=d), generator=g),
        lambda d, g: minicnn.empty(3, device=d).normal_(generator=g),
        lambda d, g: minicnn.randn_like(minicnn.empty(2, 2, device=d), generator=g),
        lambda d, g: F.dropout(minicnn.ones(20, device=d)),
        lambda d, g: F.dropout2d(minicnn.ones(2, 5, 2, 2, device=d), 0.3),
        lambda d, g: F.rrelu(-minicnn.ones(20, device=d), training=True),
        lambda d, g: F.gumbel_softmax(minicnn.ones(3, 4, device=d)),
        lambda d, g: F.fractional_max_pool2d(minicnn.arange(50.0, device=d).reshape(1, 2, 5, 5), 2, output_size=3),
    ],
)
def test_the_same_seed_gives_the_same_numbers(draw: Callable[..., Tensor]) -> None:
    found = []
    for device in ("cpu", "cuda"):
        minicnn.manual_seed(3)
        found.append(draw(device, minicnn.Generator(device).manual_seed(7)))
    assert found[0].std().item() > 0 if found[0].is_floating_point() else True
    equal(found[1], found[0].numpy())


@pytest.mark.parametrize(
    "step",
    [
        lambda x: drop_block2d(x, 0.3, 3),
        lambda x: stochastic_depth(x * 1, 0.5, "row") + F.dropout(x * 1, inplace=True),
        lambda x: F.alpha_dropout(x, 0.3, training=True) + F.rrelu(x, training=True),
        lambda x: F.gumbel_softmax(x.flatten(1), hard=True),
        lambda x: F.conv2d(x.half(), minicnn.ones(2, 3, 3, 3, device="cuda").half()).float(),
        lambda x: F.batch_norm(x.half(), None, None, training=True).float(),
        lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear") * F.pad(x, (2, 3, 2, 3), mode="reflect").mean(),
        lambda x: x // 2 + x % 3 + x.norm() + x.norm(3) + x.std() + F.normalize(x) + x.masked_fill(x > 0, 1.0),
    ],
)
def test_steps_that_draw_numbers_or_round_do_not_wait(step: Callable[[Tensor], Tensor]) -> None:
    x = minicnn.randn(2, 3, 5, 5, device="cuda").requires_grad_()
    with no_waits():
        step(x).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_joined_channels_last_images_stay_so() -> None:
    x = minicnn.arange(48.0).reshape(1, 4, 3, 4).to(memory_format=minicnn.channels_last)
    for dim in range(4):
        y = minicnn.cat((x.cuda(), 2 * x.cuda()), dim)
        assert y.is_contiguous(memory_format=minicnn.channels_last)
        equal(y, minicnn.cat((x, 2 * x), dim).numpy())


# ------------------------------------------------------------------------------------------------------ on the CPU


def test_what_cupy_cannot_do_is_computed_on_the_cpu() -> None:
    def below(kind: type) -> set[type]:
        return {kind}.union(*(below(k) for k in kind.__subclasses__()))

    gc.collect()
    names = {kind.__name__ for kind in below(engine.Function) if kind.on_cpu and kind.__module__.startswith("minicnn")}
    assert names == {
        "CumulativeOnCpu", "PickOnCpu", "RunningExtremum", "ScatterProduct", "ScatterReduce", "SearchSortedRows",
    }  # fmt: skip


def test_searching_and_counting() -> None:
    values = [3.0, 1.0, 2.0, 1.0]
    x = there(values)
    for found, expected in (
        (x.unique(return_counts=True), np.unique(values, return_counts=True)),
        ((there([0, 2, 2]).bincount(), x.histc(2), minicnn.isin(x, there([1.0]))),
         ([1, 0, 2], [2, 2], [0, 1, 0, 1])),
        (x.nonzero(as_tuple=True), np.nonzero(values)),
        ((minicnn.searchsorted(there([1.0, 2.0]), x), x.unique_consecutive()), ([2, 0, 1, 0], values)),
        ((minicnn.searchsorted(there([[1.0, 2.0]]), x[None]),), ([[2, 0, 1, 0]],)),
        (x.sort(stable=True), (np.sort(values), np.argsort(values, kind="stable"))),
        ((minicnn.scatter(x, 0, there([0, 0]), there([2.0, 3.0]), reduce="multiply"),), ([18, 1, 2, 1],)),
    ):  # fmt: skip
        for a, b in zip(found, expected, strict=True):
            equal(a, b)
