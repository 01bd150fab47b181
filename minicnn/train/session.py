"""A whole training from a recipe: everything is built, trained, judged and saved, and can be continued exactly.

    training = Training(find_recipe("lenet5", "digits"), seed=1)
    run = training.run("runs/first")                       # interrupted, killed, or the machine stopped
    run = Training.resume("runs/first").run()              # the same bytes as if nothing had happened
    run.results()["test"]["top1"]

Which net is the result: with a validation set (the default), that of the epoch with the highest accuracy on it. Without
one, that of the last epoch. The test set is evaluated with this net, once, at the end. Nothing is chosen by it, even if
the recipe wants its curve (validation = "test").
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np

from minicnn_kernels import use

from ..autograd import detect_anomaly
from ..device import resolve
from ..nn import Module
from ..random import fork_rng, get_rng_state, manual_seed, set_rng_state
from ..utils.data import DataLoader, Subset
from .averaging import ExponentialAverage
from .early_stopping import EarlyStopping
from .ensemble import TestTimeAugmentation
from .evaluation import evaluate
from .images import fingerprint, load_images
from .loop import never, train
from .mixing import BatchTransforms
from .progress import Epoch, Progress, best_epoch, say
from .recipes.building import build_loss, build_model, build_optimizer, build_schedule
from .recipes.data import complete
from .recipes.names import SettingError
from .recipes.settings import Recipe
from .recipes.starting import prepare_weights, whiten
from .rehearsal import plain_step, warmup
from .resizing import ProgressiveResizing
from .runs.checkpoint import CheckpointError
from .runs.config import AGAIN, RunError
from .runs.description import describe, environment
from .runs.run import CHECKPOINT, CONFIG, Run
from .runs.state import Every, TrainingState
from .saving import Saver

# Batches that a thread makes while a GPU computes. Kernels on the CPU use all cores, and a thread takes one from them:
# they wait for each other longer than they waited for the batch (LeNet-5 on two cores: 5.3 to 6.2 ms a step, not 4.5).
AHEAD = 2
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
        device = resolve(recipe.device, "train")
        self.train_set, self.val_set, self.test_set = load_images(recipe, self.root, download)
        # Order and augmentation depend on the seed alone, whatever the net draws, so that nets can be compared.
        self.train_loader = self._loader(self.train_set, recipe.batch_size, shuffle=True, seed=seed)
        self.val_loader = None if self.val_set is None else self._loader(self.val_set, recipe.eval_batch_size)
        self.test_loader = self._loader(self.test_set, recipe.eval_batch_size)
        with fork_rng():
            manual_seed(seed)
            self.model: Module = build_model(recipe.model, recipe.model_options, recipe.init)
            prepare_weights(self.model, recipe, load=not resumed)
            if not resumed:
                whiten(self.model, recipe, self.train_set)
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
        chooses = recipe.validation not in (0, "test")
        self.state = TrainingState(self.model, self.optimizer, self.train_loader, self.progress, parts, chooses)

    def _batch_transform(self) -> BatchTransforms:
        recipe, resizing = self.recipe, None
        if recipe.progressive:
            begin = () if recipe.progressive[0][0] == 0 else ((0.0, None),)
            resizing = ProgressiveResizing((*begin, *recipe.progressive), recipe.epochs * len(self.train_loader))
        scores = recipe.model_options.get("num_classes", len(self.test_set.classes))  # a net may have more than needed
        return BatchTransforms(recipe.mixup, recipe.cutmix, scores, resizing)

    def _loader(self, images: Any, batch_size: int, **order: Any) -> DataLoader[Any]:
        ahead = AHEAD if self.recipe.workers or self.recipe.device != "cpu" else 0
        return DataLoader(images, batch_size, num_workers=self.recipe.workers, prefetch_factor=ahead, **order)

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
            recipe, seed=seed, backend=backend, root=root or run.config["dataset"]["root"], download=download,
            resumed=state is not None,
        )  # fmt: skip
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
        if about["data"] != mine["data"]:
            raise CheckpointError(
                f"{file}: it is of a training with other images or targets than {self.recipe.dataset} has now; put "
                "the earlier files back, or start a new run"
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
        data = fingerprint(self.train_set, self.val_set, self.test_set)
        return {"training": settings, "data": data, "environment": environment(self.backend, self.recipe.device)}

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
            SettingError: the views that `tta` names do not fit the images or the net.
            DivergedError, SaveError: as in `train`; the last good checkpoint stays.
            OSError: a file cannot be written at the end.
        """
        self._check_views()
        run = self.folder or self.prepare(folder, overwrite=overwrite)
        saver = Saver(run, self.state, self.judged, self._about(), Every(checkpoint_every), after_epoch)
        watched = detect_anomaly() if anomaly else nullcontext()
        quietly = np.errstate(over="ignore", invalid="ignore")  # the loop reports a NaN or infinite loss in one line
        with fork_rng(), use(backend=self.backend), watched, quietly:
            self.warmup()
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

    def warmup(self) -> int:
        """Compile the kernels of this training that are not on disk, on all cores; return how many. See `warmup`."""
        recipe = self.recipe
        if recipe.device != "cpu":
            return 0

        def batches(images: Any, size: int) -> DataLoader[Any]:
            return DataLoader(Subset(images, range(min(len(images), size + len(images) % size))), size)

        transform, ema = copy.deepcopy((self.batch_transform, self.ema))

        def step(net: Module, optimizer: Any, images: Any, targets: Any) -> None:
            if transform:
                images, targets = transform(images, targets)
            plain_step(net, optimizer, images, targets, self.loss_fn, recipe.clip_norm)
            if ema is not None:
                ema.update_parameters(net)

        val, size = batches(self.test_set, recipe.eval_batch_size), recipe.batch_size
        name = repr((recipe.to_dict(), len(self.train_set), len(self.test_set), self.backend))
        return warmup(self.model, batches(self.train_set, size), val, loss_fn=self.loss_fn, optimizer=self.optimizer,
                      step=step, name=name)  # fmt: skip

    def _check_views(self) -> None:
        """Look at a test image as at the end: views that do not fit the images or the net would waste a training."""
        if self.recipe.tta is None:
            return
        one: DataLoader[Any] = DataLoader(Subset(self.test_set, range(1)), 1)
        try:
            with fork_rng(), use(backend=self.backend):
                evaluate(TestTimeAugmentation(self.model, self.recipe.tta), one, self.loss_fn)
        except ValueError as error:
            raise SettingError(f"tta = {self.recipe.tta!r} does not fit the images or the net: {error}") from error

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


def _differences(before: Any, now: Any, where: str = "") -> list[str]:
    """What differs between two objects of dicts, numbers and texts, as text."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*now, *(key for key in before if key not in now)]
        return [text for key in keys for text in _differences(before.get(key), now.get(key), f"{where}.{key}")]
    return [] if before == now else [f"{where.removeprefix('.')} was {before!r} and is {now!r}"]
