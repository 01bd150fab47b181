"""Modules on a GPU, emulated: moving them, their tensors, their helpers, and training that never waits for the GPU."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor, nn
from minicnn.utils.checkpoint import checkpoint
from minicnn_kernels.dispatch import fuses
from minicnn_kernels.emulated.traffic import no_waits

CPU, CUDA = minicnn.device("cpu"), minicnn.device("cuda:0")
pytestmark = pytest.mark.usefixtures("gpu")


def small() -> nn.Module:
    minicnn.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))


def places(net: nn.Module) -> set[minicnn.device]:
    return {t.device for t in (*net.parameters(), *net.buffers())}


def same(a: Tensor, b: Tensor) -> None:
    assert a.device == CUDA and b.device == CPU and a.dtype == b.dtype
    np.testing.assert_array_equal(a.detach().cpu().numpy(), b.detach().numpy())


# ------------------------------------------------------------------------------------------------------------- moving


@pytest.mark.parametrize(
    "move", [lambda net: net.to("cuda"), lambda net: net.cuda(), lambda net: net.to(minicnn.zeros(1, device="cuda"))]
)
def test_moving_keeps_parameters_and_gradients(move: Callable[[nn.Module], nn.Module]) -> None:
    net = small()
    before = copy.deepcopy(net)
    F.cross_entropy(net(minicnn.randn(2, 2, 5, 5)), minicnn.tensor([0, 1])).backward()
    parameters, gradients = list(net.parameters()), [p.grad for p in net.parameters()]
    values = [g.clone() for g in gradients]
    assert move(net) is net and places(net) == {CUDA}
    for p, g, q, there, value in zip(net.parameters(), gradients, parameters, before.parameters(), values, strict=True):
        assert p is q and p.grad is g and p.is_leaf and p.requires_grad
        same(p, there)
        same(g, value)
    assert net.cpu() is net and places(net) == {CPU}
    assert all(p is q and p.grad is g for p, q, g in zip(net.parameters(), parameters, gradients, strict=True))


def test_devices_and_types_in_one_call() -> None:
    net = small().to("cuda:1", minicnn.float64)
    assert places(net) == {minicnn.device("cuda:1")}
    assert {p.dtype for p in net.parameters()} == {minicnn.float64}
    assert net[1].num_batches_tracked.dtype == minicnn.int64
    assert places(net.to(minicnn.float32).cuda()) == {CUDA}  # the current one
    assert places(net.to(device="cpu", non_blocking=True)) == {CPU}
    last = small().to("cuda", memory_format=minicnn.channels_last)
    assert last[0].weight.is_contiguous(memory_format=minicnn.channels_last)


def test_meta_and_empty() -> None:
    net = small().cuda()
    old = list(net.parameters())
    with pytest.raises(NotImplementedError, match="to_empty"):
        small().to("meta").to("cuda")
    net.to("meta")
    assert all(p.is_meta and p is not q for p, q in zip(net.parameters(), old, strict=True))
    assert places(net.to_empty(device="cuda")) == {CUDA} == places(net.to_empty(device=None))
    net.load_state_dict(small().state_dict())
    for p, q in zip(net.parameters(), small().parameters(), strict=True):
        same(p, q)


def test_one_parameter_in_two_layers() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    net.cuda()
    assert net[1].weight is net[0].weight and places(net) == {CUDA}


LAYERS: dict[str, Callable[..., nn.Module]] = {
    "Linear": lambda **o: nn.Linear(3, 4, **o),
    "Conv2d": lambda **o: nn.Conv2d(3, 4, (3, 2), **o),
    "ConvTranspose2d": lambda **o: nn.ConvTranspose2d(3, 4, 3, **o),
    "BatchNorm2d": lambda **o: nn.BatchNorm2d(3, **o),
    "LayerNorm": lambda **o: nn.LayerNorm([3, 2], **o),
    "GroupNorm": lambda **o: nn.GroupNorm(2, 4, **o),
    "InstanceNorm2d": lambda **o: nn.InstanceNorm2d(3, affine=True, track_running_stats=True, **o),
    "PReLU": lambda **o: nn.PReLU(3, **o),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("by", ["argument", "with block"])
def test_layers_made_on_the_gpu(name: str, by: str) -> None:
    minicnn.manual_seed(3)
    here = LAYERS[name]()
    minicnn.manual_seed(3)
    if by == "argument":
        there = LAYERS[name](device="cuda")
    else:
        with minicnn.device("cuda"):
            there = LAYERS[name]()
    assert there.state_dict().keys() == here.state_dict().keys()
    for a, b in zip(there.state_dict().values(), here.state_dict().values(), strict=True):
        same(a, b)


INIT: dict[str, Callable[[Tensor], Any]] = {
    "uniform_": lambda t: nn.init.uniform_(t, -1, 2),
    "normal_": lambda t: nn.init.normal_(t, 1, 2),
    "trunc_normal_": nn.init.trunc_normal_,
    "constant_": lambda t: nn.init.constant_(t, 0.3),
    "eye_": nn.init.eye_,
    "dirac_": lambda t: nn.init.dirac_(t.view(4, 3, 2, 1)),
    "xavier_uniform_": nn.init.xavier_uniform_,
    "xavier_normal_": nn.init.xavier_normal_,
    "kaiming_uniform_": nn.init.kaiming_uniform_,
    "kaiming_normal_": nn.init.kaiming_normal_,
    "lecun_normal_": nn.init.lecun_normal_,
    "orthogonal_": nn.init.orthogonal_,
    "sparse_": lambda t: nn.init.sparse_(t, 0.4),
}


@pytest.mark.parametrize("name", INIT)
def test_the_same_first_weights(name: str) -> None:
    here, there = minicnn.zeros(4, 6), minicnn.zeros(4, 6, device="cuda")
    with no_waits():
        for t in (here, there):
            minicnn.manual_seed(1)
            INIT[name](t)
    same(there, here)
    assert here.abs().sum() > 0


def test_parameters_and_buffers() -> None:
    x = minicnn.ones(2, device="cuda")
    p, b = nn.Parameter(x), nn.Buffer(x)
    assert p.device == b.device == CUDA and p.data_ptr() == x.data_ptr()
    q = pickle.loads(pickle.dumps(p))
    for one in (copy.copy(p), copy.deepcopy(p), q):
        assert type(one) is nn.Parameter and one.device == CUDA and one.tolist() == [1, 1] and one.requires_grad
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], device='cuda:0', requires_grad=True)"
    net = copy.deepcopy(small().cuda())
    assert places(net) == {CUDA} == places(pickle.loads(pickle.dumps(net)))
    module = nn.Module()
    module.p = p
    with pytest.raises(TypeError, match=r"cannot assign 'minicnn.cuda.FloatTensor' as parameter"):
        module.p = x


def test_lazy_modules() -> None:
    x = minicnn.randn(2, 3, 5, 5)
    nets = []
    for device in ("cpu", "cuda"):
        minicnn.manual_seed(0)
        net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2)).to(device)
        assert net(x.to(device)).device.type == device
        nets.append(net)
    for a, b in zip(nets[1].parameters(), nets[0].parameters(), strict=True):
        same(a, b)
    made = nn.LazyLinear(2, device="cuda")
    assert made(minicnn.ones(3, 4, device="cuda")).device == CUDA and places(made) == {CUDA}


def test_state_dicts_cross_devices() -> None:
    here, there = small(), small().cuda()
    for p in there.parameters():
        nn.init.zeros_(p)
    memory = there[0].weight.data_ptr()
    state = here.state_dict()
    assert there.load_state_dict(state).missing_keys == []
    assert there[0].weight.data_ptr() == memory  # the values are copied
    for a, b in zip(there.state_dict().values(), state.values(), strict=True):
        same(a, b)
    there[0].weight.data.mul_(2)
    here.load_state_dict(there.state_dict())
    same(there[0].weight, here[0].weight)
    there.load_state_dict({name: t.numpy() for name, t in here.state_dict().items()})
    here.load_state_dict(there.state_dict(), assign=True)
    assert places(here) == {CUDA}
    lazy = nn.LazyLinear(3)
    lazy.load_state_dict(there[4].state_dict())
    assert lazy.weight.device == CPU


# ------------------------------------------------------------------------------------------------------------- helpers


def gradients_of(device: str) -> nn.Module:
    net = small().to(device)
    x = minicnn.randn(3, 2, 5, 5, generator=minicnn.Generator().manual_seed(1))
    net(x.to(device)).pow(2).sum().backward()
    return net


def close(there: Tensor, here: Tensor, tolerance: float = 1e-5) -> None:
    assert there.device == CUDA and here.device == CPU
    np.testing.assert_allclose(there.detach().cpu().numpy(), here.detach().numpy(), tolerance, tolerance)


@pytest.mark.parametrize("p", [2.0, 1.0, float("inf")])
def test_clipping_does_not_wait(p: float) -> None:
    here, there = gradients_of("cpu"), gradients_of("cuda")
    norm = nn.utils.clip_grad_norm_(here.parameters(), 0.1, p)
    with no_waits():
        found = nn.utils.clip_grad_norm_(there.parameters(), 0.1, p)
        nn.utils.clip_grad_value_(there.parameters(), 0.01)
    nn.utils.clip_grad_value_(here.parameters(), 0.01)
    close(found, norm)
    for a, b in zip(there.parameters(), here.parameters(), strict=True):
        close(a.grad, b.grad)
    with pytest.raises(RuntimeError, match="non-finite"):
        there[0].bias.grad.fill_(float("nan"))
        nn.utils.clip_grad_norm_(there.parameters(), 0.1, p, error_if_nonfinite=True)


def test_a_net_on_two_devices_is_clipped_as_one() -> None:
    a, b = nn.Parameter(minicnn.ones(2, device="cuda")), nn.Parameter(minicnn.ones(2))
    a.grad, b.grad = minicnn.full((2,), 3.0, device="cuda"), minicnn.full((2,), 4.0)
    assert nn.utils.clip_grad_norm_([a, b], 1.0).item() == pytest.approx(50**0.5)
    assert a.grad.device == CUDA and a.grad[0].item() == pytest.approx(3 / 50**0.5)
    assert b.grad.device == CPU and b.grad[0].item() == pytest.approx(4 / 50**0.5)


def test_parameters_as_a_vector() -> None:
    net = small().cuda()
    vector = nn.utils.parameters_to_vector(net.parameters())
    close(vector, nn.utils.parameters_to_vector(small().parameters()), 0)
    nn.utils.vector_to_parameters(vector * 2, net.parameters())
    close(net[0].weight, small()[0].weight * 2, 0)


@pytest.mark.parametrize(
    "wrap",
    [
        nn.utils.weight_norm, nn.utils.spectral_norm, nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", ["made there", "moved"])
@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
def test_weights_computed_from_others(wrap: Any, order: str) -> None:
    def result(device: str) -> tuple[Tensor, nn.Module]:
        minicnn.manual_seed(0)
        layer = nn.Conv2d(2, 3, 3)
        layer = wrap(layer.to(device)) if order == "made there" else wrap(layer).to(device)
        x = minicnn.randn(2, 2, 5, 5, generator=minicnn.Generator().manual_seed(1)).to(device)
        y = layer(x)
        y.pow(2).sum().backward()
        return y, layer

    (there, net), (here, expected) = result("cuda"), result("cpu")
    close(there, here)
    assert places(net) == {CUDA}
    for a, b in zip(net.parameters(), expected.parameters(), strict=True):
        close(a.grad, b.grad, 1e-4)


def test_folding_batch_norm() -> None:
    x = minicnn.randn(2, 2, 5, 5)
    net = small()
    net(x)
    net.eval()
    folded = [nn.utils.fusion.fuse_conv_bn_eval(n[0], n[1]) for n in (copy.deepcopy(net).cuda(), net)]
    assert places(folded[0]) == {CUDA}
    close(folded[0](x.cuda()), folded[1](x))


def test_layers_run_one_after_the_other() -> None:
    """The fused pairs of the CPU are not for GPUs."""

    def names(device: str) -> set[str]:
        found: set[str] = set()
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Tanh(), nn.MaxPool2d(2)).to(device)
        waiting = [net(minicnn.ones(1, 1, 6, 6, device=device)).grad_fn]
        while waiting:
            node = waiting.pop()
            found.add(node.name())
            waiting += [n for n, _ in node.next_functions if n is not None]
        return found

    separate = names("cuda")
    with minicnn.use(fused=False):
        assert separate == names("cpu")
    assert not fuses() or separate != names("cpu")


def test_hooks() -> None:
    net, seen = small().cuda(), []
    net[0].register_forward_hook(lambda m, a, y: seen.append(y.device))
    net[0].register_full_backward_hook(lambda m, gx, gy: seen.extend(g.device for g in (*gx, *gy)))
    net[4].register_full_backward_pre_hook(lambda m, gy: (gy[0] * 2,))
    x = minicnn.ones(2, 2, 5, 5, device="cuda", requires_grad=True)
    net(x).sum().backward()
    assert seen == [CUDA] * 3 and x.grad.device == CUDA

    class Adds(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y.to(x.device)

    adds, x, y = Adds(), x.detach().requires_grad_(), minicnn.ones(1, 2, 1, 1, requires_grad=True)
    adds.register_full_backward_hook(lambda m, gx, gy: seen.extend(g.device for g in gx))
    adds(x, y).sum().backward()
    assert seen[3:] == [CUDA, CPU] and y.grad.tolist() == [[[[50]], [[50]]]]
    net[0].register_full_backward_hook(lambda m, gx, gy: (gx[0].cpu(),))
    with pytest.raises(RuntimeError, match="cpu"):
        net(x).sum().backward()


def test_checkpointing() -> None:
    def gradients(device: str) -> list[Tensor]:
        net = small().to(device)
        x = minicnn.randn(3, 2, 5, 5, generator=minicnn.Generator().manual_seed(1)).to(device).requires_grad_()
        scales = minicnn.tensor([2.0, 3.0, 1.0, 2.0]).view(4, 1, 1)  # stays on the CPU
        y = checkpoint(lambda a, b: nn.Dropout(0.5)(net[:3](a)) * b.to(device), x, scales, use_reentrant=False)
        minicnn.manual_seed(7)
        net[3:](y).pow(2).sum().backward()
        return [x.grad, net[0].weight.grad, net[4].weight.grad]

    for a, b in zip(gradients("cuda"), gradients("cpu"), strict=True):
        close(a, b, 1e-4)


def test_data_parallel_and_summary(capsys: pytest.CaptureFixture[str]) -> None:
    net = nn.DataParallel(small()).cuda()
    assert net(minicnn.ones(1, 2, 5, 5, device="cuda")).device == CUDA
    minicnn.summary(net, (2, 5, 5), device="cuda")
    assert "Total params: 195" in capsys.readouterr().out


KEEPS_CHANNELS_LAST: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Conv2d(8, 6, 3, padding=1),
    "pointwise": lambda: nn.Conv2d(8, 6, 1),
    "depthwise": lambda: nn.Conv2d(8, 8, 3, groups=8),
    "transposed": lambda: nn.ConvTranspose2d(8, 6, 3),
    "batch norm": lambda: nn.BatchNorm2d(8),
    "group norm": lambda: nn.GroupNorm(2, 8),
    "local response": lambda: nn.LocalResponseNorm(3),
    "ReLU": nn.ReLU,
    "PReLU": lambda: nn.PReLU(8),
    "max pool": lambda: nn.MaxPool2d(2),
    "average pool": lambda: nn.AvgPool2d(2),
    "upsample": lambda: nn.Upsample(scale_factor=2),
    "dropout": nn.Dropout2d,
    "softmax": lambda: nn.Softmax(1),
}


@pytest.mark.parametrize("name", KEEPS_CHANNELS_LAST)
def test_channels_last_stays_on_a_gpu(name: str) -> None:
    layer = KEEPS_CHANNELS_LAST[name]().to("cuda")
    x = minicnn.randn(3, 8, 6, 5, device="cuda").contiguous(memory_format=minicnn.channels_last).requires_grad_()
    y = layer(x)
    y.backward(minicnn.ones_like(y).contiguous(memory_format=minicnn.channels_last))
    for a in (y, x.grad):
        assert a is not None and a.is_contiguous(memory_format=minicnn.channels_last)
