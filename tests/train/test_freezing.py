"""What is trained and what stays, bit for bit, in real steps of training."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models, nn, optim
from minicnn.tensor import Tensor
from minicnn.train import (
    GradualUnfreezing,
    evaluate,
    freeze,
    net_parts,
    parameter_groups,
    rates_by_depth,
    unfreeze,
)

RNG = np.random.default_rng(0)
IMAGES, CLASSES = Tensor(RNG.normal(size=(6, 1, 8, 8)).astype(np.float32)), Tensor(np.arange(6) % 3)


def net() -> Any:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(4, 5, 2), nn.BatchNorm2d(5, affine=False), nn.ReLU()),
        nn.Sequential(nn.Flatten(), nn.Linear(20, 3)),
    )


def steps(model: nn.Module, optimizer: optim.Optimizer, count: int = 3) -> None:
    model.train()
    for _ in range(count):
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(model(IMAGES), CLASSES).backward()
        optimizer.step()


def changed(model: nn.Module, before: dict[str, Any]) -> set[str]:
    return {name for name, value in model.state_dict().items() if not minicnn.equal(value, before[name])}


def copied(model: nn.Module) -> dict[str, Any]:
    return {name: value.clone() for name, value in model.state_dict().items()}


OPTIMIZERS: list[Callable[[Any], optim.Optimizer]] = [
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    lambda p: optim.AdamW(p, lr=0.01),
    lambda p: optim.RMSprop(p, lr=0.01, weight_decay=0.1),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("earlier", [False, True], ids=["fresh", "after steps with gradients and momentum"])
def test_frozen_means_bit_for_bit(make: Callable[[Any], optim.Optimizer], earlier: bool) -> None:
    model = net()
    optimizer = make(model.parameters())
    if earlier:
        steps(model, optimizer)
    names = freeze(model, ["0", "1"])
    assert names == ["0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias", "1.0.weight", "1.0.bias"]
    before = copied(model)
    steps(model, optimizer)
    evaluate(model, [(IMAGES, CLASSES)], nn.CrossEntropyLoss())
    steps(model, optimizer)
    assert changed(model, before) == {"2.1.weight", "2.1.bias"}


def test_statistics_move_if_that_is_wanted() -> None:
    model = net()
    freeze(model, ["0", "1"], statistics=False)
    before = copied(model)
    steps(model, OPTIMIZERS[0](model.parameters()))
    assert {"0.1.running_mean", "1.1.running_var"} <= changed(model, before)
    assert "0.1.weight" not in changed(model, before)


def test_a_norm_half_frozen_goes_on() -> None:
    model = net()
    freeze(model, "0.1.weight")
    assert model.train()[0][1].training
    freeze(model, "0.1.bias")
    assert model.train()[0][1].training  # both are frozen, but never together: say "0.1"
    freeze(model, "0.1")
    assert not model.train()[0][1].training


def test_copies_and_pickles_stay_frozen() -> None:
    model = net()
    freeze(model)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert not other.train()[0][1].training and other[1].training
    assert not model.eval().train()[1][1].training


def test_unfreeze_trains_again() -> None:
    model = net()
    freeze(model)
    model.train()
    assert unfreeze(model, "*.1") == ["0.1.weight", "0.1.bias", "2.1.weight", "2.1.bias"]
    assert model[0][1].training and model[1][1].training and not model[0][0].weight.requires_grad
    unfreeze(model)
    before = copied(model)
    steps(model, OPTIMIZERS[1](model.parameters()))
    assert changed(model, before) == set(model.state_dict())
    model.eval()
    freeze(model)
    unfreeze(model)
    assert not model[0][1].training  # as the net


def test_other_norms_with_statistics() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.InstanceNorm2d(2, track_running_stats=True), nn.InstanceNorm2d(2))
    freeze(model)
    model.train()
    before = copied(model)
    model(IMAGES)
    assert not changed(model, before)
    assert model[2].training  # it has nothing to keep


@pytest.mark.parametrize(
    ("patterns", "message"),
    [("3", "fits no parameter of the Sequential; their names begin with 0, 1, 2"),
     (["0", "x*"], "'x\\*' fits no parameter"), ([0], "must be a name")],
)  # fmt: skip
def test_patterns_that_fit_nothing(patterns: Any, message: str) -> None:
    model = net()
    for function in (freeze, unfreeze):
        with pytest.raises((ValueError, TypeError), match=message):
            function(model, patterns)
    assert all(p.requires_grad for p in model.parameters())


def test_a_name_is_not_a_beginning() -> None:
    model = nn.ModuleDict({"fc": nn.Linear(1, 1), "fc2": nn.Linear(1, 1)})
    assert freeze(model, "fc") == ["fc.weight", "fc.bias"]


def test_groups_have_each_parameter_once() -> None:
    model = net()
    groups = parameter_groups(model, 0.2, {"0": 0.01, "*.1": 0.5, "*": 0.1}, weight_decay=0.3, decay="weights")
    ids = [id(p) for group in groups for p in group["params"]]
    assert len(ids) == len(set(ids)) == len(list(model.parameters()))
    optimizer = optim.SGD(groups, lr=9.0, weight_decay=9.0)
    found = {id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
    named = dict(model.named_parameters())
    assert found[id(named["0.0.weight"])] == (0.002, 0.3) and found[id(named["0.1.weight"])] == (0.002, 0.0)
    assert found[id(named["1.0.weight"])] == (pytest.approx(0.02), 0.3)
    assert found[id(named["2.1.bias"])] == (0.1, 0.0)


def test_small_rates_move_less() -> None:
    model = net()
    before = copied(model)
    steps(model, optim.SGD(parameter_groups(model, 0.1, {"0": 0.01, "1": 0.1})), 1)
    twin = net()
    twin.load_state_dict(before)
    steps(twin, optim.SGD(twin.parameters(), lr=0.1), 1)
    for name, share in (("0.0.weight", 0.01), ("1.0.weight", 0.1), ("2.1.weight", 1.0)):
        move, whole = model.state_dict()[name] - before[name], twin.state_dict()[name] - before[name]
        np.testing.assert_allclose(move.numpy(), share * whole.numpy(), rtol=1e-2, atol=1e-7)


def test_frozen_parameters_are_trained_after_unfreezing() -> None:
    model = net()
    freeze(model, "0")
    optimizer = optim.SGD(parameter_groups(model, 0.1), momentum=0.9)
    steps(model, optimizer)
    unfreeze(model, "0")
    before = copied(model)
    steps(model, optimizer, 1)
    assert "0.0.weight" in changed(model, before)


def test_parts_of_nets() -> None:
    assert net_parts(net()) == [["0.0", "0.1"], ["1.0", "1.1"], ["2.1"]]
    assert net_parts(nn.Linear(2, 2)) == [[""]]
    assert net_parts(models.resnet20())[0] == ["conv1", "bn1"] and net_parts(models.resnet20())[-1] == ["fc"]
    wrapped = nn.ModuleDict({"net": net()})
    assert net_parts(wrapped) == [["net.0.0", "net.0.1"], ["net.1.0", "net.1.1"], ["net.2.1"]]
    with pytest.raises(ValueError, match="no parameters"):
        net_parts(nn.ReLU())
    for make in (models.vgg11_bn, models.mobilenet_v2, models.densenet121, models.squeezenet1_1, models.lenet5):
        with minicnn.device("meta"):
            model = make()
        inside = {name for part in net_parts(model) for one in part for name in freeze(model, one)}
        assert inside == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("factors", [(1.0,), (0.1, 1.0), (0.01, 0.1, 1.0), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1)])
def test_rates_by_depth_rise(factors: tuple[float, ...]) -> None:
    model = models.resnet20()
    rates = rates_by_depth(model, factors)
    values = list(rates.values())
    assert values == sorted(values) and rates["fc"] == factors[-1] and set(values) == set(factors)
    assert len(parameter_groups(model, 1.0, rates)) == len(factors)


def test_wrong_rates() -> None:
    for call in (
        lambda: rates_by_depth(net(), ()), lambda: rates_by_depth(net(), (0.0, 1.0)),
        lambda: parameter_groups(net(), 0.0), lambda: parameter_groups(net(), 0.1, {"0": 0.0}),
        lambda: parameter_groups(net(), 0.1, {"9": 0.1}), lambda: parameter_groups(net(), 0.1, decay="none"),
        lambda: parameter_groups(net(), float("nan")), lambda: GradualUnfreezing(net(), parts=[]),
        lambda: GradualUnfreezing(net(), every=0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"rates_by_depth|parameter_groups|GradualUnfreezing"):
            call()


def test_gradual_unfreezing() -> None:
    model = net()
    optimizer = optim.SGD(parameter_groups(model, 0.05), momentum=0.9)
    thaw, seen = GradualUnfreezing(model, every=2), []
    for _ in range(6):
        before = copied(model)
        steps(model, optimizer, 1)
        seen.append(len({name.split(".")[0] for name in changed(model, before)}))
        thaw.step()
    assert seen == [1, 1, 2, 2, 3, 3] and thaw.frozen == 0
    other = net()
    again = GradualUnfreezing(other, every=2)
    again.load_state_dict({"steps": 3})
    assert again.frozen == 1 and [p.requires_grad for p in (other[0][0].weight, other[1][0].weight)] == [False, True]


def test_going_back_freezes_again() -> None:
    model = net()
    thaw = GradualUnfreezing(model)
    start = thaw.state_dict()
    thaw.step()
    thaw.step()
    thaw.load_state_dict(start)
    assert thaw.frozen == 2
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["2.1.weight", "2.1.bias"]
    assert not model.train()[0][1].training
    with pytest.raises(ValueError, match="expected a state with the entry steps"):
        thaw.load_state_dict({})


def test_parts_of_your_own() -> None:
    model = nn.ModuleDict({name: nn.Linear(1, 1) for name in ("body", "neck", "head")})
    with pytest.raises(ValueError, match="'tail' fits no parameter"):
        GradualUnfreezing(model, parts=["body", ["neck"], "tail"])
    assert all(p.requires_grad for p in model.parameters())
    GradualUnfreezing(model, parts=["body", ["neck"], "head"])
    assert [model[name].weight.requires_grad for name in model] == [False, False, True]


def test_a_shared_parameter_has_several_names() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    groups = parameter_groups(model, 1.0, {"b": 0.5})
    assert [(len(group["params"]), group["lr"]) for group in groups] == [(2, 0.5), (1, 1.0)]
    assert freeze(model, "b") == ["a.weight", "b.bias"]
    assert unfreeze(model, "b.weight") == ["a.weight"]


def test_patterns_of_another_kind() -> None:
    model = net()
    assert len(freeze(model, (name for name in ("0", "1")))) == len(freeze(model, ["0", "1"]))
    with pytest.raises(TypeError, match="give patterns, such as"):
        freeze(model, model[0])  # type: ignore[arg-type]
