"""The second version: samples of several parts, and the transforms that only it has."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import transforms as T
from minicnn.transforms import v2
from minicnn.utils.data import DataLoader, Dataset
from minicnn.utils.data.randomness import SampleKeys, each_sample, keyed_samples

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 11, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)
IMAGE = minicnn.tensor(np.ascontiguousarray(PIXELS.transpose(2, 0, 1)))


def test_it_has_the_classes_of_the_first_version() -> None:
    same = set(T.__all__) - {"Lambda", "functional"}
    assert all(getattr(v2, name) is getattr(T, name) for name in same)
    assert set(v2.functional.__all__) > set(T.functional.__all__)
    assert all(getattr(v2.functional, name) is getattr(T.functional, name) for name in T.functional.__all__)
    assert len(set(v2.__all__)) == len(v2.__all__)


def test_the_usual_chain() -> None:
    chain = v2.Compose([v2.ToImage(), v2.ToDtype(minicnn.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)])
    image, label = chain(PICTURE, 3)
    expected = T.Compose([T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)])(PICTURE)
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-6)
    assert label == 3 and chain.batchable
    np.testing.assert_array_equal(chain.batch(PIXELS[None])[0], chain(PICTURE))


@pytest.mark.parametrize("transform", [v2.RandomCrop(6), v2.ColorJitter(0.5, 0.5), v2.RandomInvert(0.5)], ids=repr)
def test_images_of_a_sample_are_transformed_alike_and_the_rest_is_left(transform: Any) -> None:
    boxes, name = minicnn.rand(2, 4), "name"
    for image in (PICTURE, IMAGE):
        minicnn.manual_seed(4)
        alone = transform(image)
        minicnn.manual_seed(4)
        found = transform({"left": image, "rest": [boxes, (image, name)], "mask": minicnn.zeros(12, 11)})
        np.testing.assert_array_equal(found["left"], alone)
        np.testing.assert_array_equal(found["rest"][1][0], alone)
        assert found["rest"][0] is boxes and found["rest"][1][1] == name and found["mask"].shape == (12, 11)
        minicnn.manual_seed(4)
        np.testing.assert_array_equal(transform(image, 5)[0], alone)
    stacked = transform((PICTURE, IMAGE))  # beside a PIL image, tensors are targets
    assert stacked[1] is IMAGE


def test_samples_without_an_image() -> None:
    with pytest.raises(TypeError, match="RandomCrop takes an image, or a sample with images in it, got tuple"):
        v2.RandomCrop(3)(minicnn.zeros(3), 4)
    assert v2.Identity()(3, 4) == (3, 4) and v2.ToPureTensor()((3, 4)) == (3, 4)


class Mine(v2.Transform):
    """As programs write them for torchvision."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"count": len(flat_inputs)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return inpt + params["count"]


def test_transforms_of_programs() -> None:
    x = minicnn.zeros(3, 2, 2)
    assert Mine()(x).max().item() == 1
    both = Mine()(x, {"other": minicnn.ones(3, 2, 2), "label": 7})
    assert both[0].max().item() == 2 and both[1]["other"].min().item() == 3 and both[1]["label"] == 7
    assert not Mine().batchable

    class Whole(v2.Transform):
        def forward(self, *inputs: Any) -> Any:
            return inputs

    assert Whole()(x, 3) == (x, 3) and Whole()((1, 2)) == ((1, 2),)


class Pairs(Dataset[Any]):
    def __getitem__(self, index: Any) -> Any:
        return chain(PICTURE, index)

    def __len__(self) -> int:
        return 6


chain = v2.Compose(
    [v2.RandomPhotometricDistort(p=0.9), v2.RandomCrop(8), v2.ToImage(), v2.ToDtype(minicnn.float32, True)]
)


def test_in_a_loader_the_workers_do_not_matter() -> None:
    runs = []
    for workers in (0, 2):
        minicnn.manual_seed(1)
        runs.append(next(iter(DataLoader(Pairs(), 6, num_workers=workers))))
    assert minicnn.equal(runs[0][0], runs[1][0]) and runs[0][1].tolist() == [0, 1, 2, 3, 4, 5]


def test_types() -> None:
    assert v2.ToImage()(PIXELS).shape == (3, 12, 11) and v2.ToImage()(PIXELS[..., 0]).shape == (1, 12, 11)
    assert v2.ToImage()(IMAGE) is IMAGE and v2.ToImage()(PICTURE).dtype == np.uint8
    np.testing.assert_array_equal(v2.ToImage().batch(PIXELS[None, ..., 0])[0], v2.ToImage()(PIXELS[..., 0]))
    assert (
        v2.ToDtype(minicnn.float64)(IMAGE).max().item()
        > 1
        >= v2.ToDtype(minicnn.float64, scale=True)(IMAGE).max().item()
    )
    labels = minicnn.arange(3)
    found = v2.ToDtype({minicnn.Tensor: minicnn.float32, "others": None}, scale=True)(IMAGE, labels)
    assert found[0].dtype == np.float32 and found[1] is labels
    assert v2.ToDtype({"others": None})(IMAGE) is IMAGE
    assert v2.RGB()(IMAGE[:1]).shape == (3, 12, 11) and v2.RGB()(IMAGE) is IMAGE
    assert v2.RGB()(PICTURE.convert("L")).mode == "RGB" and v2.RGB()(PICTURE) is PICTURE
    np.testing.assert_array_equal(
        v2.RGB().batch(PIXELS[..., 0][None])[0], np.asarray(v2.RGB()(Image.fromarray(PIXELS[..., 0])))
    )
    assert repr(v2.Lambda(abs)) == "Lambda(abs, types=['object'])" and v2.Lambda(abs)(-1, [-2]) == (1, [2])


def test_functions() -> None:
    F = v2.functional
    assert F.get_size(PICTURE) == F.get_size(IMAGE) == [12, 11] and F.get_num_channels(PICTURE) == 3
    assert F.horizontal_flip is F.hflip and F.vertical_flip is F.vflip
    smooth = Image.fromarray(np.add.outer(np.arange(64), 2 * np.arange(64)).astype(np.uint8))
    for quality, most in ((95, 3), (10, 40)):
        found = F.jpeg(smooth, quality)
        assert found.mode == "L" and np.abs(np.asarray(found, int) - np.asarray(smooth)).max() <= most
    np.testing.assert_array_equal(F.jpeg(IMAGE[None], 50)[0].permute(1, 2, 0), np.asarray(F.jpeg(PICTURE, 50)))


DISTURB = {
    "RandomPhotometricDistort": lambda: v2.RandomPhotometricDistort(p=0.7),
    "RandomChannelPermutation": v2.RandomChannelPermutation,
    "GaussianNoise": lambda: v2.GaussianNoise(0.1),
    "JPEG": lambda: v2.JPEG((5, 95)),
}


@pytest.mark.parametrize("name", DISTURB)
def test_disturbed_batches(name: str) -> None:
    transform, images = DISTURB[name](), minicnn.stack([IMAGE] * 6)
    keys = SampleKeys(1, 1, range(6))
    with keyed_samples(keys):
        batch = transform.batch(images)
    with keyed_samples(keys):
        singles = [transform(images[n]) for n in each_sample(range(6))]
    np.testing.assert_array_equal(batch, np.stack(singles))
    assert transform.batchable and len({single.numpy().tobytes() for single in singles}) > 2
    assert repr(pickle.loads(pickle.dumps(transform))) == repr(transform)


def test_sizes() -> None:
    minicnn.manual_seed(0)
    x = minicnn.rand(3, 20, 30)
    sides = {v2.RandomResize(10, 14)(x).shape[1:] for _ in range(60)}
    assert {size[0] for size in sides} == {10, 11, 12, 13} and all(abs(w - 1.5 * h) < 1 for h, w in sides)
    assert {v2.RandomShortestSize([10, 12])(x).shape[1] for _ in range(30)} == {10, 12}
    assert v2.RandomShortestSize(15, max_size=18)(x).shape == (3, 12, 18)
    heights = [v2.ScaleJitter((40, 40), (0.5, 1.0))(x).shape[1] for _ in range(60)]
    assert 13 <= min(heights) < 15 and 25 <= max(heights) <= 26 + 1
    x = minicnn.ones(1, 8, 10)
    for _ in range(30):
        y = v2.RandomZoomOut(fill=0, side_range=(1.5, 3), p=1.0)(x)
        assert y.sum().item() == 80 and 12 <= y.shape[1] <= 24 and 15 <= y.shape[2] <= 30
    assert v2.RandomZoomOut(p=0.0)(x) is x


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (ValueError, lambda: v2.JPEG(101), "JPEG: quality should be"),
        (ValueError, lambda: v2.JPEG((50, 20)), "JPEG: quality should be"),
        (TypeError, lambda: v2.JPEG(50)(IMAGE / 255.0), "of uint8 with 1 or 3 channels"),
        (ValueError, lambda: v2.functional.jpeg(IMAGE, 0), "quality must be at least 1"),
        (TypeError, lambda: v2.functional.jpeg(PICTURE.convert("RGBA"), 9), "mode 'L' or 'RGB', got 'RGBA'"),
        (ValueError, lambda: v2.GaussianNoise(sigma=-1), "sigma should not be negative"),
        (ValueError, lambda: v2.RandomPhotometricDistort(hue=(-1, 1)), "hue should be (least, most) within"),
        (ValueError, lambda: v2.RandomResize(8, 8), "max_size 8 should be above min_size 8"),
        (ValueError, lambda: v2.RandomShortestSize([]), "one number or several"),
        (ValueError, lambda: v2.ScaleJitter((8, 8), (2, 1)), "scale_range should be (least, most)"),
        (ValueError, lambda: v2.RandomZoomOut(side_range=(0.5, 2)), "side_range should be (least, most), at least 1.0"),
        (ValueError, lambda: v2.ToDtype({"a": minicnn.float32}), "needs a type for minicnn.Tensor or 'others'"),
        (TypeError, lambda: v2.ToDtype(minicnn.float32)(PICTURE), "takes a Tensor"),
        (TypeError, lambda: v2.ToImage()("image"), "a PIL image, an array"),
        (TypeError, lambda: v2.Lambda(3), "lambd should be callable"),  # type: ignore[arg-type]
        (AttributeError, lambda: v2.SanitizeBoundingBoxes, "no boxes"),
        (AttributeError, lambda: v2.functional.resize_image, "leave out _image"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(kind: type[Exception], call: Any, message: str) -> None:
    with pytest.raises(kind) as raised:
        call()
    assert message in str(raised.value)
