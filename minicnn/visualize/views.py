"""Views of the net of a run folder: what its layers look for, give and learn from. A table, one row a figure."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from minicnn_kernels import use

from .. import explain
from ..analysis.receptive_field import receptive_field
from ..explain.attribution import layer_of
from ..explain.probes import stages
from ..nn import Conv2d, Module
from ..ops.tensor.concatenate import cat
from ..random import fork_rng, manual_seed
from ..tensor import Tensor
from ..train import Run, build_model, build_transform
from ..utils.data import DataLoader, Subset
from . import signals, units
from .attribution import attribution
from .embedding import embedding, neighbours, tiles
from .images import augmentations, number_grid
from .mosaic import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 6  # images in a row each, if none is named
UNITS = 6  # channels, if none is named
ROWS = 12  # layers in a figure of maps


class View(NamedTuple):
    """A figure: the function that draws it, the options that it takes, and how many images it takes by default."""

    draw: Callable[[Looking], Figure]
    options: tuple[str, ...] = ()
    images: int = FEW


class Looking:
    """A net of a run, its test set, and what is looked at.

    Args:
        run: the run.
        model: its net.
        dataset: its test set.
        names: of the classes.
        count: how many images are used; None: as the figure has it.
        layer, channel, image: what is looked at; None: a choice.
    """

    def __init__(
        self, run: Run, model: Module, dataset: Any, names: Sequence[str], *, count: int | None = None,
        layer: str | None = None, channel: int | None = None, image: int | None = None,
    ) -> None:  # fmt: skip
        self.run, self.model, self.dataset, self.names = run, model, dataset, list(names)
        self.count, self.layer, self.channel, self.image = count, layer, channel, image
        self.figure = ""

    @property
    def name(self) -> str:
        """The name of the net."""
        return str(self.run.config["model"]["name"])

    @cached_property
    def scale(self) -> Scale | None:
        """What the images were normalised with."""
        steps = [options for step, options in self.run.config["dataset"]["transforms"] if step == "Normalize"]
        return (steps[-1]["mean"], steps[-1]["std"]) if steps else None

    @property
    def places(self) -> range:
        """The numbers of the first images of the test set; or of the one image that was named."""
        size = len(self.dataset)
        if self.image is not None:
            if not 0 <= self.image < size:
                raise ValueError(
                    f"{self.figure}: image {self.image} does not exist; the test set has the images 0 to {size - 1}"
                )
            return range(self.image, self.image + 1)
        return range(min(size, self.count or VIEWS[self.figure].images))

    @property
    def data(self) -> tuple[Tensor, Tensor]:
        """These images, and their classes."""
        return self.part(self.places)

    @property
    def pictures(self) -> list[Any]:
        """The same images as their files have them, before any transform."""
        untouched = copy.copy(self.dataset)
        untouched.transform = None
        return [untouched[place][0] for place in self.places]

    def part(self, places: range) -> tuple[Tensor, Tensor]:
        """Some images of the test set."""
        parts: list[Any] = list(DataLoader(Subset(self.dataset, places), batch_size=256))
        return cat([x for x, _ in parts]), cat([y for _, y in parts])

    @property
    def place(self) -> str:
        """The layer that was named, or the last convolution whose units do not yet see most of the image."""
        if self.layer is not None:
            return self.layer
        names = [name for name, module in self.model.named_modules() if isinstance(module, Conv2d)]
        if not names:
            raise ValueError(f"{self.figure}: {self.name} has no convolution; name a layer of it: layer=, or --layer")
        x, _ = self.part(range(1))
        rows = receptive_field(self.model, tuple(x.shape[1:])).layers
        small = [row.name for row in rows if row.name in names and max(row.field.size) <= 0.75 * max(x.shape[2:])]
        return small[-1] if small else names[0]

    @property
    def channels(self) -> int | list[int]:
        """The channel that was named, or the first ones of the layer."""
        if self.channel is not None:
            return self.channel
        place = layer_of(self.figure, self.model, self.place)
        maps = explain.feature_maps(self.model, self.part(range(1))[0], [place])
        if not maps:
            raise ValueError(f"{self.figure}: the net does not call the layer {self.place!r}")
        return list(range(min(UNITS, next(iter(maps.values())).shape[1])))

    def labels(self, y: Tensor) -> list[str]:
        """The names of classes."""
        return [self.names[int(k)] for k in y.numpy()]


# ---------------------------------------------------------------------------------------------------------------- views


def _patches(at: Looking) -> Figure:
    found = explain.top_patches(at.model, at.data, at.place, at.channels)
    return units.patches(found, scale=at.scale, title=f"{at.name}, {at.place}: what excites a channel most")


def _excited(at: Looking) -> Figure:
    chosen = at.channels if isinstance(at.channels, list) else [at.channels]
    size = tuple(at.part(range(1))[0].shape[1:])
    images = [_exciting(at, c, size) for c in chosen]
    title = f"{at.name}, {at.place}: images that were made to excite a channel"
    return units.excited(cat(images).cpu(), [f"channel {c}" for c in chosen], title=title)


def _exciting(at: Looking, channel: int, size: tuple[int, ...]) -> Tensor:
    with fork_rng():
        manual_seed(0)
        return explain.maximize_activation(at.model, at.place, channel, size)


def _maps(at: Looking) -> Figure:
    at.image = at.image or 0
    x, y = at.data
    found = _maps_of(at.model, x, None if at.layer is None else [at.layer])
    if not found:
        what = "gives no maps" if at.layer is None else f"does not call {at.layer!r}, or it gives no maps (N, C, h, w)"
        raise ValueError(f"maps: {at.name} {what}")
    if len(found) > ROWS:  # not all layers, but what they give to the next one with weights
        found = _maps_of(at.model, x, list(stages("maps", at.model, tuple(x.shape[1:]), ROWS))) or found
    return units.maps(found, x, scale=at.scale, title=f"Feature maps of {at.name}: {at.labels(y)[0]}")


def _maps_of(model: Module, x: Tensor, layers: Sequence[str] | None) -> dict[str, Tensor]:
    return {name: maps.cpu() for name, maps in explain.feature_maps(model, x, layers).items() if maps.ndim == 4}


def _changed(at: Looking) -> Figure:
    described, training = at.run.config["model"], at.run.config["training"]
    with fork_rng():
        manual_seed(training["seed"])
        untrained = build_model(described["name"], described["options"])
    names = [name for name, module in at.model.named_modules() if isinstance(module, Conv2d)]
    if not names:
        raise ValueError(f"changed: {at.name} has no convolution, so there are no filters to compare")
    name = names[0] if at.layer is None else at.layer
    if name not in names:
        raise ValueError(f"changed: {name!r} is no convolution of {at.name}; there are: {', '.join(names[:12])}")
    return units.changed(*(net.get_submodule(name).weight for net in (untrained, at.model)))


def _embedding(at: Looking) -> Figure:
    x, y = at.data
    perplexity = min(30.0, max(1.0, (len(x) - 1) / 3))
    found = explain.embedding(at.model, (x, y), at.layer)
    both = {"pixels": explain.tsne(x, perplexity=perplexity), found.layer: explain.tsne(found, perplexity=perplexity)}
    return embedding(both, y.numpy(), at.names, title=f"{at.name}: {len(x):,} test images as points (t-SNE)")


def _tiles(at: Looking) -> Figure:
    x, y = at.data
    found = explain.embedding(at.model, (x, y), at.layer)
    place = explain.tsne(found, perplexity=min(30.0, max(1.0, (len(x) - 1) / 3)))
    title = f"{at.name}: test images in the places of their features ({found.layer})"
    return tiles(place, x, scale=at.scale, title=title)


def _neighbours(at: Looking) -> Figure:
    named, at.image = at.image, None
    x, y = at.data
    known = explain.embedding(at.model, (x, y), at.layer)
    if named is not None:
        at.image = named
        asked, classes = at.data
    else:
        asked, classes = x[:FEW], y[:FEW]
    places = list(range(len(asked))) if named is None else [named]
    inside = places if max(places) < len(x) else None
    found = explain.nearest(at.model, known, asked, 8, at.layer, exclude=inside)
    title = f"{at.name}: nearest of {len(x):,} test images, by the cosine of features ({known.layer})"
    return neighbours(asked, x, found, classes.numpy(), at.names, scale=at.scale, title=title)


def _probes(at: Looking) -> Figure:
    x, y = at.data
    layers = None if at.layer is None else [at.layer]
    held = max(1, len(x) // 3)
    rows = explain.linear_probes(at.model, (x[held:], y[held:]), layers, test=(x[:held], y[:held]))
    right = explain.embedding(at.model, x[:held], "").features.argmax(1) == y[:held].numpy()
    return signals.probes(rows, accuracy=float(right.mean()))


def _dropped(at: Looking) -> Figure:
    at.count = at.count or VIEWS["dropped"].images
    blocks = explain.residual_blocks(at.model, tuple(at.part(range(1))[0].shape[1:]))
    counts = [n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24) if n <= len(blocks)]
    try:
        return signals.dropped(explain.drop_blocks(at.model, at.data, counts=counts, trials=3))
    except ValueError as error:
        if blocks:
            raise
        raise ValueError(f"dropped: {at.name} has no residual blocks that could be left out") from error


def _flow(at: Looking) -> Figure:
    x, y = at.data
    layers = None if at.layer is None else [at.layer]
    return signals.flow(explain.gradient_flow(at.model, x, y, at.run.loss(), layers=layers))


def _activations(at: Looking) -> Figure:
    layers = None if at.layer is None else [at.layer]
    return signals.activations(explain.activation_statistics(at.model, at.data, layers))


# --------------------------------------------------------------------------------------------------------- attributions

ATTRIBUTIONS = (
    "saliency", "input_x_gradient", "integrated_gradients", "smooth_grad", "deconvolution", "guided_backprop",
    "grad_cam", "guided_grad_cam", "occlusion",
)  # fmt: skip
TOGETHER = ("saliency", "integrated_gradients", "smooth_grad", "guided_backprop", "grad_cam", "occlusion")
NEED_RELUS = ("deconvolution", "guided_backprop", "guided_grad_cam")


def _attributed(name: str) -> Callable[[Looking], Figure]:
    """A figure of one attribution, or of several together."""

    def draw(at: Looking) -> Figure:
        x, y = at.data
        found = {}
        for one in TOGETHER if name == "attribution" else (name,):
            try:
                found[one] = _map(at, one, x, y)
            except ValueError:
                if name != "attribution" or (one not in NEED_RELUS and one != "grad_cam"):
                    raise  # of several, those that the net cannot have are left out
        return attribution(x, found, labels=at.labels(y), scale=at.scale)

    return draw


def _map(at: Looking, name: str, x: Tensor, y: Tensor) -> Tensor:
    function: Any = getattr(explain, name)
    if name in ("grad_cam", "guided_grad_cam"):
        return function(at.model, x, y, at.layer).cpu()
    if name == "occlusion":
        return function(at.model, x, y, window=tuple(max(1, n // 4) for n in x.shape[2:])).cpu()
    with fork_rng():
        manual_seed(0)
        return function(at.model, x, y).cpu()


def _augmentations(at: Looking) -> Figure:
    """Images, and what the random transforms of the training make of them."""
    recipe = at.run.recipe()
    if not recipe.augmentation:
        raise ValueError(f"augmentations: {at.name} was trained without augmentation, so there is nothing to draw")
    chain = [step for step in recipe.train_transforms if step[0] != "Normalize"]  # its colours are no colours
    transform = build_transform(chain)
    return augmentations(at.pictures, transform)


def _number_grid(at: Looking) -> Figure:
    """An image and its numbers."""
    return number_grid(at.pictures[0])


VIEWS: dict[str, View] = {
    "augmentations": View(_augmentations, ("image", "count"), 4),
    "number_grid": View(_number_grid, ("image",), 1),
    "patches": View(_patches, ("layer", "channel", "count"), 2000),
    "excited": View(_excited, ("layer", "channel")),
    "maps": View(_maps, ("layer", "image")),
    "changed": View(_changed, ("layer",)),
    "embedding": View(_embedding, ("layer", "count"), 1000),
    "tiles": View(_tiles, ("layer", "count"), 1000),
    "neighbours": View(_neighbours, ("layer", "image", "count"), 2000),
    "probes": View(_probes, ("layer", "count"), 3000),
    "dropped": View(_dropped, ("count",), 1000),
    "flow": View(_flow, ("layer", "count"), 128),
    "activations": View(_activations, ("layer", "count"), 128),
    "attribution": View(_attributed("attribution"), ("layer", "image", "count")),
    **{name: View(_attributed(name), ("image", "count")) for name in ATTRIBUTIONS},
    "grad_cam": View(_attributed("grad_cam"), ("layer", "image", "count")),
    "guided_grad_cam": View(_attributed("guided_grad_cam"), ("layer", "image", "count")),
}


def view(figure: str, at: Looking, backend: str | None) -> Figure:
    """Draw a view of a run; its errors name the figure."""
    at.figure = figure
    with use(backend=backend):
        return VIEWS[figure].draw(at)


__all__ = ["ATTRIBUTIONS", "VIEWS", "Looking", "View", "view"]
