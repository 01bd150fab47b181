"""nn.utils: clipping, vectors, folding, weight and spectral normalisation, parametrisation; and nn.modules."""

from __future__ import annotations

import copy
import importlib
import math
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.nn import utils
from minicnn.nn.utils import parametrizations, parametrize


def parameters() -> list[nn.Parameter]:
    """Make parameters with gradients 3 and (4, 0), and one parameter without a gradient."""
    found = [nn.Parameter(minicnn.zeros(shape)) for shape in ((), (2,), (5,))]
    found[0].grad, found[1].grad = minicnn.tensor(3.0), minicnn.tensor([-4.0, 0.0])
    return found


@pytest.mark.parametrize("p, norm", [(2, 5.0), (1, 7.0), (math.inf, 4.0), ("inf", 4.0)])
def test_clip_grad_norm(p: Any, norm: float) -> None:
    given = parameters()
    gradient = given[0].grad
    total = utils.clip_grad_norm_(given, 2.0, p)
    assert (total.item(), total.dtype) == (norm, minicnn.float32)
    assert given[0].grad is gradient, "in place"
    assert gradient.item() == pytest.approx(3 * 2 / norm, rel=1e-6)
    assert given[1].grad.tolist() == pytest.approx([-4 * 2 / norm, 0], rel=1e-6)
    assert utils.clip_grad_norm_(given, 10.0).item() < 5.01
    assert gradient.item() == pytest.approx(3 * 2 / norm, rel=1e-6), "never scaled up"


def test_clip_grad_norm_of_what_is_not_finite() -> None:
    given = parameters()
    given[0].grad.fill_(math.nan)
    with pytest.raises(RuntimeError, match="non-finite"):
        utils.clip_grad_norm_(given, 1.0, error_if_nonfinite=True)
    assert given[1].grad.tolist() == [-4, 0]
    assert math.isnan(utils.clip_grad_norm_(given, 1.0).item())
    assert utils.clip_grad_norm_([], 1.0).item() == 0
    with pytest.warns(UserWarning, match="empty generator"):
        utils.clip_grad_norm_((p for p in ()), 1.0)
    with pytest.warns(FutureWarning, match="deprecated"):
        utils.clip_grad_norm(given[2], 1.0)


def test_clip_grad_value() -> None:
    given = parameters()
    utils.clip_grad_value_(given, 3.5)
    assert (given[0].grad.item(), given[1].grad.tolist()) == (3, [-3.5, 0])


def test_parameters_as_a_vector() -> None:
    layer = nn.Linear(2, 3)
    vector = utils.parameters_to_vector(layer.parameters())
    vector.sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1]] * 3
    fresh = minicnn.arange(9.0)
    utils.vector_to_parameters(fresh, layer.parameters())
    assert layer.weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert layer.bias.tolist() == [6, 7, 8]
    fresh[0] = 50.0
    assert layer.weight[0, 0].item() == 50, "views of the vector"
    with pytest.raises(TypeError, match="but got: list"):
        utils.vector_to_parameters([1.0], layer.parameters())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="too short for a parameter"):
        utils.vector_to_parameters(minicnn.ones(8), layer.parameters())


def trained(layer: Any, *shape: int) -> Any:
    """A batch normalisation that was trained on some data, in evaluation mode."""
    for _ in range(3):
        layer(minicnn.randn(*shape, dtype=minicnn.float64) * 3 + 1)
    return layer.eval()


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("kind", ["conv", "transposed", "linear"])
def test_folding(kind: str, affine: bool) -> None:
    minicnn.manual_seed(2)
    shape: tuple[int, ...] = (3,) if kind == "linear" else (3, 4, 5)
    layer: Any = {
        "conv": nn.Conv2d(3, 6, 2, groups=3, bias=False), "transposed": nn.ConvTranspose2d(3, 6, 2),
        "linear": nn.Linear(3, 6),
    }[kind].double().eval()  # fmt: skip
    norm = nn.BatchNorm1d if kind == "linear" else nn.BatchNorm2d
    bn = trained(norm(6, affine=affine).double(), 8, 6, *shape[1:])
    fused = (
        utils.fuse_linear_bn_eval(layer, bn)
        if kind == "linear"
        else utils.fuse_conv_bn_eval(layer, bn, transpose=kind == "transposed")
    )
    x = minicnn.randn(2, *shape, dtype=minicnn.float64)
    np.testing.assert_allclose(fused(x).detach().numpy(), bn(layer(x)).detach().numpy(), atol=1e-12)
    assert isinstance(fused.weight, nn.Parameter)
    with pytest.raises(AssertionError, match="Fusion only for eval"):
        utils.fuse_conv_bn_eval(layer.train(), bn)


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("dim, shape", [(0, (4, 1, 1)), (1, (1, 3, 1)), (None, ())])
def test_weight_norm(newer: bool, dim: int | None, shape: tuple[int, ...]) -> None:
    layer: Any = nn.Conv1d(3, 4, 2)
    before, x = layer.weight.detach().numpy().copy(), minicnn.ones(1, 3, 5)
    expected = layer(x).detach().numpy()
    if newer:
        parametrizations.weight_norm(layer, dim=dim)
        g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    else:
        with pytest.warns(FutureWarning, match="parametrizations.weight_norm"):
            utils.weight_norm(layer, dim=dim)
        g, v = layer.weight_g, layer.weight_v
    assert g.shape == shape
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-6)
    with minicnn.no_grad():
        v.mul_(7)  # the length of v does not matter
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-6)
    layer(x).sum().backward()
    assert g.grad is not None
    assert abs(float((v.grad * v).sum())) < 1e-4, "nor is there a gradient along v"
    if newer:
        parametrize.remove_parametrizations(layer, "weight")
    else:
        utils.remove_weight_norm(layer)
    np.testing.assert_allclose(layer.weight.detach().numpy(), before, atol=1e-6)
    assert sorted(name for name, _ in layer.named_parameters()) == ["bias", "weight"]
    assert not layer._forward_pre_hooks


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("make, axis", [(lambda: nn.Conv2d(3, 4, 2), 0), (lambda: nn.ConvTranspose2d(3, 4, 2), 1)])
def test_spectral_norm_finds_the_largest_singular_value(make: Any, axis: int, newer: bool) -> None:
    minicnn.manual_seed(0)
    layer: Any = make().double()
    matrix = np.moveaxis(layer.weight.detach().numpy().copy(), axis, 0).reshape(4, -1)
    (parametrizations.spectral_norm if newer else utils.spectral_norm)(layer, n_power_iterations=3)
    for _ in range(60):
        layer(minicnn.ones(1, 3, 4, 4, dtype=minicnn.float64))
    layer.eval()
    layer(minicnn.ones(1, 3, 4, 4, dtype=minicnn.float64)).sum().backward()
    found = np.moveaxis(layer.weight.detach().numpy(), axis, 0).reshape(4, -1)
    np.testing.assert_allclose(found, matrix / np.linalg.svd(matrix)[1][0], atol=1e-9)
    assert sum(name.endswith(("_u", "_v")) for name in layer.state_dict()) == 2
    if newer:
        parametrize.remove_parametrizations(layer, "weight")
    else:
        utils.remove_spectral_norm(layer)
    assert list(layer.state_dict()) == ["bias", "weight"]


def test_spectral_norm_of_two_forwards_before_one_backward() -> None:
    """A discriminator's loss on real and generated images: the second forward must leave the first's graph intact."""
    with minicnn.autograd.detect_anomaly():
        for layer in (utils.spectral_norm(nn.Linear(3, 2)), parametrizations.spectral_norm(nn.Linear(3, 2))):
            (layer(minicnn.ones(1, 3)) - layer(minicnn.zeros(1, 3))).sum().backward()
            assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters() if p.ndim > 1)


class Symmetric(nn.Module):
    def forward(self, w: Any) -> Any:
        return (w + w.transpose(0, 1)) / 2

    def right_inverse(self, w: Any) -> Any:
        return w


def test_parametrisation() -> None:
    layer: Any = nn.Linear(3, 3)
    weight = layer.weight
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert type(layer).__name__ == "ParametrizedLinear"
    assert isinstance(layer, nn.Linear)
    assert layer.parametrizations.weight.original is weight, "the optimiser's parameter stays"
    assert np.array_equal(layer.weight.detach().numpy(), layer.weight.detach().numpy().T)
    layer(minicnn.ones(1, 3)).sum().backward()
    assert weight.grad is not None
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight
    twin = copy.deepcopy(layer)
    layer.weight = minicnn.ones(3, 3)
    assert layer.weight.tolist() == [[1] * 3] * 3
    assert twin.weight.tolist() != layer.weight.tolist()
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    parametrize.remove_parametrizations(layer, "weight")
    assert (type(layer), layer.weight, list(layer.state_dict())) == (nn.Linear, weight, ["bias", "weight"])
    assert parametrize.is_parametrized(twin, "weight")
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        twin.__getstate__()
    with pytest.raises(ValueError, match="does not have a parametrization on weight"):
        parametrize.remove_parametrizations(layer, "weight")


def test_skip_init_draws_nothing() -> None:
    minicnn.manual_seed(0)
    before = minicnn.default_generator.get_state()
    layer = utils.skip_init(nn.Linear, 3, 4, bias=False)
    assert (layer.weight.shape, layer.weight.is_meta) == ((4, 3), False)
    assert minicnn.default_generator.get_state() == before
    with pytest.raises(RuntimeError, match="'device' arg"):
        utils.skip_init(nn.Flatten)


def test_pytorchs_files_can_be_imported() -> None:
    conv = importlib.import_module("minicnn.nn.modules.conv")
    assert issubclass(nn.Conv2d, conv._ConvNd)
    assert conv.Conv2d is nn.modules.Conv2d is nn.Conv2d
    assert nn.modules.utils._pair(3) == (3, 3)
    assert nn.modules.utils._triple("abc") == ("a", "b", "c")
    assert isinstance(nn.BatchNorm2d(1), nn.modules.batchnorm._BatchNorm)
    assert importlib.import_module("minicnn.nn.parameter").Parameter is nn.Parameter


@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)])
def test_an_orthogonal_weight_stays_orthogonal(kind: str, shape: tuple[int, ...]) -> None:
    layer = nn.Module()
    layer.weight = nn.Parameter(minicnn.tensor(np.random.default_rng(0).standard_normal(shape)))
    parametrizations.orthogonal(layer, "weight", kind)
    optimizer = minicnn.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        (layer.weight * minicnn.arange(float(math.prod(shape))).reshape(shape)).sum().backward()
        optimizer.step()
        tall = layer.weight if shape[-2] >= shape[-1] else layer.weight.mT
        products = (tall.mT @ tall).detach().numpy()
        np.testing.assert_allclose(products, np.broadcast_to(np.eye(min(shape[-2:])), products.shape), atol=1e-12)
    assert (before - layer.weight).abs().max() > 0.01


@pytest.mark.cpu_only("takes minutes on an emulated GPU")
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 3)])
def test_gradients_of_orthogonal_weights(kind: str, shape: tuple[int, ...]) -> None:
    layer = parametrizations.orthogonal(nn.Linear(shape[1], shape[0]).double(), "weight", kind)
    original = layer.parametrizations.weight.original.detach()
    noise = minicnn.tensor(np.random.default_rng(0).standard_normal(shape))
    x = (1.5 * original + 0.3 * noise.tril(-1)).requires_grad_()  # the signs of the diagonal count, and get no gradient
    for check in (minicnn.autograd.gradcheck, minicnn.autograd.gradgradcheck):
        assert check(layer.parametrizations.weight[0], (x,))
