"""A whole training from a recipe: everything is built, trained, judged and saved, and can be continued exactly.

    training = Training(find_recipe("lenet5", "digits"), seed=1)
    run = training.run("runs/first")                       # interrupted, killed, or the machine stopped
    run = Training.resume("runs/first").run()              # the same bytes as if nothing had happened
    run.results()["test"]["top1"]

Which net is the result: with a validation set (the default), that of the epoch with the highest accuracy on it. Without
one, that of the last epoch. The test set is evaluated once, with this net, at the end; nothing is chosen by it.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np

from minicnn_kernels import use

from ..autograd import detect_anomaly
from ..device import resolve
from ..nn import Module
from ..random import fork_rng, get_rng_state, manual_seed, set_rng_state
from ..serialization.files import remedy
from ..utils.data import DataLoader, Subset, stratified_split
from .averaging import ExponentialAverage
from .early_stopping import EarlyStopping
from .ensemble import TestTimeAugmentation
from .evaluation import evaluate
from .loop import never, train
from .mixing import BatchTransforms
from .progress import Epoch, Progress, best_epoch, say
from .recipes.building import build_loss, build_model, build_optimizer, build_schedule
from .recipes.data import build_dataset, complete
from .recipes.names import SettingError
from .recipes.settings import Recipe
from .recipes.starting import prepare_weights
from .resizing import ProgressiveResizing
from .runs.checkpoint import CheckpointError
from .runs.config import AGAIN, RunError
from .runs.description import describe, environment
from .runs.run import CHECKPOINT, CONFIG, Run
from .runs.state import Every, TrainingState

AHEAD = 2  # batches that a thread makes, so that the net does not wait for them
SPLIT_SEED = 0  # of the validation images: the same ones for every seed of a training, so that seeds compare
OFTEN = "60s"  # how often a checkpoint is saved within an epoch


class Training:
    """A training that a recipe describes. The program's own random numbers stay as they are.

    Args:
        recipe: net, data, optimiser and all settings.
        seed: of weights, order of the images, dropout and augmentation.
        backend: that computes, as in `minicnn.use`.
        root: the folder of the dataset's files.
        download: whether missing files are fetched.
        resumed: whether the weights will come from a checkpoint, so that those of the recipe need not be there.

    Attributes:
        model, optimizer, scheduler, loss_fn: what is trained and how. After `run`, `model` is the chosen net.
        train_set, val_set, test_set: the images; `val_set` is None without validation.
        ema, early_stopping, batch_transform: what else the recipe wants; None if it does not.
        progress: the finished epochs, and the sums of the current one.

    Raises:
        SettingError: the recipe contradicts itself.
        DatasetError: files are missing or damaged.

    >>> import tempfile
    >>> from dataclasses import replace
    >>> training = minicnn.train.Training(replace(minicnn.train.find_recipe(), epochs=1), seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = training.run(folder + "/run", quiet=True)
    ...     results, files = run.results(), sorted(path.name for path in run.folder.iterdir())
    >>> results["test"]["images"], files
    (360, ['config.json', 'metrics.csv', 'model.safetensors', 'recipe.toml', 'results.json'])
    """

    def __init__(
        self, recipe: Recipe, *, seed: int = 0, backend: str = "auto", root: str | os.PathLike[str] | None = None,
        download: bool = False, resumed: bool = False,
    ) -> None:  # fmt: skip
        self.root = None if root is None else str(Path(root).expanduser().resolve())
        recipe = complete(recipe, self.root, download)
        self.recipe, self.seed, self.backend = recipe, seed, backend
        self.folder: Run | None = None
        self._check_choices()
        device = resolve(recipe.device, "train")
        self._load_data(download)
        with fork_rng():
            manual_seed(seed)
            self.model: Module = build_model(recipe.model, recipe.model_options, recipe.init)
            prepare_weights(self.model, recipe, load=not resumed)
            self.model.to(device)
            self.optimizer = build_optimizer(
                recipe.optimizer, self.model, recipe.optimizer_options, recipe.decay, recipe.rates
            )
            self.loss_fn = build_loss(recipe.loss, recipe.loss_options)
            self.scheduler = build_schedule(
                recipe.schedule, recipe.schedule_options, self.optimizer, recipe.epochs, len(self.train_loader),
                recipe.schedule_every, recipe.warmup,
            )  # fmt: skip
            self.ema = ExponentialAverage(self.model, recipe.ema) if recipe.ema else None
            self.early_stopping = None if recipe.early_stopping is None else EarlyStopping(recipe.early_stopping)
            self.batch_transform = self._batch_transform()
            self._random = get_rng_state()
        self.progress = Progress()
        parts = {
            "scheduler": self.scheduler, "ema": self.ema, "early_stopping": self.early_stopping,
            "batch_transform": self.batch_transform,
        }  # fmt: skip
        self.state = TrainingState(self.model, self.optimizer, self.train_loader, self.progress, parts)

    def _batch_transform(self) -> BatchTransforms:
        recipe, resizing = self.recipe, None
        if recipe.progressive:
            begin = () if recipe.progressive[0][0] == 0 else ((0.0, None),)
            resizing = ProgressiveResizing((*begin, *recipe.progressive), recipe.epochs * len(self.train_loader))
        scores = recipe.model_options.get("num_classes", len(self.test_set.classes))  # a net may have more than needed
        return BatchTransforms(recipe.mixup, recipe.cutmix, scores, resizing)

    def _check_choices(self) -> None:
        """Refuse to choose anything by the test set, or by nothing."""
        recipe = self.recipe
        judges = recipe.validation not in (0, "test")
        for wanted, name in (
            (recipe.early_stopping is not None, "early_stopping"),
            (recipe.schedule == "ReduceLROnPlateau", "ReduceLROnPlateau"),
        ):
            if wanted and not judges:
                raise SettingError(
                    f"{name} chooses by the accuracy on validation images, and validation is {recipe.validation!r}; "
                    "set it to a share of the training images, such as 0.1"
                )

    def _load_data(self, download: bool) -> None:
        recipe = self.recipe
        source: dict[str, Any] = {"root": self.root, "download": download, "classes": recipe.classes}
        whole = build_dataset(recipe.dataset, train=True, steps=recipe.train_transforms, **source)
        self.test_set = build_dataset(recipe.dataset, train=False, steps=recipe.eval_transforms, **source)
        self.train_set: Any = whole
        self.val_set: Any = self.test_set if recipe.validation == "test" else None
        if recipe.train_size is not None and recipe.train_size < len(whole):
            _, self.train_set = stratified_split(whole, recipe.train_size / len(whole), SPLIT_SEED)
        share = 0 if isinstance(recipe.validation, str) else recipe.validation
        if share:
            self.val_set = build_dataset(
                recipe.dataset, train=False, steps=recipe.eval_transforms, validation=True, **source
            )
        if share and self.val_set is None:
            rest, held_out = stratified_split(self.train_set, share, SPLIT_SEED)
            plain = copy.copy(whole)  # the same images, without augmentation
            plain.transform = self.test_set.transform
            self.train_set, self.val_set = _of(whole, rest), _of(plain, held_out)
        self.train_loader = self._loader(self.train_set, recipe.batch_size, shuffle=True)
        self.val_loader = None if self.val_set is None else self._loader(self.val_set, recipe.eval_batch_size)
        self.test_loader = self._loader(self.test_set, recipe.eval_batch_size)

    def _loader(self, images: Any, batch_size: int, shuffle: bool = False) -> DataLoader[Any]:
        return DataLoader(images, batch_size, shuffle, num_workers=self.recipe.workers, prefetch_factor=AHEAD)

    @property
    def judged(self) -> Module:
        """The net that is judged and saved: the trained one, or its moving average."""
        return self.model if self.ema is None else self.ema.module

    # ------------------------------------------------------------------------------------------------- the run folder

    def prepare(
        self, folder: str | os.PathLike[str] | None = None, *, overwrite: bool = False, command: str = ""
    ) -> Run:
        """Make the run folder and write down all settings; None: a new folder in `runs`.

        Raises:
            RunError: the folder is not empty (`overwrite` replaces an earlier run), or cannot be made.
        """
        held_out = 0 if self.val_set is None or self.val_set is self.test_set else len(self.val_set)
        config = describe(
            self.recipe, self.model, self.train_set, self.test_set, seed=self.seed, backend=self.backend,
            root=self.root, command=command, held_out=held_out,
        )  # fmt: skip
        self.folder = Run.create(folder, config, overwrite=overwrite)
        return self.folder

    @classmethod
    def resume(
        cls, folder: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None, download: bool = False
    ) -> Training:
        """The training of a run folder, at its last checkpoint; `run()` continues it.

        If the machine and the versions are the ones of before, it ends with the same bytes as one that was never
        interrupted; else a line says what differs. A run without a checkpoint begins again.

        Raises:
            RunError: there is no run, its config.json is damaged, or its training is complete.
            CheckpointError: the checkpoint is damaged, or is one of another training.
            DatasetError: the files of the dataset are missing or damaged.
        """
        run = Run.open(folder)
        if run.is_complete:
            raise RunError(f"{run.folder}: this training is complete; `minicnn eval` evaluates its net again")
        recipe, seed, backend = run.recipe(), run.config["training"]["seed"], run.config["training"]["backend"]
        state = run.checkpoint()
        training = cls(
            recipe, seed=seed, backend=backend, root=root or run.config["dataset"]["root"], download=download
        )
        training.folder = run
        run.config.pop("error", None)
        if state is not None:
            training._continue(run, state)
        return training

    def _continue(self, run: Run, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint, after checking that it belongs to this training."""
        file, about = run.folder / CHECKPOINT, state.pop("about", None)
        mine = self._about()
        if not isinstance(about, dict) or set(about) != set(mine):
            raise CheckpointError(f"{file}: it does not say which training it is of; {AGAIN}")
        if changed := _differences(about["training"], mine["training"]):
            raise CheckpointError(
                f"{file}: it is of a training with other settings than {CONFIG}: {'; '.join(changed)}. Restore "
                f"{CONFIG}, or start a new run with the new settings"
            )
        if changed := _differences(about["environment"], mine["environment"]):
            say(f"minicnn: not as before: {'; '.join(changed)}. The same bits are not promised", err=True)
        with fork_rng():
            try:
                self.state.load_state_dict(state)
            except CheckpointError as error:
                raise CheckpointError(f"{file}: {error}; {AGAIN}") from error
            self._random = get_rng_state()

    def _about(self) -> dict[str, Any]:
        """What a checkpoint says about its training, and the circumstances that its bits depend on."""
        sizes = {"images": len(self.train_set), "validation": len(self.val_set or ())}
        settings = {"seed": self.seed, "backend": self.backend, **sizes, "recipe": self.recipe.to_dict()}
        return {"training": settings, "environment": environment(self.backend, self.recipe.device)}

    def _checkpoint(self) -> dict[str, Any]:
        return {"about": self._about(), **self.state.state_dict()}

    # ------------------------------------------------------------------------------------------------- the training

    def run(
        self, folder: str | os.PathLike[str] | None = None, *, overwrite: bool = False,
        checkpoint_every: str | int = OFTEN, stop: Callable[[], bool] = never, anomaly: bool = False,
        recorder: Any = None, after_epoch: Callable[[Epoch], None] | None = None, progress: bool = True,
        quiet: bool = False,
    ) -> Run:  # fmt: skip
        """Train, from the beginning or from where the training is, and evaluate the chosen net on the test set.

        Args:
            folder, overwrite: as in `prepare`, which is called unless the training has a folder.
            checkpoint_every: a number of steps, or a time such as "30s"; there is one after each epoch too.
            stop: as in `train`. When it returns True, everything is saved, `run.config["interrupted"]` is True, and
                `resume` continues later.
            anomaly: check every operation, and name the one that makes the first NaN; slower.
            recorder: as in `train`.
            after_epoch: called with each finished epoch.
            progress, quiet: as in `train`.

        Raises:
            DivergedError, SaveError: as in `train`; the last good checkpoint stays.
            OSError: a file cannot be written at the end.
        """
        run = self.folder or self.prepare(folder, overwrite=overwrite)
        saver = _Saver(self, run, Every(checkpoint_every), after_epoch)
        watched = detect_anomaly() if anomaly else nullcontext()
        quietly = np.errstate(over="ignore", invalid="ignore")  # the loop reports a NaN or infinite loss in one line
        with fork_rng(), use(backend=self.backend), watched, quietly:
            set_rng_state(self._random)
            try:
                train(
                    self.model, self.train_loader, self.val_loader, self.optimizer, self.loss_fn, self.recipe.epochs,
                    scheduler=self.scheduler, schedule_every=self.recipe.schedule_every,
                    batch_transform=self.batch_transform or None, clip_norm=self.recipe.clip_norm, ema=self.ema,
                    early_stopping=self.early_stopping, recorder=recorder, save=saver.after_epoch,
                    after_step=saver.after_step, stop=stop, so_far=self.progress, progress=progress, quiet=quiet,
                )  # fmt: skip
            except Exception as error:  # the folder keeps what was saved before it, and its message
                with suppress(OSError):
                    run.note(error=str(error))
                raise
            self._random = get_rng_state()
            if self.progress.epoch <= self.recipe.epochs and not self.progress.enough:
                saver.interrupted()
            else:
                self._finish(run)
        return run

    def _finish(self, run: Run) -> None:
        """Choose the net, save it, and look at the test set."""
        history = self.progress.history
        chosen = best_epoch(history) if self.state.best is not None else history[-1]
        weights = self.state.best if self.state.best is not None else self.judged.state_dict()
        self.model.load_state_dict(weights)
        self.model.eval()
        run.save(self.model, history, epoch=chosen.epoch, interrupted=False, ended=self.progress.enough or None)
        test = self._test(self.model)
        if self.recipe.tta is not None:
            test["augmented"] = self._test(TestTimeAugmentation(self.model, self.recipe.tta))
        by = "the validation accuracy" if self.state.best is not None else "nothing: it is the last epoch"
        judged = None if self.state.best is None else {"images": len(self.val_set), "loss": chosen.val_loss,
                                                       "top1": chosen.val_top1}  # fmt: skip
        run.finish({
            "epoch": chosen.epoch, "chosen_by": by, "validation": judged,
            "test": {"images": len(self.test_set), **test},
        })  # fmt: skip

    def _test(self, model: Module) -> dict[str, Any]:
        found = evaluate(model, self.test_loader, self.loss_fn)
        return {"loss": found.loss, "top1": found.top1, "top5": found.top5}


class _Saver:
    """Saves a training while it runs. A full disk loses nothing: the files of before stay, and it tries again."""

    def __init__(self, training: Training, run: Run, due: Every, tell: Callable[[Epoch], None] | None) -> None:
        self.training, self.run, self.due, self.tell = training, run, due, tell
        self.failing = False

    def after_epoch(self, history: list[Epoch]) -> None:
        """Write everything; the weights only if this epoch is the best."""
        training = self.training
        best = training.state.note_epoch(training.judged)
        if self.tell is not None:
            self.tell(history[-1])
        self.run.save(training.judged if best else None, history, checkpoint=training._checkpoint())
        self.due.restart()

    def after_step(self) -> None:
        """Write a checkpoint if one is due."""
        if not self.due():
            return
        try:
            self._save({})
        except OSError as error:
            if not self.failing:
                say(
                    f"minicnn: a checkpoint could not be saved: {error}. The earlier one stays, training goes on and "
                    f"tries again; before that, {remedy(error)}",
                    err=True,
                )
            self.failing = True
        else:
            if self.failing:
                say("minicnn: checkpoints are saved again", err=True)
            self.failing = False

    def interrupted(self) -> None:
        """Save where the training stops."""
        self._save({"interrupted": True})

    def _save(self, state: Mapping[str, Any]) -> None:
        """Everything; the current weights only if no epoch has been chosen yet."""
        training, progress = self.training, self.training.progress
        weights = training.judged if training.state.best is None else None
        self.run.save(
            weights, progress.history, step=training.train_loader.state_dict()["step"],
            checkpoint=training._checkpoint(), **state,
        )  # fmt: skip


def _of(images: Any, part: Subset[Any]) -> Subset[Any]:
    """The same images as those of a part, which may be a part of a part, taken from `images` itself."""
    indices = list(part.indices)
    while isinstance(part.dataset, Subset):
        part = part.dataset
        indices = [part.indices[index] for index in indices]
    return Subset(images, indices)


def _differences(before: Any, now: Any, where: str = "") -> list[str]:
    """What differs between two objects of dicts, numbers and texts, as text."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*now, *(key for key in before if key not in now)]
        return [text for key in keys for text in _differences(before.get(key), now.get(key), f"{where}.{key}")]
    return [] if before == now else [f"{where.removeprefix('.')} was {before!r} and is {now!r}"]
