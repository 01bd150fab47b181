"""What programs written for PyTorch's older versions, and its tutorials, rely on, in both libraries."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

Case = Callable[[Any], Any]


def matrix(lib: Any, seed: int = 0) -> Any:
    return lib.tensor(np.random.default_rng(seed).standard_normal((3, 3)))


def vector(lib: Any, seed: int = 5) -> Any:
    return lib.tensor(np.random.default_rng(seed).standard_normal(3))


# The number before or between the tensors.
OLD: dict[str, Case] = {
    "add": lambda lib: lib.add(matrix(lib), 2, matrix(lib, 1)),
    "add: out": lambda lib: lib.add(matrix(lib), 2, matrix(lib, 1), out=matrix(lib, 2)),
    "x.add": lambda lib: matrix(lib).add(-0.5, vector(lib)),
    "x.add_": lambda lib: matrix(lib).add_(-0.5, matrix(lib, 1)),
    "x.sub": lambda lib: matrix(lib).sub(0.25, matrix(lib, 1)),
    "x.sub_": lambda lib: matrix(lib).sub_(3, matrix(lib, 1)),
    "x.add_: a number": lambda lib: matrix(lib).add_(0.5, 2),
    "sub: a number": lambda lib: lib.sub(matrix(lib), 0.5, 2),
    "x.add_: of no axes": lambda lib: matrix(lib)[0, 0].add_(-0.5, matrix(lib, 1)[0, 0]),
    "addcmul": lambda lib: lib.addcmul(matrix(lib), 0.1, matrix(lib, 1), vector(lib)),
    "x.addcmul_": lambda lib: matrix(lib).addcmul_(0.1, matrix(lib, 1), matrix(lib, 2)),
    "x.addcdiv": lambda lib: matrix(lib).addcdiv(-0.1, matrix(lib, 1), matrix(lib, 2)),
    "x.addcdiv_": lambda lib: matrix(lib).addcdiv_(-0.1, matrix(lib, 1), matrix(lib, 2)),
    "addmm": lambda lib: lib.addmm(2, matrix(lib), 3, matrix(lib, 1), matrix(lib, 2)),
    "addmm: beta": lambda lib: lib.addmm(2, matrix(lib), matrix(lib, 1), matrix(lib, 2)),
    "x.addmm": lambda lib: matrix(lib).addmm(2, 3, matrix(lib, 1), matrix(lib, 2)),
    "x.addmm: beta": lambda lib: matrix(lib).addmm(2, matrix(lib, 1), matrix(lib, 2)),
    "x.addmm_": lambda lib: matrix(lib).addmm_(2, 3, matrix(lib, 1), matrix(lib, 2)),
    "x.addmm_: today": lambda lib: matrix(lib).addmm_(matrix(lib, 1), matrix(lib, 2), beta=2, alpha=3),
    "x.addmv": lambda lib: vector(lib).addmv(2, 3, matrix(lib), vector(lib, 1)),
    "x.addmv_": lambda lib: vector(lib).addmv_(2, matrix(lib), vector(lib, 1)),
    "addr": lambda lib: lib.addr(2, matrix(lib), 3, vector(lib), vector(lib, 1)),
    "x.addr_": lambda lib: matrix(lib).addr_(2, 3, vector(lib), vector(lib, 1)),
    "baddbmm": lambda lib: lib.baddbmm(2, matrix(lib)[None], 3, matrix(lib, 1)[None], matrix(lib, 2)[None]),
    "x.baddbmm_": lambda lib: matrix(lib)[None].baddbmm_(2, matrix(lib, 1)[None], matrix(lib, 2)[None]),
    "addbmm": lambda lib: lib.addbmm(2, matrix(lib), matrix(lib, 1)[None], matrix(lib, 2)[None]),
    "x.addbmm_": lambda lib: matrix(lib).addbmm_(2, 3, matrix(lib, 1)[None], matrix(lib, 2)[None]),
}


@pytest.mark.parametrize("name", OLD)
def test_a_number_between_the_tensors(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # once for each function; see the next test
        found, right = OLD[name](minicnn), OLD[name](torch)
    np.testing.assert_allclose(found.numpy(), right.numpy(), rtol=1e-12)


def test_the_first_old_form_of_a_function_gives_a_warning() -> None:
    program = "import minicnn\nx = minicnn.ones(2)\nfor _ in range(2):\n    x.add_(-0.5, x.clone())\nx.addcmul(1, x, x)"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _fresh(program)
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == 2 and texts[0].startswith("This overload of add_ is deprecated:\n\tadd_(Number alpha, Tensor")
    assert "add_(Tensor other, *, Number alpha = 1)" in texts[0] and "addcmul" in texts[1]


def _fresh(program: str) -> None:
    """Run a program as if no function had warned yet."""
    from minicnn.ops.tensor import old_forms

    kept = {name: getattr(minicnn.Tensor, name) for name in ("add_", "addcmul")}
    try:
        for name, function in kept.items():
            setattr(minicnn.Tensor, name, old_forms._with_old_forms(name.rstrip("_"), function.__wrapped__))
        exec(program, {})
    finally:
        for name, function in kept.items():
            setattr(minicnn.Tensor, name, function)


@pytest.mark.parametrize(
    "call",
    [
        lambda lib: matrix(lib).add(matrix(lib), 2), lambda lib: matrix(lib).addcmul(matrix(lib), matrix(lib), 2),
        lambda lib: lib.addmm(matrix(lib), 2, matrix(lib)), lambda lib: matrix(lib).add(1, 2, matrix(lib)),
    ],
)  # fmt: skip
def test_other_positions_of_the_number_are_refused(call: Case) -> None:
    for lib in (minicnn, torch):
        with pytest.raises(TypeError):
            call(lib)


# Functions that are linear between jumps, and others that have no second derivative or a constant one.
BENT: dict[str, Callable[[Any, Any], Any]] = {
    "abs": lambda lib, x: x.abs(),
    "relu": lambda lib, x: lib.nn.functional.relu(x),
    "relu6": lambda lib, x: lib.nn.functional.relu6(x),
    "hardtanh": lambda lib, x: lib.nn.functional.hardtanh(x),
    "leaky_relu": lambda lib, x: lib.nn.functional.leaky_relu(x),
    "threshold": lambda lib, x: lib.nn.functional.threshold(x, 0.1, 0.0),
    "softshrink": lambda lib, x: lib.nn.functional.softshrink(x),
    "hardshrink": lambda lib, x: lib.nn.functional.hardshrink(x),
    "prelu": lambda lib, x: lib.nn.functional.prelu(x, lib.tensor([0.25], dtype=lib.float64)),
    "rrelu": lambda lib, x: lib.nn.functional.rrelu(x),
    "l1_loss": lambda lib, x: lib.nn.functional.l1_loss(x, x.detach() + 1),
    "norm 1": lambda lib, x: x.norm(1),
    "norm inf": lambda lib, x: x.norm(float("inf")),
    "max_pool1d": lambda lib, x: lib.nn.functional.max_pool1d(x, 2),
    "max_pool2d": lambda lib, x: lib.nn.functional.max_pool2d(x[None], 2),
    "avg_pool2d": lambda lib, x: lib.nn.functional.avg_pool2d(x[None], 2),
    "adaptive_max_pool2d": lambda lib, x: lib.nn.functional.adaptive_max_pool2d(x[None], 2),
    "adaptive_avg_pool2d": lambda lib, x: lib.nn.functional.adaptive_avg_pool2d(x[None], 2),
    "nll_loss": lambda lib, x: lib.nn.functional.nll_loss(x[0], lib.tensor([0, 1, 2, 3])),
    "smooth_l1_loss": lambda lib, x: lib.nn.functional.smooth_l1_loss(x, x.detach() + 3),
    "product and relu": lambda lib, x: (x @ x.detach().transpose(1, 2)).relu(),
    "clamp": lambda lib, x: x.clamp(min=0),
    "max": lambda lib, x: x.max(),
    "maximum": lambda lib, x: lib.maximum(x, x.detach() * 0),
    "where": lambda lib, x: lib.where(x > 0, x, x * 0),
    "sum": lambda lib, x: x.sum(),
    "pad": lambda lib, x: lib.nn.functional.pad(x, (1, 1)),
    "cumsum": lambda lib, x: x.cumsum(0),
    "sign": lambda lib, x: lib.sign(x),
}


@pytest.mark.parametrize("name", BENT)
def test_a_gradient_that_is_constant_between_jumps_has_a_gradient_of_zeros(name: str) -> None:
    found = []
    for lib in (minicnn, torch):
        x = lib.tensor(np.random.default_rng(1).standard_normal((2, 4, 4)), requires_grad=True)
        (gx,) = lib.autograd.grad(BENT[name](lib, x).sum(), x, create_graph=True)
        second = lib.autograd.grad(gx.sum(), x, allow_unused=True)[0] if gx.requires_grad else None
        found.append((gx.requires_grad, None if second is None else np.array((second + 0).tolist())))
    assert found[0][0] == found[1][0]
    if found[1][1] is not None:
        np.testing.assert_array_equal(*[second for _, second in found])


def test_a_penalty_of_gradients_in_a_net_of_relus() -> None:
    found = []
    for lib in (minicnn, torch):
        draw = np.random.default_rng(0)
        nn = lib.nn
        net = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 1))
        net = net.to(lib.float64)
        with lib.no_grad():
            for p in net.parameters():
                p.copy_(lib.tensor(draw.standard_normal(tuple(p.shape))))
        x = lib.tensor(draw.standard_normal((2, 1, 4, 4)), requires_grad=True)
        (gx,) = lib.autograd.grad(net(x).sum(), x, create_graph=True)
        (gx**2).sum().backward()
        found.append([x.grad.numpy(), *[None if p.grad is None else p.grad.numpy() for p in net.parameters()]])
    for ours, theirs in zip(*found, strict=True):
        if theirs is None:  # of biases, which the gradient does not depend on
            assert ours is None or not ours.any()
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


# Types of exceptions that programs catch.
def _load_whole(lib: Any) -> Any:
    file = io.BytesIO()
    lib.save(lib.nn.Linear(1, 1), file)
    file.seek(0)
    return lib.load(file, weights_only=True)


def _tensor_dataset(lib: Any) -> Any:
    data = minicnn.utils.data if lib is minicnn else torch.utils.data
    return data.TensorDataset(lib.ones(2), lib.ones(3))


def _kwargs_of_a_checkpoint(lib: Any) -> Any:
    from importlib import import_module

    place = import_module(f"{lib.__name__}.utils.checkpoint")
    return place.checkpoint(lambda x, k: x * k, lib.ones(2, requires_grad=True), k=2, use_reentrant=True)


RAISES: dict[str, tuple[type[BaseException], Case]] = {
    "sizes of a TensorDataset": (AssertionError, _tensor_dataset),
    "weights without a shape": (ValueError, lambda lib: lib.nn.init.xavier_uniform_(lib.nn.LazyLinear(3).weight)),
    "~ of floats": (TypeError, lambda lib: ~lib.ones(2)),
    "bitwise_not of floats": (NotImplementedError, lambda lib: lib.bitwise_not(lib.ones(2))),
    "a whole module": (pickle.UnpicklingError, _load_whole),
    "no folder": (RuntimeError, lambda lib: lib.save({}, "there/is/no/such/folder.pt")),
    "int32 targets": (RuntimeError, lambda lib: lib.nn.functional.cross_entropy(
        lib.ones(1, 2), lib.zeros(1, dtype=lib.int32))),
    "float targets": (RuntimeError, lambda lib: lib.nn.functional.nll_loss(lib.ones(1, 2), lib.zeros(1))),
    "a type by Python's name": (RuntimeError, lambda lib: lib.ones(2).to("float")),
    "keywords of a checkpoint": (ValueError, _kwargs_of_a_checkpoint),
}  # fmt: skip


@pytest.mark.parametrize("name", RAISES)
def test_types_of_exceptions(name: str) -> None:
    kind, call = RAISES[name]
    for lib in (minicnn, torch):
        with pytest.raises(kind):
            call(lib)


def test_no_gpu_is_an_assertion_error_as_without_cuda() -> None:
    if minicnn.cuda.is_available():
        pytest.skip("there is a GPU")
    for kind in (AssertionError, RuntimeError):  # PyTorch without CUDA, and with it but without a GPU
        with pytest.raises(kind, match="'cuda' is not available"):
            minicnn.nn.Linear(1, 1).cuda()


def test_the_chain_of_a_tutorial() -> None:
    names = []
    for lib in (minicnn, torch):
        nn = lib.nn
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        node, chain = nn.MSELoss()(net(lib.ones(1, 3)), lib.ones(1, 2)).grad_fn, []
        for _ in range(3):
            chain.append(node.name().rpartition("::")[2])
            node = node.next_functions[0][0] if node.next_functions else None
        names.append(chain)
    assert names[0] == names[1] == ["MseLossBackward0", "AddmmBackward0", "AccumulateGrad"]


def test_hooks_on_the_node_of_a_loss_get_the_gradients_of_the_whole_loss() -> None:
    seen: list[list[Any]] = []
    for lib in (minicnn, torch):
        F = lib.nn.functional
        x, target = matrix(lib).requires_grad_(), matrix(lib, 1)
        seen.append([])
        losses = (
            F.mse_loss(x * 1, target), F.smooth_l1_loss(x * 1, target), F.huber_loss(x * 1, target, reduction="sum"),
            F.cross_entropy(x * 1, lib.tensor([0, 1, 2])), F.binary_cross_entropy(x.sigmoid(), target.sigmoid()),
        )  # fmt: skip
        for loss in losses:

            def hook(grad_inputs: Any, grad_outputs: Any, loss: Any = loss) -> Any:
                seen[-1].append(
                    [g.shape[0] if g.ndim else g.item() for g in (*grad_inputs, *grad_outputs) if g is not None]
                )
                return (grad_inputs[0] * 2, *grad_inputs[1:])

            loss.grad_fn.register_hook(hook)
            loss.backward()
        seen[-1].append(x.grad.numpy())
    np.testing.assert_allclose(seen[0].pop(), seen[1].pop(), rtol=1e-9)
    assert seen[0] == seen[1]


def test_numbers_of_inputs_of_nodes() -> None:
    counts = []
    for lib in (minicnn, torch):
        F, x = lib.nn.functional, matrix(lib).requires_grad_()
        images = x[None, None]
        results = (
            1 - x, x + 1, x * 2, x.where(x > 0, x * 2), x.max(1)[0], x.gather(1, lib.zeros(2, 1).long()), x.softmax(1),
            x.cumsum(0), x.clamp(0, 1), x.split(1)[0], x.sort()[0], x.prod(), x**2, x.view(9), x.relu(), x @ x,
            x.add(x, alpha=2), F.linear(x, x, x[0]), F.conv2d(images, images), F.max_pool2d(images, 1),
            F.mse_loss(x, x * 2),
        )  # fmt: skip
        counts.append([len(y.grad_fn.next_functions) for y in results])
    counts[1][18] -= 1  # PyTorch's convolution has a place for the bias also without one
    assert counts[0] == counts[1]


def test_an_optimiser_around_another_one() -> None:
    for lib in (minicnn, torch):

        class Around(lib.optim.Optimizer):  # type: ignore[name-defined, misc]
            def __init__(self, optimizer: Any) -> None:
                self.optimizer, self.param_groups, self.state = optimizer, optimizer.param_groups, {}

            def step(self, closure: Any = None) -> Any:
                return self.optimizer.step()

        w = lib.nn.Parameter(lib.ones(2))
        w.sum().backward()
        Around(lib.optim.SGD([w], lr=0.25)).step()
        assert w.tolist() == [0.75, 0.75]


def test_sequences_of_different_lengths() -> None:
    found = []
    for lib in (minicnn, torch):
        from importlib import import_module

        rnn = import_module(f"{lib.__name__}.nn.utils.rnn")
        parts = [lib.ones(2, 3), lib.zeros(4, 3), lib.ones(1, 3) * 2]
        joined = [rnn.pad_sequence(parts, padding_value=-1.0), rnn.pad_sequence(parts, True, padding_side="left")]
        found.append([one.tolist() for one in joined])
        back = rnn.unpad_sequence(joined[0], lib.tensor([2, 4, 1]))
        assert [x.tolist() for x in back] == [x.tolist() for x in parts]
        for wrong in ([], [lib.ones(2), lib.ones(2, 3)], 5):
            with pytest.raises((RuntimeError, TypeError)):
                rnn.pad_sequence(wrong)
    assert found[0] == found[1]
