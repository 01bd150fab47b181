from __future__ import annotations

import numpy as np
import pytest

from minicnn.datasets import Digits, VisionDataset
from minicnn.tensor import Tensor
from minicnn.transforms import Compose, Resize, ToTensor
from minicnn.utils.data import DataLoader


def test_the_split_is_fixed_balanced_and_whole() -> None:
    from sklearn.datasets import load_digits

    train, test = Digits(), Digits(train=False)
    assert (len(train), len(test)) == (1437, 360)
    assert np.bincount(test.targets.array).tolist() == [36] * 10
    everything = load_digits()
    values = np.concatenate([train.data.array, test.data.array]).reshape(1797, -1)
    whole = np.rint(everything.images * 255 / 16).reshape(1797, -1)
    assert sorted(map(tuple, values.tolist())) == sorted(map(tuple, whole.astype(int).tolist()))
    for part in (train, test):  # every image has kept its label
        lookup = {tuple(row): label for row, label in zip(whole.tolist(), everything.target.tolist(), strict=True)}
        assert [lookup[tuple(row)] for row in part.data.array.reshape(len(part), -1).tolist()] == part.targets.tolist()


def test_the_split_is_the_documented_one() -> None:
    from sklearn.datasets import load_digits

    target = load_digits().target
    rank = np.random.Philox(key=0).random_raw(1797)
    chosen = sorted(
        i for digit in range(10) for i in sorted(np.flatnonzero(target == digit), key=rank.__getitem__)[:36]
    )
    assert Digits(train=False).targets.tolist() == target[chosen].tolist()
    np.testing.assert_array_equal(
        Digits(train=False).data.array, np.rint(load_digits().images[chosen] * 255 / 16).astype(np.uint8)
    )


def test_images_are_8_bit_and_pil_takes_them() -> None:
    digits = Digits()
    assert isinstance(digits.data, Tensor) and digits.data.dtype == np.uint8 and digits.targets.dtype == np.int64
    assert digits.data.array.min() == 0 and digits.data.array.max() == 255
    image, target = digits[0]
    assert image.mode == "L" and image.size == (8, 8) and type(target) is int
    assert digits.classes[target] == str(target)


def test_what_one_user_changes_another_does_not_see() -> None:
    Digits().data.array[:] = 0
    assert Digits().data.array.any()


def test_lenet_sized_batches() -> None:
    loader = DataLoader(Digits(train=False, transform=Compose([Resize(32), ToTensor()])), 100)
    shapes = [(x.shape, y.shape) for x, y in loader]
    assert shapes == [((100, 1, 32, 32), (100,))] * 3 + [((60, 1, 32, 32), (60,))]


def test_the_repr() -> None:
    assert repr(Digits(train=False, target_transform=str)).splitlines() == [
        "Dataset Digits",
        "    Number of datapoints: 360",
        "    Split: Test",
        "    StandardTransform",
        "    Target transform: <class 'str'>",
    ]


def test_a_dataset_may_transform_both_together() -> None:
    class Two(VisionDataset):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> tuple[int, int]:
            return self.apply_transforms(index, -index)

    assert Two(transforms=lambda image, target: (image + 1, target - 1))[1] == (2, -2)
    assert Two("folder", transform=float, target_transform=str)[1] == (1.0, "-1")
    with pytest.raises(ValueError, match="Only transforms or transform"):
        Two(transforms=max, transform=min)
    with pytest.raises(NotImplementedError, match="__len__"):
        len(VisionDataset())
