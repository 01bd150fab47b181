"""Optimisers of parameters on a GPU, emulated: the numbers of the CPU, without a wait, and state that moves along."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from minicnn_kernels.emulated.traffic import counting, no_waits

CPU, CUDA, SECOND = minicnn.device("cpu"), minicnn.device("cuda:0"), minicnn.device("cuda:1")
pytestmark = pytest.mark.usefixtures("gpu")

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "maximize": True, "foreach": True}),
    ("Adam", {"weight_decay": 0.1, "fused": True}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("Adamax", {}),
    ("NAdam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("RAdam", {}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Adadelta", {}),
    ("Adafactor", {"weight_decay": 0.1}),
    ("Rprop", {}),
    ("ASGD", {"t0": 2}),
]
IDS = [f"{name}-{','.join(options)}" for name, options in CASES]


def parameters(device: Any, dtype: Any = np.float32) -> list[Tensor]:
    rng = np.random.default_rng(0)
    first = [Tensor(rng.standard_normal(shape).astype(dtype)) for shape in ((3, 4), (5,), (), (2, 3, 4, 4), (0, 3))]
    first[3] = first[3].contiguous(memory_format=minicnn.channels_last)
    return [nn.Parameter(x.to(device)) for x in first]


def give_gradients(params: list[Tensor], number: int) -> None:
    rng = np.random.default_rng(number)
    for p in params:
        p.grad = Tensor(rng.standard_normal(p.shape).astype(p.dtype)).to(p.device)


def steps(optimizer: Any, params: list[Tensor], numbers: range) -> None:
    for number in numbers:
        give_gradients(params, number)
        optimizer.step()


def same(there: Any, here: Any) -> None:
    """Equal to the bit, or to the last bits where NumPy computes in another order."""
    if isinstance(here, Tensor):
        np.testing.assert_allclose(there.detach().cpu().numpy(), here.detach().numpy(), 1e-6, 1e-7)
        assert there.dtype == here.dtype and there.stride() == here.stride()
    else:
        assert there == here


def close(there: list[Tensor], here: list[Tensor]) -> None:
    for a, b in zip(there, here, strict=True):
        same(a, b)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_numbers_of_the_cpu(name: str, options: dict[str, Any], dtype: Any) -> None:
    here, there = parameters("cpu", dtype), parameters("cuda", dtype)
    expected, found = (getattr(optim, name)(params, **options) for params in (here, there))
    with minicnn.use(backend="numpy"):
        steps(expected, here, range(5))
        expected.step()
    for number in range(5):
        give_gradients(there, number)
        with no_waits(), counting() as seen:
            found.step()
        # Where the step is one launch, the addresses of gradients in new memory are uploaded.
        assert number == 0 or (seen.to_device <= (name in ("SGD", "Adam", "AdamW")) and not seen.to_host)
    with no_waits(), counting() as seen:
        found.step()  # with the same gradients
    assert (seen.to_device, seen.to_host) == (0, 0)
    close(there, here)
    for p, q in zip(there, here, strict=True):
        assert found.state[p].keys() == expected.state[q].keys()
        for key, value in found.state[p].items():
            same(value, expected.state[q][key])
            assert not isinstance(value, Tensor) or value.device == (CPU if key in found.counters else CUDA)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_an_optimizer_made_before_the_move(name: str, options: dict[str, Any]) -> None:
    """Without state it goes on, as in PyTorch; with state it says what to do, and then goes on too."""
    here, net = parameters("cpu"), nn.ParameterList(parameters("cpu"))
    params = list(net.parameters())
    expected, optimizer = (getattr(optim, name)(params, **options) for params in (here, params))

    def has_state() -> bool:
        states = [(key, value) for state in optimizer.state.values() for key, value in state.items()]
        return any(isinstance(value, Tensor) and key not in optimizer.counters for key, value in states)

    for number, place in enumerate(("cuda", "cpu", "cuda:1")):
        before = has_state()
        net.to(place)
        if before:
            give_gradients(params, number)
            with pytest.raises(RuntimeError, match=rf"{name}: Expected all tensors to be on the same device.*load"):
                optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
        steps(optimizer, params, range(number, number + 1))
    assert {p.device for p in params} == {SECOND}
    with minicnn.use(backend="numpy"):
        steps(expected, here, range(3))
    close(params, here)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("way", ["to the GPU", "from the GPU"])
def test_state_dicts_move_to_the_parameters(name: str, options: dict[str, Any], way: str) -> None:
    first, then = (CPU, CUDA) if way == "to the GPU" else (CUDA, CPU)
    here, before, after = parameters("cpu"), parameters(first), parameters(then)
    make = getattr(optim, name)
    expected, a, b = make(here, **options), make(before, **options), make(after, **options)
    steps(a, before, range(2))
    for p, q in zip(after, before, strict=True):
        p.data = q.detach().to(then)
    state = copy.deepcopy(a.state_dict())
    if way == "to the GPU":  # as from load(map_location="cuda"): the counters are there too
        for of_parameter in state["state"].values():
            for key, value in of_parameter.items():
                of_parameter[key] = value.cuda() if isinstance(value, Tensor) else value
    b.load_state_dict(state)
    for p in after:
        for key, value in b.state[p].items():
            assert not isinstance(value, Tensor) or value.device == (CPU if key in b.counters else then)
    steps(b, after, range(2, 4))
    with minicnn.use(backend="numpy"):
        steps(expected, here, range(4))
    close(after, here)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Rprop"])
def test_parameters_on_several_devices(name: str) -> None:
    """Also on a GPU that is not the current one."""
    here, there = parameters("cpu"), parameters("cpu")
    for p, place in zip(there, ("cuda:1", "cpu", "cuda:0", "cuda:1", "cpu"), strict=True):
        p.data = p.data.to(place)
    expected, found = (getattr(optim, name)(params, lr=0.1) for params in (here, there))
    steps(expected, here, range(3))
    steps(found, there, range(3))
    close(there, here)
    assert there[0].device == there[3].device == SECOND and there[2].device == CUDA and there[1].device == CPU
    assert {v.device for k, v in found.state[there[0]].items() if isinstance(v, Tensor) and k != "step"} <= {SECOND}


def test_a_gradient_on_another_device() -> None:
    for name in ("SGD", "Adadelta"):
        p = nn.Parameter(minicnn.ones(2))
        p.grad = minicnn.ones(2)
        p.data = p.data.cuda()
        with pytest.raises(RuntimeError, match=r"cuda:0 and its gradient on cpu"):
            getattr(optim, name)([p]).step()
    with pytest.raises(RuntimeError, match=r"on cpu does not fit a tensor .* on cuda:0"):
        p.grad = minicnn.ones(2)
    with pytest.raises(AssertionError, match="set it to False"):
        params = parameters("cuda")
        steps(optim.Adam(params, capturable=True), params, range(1))


def valley(device: str, line_search: str | None) -> tuple[Tensor, list[float]]:
    p = nn.Parameter(minicnn.tensor([-1.0, 1.5], dtype=minicnn.float64, device=device))
    optimizer = optim.LBFGS([p], lr=0.5, max_iter=6, line_search_fn=line_search)
    losses = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (1 - p[0]) ** 2 + 10 * (p[1] - p[0] ** 2) ** 2
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(3):
        optimizer.step(closure)
    return p, losses


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_lbfgs(device: str, line_search: str | None) -> None:
    (p, found), (q, expected) = valley(device, line_search), valley("cpu", line_search)
    assert p.device == minicnn.device("cuda", 1 if device == "cuda:1" else 0)
    assert found == pytest.approx(expected, rel=1e-9) and len(found) > 5
    same(p, q)


def test_schedulers_and_tensor_rates() -> None:
    there, here = parameters("cuda"), parameters("cpu")
    rate = minicnn.tensor(0.1, device="cuda")
    for params, lr in ((there, rate), (here, 0.1)):
        optimizer = optim.SGD(params, lr=lr, momentum=0.9)
        schedule = optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        for number in range(5):
            steps(optimizer, params, range(number, number + 1))
            schedule.step()
    close(there, here)
    assert rate.item() == pytest.approx(0.025)
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    for _ in range(3):
        plateau.step(minicnn.tensor(1.0, device="cuda"))
    assert plateau.get_last_lr()[0] < 0.025


@pytest.mark.parametrize("average", [None, get_ema_multi_avg_fn(0.5)])
def test_averages_of_weights(average: Any) -> None:
    def run(device: str) -> AveragedModel:
        minicnn.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).to(device)
        averaged = AveragedModel(net, multi_avg_fn=average, use_buffers=True)
        params = list(net.parameters())
        optimizer = optim.SGD(params, lr=0.1)
        for number in range(3):
            steps(optimizer, params, range(number, number + 1))
            averaged.update_parameters(net)
        batches = [minicnn.randn(4, 1, 5, 5, generator=minicnn.Generator().manual_seed(i)) for i in range(2)]
        update_bn(batches, averaged, device)
        return averaged

    there, here = run("cuda"), run("cpu")
    for name, value in here.state_dict().items():
        found = there.state_dict()[name]
        assert found.device == CUDA or name == "n_averaged"
        np.testing.assert_allclose(found.cpu().numpy(), value.numpy(), 1e-5, 1e-6)
    assert AveragedModel(there.module, device="cpu").module[0].weight.device == CPU
