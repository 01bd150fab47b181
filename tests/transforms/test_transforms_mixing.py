"""MixUp and CutMix: pairs of images and their targets."""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.random import Generator
from minicnn.tensor import Tensor
from minicnn.transforms import CutMix, MixUp, cutmix, mixup
from minicnn.utils.data import DataLoader, TensorDataset, default_collate

CLASSES = 5


def batch(count: int = 4, shape: tuple[int, ...] = (3, 6, 9)) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(count)
    images = rng.random((count, *shape), np.float32)
    return minicnn.tensor(images), minicnn.tensor(rng.integers(0, CLASSES, count))


def one_hot(targets: Tensor) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[targets.numpy()]


def test_mixup_is_a_weighted_mean_of_pairs() -> None:
    (x, t), order = batch(), [2, 0, 3, 1]
    for lam in (0.3, 0.0, 1.0, [0.1, 0.5, 0.9, 1.0]):
        weight = np.reshape(np.float32(lam), (-1, 1, 1, 1))
        images, targets = mixup(x, t, num_classes=CLASSES, lam=lam, partners=order)
        np.testing.assert_allclose(images, weight * x.numpy() + (1 - weight) * x.numpy()[order], rtol=0, atol=1e-6)
        weight = weight[..., 0, 0]
        expected = weight * one_hot(t) + (1 - weight) * one_hot(t)[order]
        np.testing.assert_allclose(targets, expected, rtol=0, atol=1e-6)
        assert images.dtype == targets.dtype == np.float32


def test_cutmix_pastes_a_box_and_counts_its_area() -> None:
    x, t = batch()
    for box in ((2, 1, 6, 3), (0, 0, 9, 6), (3, 3, 3, 5)):
        images, targets = cutmix(x, t, num_classes=CLASSES, box=box, partners=[1, 2, 3, 0])
        x1, y1, x2, y2 = box
        expected = x.numpy().copy()
        expected[..., y1:y2, x1:x2] = x.numpy()[[1, 2, 3, 0]][..., y1:y2, x1:x2]
        np.testing.assert_array_equal(images, expected)
        share = (x2 - x1) * (y2 - y1) / 54
        expected = (1 - share) * one_hot(t) + share * one_hot(t)[[1, 2, 3, 0]]
        np.testing.assert_allclose(targets, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(x, batch()[0])  # the inputs stay as they were


def test_drawn_boxes_have_the_share_that_the_targets_say() -> None:
    x = minicnn.cat([minicnn.zeros(1, 1, 20, 30), minicnn.ones(1, 1, 20, 30)])
    shares = set()
    minicnn.manual_seed(0)
    for _ in range(100):
        images, targets = CutMix(num_classes=2)(x, minicnn.tensor([0, 1]))
        pasted = images[0].mean().item()
        assert targets[0, 1].item() == pytest.approx(pasted, abs=1e-6)
        shares.add(round(pasted, 3))
    assert min(shares) < 0.1 and max(shares) > 0.6 and len(shares) > 40


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_lam_is_from_a_beta_distribution(alpha: float) -> None:
    """Its mean is 1/2, its variance 1 / (4 (2 alpha + 1))."""
    mix, x, t = MixUp(alpha=alpha, num_classes=2), minicnn.zeros(2, 1), minicnn.tensor([0, 1])
    minicnn.manual_seed(1)
    lams = np.array([mix(x, t)[1][0, 0].item() for _ in range(2000)])
    assert abs(lams.mean() - 0.5) < 0.03
    assert abs(lams.var() / (1 / (4 * (2 * alpha + 1))) - 1) < 0.12


@pytest.mark.parametrize("function", [mixup, cutmix])
def test_a_generator_fixes_everything_and_leaves_the_default_one_alone(function: Any) -> None:
    x, t = batch(16)
    minicnn.manual_seed(3)
    before = minicnn.get_rng_state()
    first = function(x, t, 1.0, CLASSES, generator=Generator().manual_seed(5))
    again = function(x, t, 1.0, CLASSES, generator=Generator().manual_seed(5))
    assert before == minicnn.get_rng_state()
    other = function(x, t, 1.0, CLASSES)
    for ours, same, different in zip(first, again, other, strict=True):
        assert minicnn.equal(ours, same) and not minicnn.equal(ours, different)


class Pair(NamedTuple):
    images: Tensor
    labels: Tensor


def test_the_structure_of_the_sample_is_kept() -> None:
    x, t = batch()
    mix = MixUp(num_classes=CLASSES)
    images, targets = mix(x, t)
    assert images.shape == x.shape and targets.shape == (4, CLASSES)
    images, targets, name = mix((x, t, "name"))
    assert targets.shape == (4, CLASSES) and name == "name"
    found = mix([x, t])
    assert isinstance(found, list) and found[1].shape == (4, CLASSES)
    pair = mix(Pair(x, t))
    assert isinstance(pair, Pair) and pair.labels.shape == (4, CLASSES)
    found = mix({"weights": 3, "image": x, "label": t})
    assert found["label"].shape == (4, CLASSES) and found["weights"] == 3 and not minicnn.equal(found["image"], x)
    by_hand = MixUp(num_classes=CLASSES, labels_getter=lambda sample: sample["y"])
    assert by_hand({"y": t, "x": x})["y"].shape == (4, CLASSES)


def test_probabilities_may_be_mixed_again() -> None:
    x, t = batch()
    first = mixup(x, t, num_classes=CLASSES)
    images, targets = CutMix()(*first)
    np.testing.assert_allclose(targets.sum(1), np.ones(4), rtol=0, atol=1e-6)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)(minicnn.randn(4, CLASSES, requires_grad=True), targets)
    loss.backward()
    assert images.shape == x.shape and np.isfinite(loss.item())


def test_types_and_empty_batches() -> None:
    x, t = batch()
    assert mixup(x.double(), t, num_classes=CLASSES)[0].dtype == np.float64
    bytes_ = (x * 255).byte()
    images, _ = cutmix(bytes_, t.byte(), num_classes=CLASSES)
    assert images.dtype == np.uint8
    for function in (mixup, cutmix):
        images, targets = function(x[:0], t[:0], num_classes=CLASSES)
        assert images.shape == (0, 3, 6, 9) and targets.shape == (0, CLASSES)


def test_in_a_collate_function_the_numbers_do_not_depend_on_the_workers() -> None:
    data = TensorDataset(*batch(24))
    runs = []
    for workers in (0, 2):
        minicnn.manual_seed(7)
        loader = DataLoader(data, 8, shuffle=True, collate_fn=collate, num_workers=workers)
        runs.append([mixed for mixed, _ in loader])
    assert all(minicnn.equal(*pair) for pair in zip(*runs, strict=True))


def collate(samples: Any) -> Any:
    return MixUp(num_classes=CLASSES)(*default_collate(samples))


def test_representation_and_pickles() -> None:
    assert repr(MixUp(num_classes=3)) == "MixUp(alpha=1.0, num_classes=3)"
    assert repr(CutMix(alpha=0.5)) == "CutMix(alpha=0.5, num_classes=None)"
    assert repr(pickle.loads(pickle.dumps(CutMix(alpha=0.5)))) == "CutMix(alpha=0.5, num_classes=None)"
    assert not MixUp().batchable


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (ValueError, lambda x, t: MixUp(alpha=0), "MixUp: alpha should be a number > 0, got 0"),
        (ValueError, lambda x, t: MixUp(alpha=float("nan")), "MixUp: alpha should be"),
        (ValueError, lambda x, t: CutMix(num_classes=0), "CutMix: num_classes must be at least 1"),
        (ValueError, lambda x, t: CutMix(labels_getter="labels"), "CutMix: labels_getter should be"),
        (ValueError, lambda x, t: MixUp()(x, t), "num_classes must be given"),
        (ValueError, lambda x, t: MixUp(num_classes=2)(x, t), "the classes are 0 to 4, but num_classes is 2"),
        (ValueError, lambda x, t: MixUp(num_classes=5)(x, t[:3]), "shapes (4, 3, 6, 9) and (3,)"),
        (ValueError, lambda x, t: MixUp(num_classes=5)(x[0], t), "shapes (3, 6, 9) and (4,)"),
        (ValueError, lambda x, t: CutMix(num_classes=3)(x, minicnn.rand(4, 5)), "have 5 classes"),
        (TypeError, lambda x, t: MixUp(num_classes=5)(x, t.float()), "classes should be integers, got minicnn.float32"),
        (TypeError, lambda x, t: MixUp(num_classes=5)(x.byte(), t), "floating type, got minicnn.uint8"),
        (TypeError, lambda x, t: MixUp(num_classes=5)(x), "call it with two tensors"),
        (TypeError, lambda x, t: MixUp(num_classes=5)({"x": x}), "call it with two tensors"),
        (ValueError, lambda x, t: mixup(x, t, num_classes=5, lam=1.5), "lam should be a number from 0 to 1"),
        (ValueError, lambda x, t: mixup(x, t, num_classes=5, partners=[0, 1, 2, 4]), "partners should be 4 indices"),
        (ValueError, lambda x, t: cutmix(x, t, num_classes=5, box=(0, 0, 10, 3)), "inside 9 x 6 pixels"),
        (ValueError, lambda x, t: cutmix(x[:, 0, 0], t, num_classes=5), "takes images (N, ..., H, W)"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(kind: type[Exception], call: Any, message: str) -> None:
    x, _ = batch()
    with pytest.raises(kind) as raised:
        call(x, minicnn.tensor([0, 1, 2, 4]))
    assert message in str(raised.value)
