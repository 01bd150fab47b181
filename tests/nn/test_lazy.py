"""Lazy layers: before and after the first forward."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn

LAYERS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "LazyLinear": ({"out_features": 4}, (2, 3, 5)),
    "LazyConv1d": ({"out_channels": 4, "kernel_size": 3, "padding": "same"}, (2, 5, 6)),
    "LazyConv2d": ({"out_channels": 4, "kernel_size": (3, 2), "bias": False}, (2, 5, 6, 6)),
    "LazyConv3d": ({"out_channels": 4, "kernel_size": (3, 2, 1)}, (2, 5, 4, 3, 2)),
    "LazyConvTranspose3d": ({"out_channels": 4, "kernel_size": 2, "stride": 2}, (5, 3, 3, 2)),
    "LazyConvTranspose1d": ({"out_channels": 4, "kernel_size": 3, "stride": 2}, (5, 6)),
    "LazyConvTranspose2d": ({"out_channels": 4, "kernel_size": 3, "output_padding": 0}, (2, 5, 6, 6)),
    "LazyBatchNorm1d": ({}, (4, 5)),
    "LazyBatchNorm2d": ({"momentum": None}, (2, 5, 3, 3)),
    "LazyBatchNorm3d": ({"affine": False}, (2, 5, 3, 3, 2)),
    "LazyInstanceNorm1d": ({}, (2, 5, 3)),
    "LazyInstanceNorm2d": ({"affine": False, "track_running_stats": False}, (5, 3, 3)),
    "LazyInstanceNorm3d": ({}, (2, 5, 3, 3, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_becomes_the_layer_with_the_number_filled_in(name: str) -> None:
    options, shape = LAYERS[name]
    plain: Any = getattr(nn, name.removeprefix("Lazy"))
    layer: Any = getattr(nn, name)(**options, dtype=minicnn.float64)
    assert type(layer).__name__ == name
    if layer.has_uninitialized_params():
        assert "Uninitialized" in repr([*layer.parameters(), *layer.buffers()])
    x = minicnn.tensor(np.random.default_rng(0).standard_normal(shape))
    layer(x)
    told = {"affine": True, "track_running_stats": True} if "Instance" in name else {}
    same = plain(5, **{**told, **options}, dtype=minicnn.float64)
    assert type(layer) is plain
    assert repr(layer) == repr(same)
    assert {k: v.shape for k, v in layer.state_dict().items()} == {k: v.shape for k, v in same.state_dict().items()}
    assert all(v.dtype in (minicnn.float64, minicnn.int64) for v in layer.state_dict().values())
    assert set(layer.__dict__) == set(same.__dict__), "nothing is left over"
    same.load_state_dict(layer.state_dict())
    assert np.array_equal(layer.eval()(x).detach().numpy(), same.eval()(x).detach().numpy())


def test_parameters_are_drawn_as_usual() -> None:
    minicnn.manual_seed(3)
    layer = nn.LazyLinear(4)
    layer(minicnn.ones(1, 9))
    minicnn.manual_seed(3)
    assert np.array_equal(layer.weight.array, nn.Linear(9, 4).weight.array)


def test_nothing_can_be_done_with_a_parameter_without_shape() -> None:
    layer = nn.LazyLinear(3)
    with pytest.raises(RuntimeError, match="Can't access the shape"):
        layer.weight.shape  # noqa: B018
    with pytest.raises(ValueError, match="uninitialized parameter"):
        layer.weight + 1
    with pytest.raises(ValueError, match="uninitialized parameter"):
        layer.weight.numel()
    with pytest.raises(RuntimeError, match="Can't share memory"):
        layer.weight.share_memory_()
    assert repr(layer.weight) == "<UninitializedParameter>"


def test_conversion_waits_for_the_shape() -> None:
    layer = nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d()).double()
    assert layer[0].has_uninitialized_params()
    assert layer(minicnn.ones(2, 1, 5, 5, dtype=minicnn.float64)).dtype == minicnn.float64
    assert layer[1].running_mean.dtype == minicnn.float64


def test_on_the_meta_device() -> None:
    with minicnn.device("meta"):
        net = nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(7))
        net(minicnn.ones(2, 1, 5, 5))
    assert [type(m).__name__ for m in net] == ["Conv2d", "BatchNorm2d", "Flatten", "Linear"]
    assert all(t.is_meta for t in net.state_dict().values())
    assert net[3].in_features == 18


def test_state_dicts_before_and_after() -> None:
    lazy, full = nn.LazyLinear(3), nn.Linear(5, 3)
    nn.LazyLinear(3).load_state_dict(lazy.state_dict())  # both have no shape: nothing to do
    with pytest.raises(RuntimeError, match="uninitialized parameter into an initialized one"):
        full.load_state_dict(lazy.state_dict())
    lazy.load_state_dict(full.state_dict())
    assert not lazy.has_uninitialized_params()
    x = minicnn.ones(1, 5)
    assert lazy(x).tolist() == full(x).tolist(), "the first forward leaves loaded weights alone"
    assert (type(lazy), lazy.in_features) == (nn.Linear, 5)


def test_copies_find_their_own_shapes() -> None:
    layer = nn.LazyConv2d(2, 3, groups=2)
    twin = copy.deepcopy(layer)
    layer(minicnn.ones(1, 4, 5, 5))
    twin(minicnn.ones(1, 8, 5, 5))
    assert (layer.in_channels, twin.in_channels) == (4, 8)


def test_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="divisible by groups"):
        nn.LazyConv2d(2, 3, groups=2)(minicnn.ones(1, 3, 5, 5))
    with pytest.raises(RuntimeError, match=r"Expected 3D .* or 4D .* to LazyConv2d"):
        nn.LazyConv2d(2, 3)(minicnn.ones(5, 5))
    with pytest.raises(TypeError, match="out_features"):
        nn.LazyLinear()


def test_lazy_layers_of_ones_own() -> None:
    class Scale(nn.modules.lazy.LazyModuleMixin, nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.UninitializedParameter()
            self.seen = nn.UninitializedBuffer()

        def initialize_parameters(self, x: Any, done: bool) -> None:
            self.weight.materialize(x.shape[-1:])
            if done:
                self.seen.materialize((2,), dtype=minicnn.float64)

        def forward(self, x: Any, done: bool) -> Any:
            return x * self.weight

    module = Scale()
    assert module(minicnn.ones(2, 3), done=True).shape == (2, 3)
    assert (type(module), module.seen.dtype) == (Scale, minicnn.float64)
    with pytest.raises(RuntimeError, match="has not been fully initialized"):
        Scale()(minicnn.ones(2, 3), done=False)

    class Unfinished(nn.modules.lazy.LazyModuleMixin, nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="not implemented for Unfinished"):
        Unfinished()(1)


def test_before_the_first_forward_memory_is_not_shared_nor_a_script_made() -> None:
    net = nn.Sequential(nn.LazyLinear(2))
    with pytest.raises(RuntimeError, match="share memory on an uninitialized"):
        net.share_memory()
    with pytest.raises(RuntimeError, match=r"LazyLinear .* run a forward pass"):
        minicnn.jit.script(net)
    net(minicnn.ones(1, 3))
    assert net.share_memory() is net and minicnn.jit.script(net) is net


def test_materialize_takes_a_length() -> None:
    parameter = nn.UninitializedParameter(dtype=minicnn.float64)
    parameter.materialize(10)
    assert type(parameter) is nn.Parameter and parameter.shape == (10,) and parameter.dtype == minicnn.float64


def test_operations_refuse_what_has_no_shape() -> None:
    parameter = nn.UninitializedParameter()
    for op in (minicnn.empty_like, minicnn.exp, lambda p: p + p):
        with pytest.raises(ValueError, match="uninitialized parameter"):
            op(parameter)
