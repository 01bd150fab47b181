"""The figures of a training run, drawn from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels import use

from ..nn import Conv2d, Module
from ..serialization.files import remedy
from ..train import Run, RunError, confusion_matrix, predict, softmax
from ..train.runs.run import PICTURES
from ..utils.data import DataLoader
from .net import filters, overview
from .style import check_format, readable, write
from .training import confusion, curves, errors
from .views import VIEWS, Looking, view

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = (*PICTURES, "overview")


def draw(
    run: Run,
    figures: Sequence[str] | None = None,
    *,
    out: str | Path | None = None,
    data: str | None = None,
    backend: str | None = None,
    image: int | None = None,
    layer: str | None = None,
    channel: int | None = None,
    count: int | None = None,
) -> list[Path]:
    """Draw figures of a run into its folder, and return their files.

    curves      loss and accuracy per epoch
    confusion   how often the net takes one class for another, on the test set
    errors      the mistakes that the net is surest of
    filters     the filters of its first convolution
    overview    one test image on its way through the net

    and views of the net (`VIEWS`), such as patches, maps, embedding, neighbours, probes, dropped, flow, activations,
    attribution, and each attribution by its name in `minicnn.explain`.

    Args:
        run: the run.
        figures: their names; by default the first four, and without the filters if the net has no convolution.
        out: the file of a single figure, instead of FIGURE.png in the run folder.
        data: the folder of the dataset's files, if they have been moved.
        backend: the backend that computes, instead of the run's.
        image: the number of the test image that `overview` and some views show; by default the first or the first ones.
        layer, channel: what some views look at; by default a choice of theirs.
        count: how many test images a view uses.

    Raises:
        ValueError: an unknown figure or file format, an `image` that is not in the test set, a layer or channel that is
            not in the net, or a figure that this net cannot have.
        RunError, CheckpointError: the folder's files are missing, damaged, or do not fit each other; or a figure
            cannot be written: without `out`, links in the run folder to files outside it are refused.
    """
    for name in figures or ():
        if name not in FIGURES and name not in VIEWS:
            raise ValueError(f"draw: there is no figure {name!r}; there are: {', '.join((*FIGURES, *VIEWS))}")
    if out is not None and (figures is None or len(figures) != 1):
        raise ValueError(f"draw: out names one file, but {len(figures or PICTURES)} figures are to be drawn")
    answers = _Answers(run, data, backend, image or 0)
    if figures is None:
        figures = [name for name in PICTURES if name != "filters" or _first_convolution(answers.model) is not None]
    files = [Path(out) if out is not None else run.folder / f"{name}.png" for name in figures]
    for file in files:
        check_format(file)
    for name, file in zip(figures, files, strict=True):
        if name in VIEWS:
            figure = answers.view(name, layer=layer, channel=channel, image=image, count=count)
        else:
            figure = getattr(answers, name)()
        try:
            with run.explaining():  # Matplotlib computes the figure only now
                write(figure, file, within=run.folder if out is None else None)
        except OSError as error:
            raise RunError(f"{name} cannot be drawn: {error}; {remedy(error)}") from error
    return files


class _Answers:
    """The figures of a run; its net, test set and predictions are made when first needed, and kept."""

    def __init__(self, run: Run, data: str | None, backend: str | None, image: int) -> None:
        self.run, self.data, self.image = run, data, image
        self.backend = backend or run.backend()
        self._model: Module | None = None
        self._loader: DataLoader[Any] | None = None
        self._found: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None = None

    @property
    def model(self) -> Module:
        if self._model is None:
            self._model, _, _ = self.run.model()
        return self._model

    @property
    def loader(self) -> DataLoader[Any]:
        if self._loader is None:
            self._loader = DataLoader(self.run.test_set(self.data), batch_size=self.run.eval_batch)
        return self._loader

    @property
    def names(self) -> list[str]:
        return [
            readable(name.split(" - ")[0]) for name in self.loader.dataset.classes
        ]  # "4 - four" is too long for a figure

    def scores_and_targets(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        if self._found is None:
            model, loader = self.model, self.loader
            with use(backend=self.backend), self.run.explaining():
                self._found = predict(model, loader)
        return self._found

    def curves(self) -> Figure:
        history = self.run.history()
        if not history:
            raise RunError(
                f"{self.run.folder}: no epoch is finished, so there are no curves; train for at least one epoch"
            )
        judged = self.run.config["training"].get("validation", "test")  # runs of version 0.1 have the test set's curve
        return curves(history, judged="test" if judged == "test" else "validation")

    def filters(self) -> Figure:
        first = _first_convolution(self.model)
        if first is None:
            raise ValueError(f"filters: {self.run.config['model']['name']} has no convolution")
        with self.run.explaining():
            return filters(first.weight)

    def overview(self) -> Figure:
        model, samples = self.model, self.loader.dataset
        if not 0 <= self.image < len(samples):
            raise ValueError(
                f"overview: image {self.image} does not exist; the test set has the images 0 to {len(samples) - 1}"
            )
        with use(backend=self.backend), self.run.explaining():
            image, target = samples[self.image]
            return overview(model, image, self.names, target=int(target))

    def confusion(self) -> Figure:
        scores, targets = self.scores_and_targets()
        with self.run.explaining():
            return confusion(confusion_matrix(scores.argmax(axis=1), targets, len(self.names)), self.names)

    def errors(self) -> Figure:
        scores, targets = self.scores_and_targets()
        dataset = self.loader.dataset
        images = dataset.data if hasattr(dataset, "data") else _Files(dataset)
        with self.run.explaining():
            return errors(images, targets, scores.argmax(axis=1), softmax(scores), classes=self.names)

    def view(self, name: str, **chosen: Any) -> Figure:
        model, dataset, names = self.model, self.loader.dataset, self.names
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # from bad weights
                return view(name, Looking(self.run, model, dataset, names, **chosen), self.backend)
        except Exception as error:
            with self.run.explaining():
                predict(model, [next(iter(self.loader))])  # a net that does not fit its images says so
                if not isinstance(error, ValueError):
                    raise
            raise


class _Files(Sequence[Any]):
    """The images of a folder as arrays (H, W, 3), each read when it is asked for."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset.samples)

    def __getitem__(self, index: Any) -> Any:
        return np.asarray(self.dataset.loader(self.dataset.samples[index][0]))


def _first_convolution(model: Module) -> Conv2d | None:
    return next((module for module in model.modules() if isinstance(module, Conv2d)), None)
