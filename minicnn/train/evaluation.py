"""A net on a whole dataset: its loss and accuracies, or the scores of every image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import host, on_device_of

from ..autograd import no_grad
from ..device import CPU
from ..nn import Module
from ..tensor import Array, Tensor
from .divergence import DivergedError
from .metrics import Running, confusion_matrix

Loss = Callable[[Tensor, Tensor], Tensor]


class Evaluation(NamedTuple):
    """The results of a net on a dataset: mean loss, accuracies from 0 to 1, and `confusion[true, predicted]`."""

    loss: float
    top1: float
    top5: float
    confusion: Array


def evaluate(model: Module, loader: Iterable[Any], loss_fn: Loss) -> Evaluation:
    """Evaluate the net on every batch of a loader, in evaluation mode and without recording; then restore its modes.

    With fewer than 5 classes `top5` is 1, since the true class is always among the best five.

    Raises:
        DivergedError: the loss is NaN or infinite.
        ValueError: the loader is empty.

    >>> net = nn.Linear(1, 2)
    >>> _ = net.load_state_dict({"weight": minicnn.tensor([[-1.], [1.]]), "bias": minicnn.zeros(2)})
    >>> batches = [(minicnn.tensor([[-1.], [1.], [2.]]), minicnn.tensor([0, 1, 0]))]
    >>> found = minicnn.train.evaluate(net, batches, nn.CrossEntropyLoss())
    >>> round(found.top1, 4), found.confusion.tolist()
    (0.6667, [[1, 1], [0, 1]])
    """
    running, said, true, classes = Running(), [], [], 0
    with evaluating(model):
        for images, targets in beside_model(loader, model):
            scores = model(images)
            running.add(loss_fn(scores, targets), scores, targets)
            if running.diverged:
                break
            said.append(scores.argmax(1).array)
            true.append(targets.array)
            classes = scores.shape[1]
        running.settle()
    if running.diverged:
        raise DivergedError(
            "evaluate: the loss of batch {} is {}. The weights have diverged, or the images hold NaN; train with a "
            "smaller learning rate, or find the layer with minicnn.autograd.detect_anomaly()".format(*running.diverged)
        )
    check_not_empty(running.samples, "loader")
    confusion = confusion_matrix(_joined(said), _joined(true), classes)
    return Evaluation(running.loss, running.top1, running.top5, confusion)


def predict(model: Module, loader: Iterable[Any]) -> tuple[Array, Array]:
    """The scores (N, classes) and targets (N,) of all samples of a loader, in its order, computed as in `evaluate`.

    Raises:
        ValueError: the loader is empty.

    >>> scores, targets = minicnn.train.predict(nn.Linear(1, 2), [(minicnn.zeros(3, 1), minicnn.tensor([0, 1, 0]))])
    >>> scores.shape, targets.tolist()
    ((3, 2), [0, 1, 0])
    """
    with evaluating(model):
        batches = [(model(images).array, targets.array) for images, targets in beside_model(loader, model)]
    check_not_empty(len(batches), "loader")
    scores, targets = zip(*batches, strict=True)
    return _joined(scores), _joined(targets)


def _joined(parts: Sequence[Array]) -> Array:
    """The arrays of all batches one after the other, on the CPU."""
    with on_device_of(parts[0]):
        return host(np.concatenate(parts))


def beside_model(loader: Iterable[Any], model: Module) -> Iterable[Any]:
    """The batches of a loader, moved to the GPU if the net is on one; the program does not wait for the copies."""
    device = next((parameter.device for parameter in model.parameters()), CPU)
    if device.type != "cuda":
        return loader
    return (tuple(part.to(device, non_blocking=True) for part in batch) for batch in loader)


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Inside the `with` block the net is in evaluation mode and records nothing; then its modes are restored."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def check_not_empty(samples: int, name: str) -> None:
    """Raise a ValueError if a loader gave no batches."""
    if not samples:
        raise ValueError(f"{name} gave no batches; is its dataset empty, or smaller than one batch with drop_last?")
