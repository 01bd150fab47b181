"""The complete training loop. In one epoch the net sees every training image once, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from ..models.inception_parts import auxiliary_loss
from ..nn import Module
from ..nn.utils import clip_grad_norm_
from ..optim import Optimizer
from ..optim.lr_scheduler import ReduceLROnPlateau
from ..random import get_rng_state
from ..serialization.files import remedy
from ..tensor import Tensor
from .divergence import DivergedError, absurd, advice, check_step
from .evaluation import Evaluation, Loss, beside_model, check_not_empty, evaluate, predict
from .progress import Epoch, Progress, progress_bar, say

__all__ = [
    "DivergedError", "Epoch", "Evaluation", "Loss", "Progress", "SaveError", "evaluate", "never", "predict", "train",
]  # fmt: skip


class SaveError(RuntimeError):
    """The net could not be saved after the last epoch. It is still in memory; `history` has the finished epochs."""

    def __init__(self, message: str, history: list[Epoch]) -> None:
        super().__init__(message)
        self.history = history


def never() -> bool:
    """False: the default of `stop`, with which training runs to its end."""
    return False


def train(
    model: Module, train_loader: Iterable[Any], val_loader: Iterable[Any] | None, optimizer: Optimizer, loss_fn: Loss,
    epochs: int, *, scheduler: Any = None, schedule_every: str = "epoch",
    batch_transform: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None, clip_norm: float | None = None,
    ema: Any = None, early_stopping: Any = None, recorder: Any = None,
    save: Callable[[list[Epoch]], None] | None = None, after_step: Callable[[], None] | None = None,
    stop: Callable[[], bool] = never, so_far: Progress | None = None, progress: bool = True, quiet: bool = False,
) -> list[Epoch]:  # fmt: skip
    """Train the net, and print two lines per epoch: the results in training and on the validation set.

    The net that is in memory at the end is that of the last epoch. To keep that of the best epoch, copy its weights in
    `save`, or train with `Training`, which also saves checkpoints and continues from them.

    A net on a GPU is trained there: each batch is moved to it, and no step waits for its results. They are fetched for
    many steps together, so a loss that is NaN or infinite is noticed up to 50 steps late.

    Args:
        model: the net; it stays in training mode. If it gives a tuple in training, such as GoogLeNet, the first entry
            are the scores, and the others those of auxiliary heads, whose losses count with the factor 0.3.
        train_loader: gives batches (images, targets).
        val_loader: gives the batches that the net is judged by after each epoch. Give held-out images here and not the
            test set, if anything is chosen by the results. None: no validation.
        optimizer: updates the net's parameters.
        loss_fn: (scores, targets) -> the batch's mean loss, a scalar.
        epochs: how often to go through the training set.
        scheduler: changes the learning rate: its `step()` is called after each epoch, or after each step of the
            optimiser if `schedule_every` is "step". A ReduceLROnPlateau gets the validation loss of each epoch, or
            with mode "max" the accuracy.
        batch_transform: (images, targets) -> (images, targets), called for each batch in training, such as mixup.
        clip_norm: the largest norm of all gradients together; larger ones are scaled down.
        ema: an `AveragedModel` of the net, updated after each step; it is what validation judges.
        early_stopping: its `step(accuracy)` is called with the validation accuracy of each epoch; True ends training.
        recorder: its `before_step()` and `after_step()` are called around each step of the optimiser.
        save: called after each epoch with all epochs so far. If it raises an OSError, as on a full disk, training
            prints a line to stderr and goes on.
        after_step: called after each step, for example to save a checkpoint.
        stop: called after each step and each epoch; when it returns True, training ends. An epoch that is cut short is
            not evaluated and not in the result.
        so_far: where to continue; it is kept up to date. None: from the beginning.
        progress: show a bar with images per second on stderr, or, if that is no terminal, a line every 30 s.
        quiet: print nothing, and show no progress.

    Returns:
        The finished epochs.

    Raises:
        DivergedError: the loss or a gradient is NaN or infinite; or, after the last epoch, its mean over the epoch is
            more than 10 times the loss of the first step (or more than 10, if that was below 1).
        SaveError: the last call of `save` failed.
        ValueError: a loader is empty; early stopping or ReduceLROnPlateau without a validation set; or
            `schedule_every` is another word.

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
    check_judged(val_loader, scheduler, early_stopping)
    if schedule_every not in ("step", "epoch"):
        raise ValueError(f"train: schedule_every must be 'step' or 'epoch', got {schedule_every!r}")
    now = so_far if so_far is not None else Progress()
    by_step = schedule_every == "step" and not isinstance(scheduler, ReduceLROnPlateau)
    each_step, each_epoch = (scheduler, None) if by_step else (None, scheduler)
    failed, diverged = "", ""
    while now.epoch <= epochs and not now.enough:
        model.train()
        running = now.running
        bar_of = progress_bar(train_loader, f"epoch {now.epoch}/{epochs}", progress and not quiet, running.samples)
        with now.clock(), bar_of as bar:
            for images, targets in beside_model(train_loader, model):
                if batch_transform is not None:
                    images, targets = batch_transform(images, targets)
                chance = get_rng_state()  # with it the step can be repeated, should it fail
                optimizer.zero_grad()
                scores, loss = scores_and_loss(model(images), targets, loss_fn)
                running.add(loss, scores, classes_of(targets))
                loss.backward()
                if clip_norm is not None:
                    clip_grad_norm_(model.parameters(), clip_norm)
                again = repeated(model, images, targets, loss_fn)
                check_step(model, optimizer, running, again, chance, now.epoch)

                if recorder is not None:
                    recorder.before_step()
                optimizer.step()
                if recorder is not None:
                    recorder.after_step()
                if ema is not None:
                    ema.update_parameters(model)
                now.count_step(optimizer)
                if each_step is not None:
                    each_step.step()

                bar(len(images))
                if after_step is not None:
                    after_step()
                if stop():
                    return now.history
            running.settle()
            check_step(model, optimizer, running, None, None, now.epoch)
        check_not_empty(running.samples, "train_loader")
        if not quiet:
            say(f"Train epoch {now.epoch}: loss: {running.loss:.4f} ; top-1 accuracy: {running.top1:.2%}")

        val_loss = val_top1 = math.nan
        if val_loader is not None:
            found = evaluate(model if ema is None else ema.module, val_loader, loss_fn)
            val_loss, val_top1 = found.loss, found.top1
            if not quiet:
                say(f"Eval epoch {now.epoch}: top-1 accuracy: {val_top1:.2%}")
        row = now.finish(val_loss, val_top1)
        if each_epoch is not None:
            step_after_epoch(each_epoch, row)
        if early_stopping is not None and early_stopping.step(val_top1):
            now.enough = f"early stopping after epoch {row.epoch}"
        ends = bool(now.enough) or row.epoch == epochs
        if save is not None:
            failed = attempt(save, now.history, last=ends)
        diverged = absurd(row, now.first)
        if not ends:
            if diverged and not quiet:
                say(f"minicnn: {diverged}, it seems; Ctrl-C stops", err=True)
            if stop():
                return now.history
    if failed:
        raise SaveError(failed, now.history)
    if diverged:
        raise DivergedError(f"train: {diverged}, {advice(optimizer)}")
    return now.history


def check_judged(val_loader: Any, scheduler: Any, early_stopping: Any) -> None:
    """Raise a ValueError if something looks at the validation results and there are none."""
    for name, looks in (
        ("early_stopping", early_stopping is not None),
        ("ReduceLROnPlateau", isinstance(scheduler, ReduceLROnPlateau)),
    ):
        if looks and val_loader is None:
            raise ValueError(f"train: {name} looks at the results on a validation set; give a val_loader")


def scores_and_loss(output: Any, targets: Tensor, loss_fn: Loss) -> tuple[Tensor, Tensor]:
    """The scores in a net's output, and its loss with those of its auxiliary heads."""
    scores: Tensor = output if isinstance(output, Tensor) else output[0]
    return scores, auxiliary_loss(output, targets, loss_fn=loss_fn)


def repeated(model: Module, images: Tensor, targets: Tensor, loss_fn: Loss) -> Callable[[], None]:
    """A function that computes the loss and the gradients of a step again."""
    return lambda: scores_and_loss(model(images), targets, loss_fn)[1].backward()


def classes_of(targets: Tensor) -> Tensor:
    """The classes (N,); of soft targets (N, classes), such as those of mixup, the classes with the largest shares."""
    return targets.argmax(1) if targets.ndim == 2 else targets


def step_after_epoch(scheduler: Any, row: Epoch) -> None:
    """The schedule's `step` after an epoch; one that looks at the validation results gets them."""
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(row.val_top1 if scheduler.mode == "max" else row.val_loss)
    else:
        scheduler.step()


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
