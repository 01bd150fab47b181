"""The classes that a trained net sees in the user's own image files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn_kernels import use

from ..datasets.image_file import read_image_file
from ..device import resolve
from ..tensor import Tensor
from .evaluation import evaluating
from .metrics import softmax
from .recipes.building import build_transform
from .recipes.names import DATASETS
from .runs.run import Run

__all__ = ["Prediction", "Predictor"]

MARGIN = 1 / 7  # of a cropped image, at each side: 4 of 28 pixels, as in MNIST; the bundled digits, 8 x 8, have none
DIFFERENT = 0.2  # of the range: what differs from the ground by more belongs to the thing


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a net says about an image.

    Attributes:
        classes: the names of all classes, the likeliest first.
        probabilities: theirs, in the same order, the softmax of the scores.
        notes: how the image was prepared, step by step.
        warning: why the image may not be like those that the net was trained on; empty if nothing speaks for that.
        seen: the image as the net got it, (C, H, W).
        original: the image of the file, upright, as a PIL image.
    """

    classes: list[str]
    probabilities: list[float]
    notes: list[str]
    warning: str
    seen: Any
    original: Any


class Predictor:
    """Prepares image files as a run prepared its test images, and asks its net.

    A file becomes grey or coloured and gets the size of the dataset's images, with its proportions kept and the
    ground continued; then come the transforms of the run's test images.

    Args:
        run: the run, or its folder.
        backend, device: where the net runs; None: as in the training, and the CPU.
        invert: exchange light and dark, for a net that was trained on light digits and an image of dark ones.
        crop: cut away the empty ground around the thing, and leave the margin that the dataset's images have:
            a seventh of the side, as in MNIST, or none for the bundled digits.

    Raises:
        RunError, CheckpointError: the folder holds no run, or a damaged one.

    >>> import tempfile
    >>> from dataclasses import replace
    >>> from minicnn.train import Predictor, Training, find_recipe
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     recipe = replace(find_recipe("lenet5", "digits"), epochs=1, train_size=100)
    ...     run = Training(recipe).run(folder + "/run", quiet=True)
    ...     minicnn.utils.save_image(minicnn.rand(1, 9, 7), folder + "/mine.png")
    ...     found = Predictor(run)(folder + "/mine.png")
    >>> len(found.classes), found.seen.shape, found.notes[0]
    (10, (1, 32, 32), '7 x 9 PNG, RGB')
    """

    def __init__(
        self,
        run: Run | str | os.PathLike[str],
        *,
        backend: str | None = None,
        device: str | None = None,
        invert: bool = False,
        crop: bool = False,
    ) -> None:
        self.run = run if isinstance(run, Run) else Run.open(run)
        self.device = resolve(device or "cpu", "predict")
        self.backend = backend or self.run.backend(self.device)
        self.invert, self.crop = invert, crop
        self.model = self.run.model()[0].to(self.device)
        described = self.run.config["dataset"]
        self.images = DATASETS.get(described["name"])  # None for a folder of images
        with self.run.explaining():
            self.transform = build_transform(described["transforms"])
        self.classes = [str(name) for name in described.get("classes", ())]

    def __call__(self, source: str | os.PathLike[str] | bytes, name: str | None = None) -> Prediction:
        """What the net says about an image file, or about the content of one.

        Raises:
            DatasetError: the file cannot be read as an image.
            RunError: the net cannot take the image.
        """
        original, notes = read_image_file(source, name)
        plain, warning = self._like_the_datasets(original, notes)
        with self.run.explaining(), use(backend=self.backend), evaluating(self.model):
            seen: Tensor = self.transform(plain)
            scores = self.model(seen.unsqueeze(0).to(self.device)).cpu().numpy()[0]
        order = np.argsort(-scores, kind="stable")
        probabilities = softmax(scores[None])[0]
        names = self.classes + [f"output {number}" for number in range(len(self.classes), len(scores))]
        return Prediction(
            [names[i] for i in order], [float(probabilities[i]) for i in order], notes, warning, seen.numpy(), original
        )

    def _like_the_datasets(self, image: Any, notes: list[str]) -> tuple[Any, str]:
        """The image with the channels and the size of the dataset's images, and a warning."""
        from PIL import Image, ImageOps

        grey = self.images is not None and self.images.channels == 1
        plain = image.convert("L" if grey else "RGB")
        if self.invert:
            plain = ImageOps.invert(plain)
            notes.append("light and dark exchanged")
        ground = _ground(plain)
        side = None if self.images is None else self.images.side
        if self.crop:
            plain = _cropped(plain, ground, MARGIN if side is None or side > 8 else 0.0, notes)
        if side is None:  # a folder of images: its transforms take all sizes
            return plain, ""
        if plain.size != (side, side):
            plain = ImageOps.pad(plain, (side, side), Image.Resampling.BICUBIC, color=ground)
        notes.append(f"to {side} x {side}, {'grey' if grey else 'RGB'}")
        if grey and ground[0] > 127:  # all grey datasets are light on dark
            return plain, "it shows dark on light, and the net was trained on light on dark"
        return plain, ""


def _ground(image: Any) -> tuple[int, ...]:
    """The colour of the ground: the median of the pixels at the edge, for each channel."""
    pixels = np.asarray(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])  # (pixels, channels)
    return tuple(int(value) for value in np.median(edge, axis=0))


def _cropped(image: Any, ground: tuple[int, ...], margin: float, notes: list[str]) -> Any:
    """What differs from the ground, in the middle of a square, with a margin."""
    from PIL import Image

    pixels = np.asarray(image).astype(int)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    differs = (np.abs(pixels - np.array(ground)) > DIFFERENT * 255).any(axis=2)
    if not differs.any():
        notes.append("nothing to crop: it has one colour")
        return image
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    thing = image.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    side = max(1, round(max(thing.size) / (1 - 2 * margin)))
    canvas = Image.new(image.mode, (side, side), ground if len(ground) > 1 else ground[0])
    canvas.paste(thing, ((side - thing.width) // 2, (side - thing.height) // 2))
    notes.append(f"cropped to {thing.width} x {thing.height}, in a square of {side} x {side}")
    return canvas
