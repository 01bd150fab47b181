"""Images that grow during the training."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import models, nn, optim
from minicnn.tensor import Tensor
from minicnn.train import ProgressiveResizing, check_sizes, resized

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100])
def test_the_sizes_by_share(steps: int) -> None:
    stages = ((0, 8), (0.3, 12), (0.9, None))
    resize, x = ProgressiveResizing(stages, steps), minicnn.zeros(2, 1, 10, 14)
    for step in range(steps):
        side = [side for share, side in stages if step >= share * steps - 1e-9][-1]
        images, targets = resize(x, "the targets")
        assert images.shape == ((2, 1, 10, 14) if side is None else (2, 1, side, side)) and targets == "the targets"
    assert resize.done == steps and resize.side is None


def test_more_steps_than_planned_keep_the_last_size() -> None:
    resize = ProgressiveResizing([(0, 4), (0.5, 6)], 2)
    assert [resize(minicnn.zeros(1, 1, 8, 8), None)[0].shape[-1] for _ in range(5)] == [4, 6, 6, 6, 6]


def test_a_share_of_whole_steps_is_exact() -> None:
    resize = ProgressiveResizing([(0, 4), (0.7, 6)], 10)
    assert [resize(minicnn.zeros(1, 1, 8, 8), None)[0].shape[-1] for _ in range(10)] == [4] * 7 + [6] * 3


def test_it_goes_on_from_a_state() -> None:
    first = ProgressiveResizing([(0, 4), (0.5, 6)], 10)
    for _ in range(4):
        first(minicnn.zeros(1, 1, 8, 8), None)
    second = ProgressiveResizing([(0, 4), (0.5, 6)], 10)
    second.load_state_dict(first.state_dict())
    assert [second(minicnn.zeros(1, 1, 8, 8), None)[0].shape[-1] for _ in range(2)] == [4, 6]
    for wrong in ({}, {"done": -1}, {"done": 1.5}, {"steps": 3}):
        with pytest.raises((ValueError, TypeError), match="ProgressiveResizing"):
            second.load_state_dict(wrong)


def test_resized_is_a_mean_for_whole_factors() -> None:
    """A triangle of antialiasing of twice the factor: of a linear ramp it gives the means of the blocks, inside."""
    ramp = Tensor(np.broadcast_to(np.arange(12.0, dtype=np.float32), (1, 1, 12, 12)).copy())
    np.testing.assert_allclose(resized(ramp, 4).numpy()[0, 0, :, 1:3], np.broadcast_to([4.0, 7.0], (4, 2)), atol=1e-5)
    assert resized(ramp, 12) is ramp


def test_a_net_trains_on_growing_images() -> None:
    minicnn.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    check_sizes(net, (8, 12, 16))
    optimizer, resize = optim.Adam(net.parameters(), lr=0.02), ProgressiveResizing(((0, 8), (0.3, 12), (0.6, 16)), 60)
    targets = Tensor(np.arange(32) % 2)
    stripes = np.arange(16) // 2 % 2  # class 0: horizontal stripes, class 1: vertical ones
    x = np.where(np.arange(32)[:, None, None] % 2 == 0, stripes[:, None], stripes).astype(np.float32)
    x = Tensor(x[:, None] + 0.1 * RNG.normal(size=(32, 1, 16, 16)).astype(np.float32))
    for _ in range(60):
        images, classes = resize(x, targets)
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(net(images), classes).backward()
        optimizer.step()
    assert (net(x).argmax(1) == targets).float().mean().item() == 1


@pytest.mark.parametrize(
    ("stages", "steps"),
    [((), 5), (((0.1, 8),), 5), (((0, 8), (0, 16)), 5), (((0, 8), (1, 16)), 5), (((0, 8), (0.5, 0)), 5),
     (((0, 8), (float("nan"), 16)), 5), (((0, 8),), 0), (((0, 8.5),), 3)],
)  # fmt: skip
def test_wrong_stages(stages: tuple, steps: int) -> None:
    with pytest.raises((ValueError, TypeError), match="ProgressiveResizing: "):
        ProgressiveResizing(stages, steps)


def test_nets_that_take_one_size_say_so() -> None:
    check_sizes(models.resnet20(), (16, 24, 32))
    check_sizes(models.lenet5(), [32])
    with pytest.raises(ValueError, match=r"LeNet5 does not take images of 24x24: .*AdaptiveAvgPool2d"):
        check_sizes(models.lenet5(), [32, 24])
    maps = nn.Sequential(nn.Conv2d(3, 10, 3), nn.Flatten())  # takes any size, and gives other scores
    with pytest.raises(ValueError, match="gives other scores for other sizes"):
        check_sizes(maps, [8, 16])
    with pytest.raises(ValueError, match="channels="):
        check_sizes(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), [8])
    check_sizes(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), [8], channels=1)
