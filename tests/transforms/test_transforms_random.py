"""Random geometric transforms: what they draw, batches that equal their samples, and what they refuse."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import transforms as T
from minicnn.random import default_generator
from minicnn.tensor import Tensor
from minicnn.transforms import functional as F
from minicnn.utils.data import each_sample
from minicnn.utils.data.randomness import SampleKeys, keyed_samples

BILINEAR = T.InterpolationMode.BILINEAR
TRANSFORMS: list[Any] = [
    T.RandomRotation(40),
    T.RandomRotation((-10, 90), BILINEAR, center=(2, 3), fill=0.5),
    T.RandomAffine(20, translate=(0.2, 0.3), scale=(0.7, 1.4), shear=(-10, 10, -5, 20), interpolation=BILINEAR),
    T.RandomAffine((0, 0), shear=20, fill=[0.25], center=(0, 0)),
    T.RandomPerspective(0.6, 0.7),
    T.RandomPerspective(1.0, 1.0, T.InterpolationMode.NEAREST, fill=1),
    T.ElasticTransform(20.0, 2.0),
    T.ElasticTransform([30.0, 10.0], [0.0, 3.0], fill=1),
    T.RandomLensDistortion((-0.2, 0.5), 0.05, p=0.8),
    T.RandomResizedCrop((5, 7)),
    T.RandomResizedCrop(12, (0.3, 0.9), (0.5, 2), T.InterpolationMode.BICUBIC),
    T.RandomResizedCrop(6, interpolation=T.InterpolationMode.NEAREST),
]
ERASING = [
    T.RandomErasing(0.8),
    T.RandomErasing(1.0, value="random"),
    T.RandomErasing(0.5, (0.1, 0.5), value=[1, 2, 3]),
]


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    values = np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)
    return values if dtype == np.uint8 else (values / 255).astype(dtype)


@pytest.mark.parametrize("kind", ["images", "colour images", "float32", "float64", "uint8", "channels last"])
@pytest.mark.parametrize("transform", [*TRANSFORMS, *ERASING], ids=lambda t: repr(t)[:60])
def test_a_random_batch_equals_its_samples(transform: Any, kind: str) -> None:
    """Bit for bit, and both leave their input as it is."""
    keys, batch = SampleKeys(1, 2, range(20)), None
    if "images" in kind:
        if isinstance(transform, T.RandomErasing):
            pytest.skip("takes tensors alone")
        batch = noise(20, 9, 11, 3) if kind == "colour images" else noise(20, 9, 11)
        samples = [Image.fromarray(image) for image in batch]
    else:
        array = noise(20, 3, 9, 11, dtype=np.float32 if kind == "channels last" else np.dtype(kind))
        if kind == "channels last":
            array = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, 3)), 3, 1)
        batch = Tensor(array)
        samples = [Tensor(chw.copy()) for chw in array]
    before = np.array(batch)
    with keyed_samples(keys):
        at_once = transform.batch(batch)
    with keyed_samples(keys):
        single = [np.asarray(transform(sample)) for _, sample in zip(each_sample(keys.indices), samples, strict=True)]
    assert transform.batchable and type(at_once) is type(batch)
    np.testing.assert_array_equal(np.asarray(at_once), single)
    np.testing.assert_array_equal(np.asarray(batch), before)
    assert not all(np.array_equal(a, b) for a, b in zip(single, np.asarray(batch), strict=True))


@pytest.mark.parametrize("transform", [*TRANSFORMS, *ERASING], ids=lambda t: repr(t)[:60])
def test_an_empty_batch_stays_empty(transform: Any) -> None:
    default_generator.manual_seed(0)
    assert transform.batch(minicnn.zeros(0, 3, 9, 11)).shape[:2] == (0, 3)
    assert repr(pickle.loads(pickle.dumps(transform))) == repr(transform)


def test_the_angles_are_uniform() -> None:
    angles = np.array([T.RandomRotation.get_params([-30, 50]) for _ in range(4000)])
    assert angles.min() >= -30 and angles.max() < 50
    assert abs(angles.mean() - 10) < 2 and abs(angles.std() - 80 / 12**0.5) < 1


def test_the_numbers_of_affine_maps_are_in_their_ranges() -> None:
    drawn = [
        T.RandomAffine.get_params([-10, 30], (0.2, 0.1), (0.5, 1.5), [-5, 5, 10, 20], [40, 60]) for _ in range(3000)
    ]
    angle, moved, scale, shear = (np.array([one[k] for one in drawn]) for k in range(4))
    assert angle.min() >= -10 and angle.max() < 30 and scale.min() >= 0.5 and scale.max() < 1.5
    assert set(moved[:, 0]) == set(range(-8, 9)) and set(moved[:, 1]) == set(range(-6, 7))
    assert shear[:, 0].min() >= -5 and shear[:, 0].max() < 5 and shear[:, 1].min() >= 10 and shear[:, 1].max() < 20
    assert np.abs(np.corrcoef([angle, *moved.T, scale, *shear.T]) - np.eye(6)).max() < 0.1
    assert T.RandomAffine.get_params([0, 0], None, None, None, [40, 60]) == (0, (0, 0), 1, (0, 0))
    assert T.RandomAffine.get_params([0, 0], None, None, [3, 3], [40, 60])[3] == (3, 0)


def test_the_corners_of_perspectives_move_inwards() -> None:
    drawn = [T.RandomPerspective.get_params(20, 11, 0.5) for _ in range(2000)]
    ends = np.array([end for _, end in drawn])
    assert drawn[0][0] == [[0, 0], [19, 0], [19, 10], [0, 10]]
    for corner, (xs, ys) in enumerate([((0, 5), (0, 2)), ((14, 19), (0, 2)), ((14, 19), (8, 10)), ((0, 5), (8, 10))]):
        assert set(ends[:, corner, 0]) == set(range(xs[0], xs[1] + 1))
        assert set(ends[:, corner, 1]) == set(range(ys[0], ys[1] + 1))
    assert T.RandomPerspective.get_params(20, 11, 0)[1] == drawn[0][0]


def test_points_in_a_line_are_no_crash() -> None:
    line = [[0, 0], [1, 0], [2, 0], [3, 0]]
    assert F.perspective(minicnn.ones(1, 4, 4), [[0, 0], [3, 0], [3, 3], [0, 3]], line).shape == (1, 4, 4)


def test_windows_have_the_area_and_shape_asked_for() -> None:
    image = minicnn.zeros(3, 200, 300)
    windows = np.array([T.RandomResizedCrop.get_params(image, (0.2, 0.5), (0.5, 2)) for _ in range(2000)])
    top, left, height, width = windows.T
    share, ratio = height * width / 60000, width / height
    assert 0.195 < share.min() < 0.21 and 0.49 < share.max() < 0.505 and abs(share.mean() - 0.35) < 0.02
    assert 0.49 < ratio.min() < 0.53 and 1.9 < ratio.max() < 2.03
    assert (top >= 0).all() and (top + height <= 200).all() and (left >= 0).all() and (left + width <= 300).all()
    assert top.max() > 80 and left.max() > 120


@pytest.mark.parametrize(
    ("size", "window"), [((10, 100), (0, 43, 10, 13)), ((100, 10), (43, 0, 13, 10)), ((30, 30), (0, 0, 30, 30))]
)
def test_where_no_window_fits_the_middle_is_taken(size: tuple[int, int], window: tuple[int, ...]) -> None:
    assert T.RandomResizedCrop.get_params(minicnn.zeros(1, *size), (5, 5), (3 / 4, 4 / 3)) == window


def test_elastic_fields_are_smooth_and_as_strong_as_alpha_says() -> None:
    field = T.ElasticTransform.get_params([40.0, 20.0], [4.0, 4.0], [60, 80]).array
    assert field.shape == (1, 60, 80, 2) and field.dtype == np.float32
    several = [T.ElasticTransform.get_params([40.0, 20.0], [4.0, 4.0], [60, 80]).array for _ in range(30)]
    pixels = np.concatenate(several) * [80 / 2, 60 / 2]
    strength = pixels[:, 12:-12, 12:-12].std(axis=(0, 1, 2))  # mirrored noise is stronger at the edges
    # A uniform number has deviation 3^-1/2; a Gaussian in two dimensions leaves 1 / (2 sigma pi^1/2) of it.
    expected = np.array([40, 20]) / 2 / 3**0.5 / (8 * np.pi**0.5)
    assert (np.abs(strength / expected - 1) < 0.15).all()
    assert (np.diff(pixels, axis=1).std(axis=(0, 1, 2)) < 0.3 * strength).all()
    raw = T.ElasticTransform.get_params([2.0, 2.0], [0.0, 0.0], [50, 50]).array * 25
    assert raw.min() < -0.99 and raw.max() > 0.99 and abs(raw.std() - 3**-0.5) < 0.02
    assert T.ElasticTransform(50.0, 5.0)(minicnn.ones(1, 1, 1)).shape == (1, 1, 1)  # smaller than the blur


def test_the_lens() -> None:
    x = noise(3, 21, 31, dtype=np.float64)
    np.testing.assert_allclose(F.lens_distortion(Tensor(x), 0.0).array, x, atol=1e-12)
    barrel = F.lens_distortion(Tensor(np.ones((1, 20, 20))), 0.4).array[0]
    assert barrel[0, 0] == 0 and barrel[10, 0] == 0 and barrel[10, 10] == 1  # its edges are pulled in
    pincushion = F.lens_distortion(Tensor(np.ones((1, 20, 20))), -0.3).array[0]
    assert pincushion.min() == pytest.approx(1)
    # along the middle row, a pixel at distance d takes the value of d (1 + k r^2)
    ramp = Tensor(np.broadcast_to(np.arange(41.0), (1, 5, 41)).copy())
    k, d = -0.2, np.arange(41.0) - 20
    r2 = d**2 / ((41**2 + 5**2) / 4)
    np.testing.assert_allclose(F.lens_distortion(ramp, k).array[0, 2], 20 + d * (1 + k * r2), atol=1e-9)
    image = Image.fromarray(noise(9, 12, 3))
    pil = np.asarray(F.lens_distortion(image, 0.3, fill=9))
    tensor = F.lens_distortion(Tensor(np.moveaxis(np.asarray(image), 2, 0).copy()), 0.3, fill=9).array
    np.testing.assert_array_equal(np.moveaxis(pil, 2, 0), tensor)
    moved = F.lens_distortion(Tensor(np.ones((1, 20, 20))), 0.4, center=(0, 0)).array[0]
    assert moved[0, 0] == 1 and moved[-1, -1] == 0
    for k1, k2 in ((-0.34, 0), (0, -0.21), (-1, 0.45)):
        with pytest.raises(ValueError, match="fold the image over"):
            F.lens_distortion(image, k1, k2)
    with pytest.raises(ValueError, match=r"RandomLensDistortion: k1 = -0\.5"):
        T.RandomLensDistortion(0.5)


def test_erasing() -> None:
    default_generator.manual_seed(1)
    x = Tensor(np.full((3, 40, 50), 7, np.float32))
    shares = []
    for _ in range(300):
        y = T.RandomErasing(1.0, (0.1, 0.3), (0.5, 2), value=(1, 2, 3))(x).array
        changed = y != 7
        rows, columns = (np.flatnonzero(changed[0].any(axis=axis)) for axis in (1, 0))
        assert changed.all(axis=0).sum() == len(rows) * len(columns) == changed.sum() / 3  # one whole window
        assert [set(channel[channel != 7]) for channel in y] == [{1}, {2}, {3}]
        shares.append(len(rows) * len(columns) / 2000)
    assert min(shares) > 0.09 and max(shares) < 0.31 and abs(np.mean(shares) - 0.2) < 0.02
    random = T.RandomErasing(1.0, (0.5, 0.5), (1, 1), "random")(x).array
    assert abs(random[random != 7].mean()) < 0.1 and abs(random[random != 7].std() - 1) < 0.1
    assert T.RandomErasing(0.0)(x) is x
    assert T.RandomErasing(1.0, inplace=True)(x) is x and (x.array == 0).any()
    batch = Tensor(np.ones((4, 1, 9, 9), np.float32))
    assert T.RandomErasing(1.0, inplace=True).batch(batch) is batch and (batch.array == 0).any()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: T.RandomRotation(-5), ValueError, "RandomRotation: degrees as a single number must be positive"),
        (lambda: T.RandomRotation((5, 1)), ValueError, r"RandomRotation: degrees should be \(min, max\)"),
        (lambda: T.RandomRotation("a"), TypeError, "RandomRotation: degrees should be a finite number"),
        (lambda: T.RandomRotation((1, 2, 3)), ValueError, "a sequence of 2 numbers"),
        (lambda: T.RandomRotation(5, "bilinear"), ValueError, "RandomRotation: interpolation should be"),
        (lambda: T.RandomRotation(5, center=3), ValueError, r"RandomRotation: center \(x, y\)"),
        (lambda: T.RandomRotation(5, fill="red"), TypeError, "RandomRotation: fill should be a number"),
        (lambda: T.RandomAffine(5, (0.1, 2)), ValueError, "RandomAffine: translate should be shares"),
        (lambda: T.RandomAffine(5, scale=(0, 2)), ValueError, "RandomAffine: scale should be"),
        (lambda: T.RandomAffine(5, shear=(1, 2, 3)), ValueError, "2 or 4 numbers"),
        (lambda: T.RandomPerspective(1.5), ValueError, "RandomPerspective: distortion_scale"),
        (lambda: T.RandomPerspective(p=2), ValueError, "RandomPerspective: p should be a probability"),
        (lambda: T.ElasticTransform(sigma=-1.0), ValueError, "sigma should not be negative"),
        (lambda: T.RandomResizedCrop(5, scale=(0.5, 0.1)), ValueError, "RandomResizedCrop: scale should be"),
        (lambda: T.RandomResizedCrop(5, ratio=(0, 1)), ValueError, "RandomResizedCrop: ratio should be"),
        (lambda: T.RandomResizedCrop((5, 6, 7)), ValueError, "RandomResizedCrop: the size should be"),
        (lambda: T.RandomErasing(scale=(0.1, 1.1)), ValueError, "RandomErasing: scale should be between 0 and 1"),
        (lambda: T.RandomErasing(value="noise"), ValueError, "RandomErasing: value should be"),
        (lambda: T.RandomErasing(value=None), TypeError, "RandomErasing: value should be"),
        (lambda: T.FiveCrop(0), ValueError, "FiveCrop: the size should be"),
        (lambda: T.FiveCrop(9)(minicnn.zeros(1, 8, 8)), ValueError, "FiveCrop: requested crop size"),
        (lambda: T.RandomErasing()(Image.new("L", (4, 4))), TypeError, "ToTensor comes first"),
        (lambda: T.RandomErasing(1.0, value=(1, 2))(minicnn.zeros(3, 4, 4)), ValueError, "1 or 3 numbers"),
        (lambda: T.RandomRotation(5)(noise(4, 4)), TypeError, "RandomRotation takes a PIL image or a Tensor"),
        (lambda: T.RandomRotation(5, fill=(1, 2))(minicnn.zeros(3, 4, 4)), ValueError, "2 values for an image of 3"),
        (lambda: F.rotate(minicnn.zeros(1, 4, 4), 3, T.InterpolationMode.BICUBIC), ValueError, "PIL images only"),
        (lambda: F.rotate(minicnn.zeros(1, 4, 4), float("nan")), ValueError, "rotate: angle should be a finite"),
        (lambda: F.affine(minicnn.zeros(1, 4, 4), 0, (0, 0), 0, 0), ValueError, "scale should be positive"),
        (lambda: F.affine(minicnn.zeros(1, 4, 4), 0, (0,), 1, 0), ValueError, "translate should be a sequence of 2"),
        (lambda: F.perspective(minicnn.zeros(1, 4, 4), [[0, 0]], [[0, 0]]), ValueError, "should be four points"),
        (lambda: F.elastic_transform(minicnn.zeros(1, 4, 4), minicnn.zeros(1, 4, 5, 2)), ValueError, "shape"),
    ],
)
def test_what_is_refused(make: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        make()


def test_reprs_are_torchvisions() -> None:
    found = [
        T.RandomRotation(30),
        T.RandomRotation((1, 2), BILINEAR, True, (3, 4), None),
        T.RandomAffine(10),
        T.RandomAffine(10, (0.1, 0.2), (0.5, 2), 5, BILINEAR, 7, (1, 2)),
        T.RandomPerspective(),
        T.RandomResizedCrop(224),
        T.RandomErasing(),
        T.ElasticTransform(),
        T.FiveCrop(5),
        T.TenCrop((3, 4), True),
    ]
    assert list(map(repr, found)) == [
        "RandomRotation(degrees=[-30.0, 30.0], interpolation=nearest, expand=False, fill=0)",
        "RandomRotation(degrees=[1.0, 2.0], interpolation=bilinear, expand=True, center=(3, 4), fill=0)",
        "RandomAffine(degrees=[-10.0, 10.0])",
        "RandomAffine(degrees=[-10.0, 10.0], translate=(0.1, 0.2), scale=(0.5, 2), shear=[-5.0, 5.0], "
        "interpolation=bilinear, fill=7, center=(1, 2))",
        "RandomPerspective(p=0.5)",
        "RandomResizedCrop(size=(224, 224), scale=(0.08, 1.0), ratio=(0.75, 1.3333), interpolation=bilinear, "
        "antialias=True)",
        "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False)",
        "ElasticTransform(alpha=[50.0, 50.0], sigma=[5.0, 5.0], interpolation=InterpolationMode.BILINEAR, fill=[0.0])",
        "FiveCrop(size=(5, 5))",
        "TenCrop(size=(3, 4), vertical_flip=True)",
    ]


def test_subclasses_that_draw_otherwise() -> None:
    class Quarter(T.RandomRotation):
        @staticmethod
        def get_params(degrees: Any, generator: Any = None) -> float:
            return 90.0

    x = minicnn.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    assert Quarter(5)(x).tolist() == [[[2, 4], [1, 3]]] and not Quarter(5).batchable
    assert T.Compose([T.RandomRotation(5, expand=True)]).batchable is False
