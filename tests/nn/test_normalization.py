"""Normalisation, softmax and distance layers: statistics, states, limits, refused inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import ShapeError, Tensor, nn
from minicnn.autograd import gradcheck

LAYERS = {
    "BatchNorm1d": (lambda **o: nn.BatchNorm1d(3, **o), (4, 3)),
    "BatchNorm1d of sequences": (lambda **o: nn.BatchNorm1d(3, **o), (2, 3, 4)),
    "BatchNorm3d": (lambda **o: nn.BatchNorm3d(2, **o), (2, 2, 2, 1, 3)),
    "InstanceNorm1d": (lambda **o: nn.InstanceNorm1d(3, affine=True, **o), (2, 3, 4)),
    "InstanceNorm2d": (lambda **o: nn.InstanceNorm2d(2, affine=True, **o), (3, 2, 2, 3)),
    "InstanceNorm2d of one image": (lambda **o: nn.InstanceNorm2d(2, affine=True, **o), (2, 2, 3)),
    "InstanceNorm3d": (lambda **o: nn.InstanceNorm3d(2, **o), (2, 2, 2, 1, 3)),
    "GroupNorm": (lambda **o: nn.GroupNorm(2, 4, **o), (2, 4, 3)),
    "LayerNorm": (lambda **o: nn.LayerNorm((2, 3), **o), (4, 2, 3)),
    "RMSNorm": (lambda **o: nn.RMSNorm(3, **o), (4, 2, 3)),
    "BatchRenorm1d": (lambda **o: nn.BatchRenorm1d(3, **o), (4, 3)),
    "BatchRenorm2d": (lambda **o: nn.BatchRenorm2d(2, r_max=1.0, d_max=1e-9, **o), (3, 2, 2, 3)),
    "BatchRenorm3d": (lambda **o: nn.BatchRenorm3d(2, **o), (2, 2, 2, 1, 3)),
    "LocalResponseNorm": (lambda **o: nn.LocalResponseNorm(3, 0.5, 0.75, 2.0), (2, 4, 3)),
    "Softmax2d": (lambda **o: nn.Softmax2d(), (2, 3, 2, 2)),
    "TemperatureSoftmax": (lambda **o: nn.TemperatureSoftmax(0.7, learnable=True), (3, 4)),
}


def random(*shape: int, seed: int = 0, **options: Any) -> Tensor:
    return Tensor(np.random.default_rng(seed).standard_normal(shape), **options)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_input_and_parameters(name: str, training: bool) -> None:
    build, shape = LAYERS[name]
    layer = build().double().train(training)
    names = [n for n, _ in layer.named_parameters()]
    parameters = [Tensor(p.detach().numpy() + 0.1, requires_grad=True) for p in layer.parameters()]
    state = {key: value.clone() for key, value in layer.named_buffers()}

    def call(x: Tensor, *values: Tensor) -> Tensor:
        for path, value in zip(names, values, strict=True):
            layer._parameters[path] = value  # the copies that gradcheck perturbs
        for key, buffer in layer.named_buffers():  # each call starts from the same running statistics
            buffer.copy_(state[key])
        return layer(x)

    assert gradcheck(call, [random(*shape, requires_grad=True), *parameters], eps=1e-5, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in LAYERS if "Norm" in name or "Renorm" in name])
def test_layers_on_meta(name: str) -> None:
    build, shape = LAYERS[name]
    layer = build(device="meta")
    assert all(p.is_meta for p in (*layer.parameters(), *layer.buffers()))
    x = minicnn.empty(shape, device="meta")
    for mode in (True, False):
        y = layer.train(mode)(x)
        assert y.is_meta and y.shape == shape and y.dtype == np.float32


@pytest.mark.parametrize(("layer", "shape"), [(nn.BatchNorm1d, (5, 3)), (nn.BatchNorm3d, (2, 3, 2, 2, 2))])
def test_batch_norm_running_statistics(layer: Any, shape: tuple[int, ...]) -> None:
    net, axes = layer(3, momentum=0.25), (0, *range(2, len(shape)))
    x = random(*shape).float() * 3 + 1
    y = net(x).detach().numpy()
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-6)
    np.testing.assert_allclose(y.var(axes), 1, atol=1e-4)
    np.testing.assert_allclose(net.running_mean.numpy(), 0.25 * x.numpy().mean(axes), rtol=1e-5)
    np.testing.assert_allclose(net.running_var.numpy(), 0.75 + 0.25 * x.numpy().var(axes, ddof=1), rtol=1e-5)
    assert net.num_batches_tracked.item() == 1
    net.reset_running_stats()
    for name, value in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
        assert (getattr(net, name).numpy() == value).all()


def test_without_running_statistics_evaluation_uses_the_batch() -> None:
    net = nn.BatchNorm2d(2, track_running_stats=False)
    assert list(net.state_dict()) == ["weight", "bias"]
    assert net.running_mean is None and net.num_batches_tracked is None
    x = random(3, 2, 4, 4).float()
    assert np.array_equal(net(x).detach().numpy(), net.eval()(x).detach().numpy())
    switched = nn.BatchNorm2d(2)  # keeps its buffers and evaluates with them, but does not update them
    switched.track_running_stats = False
    switched(x)
    assert (switched.running_mean.numpy() == 0).all() and switched.num_batches_tracked.item() == 0
    np.testing.assert_allclose(switched.eval()(x).detach().numpy(), x.numpy(), rtol=1e-4)


def test_instance_norm_running_statistics() -> None:
    net = nn.InstanceNorm2d(2, momentum=0.5, track_running_stats=True)
    x = random(3, 2, 4, 5).float() * 2 + 1
    net(x)
    np.testing.assert_allclose(net.running_mean.numpy(), 0.5 * x.numpy().mean((0, 2, 3)), rtol=1e-5)
    expected = 0.5 + 0.5 * x.numpy().var((2, 3), ddof=1).mean(0)
    np.testing.assert_allclose(net.running_var.numpy(), expected, rtol=1e-5)
    shift, scale = net.running_mean.numpy()[:, None, None], np.sqrt(net.running_var.numpy()[:, None, None] + 1e-5)
    np.testing.assert_allclose(net.eval()(x).numpy(), (x.numpy() - shift) / scale, rtol=1e-4, atol=1e-5)
    one = net(x[0])
    np.testing.assert_array_equal(one.numpy(), net(x).numpy()[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_mean_costs_no_digits(dtype: Any) -> None:
    """Two passes: E[x^2] - E[x]^2 would lose a variance of 1 beside a mean of 1e4."""
    x = (np.random.default_rng(0).standard_normal((2, 4, 50)) + 1e4).astype(dtype)
    for backend in ("numpy", "numba"):
        with minicnn.use(backend=backend):
            found = F.group_norm(Tensor(x), 2).numpy().reshape(2, 2, 100)
        exact = x.astype(np.float64).reshape(2, 2, 100)  # (N, C, L) -> (N, G, C/G*L)
        exact = (exact - exact.mean(2, keepdims=True)) / np.sqrt(exact.var(2, keepdims=True) + 1e-5)
        np.testing.assert_allclose(found, exact, atol=2e-3 if dtype == np.float32 else 1e-9)


def test_channels_last_memory_stays() -> None:
    x = np.random.default_rng(0).standard_normal((2, 6, 5, 4)).astype(np.float32)
    channels_last = Tensor(np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))
    for call in (
        lambda x: F.group_norm(x, 3), F.instance_norm, lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.local_response_norm(x, 3), lambda x: F.softmax(x, 1), lambda x: F.log_softmax(x, 2),
    ):  # fmt: skip
        y = call(channels_last).numpy()
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
        np.testing.assert_allclose(y, call(Tensor(x)).numpy(), rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------------------------------------- states


def test_a_state_from_before_the_count_of_batches_loads() -> None:
    net, old = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    net(random(3, 2, 2, 2).float())
    old.running_mean.fill_(5)
    state = dict(old.state_dict())  # without metadata, as from another framework
    del state["num_batches_tracked"]
    assert str(net.load_state_dict(state)) == "<All keys matched successfully>"
    assert (net.running_mean.numpy() == 5).all() and net.num_batches_tracked.item() == 1
    state = old.state_dict()
    del state["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="Missing key"):
        net.load_state_dict(state)


def test_instance_norm_refuses_running_statistics_it_does_not_have() -> None:
    state = dict(nn.InstanceNorm2d(2, track_running_stats=True).state_dict())
    with pytest.raises(RuntimeError, match=r"running_mean.*running_var.*track_running_stats=False"):
        nn.InstanceNorm2d(2).load_state_dict(state)


@pytest.mark.parametrize(
    ("layer", "text", "keys"),
    [
        (nn.BatchNorm2d(3), "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
         ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]),
        (nn.BatchNorm1d(3, momentum=None, affine=False, track_running_stats=False),
         "BatchNorm1d(3, eps=1e-05, momentum=None, affine=False, bias=False, track_running_stats=False)", []),
        (nn.InstanceNorm2d(4, bias=False, affine=True),
         "InstanceNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=False, track_running_stats=False)", ["weight"]),
        (nn.GroupNorm(2, 6), "GroupNorm(2, 6, eps=1e-05, affine=True, bias=True)", ["weight", "bias"]),
        (nn.LayerNorm([2, 3], bias=False), "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True, bias=False)",
         ["weight"]),
        (nn.RMSNorm(4), "RMSNorm((4,), eps=None, elementwise_affine=True)", ["weight"]),
        (nn.LocalResponseNorm(5), "LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1.0)", []),
        (nn.Softmax(dim=1), "Softmax(dim=1)", []),
        (nn.Softmax2d(), "Softmax2d()", []),
        (nn.LogSoftmax(), "LogSoftmax(dim=None)", []),
        (nn.CosineSimilarity(), "CosineSimilarity()", []),
        (nn.TemperatureSoftmax(2, learnable=True), "TemperatureSoftmax(temperature=2, learnable=True, dim=-1)",
         ["temperature"]),
        (nn.BatchRenorm2d(3, r_max=2.0, d_max=1.0, affine=False),
         "BatchRenorm2d(3, eps=1e-05, momentum=0.01, affine=False, r_max=2.0, d_max=1.0)",
         ["running_mean", "running_std", "num_batches_tracked"]),
    ],
    ids=lambda value: value.split("(")[0] if isinstance(value, str) else None,
)  # fmt: skip
def test_repr_and_keys(layer: nn.Module, text: str, keys: list[str]) -> None:
    assert repr(layer) == text
    assert list(layer.state_dict()) == keys


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.BatchNorm2d(3)(random(2, 3, 4)), ShapeError, r"expected 4D input \(got 3D input\)"),
        (lambda: nn.BatchNorm1d(3)(random(3)), ShapeError, r"expected 2D or 3D input \(got 1D input\)"),
        (lambda: nn.BatchNorm1d(3).double()(random(1, 3)), ValueError, "more than 1 value per channel"),
        (lambda: nn.SyncBatchNorm(3), NotImplementedError, "one process; use BatchNorm1d"),
        (lambda: nn.SyncBatchNorm.convert_sync_batchnorm(nn.Identity()), NotImplementedError, "leave the model"),
        (lambda: F.batch_norm(random(2, 3), None, None), RuntimeError, "running_mean and running_var"),
        (lambda: F.batch_norm(random(2, 3), None, None, training=True, eps=0.0), ValueError, "eps must be positive"),
        (
            lambda: F.batch_norm(random(2, 3), random(2), None, training=True),
            ShapeError,
            "running_mean should contain 3 elements not 2",
        ),
        (lambda: nn.GroupNorm(2, 3), ValueError, r"num_channels \(3\) must be divisible by num_groups \(2\)"),
        (lambda: F.group_norm(random(2, 3), 2), ShapeError, r"divisible by num_groups.*\(2, 3\) and num_groups=2"),
        (lambda: F.group_norm(random(1, 3), 3), ShapeError, "more than 1 value per channel"),
        (lambda: F.group_norm(random(3), 3), ShapeError, r"must be \(N, C"),
        (lambda: F.instance_norm(random(2, 3, 1, 1)), ShapeError, "more than 1 spatial element"),
        (lambda: F.instance_norm(random(2, 3, 4), use_input_stats=False), RuntimeError, "running_mean"),
        (lambda: nn.InstanceNorm1d(2, affine=True).double()(random(2, 3, 4)), ValueError, "to match num_features"),
        (lambda: nn.InstanceNorm2d(2)(random(2, 2)), ShapeError, "expected 3D or 4D input"),
        (
            lambda: F.layer_norm(random(2, 3), (2,)),
            ShapeError,
            r"expected input with shape \(\*, 2\), but got .* \(2, 3\)",
        ),
        (lambda: F.layer_norm(random(2, 3), ()), ShapeError, "at least 1-dimensional"),
        (lambda: F.layer_norm(random(2, 3), (3,), random(2)), ShapeError, "Expected weight to be of same shape"),
        (lambda: F.rms_norm(random(2, 3), (5, 2, 3)), ShapeError, r"\(\*, 5, 2, 3\)"),
        (lambda: F.layer_norm(minicnn.tensor([[1, 2]]), (2,)), TypeError, "float32 or float64"),
        (lambda: F.local_response_norm(random(2, 3), 2), ShapeError, "3D or higher"),
        (lambda: F.local_response_norm(random(2, 3, 1), 0), ShapeError, "size must be at least 1"),
        (lambda: F.softmax(random(2, 3), 2), IndexError, "dimension out of range"),
        (lambda: F.softmax(minicnn.tensor([1, 2]), 0), TypeError, "float32 or float64"),
        (lambda: nn.Softmax2d()(random(2, 3)), ValueError, "3D or 4D"),
        (lambda: nn.TemperatureSoftmax(0.0), ValueError, "must be positive"),
        (lambda: F.cosine_similarity(minicnn.tensor([1]), minicnn.tensor([2]), 0), TypeError, "floating point"),
        (lambda: F.batch_renorm(random(2, 3), random(3), random(3), r_max=0.5), ValueError, "r_max must be at least 1"),
    ],
)
def test_bad_input_gets_a_clear_error(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


@pytest.mark.cpu_only("is about values that are checked on the CPU only: for a check on a GPU, the program would wait")
@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.temperature_softmax(random(3), minicnn.tensor(-1.0)), ValueError, "must be positive"),
    ],
)
def test_a_bad_temperature_gets_a_clear_error(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_instance_norm_of_other_channels_warns() -> None:
    with pytest.warns(UserWarning, match="num_features=2 does not match 3 channels"):
        nn.InstanceNorm1d(2)(random(2, 3, 4))


# ------------------------------------------------------------------------------------------------------------ softmax


def test_temperature() -> None:
    """Scores of 11.5, 12.8 and -2.4 are 21.42, 78.58 and 0.00 %; cold selects the largest, hot makes all equal."""
    scores = minicnn.tensor([11.5, 12.8, -2.4])
    found = F.temperature_softmax(scores)
    assert [f"{100 * p:.2f}" for p in found.tolist()] == ["21.42", "78.58", "0.00"]
    np.testing.assert_allclose(found.numpy(), F.softmax(scores, 0).numpy(), rtol=1e-6)
    assert nn.TemperatureSoftmax(1e-30)(scores).tolist() == [0, 1, 0]
    np.testing.assert_allclose(nn.TemperatureSoftmax(1e6)(scores).numpy(), 1 / 3, rtol=1e-4)
    wide = minicnn.tensor([[1e38, -1e38, 9e37]])
    assert np.isfinite(F.temperature_softmax(wide, 0.1).numpy()).all()


def test_a_temperature_is_learned() -> None:
    """The targets are made at temperature 2; gradient descent on the cross-entropy finds this temperature."""
    scores = random(64, 5)
    wanted = F.softmax(scores / 2, 1)
    layer = nn.TemperatureSoftmax(1.0, learnable=True).double()
    for _ in range(300):
        layer.zero_grad()
        (-(wanted * layer(scores).log()).sum() / 64).backward()
        layer.temperature.data -= 2 * layer.temperature.grad
    assert layer.temperature.item() == pytest.approx(2, rel=1e-3)


def test_gumbel_softmax_draws_with_the_probabilities_of_softmax() -> None:
    minicnn.manual_seed(0)
    logits = minicnn.tensor([0.0, 1.0, -1.0, 2.0])
    drawn = F.gumbel_softmax(logits.expand(20000, 4), hard=True).numpy()
    assert set(np.unique(np.round(drawn, 6))) == {0, 1} and np.allclose(drawn.sum(1), 1)
    p = F.softmax(logits, 0).numpy()
    assert (np.abs(drawn.mean(0) - p) < 4 * np.sqrt(p * (1 - p) / 20000)).all()


def test_hard_gumbel_softmax_has_the_gradient_of_the_soft_one() -> None:
    gradients = []
    up = random(3, 4, seed=1)
    for hard in (True, False):
        minicnn.manual_seed(5)
        x = random(3, 4, requires_grad=True)
        F.gumbel_softmax(x, tau=0.5, hard=hard).backward(up)
        gradients.append(x.grad.numpy())
    np.testing.assert_array_equal(*gradients)
    assert np.abs(gradients[0]).max() > 0.01
    with pytest.warns(UserWarning, match="eps"):
        F.gumbel_softmax(random(3), eps=1e-9)


@pytest.mark.parametrize(("shape", "dim"), [((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 2), 0), ((2, 3, 2, 2), 1)])
def test_softmax_without_dim_warns(shape: tuple[int, ...], dim: int) -> None:
    x = random(*shape)
    for function in (F.softmax, F.log_softmax, F.softmin):
        with pytest.warns(UserWarning, match="Implicit dimension choice for"):
            y = function(x)
        np.testing.assert_array_equal(y.numpy(), function(x, dim).numpy())


def test_softmax_in_another_type() -> None:
    assert F.softmax(minicnn.tensor([1, 2]), 0, dtype=minicnn.float64).dtype == np.float64
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    F.log_softmax(x, 0, dtype=minicnn.float64).sum().backward()
    assert x.grad.dtype == np.float32
    assert x.softmax(-1).shape == x.log_softmax(0).shape == (2,)


def test_log_softmax_does_not_underflow() -> None:
    x = minicnn.tensor([0.0, -1000.0])
    assert F.log_softmax(x, 0).tolist() == [0, -1000]
    assert F.softmax(x, 0).tolist() == [1, 0]


# -------------------------------------------------------------------------------------------- local response, distances


def test_local_response_norm_as_in_the_paper() -> None:
    """b[c] = a[c] / (2 + 1e-4 * sum of a[j]^2 over 5 channels)^0.75; alpha = 5 * 1e-4 balances the division by 5."""
    a = np.random.default_rng(0).standard_normal((1, 7, 2, 3)) * 50
    found = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)(Tensor(a)).numpy()
    for c in range(7):
        near = a[:, max(0, c - 2) : c + 3]
        np.testing.assert_allclose(found[:, c], a[:, c] / (2 + 1e-4 * (near**2).sum(1)) ** 0.75, rtol=1e-12)


def test_lengths_and_angles() -> None:
    x = random(4, 3)
    np.testing.assert_allclose(np.linalg.norm(F.normalize(x).numpy(), axis=1), 1, rtol=1e-12)
    zero = minicnn.zeros(2, 3, requires_grad=True)
    y = F.normalize(zero)
    y.sum().backward()
    assert not y.detach().numpy().any() and np.isfinite(zero.grad.numpy()).all()
    assert F.cosine_similarity(x, -2 * x).tolist() == pytest.approx([-1] * 4)
    assert F.cosine_similarity(minicnn.zeros(2, 3), minicnn.ones(2, 3)).tolist() == [0, 0]
    a, b = minicnn.tensor([[0.0, 0.0]]), minicnn.tensor([[3.0, -4.0]])
    assert nn.PairwiseDistance()(a, b).tolist() == pytest.approx([5], rel=1e-5)
    assert nn.PairwiseDistance(1, keepdim=True)(a, b).shape == (1, 1)
    assert nn.CosineSimilarity(0)(a[0], b[0]).shape == ()
    out = minicnn.empty(1, 2)
    assert F.normalize(b, out=out) is out and out.numpy()[0] == pytest.approx([0.6, -0.8])


@pytest.mark.parametrize("shape", [np.array([2, 3]), minicnn.tensor([2, 3]), range(2, 4)], ids=repr)
def test_a_normalized_shape_is_any_row_of_ints(shape: Any) -> None:
    for layer in (nn.LayerNorm(shape), nn.RMSNorm(shape)):
        assert layer.normalized_shape == (2, 3) and layer.weight.shape == (2, 3)
    for wrong in ("23", b"23", {2, 3}, {2: 3}, np.array([2.0, 3.0]), np.array([[2, 3]])):
        with pytest.raises(TypeError, match="normalized_shape must be ints"):
            nn.LayerNorm(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [minicnn.float16, minicnn.float32])
def test_rms_norm_with_a_weight_of_another_type(kind: Any) -> None:
    x, weight = random(2, 4), minicnn.tensor([1.0, 2.0, 3.0, 4.0], dtype=kind, requires_grad=True)
    y = F.rms_norm(x, (4,), weight)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y.detach().numpy(), F.rms_norm(x, (4,), weight.detach().to(x.dtype)).numpy())
    y.sum().backward()
    assert weight.grad.dtype == kind


def test_the_running_statistics_are_written_as_any_memory_is() -> None:
    norm, x = nn.BatchNorm2d(3), minicnn.randn(4, 3, 2, 2)
    flat = minicnn.zeros(2, 3)
    norm.running_mean, norm.running_var = flat[0], flat[1]  # parts of one tensor
    before, w = norm.running_mean._version, minicnn.ones(3, requires_grad=True)
    used = (norm.running_mean * w).sum()
    norm(x)
    assert norm.running_mean._version == before + 2  # both are parts of the memory that is counted
    np.testing.assert_allclose(flat[0].numpy(), 0.1 * x.mean((0, 2, 3)).numpy(), rtol=1e-5)
    assert flat[1].tolist() == norm.running_var.tolist() and norm.num_batches_tracked.item() == 1
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        used.backward()


@pytest.mark.cpu_only("the memory of a GPU is never read-only")
def test_running_statistics_that_cannot_be_written_are_refused() -> None:
    norm = nn.BatchNorm2d(3)
    memory = np.zeros(3, np.float32)
    memory.flags.writeable = False
    norm.running_mean = minicnn.Tensor(memory)
    with pytest.raises(RuntimeError, match="read-only"):
        norm(minicnn.randn(4, 3, 2, 2))
    norm.running_mean = minicnn.zeros(3)
    norm.running_mean.expand(2, 3)  # a view without a gradient disturbs nothing
    norm(minicnn.randn(4, 3, 2, 2))
    assert norm.running_mean.abs().sum() > 0
