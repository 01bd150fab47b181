"""The complete training loop. In one epoch the net sees every training image once, batch by batch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import host, on_device_of

from ..autograd import no_grad
from ..device import CPU
from ..models.inception_parts import auxiliary_loss
from ..nn import Module
from ..optim import Optimizer
from ..serialization.files import remedy
from ..tensor import Array, Tensor
from .metrics import Running, confusion_matrix

Loss = Callable[[Tensor, Tensor], Tensor]

ABSURD = 10.0  # a mean loss this many times that of the untrained net, or 1 if that is more, is a diverged training


class Epoch(NamedTuple):
    """The results of one epoch. The accuracies are from 0 to 1.

    `train_loss` and `train_top1` are averages over the epoch, while the net was changing. So they can be worse than the
    test results, which are measured with the net at the end of the epoch. `seconds` and `images_per_second` are of the
    training part only.
    """

    epoch: int
    train_loss: float
    train_top1: float
    test_loss: float
    test_top1: float
    seconds: float
    images_per_second: float


class Evaluation(NamedTuple):
    """The results of a net on a dataset: mean loss, accuracies from 0 to 1, and `confusion[true, predicted]`."""

    loss: float
    top1: float
    top5: float
    confusion: Array


class DivergedError(RuntimeError):
    """The loss became NaN, infinite or absurdly large. The message names the epoch, the learning rate and remedies."""


class SaveError(RuntimeError):
    """The net could not be saved after the last epoch. It is still in memory; `history` has the finished epochs."""

    def __init__(self, message: str, history: list[Epoch]) -> None:
        super().__init__(message)
        self.history = history


def never() -> bool:
    """False: the default of `stop`, with which training runs to its end."""
    return False


def train(
    model: Module, train_loader: Iterable[Any], test_loader: Iterable[Any], optimizer: Optimizer, loss_fn: Loss,
    epochs: int, *, progress: bool = True, stop: Callable[[], bool] = never,
    save: Callable[[list[Epoch]], None] | None = None, scheduler: Any = None, schedule_every: str = "epoch",
    quiet: bool = False,
) -> list[Epoch]:  # fmt: skip
    """Train the net, and print two lines per epoch: the results in training and on the test set.

    A net on a GPU is trained there: each batch is moved to it, and no step waits for its results. They are fetched for
    many steps together, so a loss that is NaN or infinite is noticed up to 50 steps late.

    Args:
        model: the net; it stays in training mode. If it gives a tuple in training, such as GoogLeNet, the first entry
            are the scores, and the others those of auxiliary heads, whose losses count with the factor 0.3.
        train_loader, test_loader: give batches (images, targets).
        optimizer: updates the net's parameters.
        loss_fn: (scores, targets) -> the batch's mean loss, a scalar.
        epochs: how often to go through the training set.
        progress: show a bar with images per second on stderr, or, if that is no terminal, a line every 30 s.
        stop: called after each step and each epoch; when it returns True, training ends. An epoch that is cut short is
            not evaluated and not in the result.
        save: called after each epoch with all epochs so far. If it raises an OSError, as on a full disk, training
            prints a line to stderr and goes on.
        scheduler: changes the learning rate: its `step()` is called after each epoch, or after each step of the
            optimiser if `schedule_every` is "step".
        quiet: print nothing, and show no progress.

    Returns:
        The finished epochs.

    Raises:
        DivergedError: the loss is NaN or infinite; or, after the last epoch, its mean over the epoch is more than 10
            times the loss of the first step (or more than 10, if that was below 1). The test set plays no part in this.
        SaveError: the last call of `save` failed.
        ValueError: a loader is empty.

    >>> data = minicnn.utils.data.TensorDataset(minicnn.tensor([[-1.], [1.]]), minicnn.tensor([0, 1]))
    >>> loader, net = minicnn.utils.data.DataLoader(data, batch_size=2), nn.Linear(1, 2)
    >>> _ = net.weight.data.zero_(), net.bias.data.zero_()  # so that both classes get 0.5, and the loss is log 2
    >>> optimizer = minicnn.optim.SGD(net.parameters(), lr=1.0)
    >>> epochs = minicnn.train.train(net, loader, loader, optimizer, nn.CrossEntropyLoss(), 2, progress=False)
    Train epoch 1: loss: 0.6931 ; top-1 accuracy: 50.00%
    Eval epoch 1: top-1 accuracy: 100.00%
    Train epoch 2: loss: 0.3133 ; top-1 accuracy: 100.00%
    Eval epoch 2: top-1 accuracy: 100.00%
    """
    history: list[Epoch] = []
    first, failed, diverged = 0.0, "", ""
    for epoch in range(1, epochs + 1):
        model.train()
        running, start = Running(), time.perf_counter()
        with progress_bar(train_loader, f"epoch {epoch}/{epochs}", progress and not quiet) as bar:
            for images, targets in beside_model(train_loader, model):
                optimizer.zero_grad()
                scores, loss = scores_and_loss(model(images), targets, loss_fn)
                running.add(loss, scores, targets)
                check_finite(running, optimizer, epoch)
                loss.backward()
                optimizer.step()
                if scheduler is not None and schedule_every == "step":
                    scheduler.step()

                bar(len(targets))
                if stop():
                    return history
            running.settle()
            check_finite(running, optimizer, epoch)
        first = running.first if epoch == 1 else first
        seconds = time.perf_counter() - start
        check_not_empty(running.samples, "train_loader")
        if not quiet:
            say(f"Train epoch {epoch}: loss: {running.loss:.4f} ; top-1 accuracy: {running.top1:.2%}")
        if scheduler is not None and schedule_every == "epoch":
            scheduler.step()
        test = evaluate(model, test_loader, loss_fn)
        if not quiet:
            say(f"Eval epoch {epoch}: top-1 accuracy: {test.top1:.2%}")

        images_per_second = running.samples / seconds
        history.append(Epoch(epoch, running.loss, running.top1, test.loss, test.top1, seconds, images_per_second))
        if save is not None:
            failed = attempt(save, history, last=epoch == epochs)
        diverged = absurd(history[-1], first)
        if epoch < epochs:
            if diverged and not quiet:
                say(f"minicnn: {diverged}, it seems; Ctrl-C stops", err=True)
            if stop():
                return history
    if failed:
        raise SaveError(failed, history)
    if diverged:
        raise DivergedError(f"train: {diverged}, {advice(optimizer)}")
    return history


def scores_and_loss(output: Any, targets: Tensor, loss_fn: Loss) -> tuple[Tensor, Tensor]:
    """The scores in a net's output, and its loss with those of its auxiliary heads."""
    scores: Tensor = output if isinstance(output, Tensor) else output[0]
    return scores, auxiliary_loss(output, targets, loss_fn=loss_fn)


def attempt(save: Callable[[list[Epoch]], None], history: list[Epoch], *, last: bool) -> str:
    """Call `save`; on an OSError, such as a full disk, print what happened and go on, so that the net is not lost.

    Returns:
        The text of the error to raise if this was the last epoch; empty if everything is saved.
    """
    try:
        save(history)
    except OSError as error:
        what = f"after epoch {len(history)} the net and its metrics could not be saved: {error}"
        if not last:
            say(
                f"minicnn: {what}. Training goes on and saves again after the next epoch; before that, {remedy(error)}",
                err=True,
            )
        return f"train: {what}; {remedy(error)}, and save the net while it is still in memory, or train again"
    return ""


def absurd(last: Epoch, first: float) -> str:
    """The text of the error for an epoch whose mean loss is finite but far too large; empty for other epochs.

    Args:
        last: the epoch.
        first: the loss of the first step, before any weight had changed.
    """
    if abs(last.train_loss) <= ABSURD * max(abs(first), 1.0):
        return ""
    return (
        f"the mean loss of epoch {last.epoch} is {last.train_loss:.4g}, and before training it was {first:.4g}: the "
        "weights have diverged"
    )


def advice(optimizer: Optimizer) -> str:
    """What to try when training diverges, as text."""
    rates = sorted({float(group["lr"]) for group in optimizer.param_groups})
    shown, smaller = ", ".join(f"{rate:g}" for rate in rates), f"{rates[0] / 10:g}"
    return (
        f"with learning rate {shown}. Try a smaller one, such as {smaller}{', or better 0.1' if rates[0] > 1 else ''}; "
        "check that the images hold no NaN; or find the operation by training inside minicnn.autograd.detect_anomaly()"
    )


def say(text: str, *, err: bool = False) -> None:
    """Print a line at once. If stdout goes to a full disk, training goes on without the line."""
    try:
        print(text, file=sys.stderr if err else sys.stdout, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        pass


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


def check_finite(running: Running, optimizer: Optimizer, epoch: int) -> None:
    """Raise a DivergedError if the loss of a step was NaN or infinite."""
    if running.diverged:
        step, loss = running.diverged
        raise DivergedError(f"train: the loss is {loss} at epoch {epoch}, step {step}, {advice(optimizer)}")


def check_not_empty(samples: int, name: str) -> None:
    """Raise a ValueError if a loader gave no batches."""
    if not samples:
        raise ValueError(f"{name} gave no batches; is its dataset empty, or smaller than one batch with drop_last?")


@contextmanager
def progress_bar(loader: Any, label: str, wanted: bool) -> Iterator[Callable[[int], Any]]:
    """Yields a function that takes the number of images done: a bar on a terminal, else some lines."""
    total = len(loader.dataset) if hasattr(loader, "dataset") else None
    if not wanted:
        yield lambda images: None
    elif not sys.stderr.isatty():
        yield _Lines(label, total).add
    else:
        from tqdm import tqdm

        with tqdm(total=total, desc=label, unit=" images", leave=False, dynamic_ncols=True, file=sys.stderr) as bar:
            yield bar.update


class _Lines:
    """Progress for a file or a pipe: a line on stderr every 30 s, and so none where an epoch is short."""

    every: float = 30.0

    def __init__(self, label: str, total: int | None) -> None:
        self.label, self.of = label, "" if total is None else f" of {total:,}"
        self.images, self.start = 0, time.perf_counter()
        self.next = self.start + self.every

    def add(self, images: int) -> None:
        """Count images that are done."""
        self.images += images
        now = time.perf_counter()
        if now >= self.next:
            self.next = now + self.every
            speed = self.images / (now - self.start)
            say(f"{self.label}: {self.images:,}{self.of} images, {speed:,.0f} images/s", err=True)
