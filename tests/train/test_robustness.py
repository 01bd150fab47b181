"""The probes do what they say, where the result is known; and accuracies are those of the changed images."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import cli, nn, train, transforms, visualize
from minicnn.train.robustness import PROBES
from minicnn.utils.data import Subset, TensorDataset


def changed(name: str, images: np.ndarray, level: float, seed: int = 0) -> np.ndarray:
    draws = [np.random.default_rng((seed, index)) for index in range(len(images))]
    return PROBES[name].change(images.astype(np.float32), level, draws)


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (3, 3, 7, 10), (2, 1, 1, 1)], ids=str)
def test_the_first_level_changes_nothing_and_the_shape_stays(
    name: str, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    images = rng.random(shape).astype(np.float32)
    np.testing.assert_allclose(changed(name, images, PROBES[name].levels[0]), images, atol=1e-6)
    for level in PROBES[name].levels[1:]:
        found = changed(name, images, level)
        assert found.shape == shape and np.isfinite(found).all()
        np.testing.assert_array_equal(found, changed(name, images, level))  # the same in every run
        if images[0].size > 60 and (name, level) != ("clutter", 1):
            assert np.abs(found - images).max() > 0.01


def test_shifts(rng: np.random.Generator) -> None:
    images = rng.random((40, 2, 6, 7)).astype(np.float32)
    for pixels in (1, 2, 5):
        wanted = []
        for axis, step in ((2, pixels), (3, pixels), (2, -pixels), (3, -pixels)):
            padded = np.pad(images, [(0, 0), (0, 0), *[(9, 9) if axis == one else (0, 0) for one in (2, 3)]])
            size = images.shape[axis]
            wanted.append(np.take(padded, range(9 - step, 9 - step + size), axis))
        found = changed("shift", images, pixels)
        ways = [np.isclose(found, one).all(axis=(1, 2, 3)) for one in wanted]
        assert np.stack(ways).sum(0).tolist() == [1] * 40 and all(way.any() for way in ways)
    half = changed("shift", images, 0.5)  # between two pixels: their mean
    means = np.pad((images[..., 1:] + images[..., :-1]) / 2, [(0, 0)] * 3 + [(0, 1)])[..., :-1]
    assert np.isclose(half[..., :-1], means).all(axis=(1, 2, 3)).any()


def test_turns_and_scales(rng: np.random.Generator) -> None:
    images = rng.random((30, 1, 6, 6)).astype(np.float32)
    quarter = changed("rotation", images, 90)
    left, right = (np.isclose(quarter, np.rot90(images, k, (2, 3))).all(axis=(1, 2, 3)) for k in (1, -1))
    assert (left ^ right).all() and left.any() and right.any()
    np.testing.assert_allclose(changed("rotation", images, 180), images[..., ::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(changed("rotation", images, 360), images, atol=1e-6)
    small = changed("scale", np.ones((1, 1, 8, 8)), 0.5)[0, 0]
    assert small[2:6, 2:6].min() == 1 and small[0].max() == 0 and small.sum() == pytest.approx(16, abs=9)
    with pytest.raises(ValueError, match="a factor of scale should be above 0, got -1"):
        changed("scale", images, -1)


def test_turning_against_scipy(rng: np.random.Generator) -> None:
    from scipy import ndimage

    images = rng.random((6, 2, 9, 7)).astype(np.float32)
    for degrees in (10, 33, 120):
        found = changed("rotation", images, degrees)
        ways = [
            ndimage.rotate(images, sign * degrees, (2, 3), reshape=False, order=1, mode="grid-constant")
            for sign in (-1, 1)
        ]
        same = [np.isclose(found, way, atol=1e-5).all(axis=(1, 2, 3)) for way in ways]
        assert (same[0] ^ same[1]).all()


def test_values(rng: np.random.Generator) -> None:
    images = rng.random((4, 3, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(changed("brightness", images, 0.25) - images, 0.25, rtol=1e-5)
    dull = changed("contrast", images, 0.3)
    np.testing.assert_allclose(dull.mean(axis=(1, 2, 3)), images.mean(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(dull.std(axis=(1, 2, 3)), 0.3 * images.std(axis=(1, 2, 3)), rtol=1e-4)
    noise = changed("noise", images, 0.2) - images
    assert noise.std() == pytest.approx(0.2, rel=0.05) and abs(noise.mean()) < 0.02
    hidden = changed("occlusion", images, 0.5) != images
    assert (hidden.sum(axis=(2, 3)) == 64).all()
    cluttered = changed("clutter", images, 3)
    assert (cluttered >= images).all() and (cluttered != images).any(axis=(1, 2, 3)).all()


class Brightest(nn.Module):
    """Says 1 where the left half of an image is brighter than the right one."""

    def forward(self, x: Any) -> Any:
        left, right = x[..., :4].sum((1, 2, 3)), x[..., 4:].sum((1, 2, 3))
        return minicnn.stack([right, left], 1)


def halves(count: int = 50) -> tuple[np.ndarray, np.ndarray]:
    classes = np.arange(count) % 2
    images = np.zeros((count, 1, 8, 8), np.float32)
    images[classes == 1, :, 2:6, 0:4], images[classes == 0, :, 2:6, 4:8] = 1, 1
    return images, classes


def test_accuracies_that_are_known() -> None:
    """A half turn moves every image to the other class; darkness and light leave the halves in order."""
    images, classes = halves()
    net = Brightest().train()
    data = TensorDataset(minicnn.tensor(images), minicnn.tensor(classes))
    found = train.robustness(net, data, "rotation", [0, 180])
    assert found.top1 == (1.0, 0.0) and found.images == 50 and net.training
    assert found.errors == (0, 0) and found.rows()[1] == ("rotation", 180.0, "degrees", 0.0, 0.0, 50)
    assert train.robustness(net, data, "contrast").top1 == (1,) * 6
    assert train.robustness(net, Subset(data, [0, 1, 2]), "blur", [0], images=99).images == 3


class Normalised(TensorDataset):
    transform: Any = None

    def __getitem__(self, index: Any) -> Any:
        image, target = super().__getitem__(index)
        return self.transform(image), target


def test_normalisation_is_undone_and_done_again() -> None:
    """The net gets normalised images; the examples, and what the probe adds, are in 0..1."""
    images, classes = halves(6)
    data = Normalised(minicnn.tensor(images), minicnn.tensor(classes))
    chain = [transforms.Normalize([0.5], [0.25]), transforms.Normalize([1.0], [2.0])]
    data.transform = transforms.Compose([transforms.Compose(chain)])
    seen: list[Any] = []

    class Looks(Brightest):
        def forward(self, x: Any) -> Any:
            seen.append(x.numpy())
            return super().forward(x)

    found = train.robustness(Looks(), Subset(data, range(4)), "brightness", [0, 0.5])
    np.testing.assert_allclose(seen[0][0], data[0][0], atol=1e-5)
    np.testing.assert_allclose(found.examples[0], images[0], atol=1e-6)
    np.testing.assert_allclose(found.examples[1], (images[0] + 0.5).clip(0, 1), atol=1e-6)
    wanted = transforms.Compose(chain)(minicnn.tensor((images[0] + 0.5).clip(0, 1)))
    np.testing.assert_allclose(seen[1][0], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("data", "options", "error", "text"),
    [
        (halves(), {"probe": "rain"}, ValueError, "no probe 'rain'; there are: shift, rotation"),
        (halves(), {"probe": "shift", "levels": []}, ValueError, "finite numbers"),
        (halves(), {"probe": "shift", "levels": [float("nan")]}, ValueError, "finite numbers"),
        (halves(), {"probe": "shift", "images": 0}, ValueError, "no image to try"),
        ((halves()[0] * 255, halves()[1]), {"probe": "shift"}, ValueError, r"and are in 0\.\.255; let the dataset"),
        ((halves()[0][:, 0], halves()[1]), {"probe": "shift"}, TypeError, r"tensors \(C, H, W\)"),
    ],
)
def test_what_is_refused(data: Any, options: dict[str, Any], error: type[Exception], text: str) -> None:
    images = TensorDataset(*map(minicnn.tensor, data))
    with pytest.raises(error, match=f"robustness: .*{text}"):
        train.robustness(Brightest(), images, **options)


def test_the_picture_and_what_it_refuses(tmp_path: Path) -> None:
    data = TensorDataset(*map(minicnn.tensor, halves()))
    names = ("shift", "noise", "blur", "occlusion")
    results = [train.robustness(Brightest(), data, name, PROBES[name].levels[:3], images=5) for name in names]
    figure = visualize.robustness({"a": results, "b": results}, out=tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000 and len(figure.axes) == 4 * 4
    for wrong in ({}, {"a": []}, {"a": results, "b": results[:1]}):
        with pytest.raises(ValueError, match="the same probes and levels"):
            visualize.robustness(wrong)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "run")
    assert cli.main(["train", "--epochs", "1", "--set", "train_size=300", "--out", run, "--quiet"]) == 0
    assert cli.main(["robustness", run, run, "--probes", "shift,blur", "--images", "40"]) == 0
    out = capsys.readouterr().out
    assert "shift (pixels): move by so many pixels" in out and (tmp_path / "run" / "robustness.png").is_file()
    rows = list(csv.DictReader((tmp_path / "run" / "robustness.csv").read_text().splitlines()))
    assert len(rows) == 2 * (7 + 6) and {row["images"] for row in rows} == {"40"} and rows[0]["unit"] == "pixels"
    assert cli.main(["robustness", run, "--probes", "rain"]) == 2
    assert "there is no 'rain'; there are: shift" in capsys.readouterr().err
    assert cli.main(["robustness", run, "-o", str(tmp_path / "a.xyz")]) == 2
    assert cli.main(["robustness", str(tmp_path / "none")]) == 1
    assert "is not a run" in capsys.readouterr().err
