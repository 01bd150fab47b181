from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest

from minicnn.tensor import Tensor
from minicnn.utils.data import DataLoader, default_collate, default_convert

Point = namedtuple("Point", ["x", "y"])


def check(tensor: Any, values: Any, dtype: Any) -> None:
    assert isinstance(tensor, Tensor) and tensor.dtype == dtype
    np.testing.assert_array_equal(tensor.array, values)


@pytest.mark.parametrize(
    ("batch", "values", "dtype"),
    [
        ([1, 2], [1, 2], np.int64),
        ([1.5, 2.0], [1.5, 2], np.float64),
        ([True, False], [True, False], np.bool_),
        ([np.float32(1), np.float32(2)], [1, 2], np.float32),
        ([np.float64(1), np.float64(2)], [1, 2], np.float64),
        ([np.uint8(1), np.uint8(2)], [1, 2], np.uint8),
        ([np.zeros((2, 3), np.int16)] * 4, np.zeros((4, 2, 3)), np.int16),
        ([Tensor(np.ones(2, np.float32))] * 3, np.ones((3, 2)), np.float32),
        ([Tensor(np.array(5))] * 2, [5, 5], np.int64),
    ],
)
def test_leaves_become_tensors(batch: list[Any], values: Any, dtype: Any) -> None:
    check(default_collate(batch), values, dtype)


def test_nested_samples_keep_their_structure() -> None:
    sample = {"xy": (np.float32(1), [2, 3.0]), "name": "a", "point": Point(1, {"z": b"c"})}
    batch = default_collate([sample, sample])
    assert list(batch) == ["xy", "name", "point"]
    assert isinstance(batch["xy"], list) and isinstance(batch["xy"][1], list)
    check(batch["xy"][0], [1, 1], np.float32)
    check(batch["xy"][1][0], [2, 2], np.int64)
    check(batch["xy"][1][1], [3, 3], np.float64)
    assert batch["name"] == ["a", "a"]
    assert isinstance(batch["point"], Point) and batch["point"].y == {"z": [b"c", b"c"]}
    check(batch["point"].x, [1, 1], np.int64)
    assert isinstance(default_collate([OrderedDict(a=1)]), OrderedDict)


def test_strings_of_a_sequence_become_a_tuple() -> None:
    images, names = default_collate([(1, "a"), (2, "b")])
    assert names == ("a", "b") and images.tolist() == [1, 2]
    assert default_collate(["a", "b"]) == ["a", "b"]


def test_a_batch_does_not_share_memory_with_its_samples() -> None:
    array = np.zeros(3)
    default_collate([array]).array[:] = 1
    assert not array.any()


def test_what_cannot_be_put_together_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"\[2\] at entry 0 and \[3\] at entry 1"):
        default_collate([np.zeros(2), np.zeros(3)])
    with pytest.raises(RuntimeError, match=r"entry 1; give all images the same channels, such as image\.convert"):
        default_collate([np.zeros((3, 4, 5)), np.zeros((1, 4, 5))])
    with pytest.raises(RuntimeError, match="entry 1; Resize, crop or pad them, or pass a collate_fn"):
        default_collate([np.zeros((3, 4, 5)), np.zeros((3, 5, 4))])
    with pytest.raises(RuntimeError, match=r"equal size, but their lengths are \[1, 2\]"):
        default_collate([(1,), (1, 2)])
    with pytest.raises(TypeError, match="<U1"):
        default_collate([np.array(["a"])])
    with pytest.raises(TypeError, match=r"found builtins.object; pass a collate_fn"):
        default_collate([object()])
    with pytest.raises(ValueError, match="empty"):
        default_collate([])


def test_a_pil_image_asks_for_to_tensor() -> None:
    from PIL import Image

    with pytest.raises(TypeError, match=r"found PIL\.Image\.Image; put transforms\.ToTensor\(\) into the transform"):
        default_collate([(Image.new("L", (2, 2)), 0)])


def test_without_a_batch_dimension_arrays_become_tensors() -> None:
    data = default_convert({"a": np.zeros(2), "b": (1, "x"), "p": Point(np.float32(1), [None])})
    check(data["a"], [0, 0], np.float64)
    assert data["b"] == [1, "x"] and isinstance(data["p"], Point) and data["p"].y == [None]
    samples = list(DataLoader([np.zeros(2), np.ones(2)], batch_size=None))
    check(samples[1], [1, 1], np.float64)
