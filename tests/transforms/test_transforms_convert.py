from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn.tensor import Tensor
from minicnn.transforms import (
    CenterCrop,
    Compose,
    ConvertImageDtype,
    Grayscale,
    Lambda,
    Normalize,
    Pad,
    PILToTensor,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    ToTensor,
    Transform,
)


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    values = np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)
    return values if dtype == np.uint8 else (values / 255).astype(dtype)


def check(tensor: Tensor, values: np.ndarray, dtype: Any) -> None:
    assert isinstance(tensor, Tensor) and tensor.dtype == dtype and tensor.array.flags.c_contiguous
    np.testing.assert_array_equal(tensor.array, values)


# -------------------------------------------------------------------------------------------- ToTensor, PILToTensor


@pytest.mark.parametrize(("mode", "shape"), [("L", (4, 5)), ("RGB", (4, 5, 3)), ("RGBA", (4, 5, 4)), ("LA", (4, 5, 2))])
def test_pil_images_become_scaled_tensors(mode: str, shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    pixels.flat[:2] = 0, 255
    image = Image.fromarray(pixels)
    assert image.mode == mode
    chw = np.moveaxis(pixels.reshape(4, 5, -1), 2, 0)  # (H, W, C) -> (C, H, W)
    check(ToTensor()(image), chw.astype(np.float32) / np.float32(255), np.float32)
    check(ToTensor()(pixels), chw.astype(np.float32) / np.float32(255), np.float32)
    check(PILToTensor()(image), chw, np.uint8)


def test_pil_images_of_other_types_keep_their_values() -> None:
    check(ToTensor()(Image.fromarray(np.array([[0.5, 300]], np.float32))), np.array([[[0.5, 300]]]), np.float32)
    check(ToTensor()(Image.fromarray(np.array([[5, 70000]], np.int32))), np.array([[[5, 70000]]]), np.int32)
    check(ToTensor()(Image.fromarray(np.array([[True, False]]))), np.array([[[1, 0]]]), np.float32)
    check(PILToTensor()(Image.fromarray(np.array([[True, False]]))), np.array([[[1, 0]]]), np.bool_)
    big_endian = Image.frombytes("I;16B", (2, 1), b"\x00\x05\x01\x00")
    check(PILToTensor()(big_endian), np.array([[[5, 256]]]), np.int32)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L"])
def test_16_bits_become_int32_which_has_all_their_values(mode: str) -> None:
    values = np.array([[0, 5, 65535]], np.uint16)
    image = Image.frombytes(mode, (3, 1), values.astype(">u2" if mode.endswith("B") else "<u2").tobytes())
    for found in (ToTensor()(image), PILToTensor()(image), ToTensor()(values), ToTensor()(values.astype(">u2"))):
        check(found, values[None], np.int32)
    check(ToTensor().batch(values[None]), values[None, None], np.int32)
    check(ToTensor()(values.astype(np.uint32) << 16), values[None].astype(np.int64) << 16, np.int64)


def test_types_that_tensors_have_not_are_refused() -> None:
    for kind in (np.uint64, np.complex64, object):
        with pytest.raises(TypeError, match=r"^ToTensor: cannot make a tensor of an array of"):
            ToTensor()(np.zeros((2, 3), kind))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F"])
def test_every_mode_of_images(mode: str) -> None:
    image = Image.new(mode, (3, 2))
    kind = {"I": np.int32, "F": np.float32}.get(mode, np.uint8)
    shape = (len(image.getbands()), 2, 3)
    check(PILToTensor()(image), np.zeros(shape), np.bool_ if mode == "1" else kind)
    check(ToTensor()(image), np.zeros(shape), np.float32 if kind == np.uint8 else kind)


@pytest.mark.parametrize("silly", [-1, 1.5, "3", None, True, (1, "a"), 10**30, np.float32(2)])
def test_sizes_that_are_no_sizes_are_refused_by_name_and_value(silly: Any) -> None:
    for transform in (Pad, CenterCrop, RandomCrop, Resize):
        with pytest.raises((ValueError, TypeError), match=f"^{transform.__name__}: ") as raised:
            transform(silly)
        assert repr(silly) in str(raised.value)
    with pytest.raises(ValueError, match=r"^Pad: padding should be"):
        RandomCrop(2, padding=(1, 2, -1, 0))
    with pytest.raises(ValueError, match=r"^Resize: max_size must be"):
        Resize(2, max_size=-1)


@pytest.mark.parametrize("image", [Tensor(np.zeros((1, 6, 8), np.float32)), Image.new("L", (8, 6))], ids=["T", "PIL"])
def test_sizes_beyond_memory_are_refused_at_once(image: Any) -> None:
    for transform in (Pad(2**40), CenterCrop(2**31), Resize(2**31), Resize((2**40, 1))):
        with pytest.raises(MemoryError, match="bytes"):
            transform(image)


def test_zero_dimensional_integers_are_sizes() -> None:
    image = Tensor(np.zeros((1, 6, 8), np.float32))
    for two in (np.int64(2), np.array(2), minicnn.tensor(2)):
        assert Pad(two)(image).shape == (1, 10, 12)
        assert CenterCrop(two)(image).shape == (1, 2, 2)
        assert Resize((two, two))(image).shape == (1, 2, 2)


def test_other_arguments_that_make_no_sense() -> None:
    for p in (-0.1, 2, "a", None, True):
        with pytest.raises(ValueError, match=r"^RandomHorizontalFlip: p should be a probability"):
            RandomHorizontalFlip(p)
    with pytest.raises(TypeError, match=r"^Compose: takes a list of transforms"):
        Compose([ToTensor(), 1])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"^Normalize: mean and std should be numbers"):
        Normalize("a", 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^ConvertImageDtype: takes a type"):
        ConvertImageDtype("x")


def test_arrays_of_other_types_are_not_scaled() -> None:
    array = noise(4, 5, 3, dtype=np.float64)
    check(ToTensor()(array), np.moveaxis(array, 2, 0), np.float64)


def test_tensors_do_not_share_memory_with_images() -> None:
    array = noise(4, 5, dtype=np.float32)
    ToTensor()(array).array[:] = 7
    assert array.max() <= 1


def test_to_tensor_refuses_the_rest() -> None:
    with pytest.raises(TypeError, match=r"ToTensor takes a PIL image or an array.*got Tensor of shape \(3, 4, 5\)"):
        ToTensor()(Tensor(noise(3, 4, 5)))
    with pytest.raises(TypeError, match="got list"):
        ToTensor()([1])
    with pytest.raises(ValueError, match="2 or 3 dimensions, got 4"):
        ToTensor()(noise(1, 2, 3, 4))
    with pytest.raises(TypeError, match="PILToTensor takes a PIL image, got ndarray"):
        PILToTensor()(noise(4, 5))


# -------------------------------------------------------------------------------------------------------- numbers


def test_convert_image_dtype_scales_to_the_range_of_the_type() -> None:
    levels = Tensor(np.arange(256, dtype=np.uint8).reshape(1, 16, 16))
    as_float = ConvertImageDtype(np.float32)(levels)
    check(as_float, levels.array.astype(np.float32) / np.float32(255), np.float32)
    check(ConvertImageDtype(np.uint8)(as_float), levels.array, np.uint8)  # there and back
    as_int16 = ConvertImageDtype(np.int16)(levels)
    check(as_int16, levels.array.astype(np.int16) * 128, np.int16)
    check(ConvertImageDtype(np.uint8)(as_int16), levels.array, np.uint8)
    check(ConvertImageDtype(np.float16)(Tensor(np.full((1, 1, 1), 65535, np.uint16))), np.ones((1, 1, 1)), np.float16)
    check(ConvertImageDtype(np.float64)(as_float), as_float.array, np.float64)
    assert ConvertImageDtype(np.uint8)(levels) is levels


def test_convert_image_dtype_gives_each_level_an_equal_share() -> None:
    x = Tensor(np.linspace(0, 1, 25_601, dtype=np.float64)[:-1].reshape(1, 160, 160))
    counts = np.bincount(ConvertImageDtype(np.uint8)(x).array.ravel())
    assert len(counts) == 256 and np.abs(counts - 100).max() <= 1


def test_convert_image_dtype_clips_and_refuses() -> None:
    check(ConvertImageDtype(np.uint8)(Tensor(np.array([[-0.5, 1.5]]))), np.array([[0, 255]]), np.uint8)
    for source, target in ((np.float32, np.int32), (np.float32, np.int64), (np.float64, np.int64)):
        with pytest.raises(RuntimeError, match="cannot be performed safely"):
            ConvertImageDtype(target)(Tensor(np.zeros((1, 2, 2), source)))
    with pytest.raises(ValueError, match="bool"):
        ConvertImageDtype(np.bool_)
    with pytest.raises(TypeError, match="Tensor of integers or floating"):
        ConvertImageDtype(np.float32)(Tensor(np.zeros((1, 2, 2), bool)))


def test_normalize_works_on_each_channel() -> None:
    x = noise(2, 3, 4, 5, dtype=np.float32)
    mean, std = [0.1, 0.2, 0.3], [0.5, 2.0, 4.0]
    y = Normalize(mean, std)(Tensor(x))
    for c in range(3):
        np.testing.assert_allclose(y.array[:, c], (x[:, c] - mean[c]) / std[c], rtol=1e-6, atol=1e-7)
    assert y.dtype == np.float32
    np.testing.assert_allclose(Normalize((0.5,), (0.25,))(Tensor(x)).array, (x - 0.5) / 0.25, rtol=1e-6)


def test_normalize_in_place() -> None:
    tensor = Tensor(noise(3, 4, 5, dtype=np.float32))
    expected = Normalize([0.5] * 3, [2.0] * 3)(tensor).array
    before = tensor.array.copy()
    assert not np.array_equal(before, expected)
    assert Normalize([0.5] * 3, [2.0] * 3, inplace=True)(tensor) is tensor
    np.testing.assert_array_equal(tensor.array, expected)


def test_normalize_refuses() -> None:
    with pytest.raises(ValueError, match="std not zero"):
        Normalize([0.0], [0.0])
    with pytest.raises(ValueError, match="std evaluates to zero in float16"):
        Normalize([0.0], [1e-10])(Tensor(np.zeros((1, 2, 2), np.float16)))
    with pytest.raises(ValueError, match="mean has 2 values for 3 channels"):
        Normalize([0.0, 1.0], [1.0])(Tensor(np.zeros((3, 2, 2))))
    with pytest.raises(TypeError, match="uint8"):
        Normalize([0.0], [1.0])(Tensor(noise(1, 2, 2)))
    with pytest.raises(ValueError, match="should be"):
        Normalize([0.0], [1.0])(Tensor(np.zeros((2, 2))))


# ----------------------------------------------------------------------------------------------- chains, batches

CHAINS = [
    [ToTensor()],
    [PILToTensor(), ConvertImageDtype(np.float32), Normalize([0.5], [0.5])],
    [Resize(13), ToTensor()],
    [ToTensor(), Resize((7, 20))],
    [Pad((1, 2, 3, 4), fill=9), CenterCrop((12, 6)), ToTensor(), Pad(1, padding_mode="reflect")],
    [ToTensor(), CenterCrop(30)],
]


@pytest.mark.parametrize("channels", [(), (3,)], ids=["grey", "colour"])
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: "-".join(type(step).__name__ for step in chain))
def test_a_batch_at_once_equals_its_samples(chain: list[Transform], channels: tuple[int, ...]) -> None:
    images, compose = noise(6, 9, 11, *channels), Compose(chain)
    assert compose.batchable
    one_by_one = [compose(Image.fromarray(image)).array for image in images]
    at_once = compose.batch(images)
    assert at_once.dtype == one_by_one[0].dtype
    np.testing.assert_allclose(at_once.array, one_by_one, rtol=0, atol=2e-7)  # BLAS sums in its own order


class Loud(ToTensor):
    def __call__(self, image: Any) -> Tensor:
        return Tensor(super().__call__(image).array * 2)


def test_what_has_no_batch_is_not_batchable() -> None:
    assert ToTensor().batchable
    assert not Lambda(np.asarray).batchable
    assert not Loud().batchable  # it overrides the call alone, the inherited batch would bypass it
    chain = Compose([ToTensor(), Lambda(np.asarray)])
    assert not chain.batchable and not Compose([np.asarray]).batchable
    with pytest.raises(TypeError, match=r"Lambda\(\) works on single samples"):
        chain.batch(noise(2, 3, 3))
    with pytest.raises(NotImplementedError, match="Transform must define"):
        Transform()(1)


def test_compose_takes_any_callable() -> None:
    assert Compose([str, len])(12345) == 5
    members = [Lambda(str), Lambda(len)]
    assert Compose(members).transforms is members
    for several in (iter(members), tuple(members), dict.fromkeys(members)):
        chain = Compose(several)
        assert [chain(12345), chain(123)] == [5, 3]
    layer = minicnn.nn.ReLU()
    for container in (minicnn.nn.ModuleList([layer]), minicnn.nn.Sequential(layer)):
        assert Compose(container)(minicnn.tensor([-1.0, 2.0])).tolist() == [0, 2]
    for wrong in (3, None, layer, members[0], ["a"], "ab", minicnn.ones(2)):
        with pytest.raises(TypeError, match="Compose: takes a list"):
            Compose(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="callable, got 'int'"):
        Lambda(3)  # type: ignore[arg-type]


def test_reprs_are_torchvisions() -> None:
    chain = Compose(
        [
            Resize(32),
            Resize((3, 4), max_size=None, antialias=False),
            Pad((1, 2), fill=3, padding_mode="constant"),
            CenterCrop(5),
            RandomCrop(4, padding=2),
            RandomHorizontalFlip(),
            ToTensor(),
            PILToTensor(),
            Normalize((0.5,), (0.25,)),
            Lambda(len),
        ]
    )
    assert repr(chain).splitlines() == [
        "Compose(",
        "    Resize(size=32, interpolation=bilinear, max_size=None, antialias=True)",
        "    Resize(size=(3, 4), interpolation=bilinear, max_size=None, antialias=False)",
        "    Pad(padding=(1, 2), fill=3, padding_mode=constant)",
        "    CenterCrop(size=(5, 5))",
        "    RandomCrop(size=(4, 4), padding=2)",
        "    RandomHorizontalFlip(p=0.5)",
        "    ToTensor()",
        "    PILToTensor()",
        "    Normalize(mean=(0.5,), std=(0.25,))",
        "    Lambda()",
        ")",
    ]
    assert repr(pickle.loads(pickle.dumps(chain))) == repr(chain)


def test_scaled_images_are_of_the_default_type() -> None:
    image = noise(4, 5)
    minicnn.set_default_dtype(minicnn.float64)
    try:
        check(ToTensor()(image), image[None] / 255, np.float64)
        check(ToTensor().batch(image[None]), image[None, None] / 255, np.float64)
    finally:
        minicnn.set_default_dtype(minicnn.float32)
    check(ToTensor()(image), image[None] / np.float32(255), np.float32)


def test_a_probability_is_any_number() -> None:
    for p in (0.5, np.float32(0.5), np.array(0.5), minicnn.tensor(0.5)):
        assert RandomHorizontalFlip(p).p == 0.5
    for wrong in (True, "0.5", None, 2, float("nan"), minicnn.tensor([0.5, 0.5])):
        with pytest.raises(ValueError, match="RandomHorizontalFlip: p should be a probability"):
            RandomHorizontalFlip(wrong)


# ------------------------------------------------------------------------------------------------------------ Grayscale


@pytest.mark.parametrize("channels", [1, 3])
def test_grayscale_is_pillows_for_images_and_batches(channels: int) -> None:
    grey, images = Grayscale(channels), noise(5, 60, 70, 3)
    expected = np.stack([np.asarray(grey(Image.fromarray(image))) for image in images])
    assert expected.shape == ((5, 60, 70) if channels == 1 else (5, 60, 70, 3))
    np.testing.assert_array_equal(
        expected.reshape(5, 60, 70, -1)[..., 0], np.stack([Image.fromarray(i).convert("L") for i in images])
    )
    np.testing.assert_array_equal(grey.batch(images), expected)
    np.testing.assert_array_equal(grey.batch(images[..., 0]).reshape(5, 60, 70, -1)[..., -1], images[..., 0])
    x = Tensor(images.transpose(0, 3, 1, 2).astype(np.float32))  # (N, H, W, C) -> (N, C, H, W)
    y = grey(x).array
    assert y.shape == (5, channels, 60, 70) and np.abs(y[:, 0] - expected.reshape(5, 60, 70, -1)[..., 0]).max() < 1
    np.testing.assert_array_equal(grey(Tensor(y[:, :1])).array, y)


def test_grayscale_refuses() -> None:
    with pytest.raises(ValueError, match="num_output_channels should be either 1 or 3, got 2"):
        Grayscale(2)
    for wrong in (noise(4, 4), "image", None):
        with pytest.raises(TypeError, match="Grayscale takes"):
            Grayscale()(wrong)
    for wrong in (Tensor(noise(2, 4, 4)), Tensor(noise(4, 4))):
        with pytest.raises(TypeError, match=r"Grayscale takes images of 1 or 3 channels, got a?.*Tensor"):
            Grayscale()(wrong)


def test_images_of_bits_become_bool() -> None:
    image = Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1")
    from minicnn.transforms import v2

    for x in (PILToTensor()(image), minicnn.transforms.functional.pil_to_tensor(image), v2.functional.to_image(image)):
        assert x.dtype == np.bool_
        assert x.tolist() == [[[False, True, True]]]
    assert ToTensor()(image).tolist() == [[[0.0, 1.0, 1.0]]]


def test_names_of_torchvisions_files() -> None:
    from minicnn.transforms.autoaugment import RandAugment
    from minicnn.transforms.transforms import Compose as Same

    assert Same is minicnn.transforms.Compose
    assert RandAugment is minicnn.transforms.RandAugment
