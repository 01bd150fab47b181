"""nn.utils, nn.init and nn.modules in both libraries."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from differential.scenarios import Scenario, assert_same, double, filled

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

# ------------------------------------------------------------------------------------------------------------ gradients


def parameters(lib: Any, *, empty: bool = True, value: float | None = None) -> list[Any]:
    """Parameters of several shapes with gradients, and one without."""
    found = []
    for seed, shape in enumerate([(2, 3), (4,), (), (0,)] if empty else [(2, 3), (4,), ()]):
        found.append(lib.nn.Parameter(double(lib, *shape, seed=seed)))
        found[-1].grad = double(lib, *shape, seed=seed + 10)
        if value is not None:
            found[-1].grad[...] = value
    return [*found, lib.nn.Parameter(double(lib, 2))]


def clipped(lib: Any, call: Callable[[Any, list[Any]], Any], **options: Any) -> Any:
    """What a clipping function gives and does."""
    given = parameters(lib, **options)
    found = call(lib.nn.utils, given)
    return found, [p.grad for p in given]


def written_back(lib: Any) -> Any:
    given, vector = parameters(lib), lib.arange(13, dtype=lib.float64)
    lib.nn.utils.vector_to_parameters(vector, given)
    vector[0] = 50
    return given, given[0].requires_grad, lib.nn.utils.parameters_to_vector(given)


# ------------------------------------------------------------------------------------------------------------ folding


def folded(lib: Any, transposed: bool = False, bias: bool = True, affine: bool = True) -> Any:
    nn = lib.nn
    conv = filled(lib, (nn.ConvTranspose2d if transposed else nn.Conv2d)(2, 4, 3, bias=bias)).eval()
    norm, x = filled(lib, nn.BatchNorm2d(4, affine=affine)).eval(), double(lib, 2, 2, 5, 5)
    fused = nn.utils.fuse_conv_bn_eval(conv, norm, transpose=transposed)
    same = float((fused(x) - norm(conv(x))).abs().max()) < 1e-10
    return fused(x), same, fused.weight.requires_grad, fused.bias.requires_grad, repr(fused)


def folded_linear(lib: Any) -> Any:
    linear, norm = filled(lib, lib.nn.Linear(3, 4)).eval(), filled(lib, lib.nn.BatchNorm1d(4)).eval()
    return lib.nn.utils.fuse_linear_bn_eval(linear, norm)(double(lib, 2, 3))


# ------------------------------------------------------------------------------------------------------------ weights


def weight_normed(lib: Any, newer: bool, dim: int | None) -> Any:
    utils, layer = lib.nn.utils, filled(lib, lib.nn.Linear(3, 4))
    before = layer.weight.detach().clone()
    (utils.parametrizations.weight_norm if newer else utils.weight_norm)(layer, dim=dim)
    state, same = dict(layer.state_dict()), float((layer.weight - before).abs().max()) < 1e-12
    result = layer(double(lib, 2, 3))
    result.sum().backward()
    gradients, text = [p.grad for _, p in sorted(layer.named_parameters())], repr(layer)
    if newer:
        utils.parametrize.remove_parametrizations(layer, "weight")
    else:
        utils.remove_weight_norm(layer)
    names = [name for name, _ in layer.named_parameters()]
    return state, same, result, gradients, text, repr(layer), names, layer.weight


def spectral_normed(lib: Any, newer: bool, make: Callable[[Any], Any], *shape: int) -> Any:
    """Two forwards in one backward, each with a step of the power method; then evaluation."""
    utils, layer = lib.nn.utils, filled(lib, make(lib.nn))
    (utils.parametrizations.spectral_norm if newer else utils.spectral_norm)(layer)
    names, x = [(k, list(v.shape)) for k, v in layer.state_dict().items()], double(lib, *shape).requires_grad_()
    filled(lib, layer)
    result = layer(x) + 2 * layer(x)
    result.sum().backward()
    gradients = [p.grad for _, p in sorted(layer.named_parameters())]
    evaluated = layer.eval()(x)
    text = repr(layer)
    if newer:
        utils.parametrize.remove_parametrizations(layer, "weight")
    else:
        utils.remove_spectral_norm(layer)
    return names, result, gradients, x.grad, evaluated, layer(x), text, [name for name, _ in layer.named_parameters()]


def orthogonalised(lib: Any, rows: int, columns: int, kind: str | None, trivial: bool) -> Any:
    """The weight and its gradient; the original is set, because the basis is drawn at random for other shapes."""
    utils, layer = lib.nn.utils, filled(lib, lib.nn.Linear(columns, rows))
    before = layer.weight.detach().clone()
    utils.parametrizations.orthogonal(layer, orthogonal_map=kind, use_trivialization=trivial)
    found = layer.parametrizations.weight[0]
    parts = [repr(layer), list(layer.state_dict()), layer.parametrizations.weight.original.shape]
    if trivial and rows == columns:
        parts += [layer.weight, found.base]
    if trivial:
        found.base = double(lib, *[max(rows, columns)] * 2, seed=5)
    elif kind != "householder":
        layer.parametrizations.weight.original.data = before
    layer.weight.pow(3).mul(double(lib, rows, columns)).sum().backward()
    return [*parts, layer.weight, layer.parametrizations.weight.original.grad]


def assigned_orthogonal(lib: Any, kind: str, *shape: int) -> Any:
    layer = lib.nn.Linear(3, 5).double()
    lib.nn.utils.parametrizations.orthogonal(layer, "weight", kind, use_trivialization=kind == "trivial")
    layer.weight = double(lib, *shape)
    return layer.weight, layer.parametrizations.weight.original


def renamed(lib: Any) -> Any:
    """The older form's state dict in the newer form."""
    utils = lib.nn.utils
    older = utils.weight_norm(filled(lib, lib.nn.Linear(3, 4)))
    newer = utils.parametrizations.weight_norm(lib.nn.Linear(3, 4).double())
    newer.load_state_dict(older.state_dict())
    return newer.weight


def symmetric(lib: Any, invertible: bool = False) -> Any:
    class Symmetric(lib.nn.Module):
        def forward(self, w: Any) -> Any:
            return w.triu() + w.triu(1).transpose(-1, -2)

    class Invertible(Symmetric):
        def right_inverse(self, w: Any) -> Any:
            return w.triu()

    return Invertible() if invertible else Symmetric()


def parametrised(lib: Any) -> Any:
    tools, layer = lib.nn.utils.parametrize, filled(lib, lib.nn.Linear(3, 3))
    tools.register_parametrization(layer, "weight", symmetric(lib))
    first = repr(layer), list(layer.state_dict()), layer.weight, tools.is_parametrized(layer, "bias")
    tools.register_parametrization(layer, "weight", symmetric(lib, invertible=True))
    with tools.cached():
        same = layer.weight is layer.weight
    layer(double(lib, 1, 3)).sum().backward()
    gradient, second = layer.parametrizations.weight.original.grad, repr(layer)
    fresh = layer.weight is layer.weight
    tools.remove_parametrizations(layer, "weight", leave_parametrized=False)
    return first, second, same, fresh, gradient, repr(layer), layer.weight, tools.is_parametrized(layer)


def assigned(lib: Any, invertible: bool) -> Any:
    layer = lib.nn.Linear(3, 3).double()
    lib.nn.utils.parametrize.register_parametrization(layer, "weight", symmetric(lib, invertible))
    layer.weight = double(lib, 3, 3)
    return layer.weight, layer.parametrizations.weight.original


# ------------------------------------------------------------------------------------------------------------ the rest


def prefix_removed(lib: Any) -> Any:
    state = lib.nn.DataParallel(lib.nn.Linear(1, 1)).state_dict()
    lib.nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    return list(state), state._metadata


def tuples(lib: Any) -> Any:
    utils = import_module(f"{lib.__name__}.nn.modules.utils")
    defaults = utils._list_with_default([None, 3], [5, 6, 7])
    return utils._pair(3), utils._pair([1, 2]), utils._single(1), utils._reverse_repeat_tuple((1, 2), 2), defaults


def initialised(name: str, *shape: int, **options: Any) -> Scenario:
    """A parameter after an initialisation without random numbers."""

    def scenario(lib: Any) -> Any:
        parameter = lib.nn.Parameter(double(lib, *shape))
        found = getattr(lib.nn.init, name)(parameter, **options)
        return found is parameter, parameter, parameter.requires_grad

    return scenario


def refused(name: str, *shape: int, dtype: str = "float64", **options: Any) -> Scenario:
    """An initialisation that raises."""
    return lambda lib: getattr(lib.nn.init, name)(lib.ones(shape, dtype=getattr(lib, dtype)), **options)


GAINS = ["linear", "conv1d", "conv2d", "conv_transpose2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "gelu"]
SCENARIOS: dict[str, Scenario] = {
    **{
        f"clip_grad_norm_: {p}": lambda lib, p=p: clipped(
            lib, lambda utils, given: utils.clip_grad_norm_(given, 1.0, p), empty=p != math.inf
        )
        for p in (2.0, 1, 3, 0.5, math.inf)
    },
    "clip_grad_norm_: within": lambda lib: clipped(lib, lambda u, given: u.clip_grad_norm_(iter(given), 100.0)),
    "clip_grad_norm_: one": lambda lib: clipped(lib, lambda u, given: u.clip_grad_norm_(given[0], 0.5)),
    "clip_grad_norm_: none": lambda lib: lib.nn.utils.clip_grad_norm_([], 0.5),
    "clip_grad_norm_: inf": lambda lib: clipped(lib, lambda u, g: u.clip_grad_norm_(g, 1), value=math.inf)[0],
    "clip_grad_norm_: refused": lambda lib: clipped(
        lib, lambda u, given: u.clip_grad_norm_(given, 1, error_if_nonfinite=True), value=math.nan
    ),
    "clip_grad_value_": lambda lib: clipped(lib, lambda u, given: u.clip_grad_value_(given, 0.3)),
    "clip_grads_with_norm_": lambda lib: clipped(lib, lambda u, g: u.clip_grads_with_norm_(g, 1.0, lib.tensor(4.0))),
    "get_total_norm": lambda lib: lib.nn.utils.get_total_norm(parameters(lib)),
    "vector": written_back,
    "vector: no tensor": lambda lib: lib.nn.utils.vector_to_parameters([1.0], parameters(lib)),
    "fold": folded,
    "fold: transposed": lambda lib: folded(lib, transposed=True),
    "fold: no bias": lambda lib: folded(lib, bias=False),
    "fold: not affine": lambda lib: folded(lib, affine=False),
    "fold: linear": folded_linear,
    "fold: in training": lambda lib: lib.nn.utils.fuse_conv_bn_eval(lib.nn.Conv2d(1, 1, 1), lib.nn.BatchNorm2d(1)),
    "fold: features": lambda lib: lib.nn.utils.fuse_linear_bn_eval(
        lib.nn.Linear(3, 4).eval(), lib.nn.BatchNorm1d(3).eval()
    ),
    **{
        f"weight_norm: {newer} {dim}": lambda lib, newer=newer, dim=dim: weight_normed(lib, newer, dim)
        for newer in (False, True)
        for dim in (0, 1, None)
    },
    **{
        f"spectral_norm: {newer} {kind}": lambda lib, a=(newer, make, *shape): spectral_normed(lib, *a)
        for newer in (False, True)
        for kind, make, shape in (
            ("linear", lambda nn: nn.Linear(3, 4), (2, 3)),
            ("conv", lambda nn: nn.Conv2d(2, 3, 2), (1, 2, 3, 3)),
            ("transposed", lambda nn: nn.ConvTranspose2d(2, 3, 2), (1, 2, 3, 3)),
        )
    },
    **{
        f"orthogonal: {rows} {columns} {kind} {trivial}": lambda lib, a=(rows, columns, kind, trivial): orthogonalised(
            lib, *a
        )
        for rows, columns in ((4, 4), (5, 3), (2, 4))
        for kind in (None, "matrix_exp", "cayley", "householder")
        for trivial in (False, True)
    },
    "orthogonal: assigned": lambda lib: assigned_orthogonal(lib, "householder", 5, 3),
    "orthogonal: not assigned": lambda lib: assigned_orthogonal(lib, "cayley", 5, 3),
    "orthogonal: shape": lambda lib: assigned_orthogonal(lib, "householder", 3, 5),
    "orthogonal: unknown": lambda lib: lib.nn.utils.parametrizations.orthogonal(lib.nn.Linear(2, 2), "weight", "qr"),
    "orthogonal: bias": lambda lib: lib.nn.utils.parametrizations.orthogonal(lib.nn.Linear(2, 2), "bias"),
    "weight_norm: twice": lambda lib: lib.nn.utils.weight_norm(lib.nn.utils.weight_norm(lib.nn.Linear(1, 1))),
    "weight_norm: not there": lambda lib: lib.nn.utils.remove_weight_norm(lib.nn.Linear(1, 1)),
    "weight_norm: renamed": renamed,
    "spectral_norm: 0 steps": lambda lib: lib.nn.utils.spectral_norm(lib.nn.Linear(1, 1), n_power_iterations=0),
    "spectral_norm: name": lambda lib: lib.nn.utils.parametrizations.spectral_norm(lib.nn.Linear(1, 1), "foo"),
    "spectral_norm: metadata": lambda lib: lib.nn.utils.spectral_norm(lib.nn.Linear(1, 1)).state_dict()._metadata,
    "parametrisation": parametrised,
    "parametrisation: assigned": lambda lib: assigned(lib, True),
    "parametrisation: not assigned": lambda lib: assigned(lib, False),
    "parametrisation: shape": lambda lib: lib.nn.utils.parametrize.register_parametrization(
        lib.nn.Linear(3, 3), "weight", lib.nn.Flatten(0)
    ),
    "parametrisation: no name": lambda lib: lib.nn.utils.parametrize.register_parametrization(
        lib.nn.Linear(3, 3), "foo", lib.nn.Flatten(0)
    ),
    "skip_init": lambda lib: repr(lib.nn.utils.skip_init(lib.nn.Linear, 3, 4, bias=False)),
    "skip_init: no device": lambda lib: lib.nn.utils.skip_init(lib.nn.Flatten),
    "prefix": prefix_removed,
    "tuples": tuples,
    **{f"gain: {name}": lambda lib, name=name: lib.nn.init.calculate_gain(name) for name in GAINS},
    "gain: slope": lambda lib: lib.nn.init.calculate_gain("leaky_relu", 0.2),
    "gain: no slope": lambda lib: lib.nn.init.calculate_gain("leaky_relu", True),
    "eye_": initialised("eye_", 3, 5),
    "dirac_: 1-d": initialised("dirac_", 5, 3, 4),
    "dirac_: 2-d": initialised("dirac_", 4, 2, 3, 4, groups=2),
    "dirac_: 3-d": initialised("dirac_", 2, 3, 3, 2, 1),
    "constant_": initialised("constant_", 2, 2, val=0.3),
    "ones_": initialised("ones_", 2),
    "zeros_": initialised("zeros_", 2, 0),
    "eye_: axes": refused("eye_", 3),
    "dirac_: axes": refused("dirac_", 3, 3),
    "dirac_: groups": refused("dirac_", 3, 3, 3, groups=2),
    "orthogonal_: axes": refused("orthogonal_", 3),
    "sparse_: axes": refused("sparse_", 3, sparsity=0.5),
    "xavier_uniform_: axes": refused("xavier_uniform_", 3),
    "kaiming_normal_: mode": refused("kaiming_normal_", 3, 3, mode="fan"),
    "kaiming_normal_: activation": refused("kaiming_normal_", 3, 3, nonlinearity="swish"),
    "uniform_: order": refused("uniform_", 3, a=1, b=0),
    "fans": lambda lib: lib.nn.init._calculate_fan_in_and_fan_out(lib.ones(4, 3, 2, 5)),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_in_pytorch(name: str) -> None:
    assert_same(SCENARIOS[name], minicnn, torch)


@pytest.mark.parametrize(
    "name",
    [
        "activation", "batchnorm", "channelshuffle", "container", "conv", "distance", "dropout", "flatten", "fold",
        "instancenorm", "lazy", "linear", "loss", "module", "normalization", "padding", "pixelshuffle", "pooling",
        "upsampling", "utils",
    ],
)  # fmt: skip
def test_files_have_pytorchs_names(name: str) -> None:
    """Every class of two axes or fewer is where PyTorch has it."""
    left_out = (
        "3d", "Bilinear", "MultiheadAttention", "TripletMargin", "AdaptiveLogSoftmax", "CTC", "FractionalMaxPool",
        "CrossMapLRN2d", "NLLLoss2d", "LinearCrossEntropyLoss",
    )  # fmt: skip
    theirs, ours = import_module(f"torch.nn.modules.{name}"), import_module(f"minicnn.nn.modules.{name}")
    wanted = [n for n in getattr(theirs, "__all__", ()) if not any(part in n for part in left_out)]
    assert not [n for n in wanted if not hasattr(ours, n)]
    assert not [n for n in wanted if hasattr(torch.nn.modules, n) and not hasattr(minicnn.nn.modules, n)]
