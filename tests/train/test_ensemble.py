"""Averages of several predictions, against NumPy."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models, nn
from minicnn.tensor import Tensor
from minicnn.train import (
    Ensemble,
    TestTimeAugmentation,
    ensemble_error,
    evaluate,
    five_crops,
    flips,
    named_views,
    shifts,
    softmax,
    ten_crops,
)

RNG = np.random.default_rng(0)


def images(*shape: int) -> Tensor:
    return Tensor(RNG.normal(size=shape).astype(np.float32))


def flat(height: int = 5, width: int = 7) -> Any:
    return nn.Sequential(nn.Flatten(), nn.Linear(2 * height * width, 3))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_mean_of_the_probabilities(count: int) -> None:
    nets, x = [flat() for _ in range(count)], images(6, 2, 5, 7)
    expected = np.mean([softmax(net(x).detach()) for net in nets], axis=0)
    np.testing.assert_allclose(softmax(Ensemble(nets)(x).detach()), expected, rtol=1e-5)
    if count > 1:
        np.testing.assert_allclose(np.exp(Ensemble(nets)(x).detach().numpy()), expected, rtol=1e-5)
    scores = np.mean([net(x).detach().numpy() for net in nets], axis=0)
    np.testing.assert_allclose(Ensemble(nets, "scores")(x).detach().numpy(), scores, rtol=1e-5, atol=1e-6)


def test_huge_scores_stay_finite() -> None:
    net = nn.Linear(1, 2, bias=False)
    net.weight.data.copy_(minicnn.tensor([[0.0], [1e4]]))
    other = nn.Linear(1, 2, bias=False)
    other.weight.data.copy_(minicnn.tensor([[1e4], [0.0]]))
    np.testing.assert_allclose(Ensemble([net, other])(minicnn.ones(1, 1)).detach().numpy(), np.log(0.5), rtol=1e-6)


def test_it_is_a_net() -> None:
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Dropout(0.5)) for _ in range(3)]
    both, loader = Ensemble(nets), [(images(5, 1, 2, 2), Tensor(np.array([0, 1, 2, 1, 0])))]
    found = evaluate(both, loader, nn.CrossEntropyLoss())
    expected = np.mean([softmax(net.eval()(loader[0][0]).detach()) for net in nets], axis=0)
    assert found.loss == pytest.approx(-np.log(expected[range(5), [0, 1, 2, 1, 0]]).mean(), rel=1e-5)
    assert both.training and len(both.state_dict()) == 6
    assert sum(p.numel() for p in both.parameters()) == 3 * 15


def test_auxiliary_heads_have_no_say() -> None:
    net = models.googlenet(num_classes=3, aux_logits=True, dropout=0.0, dropout_aux=0.0).train()
    x = images(2, 3, 64, 64)
    with minicnn.no_grad():
        assert Ensemble([net])(x).shape == (2, 3)


def test_views() -> None:
    x = images(2, 3, 6, 9)
    a = x.numpy()
    assert [np.array_equal(view(x).numpy(), b) for view, b in zip(flips(), (a, a[..., ::-1]), strict=True)] == [
        True
    ] * 2
    left = np.concatenate([a[..., 2:], a[..., -1:], a[..., -1:]], -1)
    down = np.concatenate([a[..., :1, :], a[..., :1, :], a[..., :-2, :]], -2)
    moved = [view(x).numpy() for view in shifts(2)]
    assert len(moved) == 5 and np.array_equal(moved[1], left) and np.array_equal(moved[4], down)
    crops = [view(x).numpy() for view in five_crops((4, 5))]
    corners = (a[..., :4, :5], a[..., :4, -5:], a[..., -4:, :5], a[..., -4:, -5:], a[..., 1:5, 2:7])
    assert all(np.array_equal(one, two) for one, two in zip(crops, corners, strict=True))
    ten = [view(x).numpy() for view in ten_crops((4, 5))]
    assert len(ten) == 10 and all(np.array_equal(ten[k + 5], ten[k][..., ::-1]) for k in range(5))


@pytest.mark.parametrize(("text", "count"), [("flip", 2), ("shift", 5), ("flip+shift:3", 10), ("ten_crop:4", 10),
                                             ("five_crop:4 + flip", 10)])  # fmt: skip
def test_named_views(text: str, count: int) -> None:
    views = named_views(text)
    assert len(views) == count
    seen = {view(images(1, 1, 8, 8)).numpy().tobytes() for view in views}
    assert len(seen) == count


@pytest.mark.parametrize("text", ["", "flop", "flip:2", "five_crop", "shift:x", "shift:-1", "flip+", "flip,shift"])
def test_unknown_views(text: str) -> None:
    with pytest.raises(ValueError, match="named_views"):
        named_views(text)


def test_test_time_augmentation_is_the_mean_over_views() -> None:
    net, x = flat(), images(4, 2, 5, 7)
    views = named_views("flip+shift")
    expected = np.mean([softmax(net(view(x)).detach()) for view in views], axis=0)
    np.testing.assert_allclose(softmax(TestTimeAugmentation(net, "flip+shift")(x).detach()), expected, rtol=1e-5)
    np.testing.assert_allclose(softmax(TestTimeAugmentation(net, lambda_list())(x).detach()), expected, rtol=1e-5)


def lambda_list() -> list[Any]:
    """The same views as one function that gives them all."""
    return [lambda x: tuple(view(x) for view in named_views("flip+shift"))]


def test_the_wrapped_net_is_saved_and_copied() -> None:
    net = TestTimeAugmentation(flat(), "ten_crop:4")
    assert list(net.state_dict()) == ["model.1.weight", "model.1.bias"]
    fixed = TestTimeAugmentation(flat(), "shift")
    x = images(2, 2, 5, 7)
    for other in (copy.deepcopy(fixed), pickle.loads(pickle.dumps(fixed))):
        assert minicnn.equal(other(x), fixed(x))


def test_errors() -> None:
    x = images(3, 2, 5, 7)
    for make, message in (
        (lambda: Ensemble([]), "there are no nets"), (lambda: Ensemble([3]), "Ensemble"),
        (lambda: Ensemble([flat()], "votes"), "'probabilities' or 'scores'"),
        (lambda: Ensemble([flat(), nn.Sequential(nn.Flatten(), nn.Linear(70, 4))])(x), "same classes"),
        (lambda: TestTimeAugmentation(flat(), []), "no views"), (lambda: TestTimeAugmentation(flat(), [1]), "function"),
        (lambda: TestTimeAugmentation(flat(), [lambda x: x[:2]])(x), "made 2 images of 3"),
        (lambda: TestTimeAugmentation(flat(), "five_crop:8")(x), "5x7 have no crop of 8x8"),
        (lambda: ensemble_error([], [0]), "no nets"),
        (lambda: ensemble_error([np.zeros((2, 3)), np.zeros((2, 4))], np.array([0, 1])), "same images and classes"),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match=message):
            make()


def test_ensemble_error_against_counting() -> None:
    scores, targets = [RNG.normal(size=(50, 7)) for _ in range(4)], RNG.integers(0, 7, 50)
    found = ensemble_error(scores, targets, k=2)
    for count in range(1, 5):
        p = np.mean([softmax(one) for one in scores[:count]], axis=0)
        best = np.argsort(-p, axis=1)[:, :2]
        assert found.together[count - 1] == pytest.approx(
            np.mean([t not in row for t, row in zip(targets, best, strict=True)])
        )
    assert found.alone[0] == found.together[0]
    assert found.mean == pytest.approx(np.mean(found.alone)) and found.gain == found.mean - found.together[-1]


def test_independent_nets_are_better_together() -> None:
    """Signal plus independent noise: seven nets have less noise than one."""
    targets = RNG.integers(0, 5, 2000)
    signal = np.eye(5)[targets] * 2
    found = ensemble_error([signal + RNG.normal(size=signal.shape) for _ in range(7)], targets)
    assert found.together[-1] < 0.4 * found.mean


def test_what_is_no_list_of_nets_or_images() -> None:
    with pytest.raises(TypeError, match=r"give a list of nets, got one net, a Sequential"):
        Ensemble(flat())  # its layers are no nets that answer
    assert len(Ensemble(nn.ModuleList([flat(), flat()])).models) == 2
    with pytest.raises(TypeError, match="a view must return a tensor of images, or a list of such, got NoneType"):
        TestTimeAugmentation(flat(), [lambda x: None])(images(2, 1, 5, 7))


@pytest.mark.parametrize("size", [2.5, (1, 2, 3), "28", None])
def test_sizes_that_are_none(size: Any) -> None:
    with pytest.raises(TypeError, match="five_crops: size must be an int or a pair of ints"):
        five_crops(size)
