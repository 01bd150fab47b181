"""State dicts: their content, loading, and what modules can change about both."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def test_round_trip() -> None:
    source, target = net(), net()
    state = source.state_dict()
    assert repr(target.load_state_dict(state)) == "<All keys matched successfully>"
    for key, value in target.state_dict().items():
        assert np.array_equal(value.numpy(), state[key].numpy())
    assert target.state_dict()["0.weight"].data_ptr() == target[0].weight.data_ptr()
    assert not state["0.weight"].requires_grad
    assert source.state_dict(keep_vars=True)["0.weight"] is source[0].weight


def test_everything_wrong_is_in_one_error() -> None:
    target = net()
    bad = dict(net().state_dict())
    bad["3.weight"] = np.zeros((3, 4))
    bad["extra"] = np.zeros(1)
    bad["3.bias"] = "text"
    del bad["1.bias"]
    with pytest.raises(RuntimeError) as caught:
        target.load_state_dict(bad)
    text = str(caught.value)
    assert text.startswith("Error(s) in loading state_dict for Sequential:\n\t")
    assert 'Missing key(s) in state_dict: "1.bias"' in text
    assert 'Unexpected key(s) in state_dict: "extra"' in text
    assert "size mismatch for 3.weight: copying a param with shape minicnn.Size([3, 4]) from checkpoint" in text
    assert 'While copying the parameter named "3.bias"' in text
    assert np.array_equal(target[0].weight.array, bad["0.weight"].array), "what fits is copied all the same"


def test_not_strict() -> None:
    keys = net().load_state_dict({"0.weight": net().state_dict()["0.weight"], "more": minicnn.ones(1)}, strict=False)
    assert keys.missing_keys[0] == "1.weight"
    assert keys.unexpected_keys == ["more"]
    assert repr(keys).startswith("_IncompatibleKeys(missing_keys=['1.weight'")
    with pytest.raises(RuntimeError, match="size mismatch"):
        net().load_state_dict({"0.weight": minicnn.ones(1)}, strict=False)
    with pytest.raises(TypeError, match="dict-like"):
        net().load_state_dict([1])  # type: ignore[arg-type]


def test_types_are_converted_unless_assigned() -> None:
    state = net().double().state_dict()
    target = net()
    target.load_state_dict(state)
    assert target[0].weight.dtype == minicnn.float32
    target[0].weight.requires_grad_(False)
    target.load_state_dict(state, assign=True)
    assert target[0].weight.dtype == minicnn.float64
    assert isinstance(target[0].weight, nn.Parameter)
    assert not target[0].weight.requires_grad
    assert target[0].weight.data_ptr() == state["0.weight"].data_ptr()
    assert target[1].running_mean is state["1.running_mean"]


def test_a_meta_net_takes_weights_by_assignment() -> None:
    with minicnn.device("meta"):
        target = net()
    state = net().state_dict()
    with pytest.warns(UserWarning, match="assign=True"):
        target.load_state_dict({"0.weight": state["0.weight"]}, strict=False)
    assert target[0].weight.is_meta
    target.load_state_dict(state, assign=True)
    assert not target[0].weight.is_meta
    with pytest.raises(RuntimeError, match="Cannot copy out of meta"):
        net().load_state_dict(net().to("meta").state_dict())


def test_metadata_carries_versions() -> None:
    class Second(nn.Module):
        _version = 2

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(minicnn.ones(1))

        def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *lists: Any) -> None:
            if local_metadata.get("version", 1) < 2:  # the first version had another name
                state_dict[prefix + "weight"] = state_dict.pop(prefix + "w")
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *lists)

    model = nn.Sequential(Second())
    assert model.state_dict()._metadata == OrderedDict({"": {"version": 1}, "0": {"version": 2}})
    model.load_state_dict({"0.w": minicnn.tensor([7.0])})
    assert model[0].weight.item() == 7
    model.load_state_dict(model.state_dict())


def test_a_module_may_write_its_own_state() -> None:
    class Halved(nn.Linear):
        def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
            super()._save_to_state_dict(destination, prefix, keep_vars)
            destination[prefix + "weight"] = destination[prefix + "weight"].half()

    assert nn.Sequential(Halved(1, 1)).state_dict()["0.weight"].dtype == minicnn.float16


def test_extra_state() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    model = nn.Sequential(Counter())
    model[0].count = 4
    state = model.state_dict()
    assert list(state) == ["0._extra_state"]
    fresh = nn.Sequential(Counter())
    fresh.load_state_dict(state)
    assert fresh[0].count == 4
    with pytest.raises(RuntimeError, match=r'Missing key.*"0._extra_state"'):
        fresh.load_state_dict({})
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"0._extra_state"'):
        nn.Sequential(nn.ReLU()).load_state_dict(state)


def test_hooks_run_around_saving_and_loading() -> None:
    log: list[Any] = []
    layer = nn.Linear(1, 1)
    handles = [
        layer.register_state_dict_pre_hook(lambda m, prefix, keep: log.append(("pre", prefix))),
        layer.register_state_dict_post_hook(lambda m, state, prefix, meta: state.pop(prefix + "bias") and None),
        layer.register_load_state_dict_pre_hook(
            lambda m, state, prefix, *_: state.setdefault(prefix + "bias", minicnn.tensor([9.0])) and None
        ),
        layer.register_load_state_dict_post_hook(lambda m, keys: log.append(list(keys))),
    ]
    model = nn.Sequential(layer)
    state = model.state_dict()
    assert list(state) == ["0.weight"]
    model.load_state_dict(state)
    assert log == [("pre", "0."), [[], []]]
    assert layer.bias.item() == 9
    for handle in handles:
        handle.remove()
    assert list(model.state_dict()) == ["0.weight", "0.bias"]
    layer.register_load_state_dict_post_hook(lambda m, keys: keys)
    with pytest.raises(AssertionError, match="not expected to return"):
        model.load_state_dict(model.state_dict())
    layer.register_state_dict_post_hook(lambda m, state, prefix, meta: state)
    with pytest.raises(RuntimeError, match="must return None"):
        model.state_dict()


def test_a_private_hook_replaces_the_whole_dict() -> None:
    layer = nn.Linear(1, 1)
    layer._register_state_dict_hook(lambda m, state, prefix, meta: {"only": 1})
    assert layer.state_dict() == {"only": 1}
    seen: list[int] = []
    layer._register_load_state_dict_pre_hook(lambda state, *rest: seen.append(len(rest)))
    layer.load_state_dict(nn.Linear(1, 1).state_dict())
    assert seen == [6]


def test_positional_arguments_are_deprecated() -> None:
    filled: dict[str, Any] = {}
    with pytest.warns(FutureWarning, match="Positional"):
        assert nn.Linear(1, 1).state_dict(filled, "p.") is filled
    assert list(filled) == ["p.weight", "p.bias"]
