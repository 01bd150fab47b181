"""Schedules, weight decay and auxiliary heads, as recipes name them, and as the loop uses them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.tensor import Tensor
from minicnn.train import (
    SettingError,
    UnknownNameError,
    build_loss,
    build_model,
    build_optimizer,
    build_schedule,
    init_weights,
    train,
)
from minicnn.train.loop import scores_and_loss
from minicnn.train.recipes.building import TIMES
from minicnn.train.recipes.names import INITS, SCHEDULES
from minicnn.utils.data import DataLoader, TensorDataset


def optimizer(lr: float = 0.4) -> optim.SGD:
    return optim.SGD([nn.Parameter(minicnn.zeros(1))], lr=lr, momentum=0.9)


def rates(schedule: Any, opt: optim.SGD, count: int) -> list[float]:
    """The rate of each step, and the one that is set at last."""
    found = []
    for _ in range(count):
        found.append(opt.param_groups[0]["lr"])
        opt.step()
        schedule.step()
    return [*found, opt.param_groups[0]["lr"]]


def test_times_are_shares_of_the_training() -> None:
    opt = optimizer()
    schedule = build_schedule("multisteplr", {"milestones": [0.5, 0.75], "gamma": 0.1}, opt, 4, 5)
    found = rates(schedule, opt, 20)
    assert found == pytest.approx([0.4] * 10 + [0.04] * 5 + [0.004] * 6)


def test_the_paper_divides_its_rate_at_32k_and_48k_of_64k_steps() -> None:
    from minicnn.train import find_recipe

    recipe, opt = find_recipe("resnet20", "cifar10", "resnet-cifar"), optimizer(0.1)
    steps = -(-50_000 // recipe.batch_size)
    schedule = build_schedule(recipe.schedule, recipe.schedule_options, opt, recipe.epochs, steps)
    assert recipe.epochs * steps == pytest.approx(64_000, rel=0.01)
    assert sorted(schedule.milestones) == [pytest.approx(32_000, rel=0.01), pytest.approx(48_000, rel=0.01)]
    assert dict(recipe.optimizer_options) == {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
    assert (recipe.batch_size, recipe.optimizer, recipe.decay, recipe.schedule_options["gamma"]) == (
        128,
        "SGD",
        "all",
        0.1,
    )
    assert recipe.augmentation == (("RandomCrop", {"size": 32, "padding": 4}), ("RandomHorizontalFlip", {}))


def test_one_cycle_ends_at_zero_for_any_length() -> None:
    for epochs, steps in ((10, 391), (1, 7), (3, 2)):
        opt = optimizer()
        options = {"pct_start": 0.2, "anneal_strategy": "linear", "cycle_momentum": False}
        found = rates(build_schedule("OneCycleLR", options, opt, epochs, steps), opt, epochs * steps)
        assert max(found) == pytest.approx(0.4, rel=0.5 if epochs * steps < 10 else 1e-2)
        assert found[-2] < 0.01 * 0.4 or epochs * steps < 10
        assert found[0] == pytest.approx(0.4 / 25) and opt.param_groups[0]["momentum"] == 0.9


@pytest.mark.parametrize("name", ["CosineAnnealingLR", "PolynomialLR", "LinearLR", "OneCycleLR"])
def test_what_is_needed_has_a_default(name: str) -> None:
    opt = optimizer()
    options = {"end_factor": 0.0, "start_factor": 1.0} if name == "LinearLR" else {}
    found = rates(build_schedule(name, options, opt, 2, 25), opt, 50)
    assert found[-1] < 1e-3 and max(found) == pytest.approx(0.4, rel=0.02)


def test_every_schedule_can_be_built() -> None:
    needed: dict[str, Any] = {
        "StepLR": {"step_size": 0.3},
        "MultiStepLR": {"milestones": [0.5]},
        "ExponentialLR": {"gamma": 0.9},
        "CosineAnnealingWarmRestarts": {"T_0": 0.25},
    }
    for name in SCHEDULES:
        opt = optimizer()
        schedule = build_schedule(name, needed.get(name, {}), opt, 4, 10, "epoch")
        assert isinstance(schedule, optim.lr_scheduler.LRScheduler), name
        if name == "StepLR":
            assert schedule.step_size == 1
    assert build_schedule(None, {}, optimizer(), 1, 1) is None


@pytest.mark.parametrize("every", ["step", "epoch"])
def test_warm_up_rises_linearly_and_the_schedule_gets_the_rest(every: str) -> None:
    epochs, steps = (2, 20) if every == "step" else (40, 7)
    opt = optimizer(0.4)
    schedule = build_schedule("MultiStepLR", {"milestones": [0.5], "gamma": 0.1}, opt, epochs, steps, every, warmup=0.1)
    found = rates(schedule, opt, 40)
    assert found[:5] == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4])  # r k / 5 in the first 4 steps, then r
    assert found[4:22] == pytest.approx([0.4] * 18) and found[22:] == pytest.approx([0.04] * 19)


def test_warm_up_alone_and_before_a_cosine() -> None:
    opt = optimizer(0.4)
    found = rates(build_schedule(None, {}, opt, 1, 10, warmup=0.2), opt, 10)
    assert found == pytest.approx([0.4 / 3, 0.8 / 3] + [0.4] * 9)
    opt = optimizer(0.4)
    found = rates(build_schedule("CosineAnnealingLR", {}, opt, 1, 20, warmup=0.25), opt, 20)
    expected = [0.4 * (k + 1) / 6 for k in range(5)] + [0.2 * (1 + np.cos(np.pi * k / 15)) for k in range(16)]
    assert found == pytest.approx(expected, abs=1e-9)


def test_warm_up_in_a_resumed_training() -> None:
    """The state of the schedule is all that is needed to continue, at every step."""

    def fresh() -> tuple[optim.SGD, Any]:
        opt = optimizer(0.4)
        return opt, build_schedule("CosineAnnealingLR", {}, opt, 1, 12, warmup=0.25)

    opt, schedule = fresh()
    whole = rates(schedule, opt, 12)
    for stop in range(12):
        opt, schedule = fresh()
        rates(schedule, opt, stop)
        saved = (opt.state_dict(), schedule.state_dict())
        opt, schedule = fresh()
        opt.load_state_dict(saved[0])
        schedule.load_state_dict(saved[1])
        assert rates(schedule, opt, 12 - stop) == pytest.approx(whole[stop:], rel=1e-12), stop


def test_warm_ups_that_cannot_be() -> None:
    for name in ("OneCycleLR", "ReduceLROnPlateau"):
        with pytest.raises(SettingError, match=f"no warm-up before {name}"):
            build_schedule(name, {}, optimizer(), 1, 10, warmup=0.1)
    with pytest.raises(SettingError, match="a training of 1 step is too short for a warm-up"):
        build_schedule("CosineAnnealingLR", {}, optimizer(), 1, 1, warmup=0.5)
    with pytest.raises(SettingError, match="warmup must be a share"):
        build_schedule("CosineAnnealingLR", {}, optimizer(), 1, 10, warmup=1.5)


def test_plateau_is_built_with_its_options() -> None:
    opt = optimizer(0.4)
    schedule = build_schedule("reducelronplateau", {"patience": 1, "factor": 0.5, "mode": "max"}, opt, 9, 10, "epoch")
    found = []
    for accuracy in (0.5, 0.6, 0.6, 0.6, 0.7):
        schedule.step(accuracy)
        found.append(opt.param_groups[0]["lr"])
    assert found == [0.4, 0.4, 0.4, 0.2, 0.2]


# ----------------------------------------------------------------------------------------------------- start values


@pytest.mark.parametrize("scheme", list(INITS))
def test_start_values_have_the_variance_of_the_formula(scheme: str) -> None:
    minicnn.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(16, 64, (3, 5)), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(300, 200))
    with minicnn.no_grad():
        net[1].weight.fill_(3.0)
    init_weights(net, scheme)
    for layer, fan_in, fan_out in ((net[0], 16 * 15, 64 * 15), (net[3], 300, 200)):
        values = layer.weight.array
        both = fan_in + fan_out
        variance = {
            "he": 2 / fan_in, "he_uniform": 2 / fan_in, "xavier": 2 / both, "xavier_normal": 2 / both,
            "lecun": 1 / fan_in, "lecun_uniform": 1 / fan_in, "normal": 1e-4, "zeros": 0.0,
            "orthogonal": 1 / max(len(values), values[0].size),
        }[scheme]  # fmt: skip
        assert values.var() == pytest.approx(variance, rel=0.05) and abs(values.mean()) < 0.01
        assert not layer.bias.array.any()
        if "uniform" in scheme or scheme == "xavier":
            assert abs(values).max() <= np.sqrt(3 * variance) * 1.0001
    assert (net[1].weight.array == 3.0).all()  # norms keep theirs


def test_start_values_by_name() -> None:
    minicnn.manual_seed(0)
    assert not build_model("LeNet5", {}, "zeros").features[0].weight.array.any()
    with pytest.raises(UnknownNameError, match=r"unknown init 'kaimin'; there are: he, "):
        build_model("LeNet5", {}, "kaimin")


def test_rates_by_pattern() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    found = build_optimizer("Adam", net, {"weight_decay": 0.1}, "weights", {"0.*": 0.5}).param_groups
    assert sorted((group["lr"], group["weight_decay"], len(group["params"])) for group in found) == [
        (5e-4, 0.0, 1), (5e-4, 0.1, 1), (1e-3, 0.0, 1), (1e-3, 0.1, 1),
    ]  # fmt: skip
    with pytest.raises(SettingError, match=r"rates: .*conv"):
        build_optimizer("SGD", net, {"lr": 0.1}, "all", {"conv": 0.1})


def test_settings_that_are_wrong() -> None:
    for share in (0, 1.5, -0.1, True, "half", None):
        for key, name in (("total_iters", "PolynomialLR"), ("milestones", "MultiStepLR")):
            assert key in TIMES
            with pytest.raises(SettingError, match=f"{key} must be a share of the training, above 0 and up to 1"):
                build_schedule(name, {key: [share] if key == "milestones" else share}, optimizer(), 1, 10)
    with pytest.raises(UnknownNameError, match="unknown schedule 'LambdaLR'"):
        build_schedule("LambdaLR", {}, optimizer(), 1, 10)
    with pytest.raises(SettingError, match="schedule_every must be one of 'step', 'epoch', got 'batch'"):
        build_schedule("PolynomialLR", {}, optimizer(), 1, 10, "batch")
    with pytest.raises(SettingError, match="decay must be one of 'all', 'weights', got 'none'"):
        build_optimizer("SGD", nn.Linear(2, 2), {"lr": 0.1}, "none")


def test_decay_of_weights_leaves_out_biases_and_norms() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    found = build_optimizer("SGD", net, {"lr": 0.1, "weight_decay": 0.5}, "weights")
    with_decay, without = found.param_groups
    assert (with_decay["weight_decay"], without["weight_decay"]) == (0.5, 0.0)
    assert [tuple(one.shape) for one in with_decay["params"]] == [(2, 1, 3, 3), (2, 8)]
    assert [tuple(one.shape) for one in without["params"]] == [(2,), (2,), (2,), (2,)]
    assert len(build_optimizer("SGD", net, {"lr": 0.1, "weight_decay": 0.5}).param_groups) == 1


def test_losses_take_options() -> None:
    loss = build_loss("crossentropyloss", {"label_smoothing": 0.1})
    assert isinstance(loss, nn.CrossEntropyLoss) and loss.label_smoothing == 0.1


# ------------------------------------------------------------------------------------------------------------ the loop


class Counter:
    """A schedule that counts its steps, and the epochs that had been evaluated by then."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self) -> None:
        self.steps += 1


def points(count: int = 20) -> DataLoader[Any]:
    rng = np.random.default_rng(0)
    targets = np.arange(count) % 2
    x = rng.normal(size=(count, 3)) + 4 * targets[:, None]
    return DataLoader(TensorDataset(Tensor(x.astype(np.float32)), Tensor(targets)), batch_size=8)


@pytest.mark.parametrize(("every", "steps"), [("step", 9), ("epoch", 3)])
def test_the_loop_steps_the_schedule(every: str, steps: int, capsys: pytest.CaptureFixture[str]) -> None:
    net, counter = nn.Linear(3, 2), Counter()
    opt = optim.SGD(net.parameters(), lr=0.1)
    train(net, points(), points(), opt, nn.CrossEntropyLoss(), 3, scheduler=counter, schedule_every=every)
    assert counter.steps == steps


class Outputs(NamedTuple):
    logits: Tensor
    aux: Tensor | None


class WithHead(nn.Module):
    """A net with an auxiliary head, which it gives in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.fc, self.head = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Any:
        x = self.body(x)
        return Outputs(self.fc(x), self.head(x)) if self.training else self.fc(x)


def test_auxiliary_heads_are_trained(capsys: pytest.CaptureFixture[str]) -> None:
    minicnn.manual_seed(0)
    net = WithHead()
    before = net.head.weight.array.copy()
    opt = optim.SGD(net.parameters(), lr=0.1)
    history = train(net, points(), points(), opt, nn.CrossEntropyLoss(), 8)
    assert history[-1].val_top1 == 1.0 and not np.array_equal(before, net.head.weight.array)


def test_the_loss_of_heads_has_the_weight_of_the_paper() -> None:
    rng, loss_fn = np.random.default_rng(0), nn.CrossEntropyLoss()
    main, head = (Tensor(rng.normal(size=(5, 3))) for _ in range(2))
    targets = Tensor(np.array([0, 1, 2, 1, 0]))
    scores, loss = scores_and_loss(Outputs(main, head), targets, loss_fn)
    assert scores is main
    assert float(loss) == pytest.approx(float(loss_fn(main, targets)) + 0.3 * float(loss_fn(head, targets)))
    for output in (main, Outputs(main, None), (main,)):
        assert float(scores_and_loss(output, targets, loss_fn)[1]) == float(loss_fn(main, targets))
