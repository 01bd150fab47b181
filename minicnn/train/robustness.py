"""How fast a net gets worse when its test images are moved, turned, darkened, blurred ...: accuracy against severity.

A probe changes images a little more with every level. It works on images as the net gets them, but with values in 0..1:
the normalisation of the dataset's transform is undone before and done again after. What is random, such as
the direction of a shift, depends on the seed and the number of the image alone, so that two nets see the same images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..nn import Module
from ..tensor import Tensor
from ..transforms import Compose, Normalize
from .evaluation import evaluating

__all__ = ["PROBES", "Probe", "Robustness", "robustness"]

BATCH = 200  # images; a constant, since clutter takes its fragments from the same batch
Images = Any  # an array (N, C, H, W) of float32 in 0..1
Draw = np.random.Generator


class Probe(NamedTuple):
    """A way to change images.

    Attributes:
        about: what it does, and what a level means.
        unit: of the levels.
        levels: those that are tried by default; at the first one the images stay as they are.
        change: (images, level, a generator for each image) -> the changed images.
    """

    about: str
    unit: str
    levels: tuple[float, ...]
    change: Callable[[Images, float, list[Draw]], Images]


@dataclass(frozen=True, eq=False)
class Robustness:
    """The accuracy of a net at each level of a probe.

    Attributes:
        probe: the name of the probe, a key of `PROBES`.
        unit: of the levels.
        levels: the levels.
        top1: the accuracy at each level, 0 to 1.
        images: how many images each accuracy is of.
        examples: the first image at each level, (levels, C, H, W) in 0..1.
    """

    probe: str
    unit: str
    levels: tuple[float, ...]
    top1: tuple[float, ...]
    images: int
    examples: Any

    @property
    def errors(self) -> tuple[float, ...]:
        """The standard error of each accuracy, sqrt(p (1 - p) / n): what chance alone changes with other images."""
        return tuple((p * (1 - p) / self.images) ** 0.5 for p in self.top1)

    def rows(self) -> list[tuple[str, float, str, float, float, int]]:
        """(probe, level, unit, accuracy, standard error, images) for each level, as for a CSV file."""
        return [
            (self.probe, level, self.unit, top1, error, self.images)
            for level, top1, error in zip(self.levels, self.top1, self.errors, strict=True)
        ]


def robustness(
    model: Module, dataset: Any, probe: str, levels: Iterable[float] | None = None, *, images: int | None = None,
    seed: int = 0,
) -> Robustness:  # fmt: skip
    """The accuracy of a net on a dataset that a probe changes, at each level.

    The probes, and what a level is:

        shift       pixels, along or across, the direction drawn for each image; what comes in is black
        rotation    degrees about the centre, to the left or right as drawn; bilinear, what comes in is black
        scale       the factor by which things get larger about the centre; bilinear, what comes in is black
        brightness  what is added to each value, in parts of the range from black to white
        contrast    the factor of each value's distance from the image's mean
        noise       the standard deviation of Gaussian noise, in parts of the range from black to white
        blur        the standard deviation of a Gaussian filter, in pixels
        occlusion   the side of a grey square (0.5) at a drawn place, in parts of the image's side
        clutter     fragments of other images, a quarter of the image's side each, at drawn places

    Values stay in 0..1: they are clipped.

    Args:
        model: the net; it runs in evaluation mode, and then its modes are restored.
        dataset: of (image, class), the images as the net takes them.
        probe: a key of `PROBES`.
        levels: the levels to try; None: those of the probe.
        images: only this many images, the first ones; None: all.
        seed: of what is drawn.

    Raises:
        ValueError: there is no such probe or level, or no image.
        TypeError: the dataset's images are no tensors (C, H, W).

    >>> digits = minicnn.datasets.Digits(train=False, transform=minicnn.transforms.ToTensor())
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    >>> found = minicnn.train.robustness(net, digits, "shift", levels=[0, 1], images=20)
    >>> found.levels, found.unit, found.images, found.examples.shape
    ((0.0, 1.0), 'pixels', 20, (2, 1, 8, 8))
    """
    if probe not in PROBES:
        raise ValueError(f"robustness: there is no probe {probe!r}; there are: {', '.join(PROBES)}")
    chosen = tuple(float(level) for level in (PROBES[probe].levels if levels is None else levels))
    if not chosen or not np.isfinite(chosen).all():
        raise ValueError(f"robustness: levels should be finite numbers, got {chosen}")
    count = len(dataset) if images is None else min(images, len(dataset))
    if count < 1:
        raise ValueError("robustness: there is no image to try; give a dataset with some, and images of at least 1")
    normalize = _normalization(dataset)
    right = np.zeros(len(chosen), np.int64)
    examples = []
    with evaluating(model):
        for first, plain, targets in _batches(dataset, count, normalize):
            for place, level in enumerate(chosen):
                draws = [np.random.default_rng((seed, index)) for index in range(first, first + len(plain))]
                changed = PROBES[probe].change(plain, level, draws).clip(0, 1).astype(np.float32)
                if first == 0:
                    examples.append(changed[0])
                right[place] += (_answers(model, changed, normalize) == targets).sum()
    return Robustness(probe, PROBES[probe].unit, chosen, tuple((right / count).tolist()), count, np.stack(examples))


def _normalization(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """The mean and standard deviation that the dataset's transform normalises by, (C, 1, 1); 0 and 1 if it does not."""
    while not hasattr(dataset, "transform") and hasattr(dataset, "dataset"):
        dataset = dataset.dataset  # of a Subset
    mean, std = np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
    for step in _steps(getattr(dataset, "transform", None)):
        if isinstance(step, Normalize):
            own_mean, own_std = (np.asarray(one, np.float32).reshape(-1, 1, 1) for one in (step.mean, step.std))
            mean, std = mean + own_mean * std, std * own_std  # of several, one after the other
    return mean, std


def _steps(transform: Any) -> list[Any]:
    """The steps of a chain of transforms."""
    if isinstance(transform, Compose):
        return [one for step in transform.transforms for one in _steps(step)]
    return [transform]


def _batches(dataset: Any, count: int, normalize: Any) -> Iterator[tuple[int, Images, np.ndarray]]:
    """The number of the first image of a batch, the images in 0..1, and their classes."""
    from ..utils.data import DataLoader, Subset

    mean, std = normalize
    first = 0
    loader: DataLoader[Any] = DataLoader(Subset(dataset, range(count)), BATCH)
    for images, targets in loader:
        if not isinstance(images, Tensor) or images.ndim != 4:
            raise TypeError("robustness: the dataset's images should be tensors (C, H, W); let its transform make them")
        plain = images.numpy() * std + mean
        if plain.min() < -0.02 or plain.max() > 1.02:  # resizing and rounding may go a little beyond
            raise ValueError(
                "robustness: the images should be in 0..1 before they are normalised, and are in "
                f"{plain.min():.3g}..{plain.max():.3g}; let the dataset's transform scale them by ToTensor, and change "
                "them by no more than Normalize after that"
            )
        yield first, plain, targets.numpy()
        first += len(images)


def _answers(model: Module, images: Images, normalize: Any) -> np.ndarray:
    """The class that the net says for each image."""
    mean, std = normalize
    device = next((parameter.device for parameter in model.parameters()), None)
    scores = model(Tensor(np.ascontiguousarray((images - mean) / std, np.float32)).to(device or "cpu"))
    return scores.argmax(1).cpu().numpy()


# ---------------------------------------------------------------------------------------------------------- the probes


def _shift(images: Images, pixels: float, draws: list[Draw]) -> Images:
    """Each image along one of the four directions."""
    steps = ((0, 1), (1, 0), (0, -1), (-1, 0))
    chosen = [steps[draw.integers(4)] for draw in draws]
    return _each(images, [_Map(np.eye(2), (pixels * y, pixels * x)) for y, x in chosen])


def _rotation(images: Images, degrees: float, draws: list[Draw]) -> Images:
    angles = [np.deg2rad(degrees) * draw.choice((-1, 1)) for draw in draws]
    return _each(images, [_Map(np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])) for a in angles])


def _scale(images: Images, factor: float, draws: list[Draw]) -> Images:
    if factor <= 0:
        raise ValueError(f"robustness: a factor of scale should be above 0, got {factor}")
    return _each(images, [_Map(np.eye(2) / factor)] * len(draws))


class _Map(NamedTuple):
    """The pixel p = (row, column) of the result comes from matrix (p - centre - moved) + centre."""

    matrix: np.ndarray
    moved: tuple[float, float] = (0.0, 0.0)


def _each(images: Images, maps: Sequence[_Map]) -> Images:
    """Each image sampled where its map says, bilinearly, and black outside; images with one map together."""
    made = np.empty_like(images)
    groups: dict[bytes, list[int]] = {}
    for index, one in enumerate(maps):
        groups.setdefault(one.matrix.tobytes() + np.array(one.moved).tobytes(), []).append(index)
    for members in groups.values():
        made[members] = _sampled(images[members], maps[members[0]])
    return made


def _sampled(images: Images, to: _Map) -> Images:
    """All images, (N, C, H, W), sampled at the same places."""
    height, width = images.shape[-2:]
    centre = np.array([(height - 1) / 2, (width - 1) / 2])[:, None]
    grid = np.indices((height, width)).reshape(2, -1).astype(float)  # (2, H W): rows, columns
    places = to.matrix @ (grid - centre - np.array(to.moved)[:, None]) + centre
    places = places.round(9)  # so that a turn by 90 degrees takes whole pixels
    corner = np.floor(places).astype(np.int64)
    part = places - corner
    made = np.zeros((*images.shape[:2], height * width), np.float32)
    for down in (0, 1):
        for right in (0, 1):
            row, column = corner[0] + down, corner[1] + right
            weight = np.abs(1 - down - part[0]) * np.abs(1 - right - part[1])
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            values = images[..., row.clip(0, height - 1), column.clip(0, width - 1)]
            made += values * np.where(inside, weight, 0).astype(np.float32)
    return made.reshape(images.shape)


def _brightness(images: Images, added: float, draws: list[Draw]) -> Images:
    return images + np.float32(added)


def _contrast(images: Images, factor: float, draws: list[Draw]) -> Images:
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * np.float32(factor)


def _noise(images: Images, deviation: float, draws: list[Draw]) -> Images:
    made = images.copy()
    for image, draw in zip(made, draws, strict=True):
        image += np.float32(deviation) * draw.standard_normal(image.shape, np.float32)
    return made


def _blur(images: Images, deviation: float, draws: list[Draw]) -> Images:
    from scipy import ndimage

    return ndimage.gaussian_filter(images, (0, 0, deviation, deviation), mode="nearest") if deviation else images


def _occlusion(images: Images, share: float, draws: list[Draw]) -> Images:
    height, width = images.shape[-2:]
    down, right = (round(share * side) for side in (height, width))
    made = images.copy()
    for image, draw in zip(made, draws, strict=True):
        top, left = (int(draw.integers(0, max(side - size, 0) + 1)) for side, size in ((height, down), (width, right)))
        image[:, top : top + down, left : left + right] = 0.5
    return made


def _clutter(images: Images, fragments: float, draws: list[Draw]) -> Images:
    height, width = images.shape[-2:]
    down, right = max(1, height // 4), max(1, width // 4)
    made = images.copy()
    for image, draw in zip(made, draws, strict=True):
        for _ in range(int(fragments)):
            other = images[draw.integers(len(images))]
            (y, x), (top, left) = (draw.integers(0, (height - down + 1, width - right + 1)) for _ in range(2))
            place = image[:, top : top + down, left : left + right]
            np.maximum(place, other[:, y : y + down, x : x + right], out=place)
    return made


PROBES = {
    "shift": Probe("move by so many pixels", "pixels", (0, 1, 2, 3, 4, 6, 8), _shift),
    "rotation": Probe("turn by so many degrees", "degrees", (0, 10, 20, 30, 45, 60, 90, 180), _rotation),
    "scale": Probe("enlarge by a factor", "factor", (1, 0.9, 0.8, 0.7, 0.6, 0.5), _scale),
    "brightness": Probe("add to each value", "of the range", (0, 0.1, 0.2, 0.3, 0.4, 0.5), _brightness),
    "contrast": Probe("multiply the distance from the mean", "factor", (1, 0.8, 0.6, 0.4, 0.2, 0.1), _contrast),
    "noise": Probe("add Gaussian noise", "of the range", (0, 0.1, 0.2, 0.3, 0.4, 0.5), _noise),
    "blur": Probe("blur", "pixels", (0, 0.5, 1, 1.5, 2, 3), _blur),
    "occlusion": Probe("hide a square", "of the side", (0, 0.1, 0.2, 0.3, 0.4, 0.5), _occlusion),
    "clutter": Probe("add fragments of other images", "fragments", (0, 1, 2, 4, 6, 8), _clutter),
}  # fmt: skip
