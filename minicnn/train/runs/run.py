"""The run folder: the results of a training, enough to evaluate the net, to use it, and to train it again.

    config.json              the settings: model, data, recipe, seed, backend, versions, machine, command line
    recipe.toml              the recipe alone: `minicnn train --recipe RUN/recipe.toml` trains with it again
    metrics.csv              one line per finished epoch, the columns of `Epoch`; accuracies from 0 to 1, seconds
    model.safetensors        the net: that of the best epoch on the validation set; without one, that of the last epoch
    results.json             how good this net is on the test set, which is looked at once, at the end
    checkpoint.safetensors   all that is needed to continue exactly; it is gone when the training is complete

Files are replaced after every epoch: first the new ones are written beside the old ones, then they are renamed, the
checkpoint last. So a run that is killed, or whose disk is full, keeps what it had. A training that is continued starts
at the checkpoint, and writes the other files again.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from minicnn_kernels.dispatch import ON_GPU

from ...datasets import DatasetError
from ...device import Device
from ...nn import Module
from ...serialization.files import read_text, sweep, write_together
from ...tensor import Tensor
from ..progress import Epoch
from ..recipes.building import build_loss, build_model
from ..recipes.data import build_dataset
from ..recipes.settings import EVAL_BATCH, Recipe
from .checkpoint import CheckpointError, load_weights, packed_state, packed_weights, read_state, saved_metadata
from .config import AGAIN, RunError, read_config, reason, shortened
from .history import history_text, read_history

CONFIG, METRICS, WEIGHTS = "config.json", "metrics.csv", "model.safetensors"
RESULTS, CHECKPOINT, RECIPE = "results.json", "checkpoint.safetensors", "recipe.toml"
RESULTS_FORMAT = "minicnn results 1"
PICTURES = ("curves", "confusion", "errors", "filters")  # of every run, each in a file NAME.png


class Run:
    """One training run on disk: `config` is the content of config.json, `folder` its folder.

    `Run.create` makes a run, `Run.open` reads one.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder, self.config = folder, config

    @classmethod
    def create(
        cls, folder: str | os.PathLike[str] | None, config: Mapping[str, Any], *, overwrite: bool = False
    ) -> Run:
        """Make the folder and write its config.

        Args:
            folder: the folder; it may exist if it is empty, or if it holds a run and `overwrite` is True. None: a new
                folder `runs/<model>-<dataset>-<time>`.
            config: the result of `describe`.
            overwrite: remove the files of the earlier run. Other files stay.

        Raises:
            RunError: the folder is not empty, or cannot be made.
        """
        try:
            if folder is None:
                path = _new_folder(f"{config['model']['name']}-{config['dataset']['name']}".lower())
            else:
                path = Path(folder).expanduser()
                _clear(path, overwrite)
                path.mkdir(parents=True, exist_ok=True)
            run = cls(path, dict(config))
            run._write({CONFIG: [_text(run.config)], **run._recipe_file()})
        except OSError as error:
            raise RunError(
                f"cannot write the run folder {folder or 'runs'}: {error.strerror}; choose another with --out"
            ) from error
        return run

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """The run in a folder.

        Raises:
            RunError: there is no run in the folder, or its config.json is damaged.
        """
        path = Path(folder).expanduser()
        file = path / CONFIG
        try:
            return cls(path, read_config(file))
        except FileNotFoundError as error:
            raise RunError(
                f"{path} is not a run: it has no {CONFIG}; `minicnn train --out {shlex.quote(str(path))}` makes one"
                f"{_nearby(path)}"
            ) from error

    def save(
        self, model: Module | Mapping[str, Tensor] | None, history: Sequence[Epoch], *, epoch: int | None = None,
        step: int = 0, checkpoint: Mapping[str, Any] | None = None, **state: Any,
    ) -> None:  # fmt: skip
        """Write the weights, the metrics, the config and a checkpoint, each atomically.

        Args:
            model: the net, or its `state_dict`; None: the file of weights stays as it is.
            history: the finished epochs.
            epoch: the epoch after which the net was like this; by default the last one.
            step: how many steps of the next epoch the training has done.
            checkpoint: the state of the training; None: the file stays as it is.
            state: entries of the config to change, such as interrupted=True.

        Raises:
            OSError: a file cannot be written; the earlier files stay.
        """
        config = {**self.config, "epochs_finished": len(history), "step": step, **state}
        files: dict[str, Any] = {METRICS: [history_text(history)], CONFIG: [_text(config)]}
        if model is not None:
            of = len(history) if epoch is None else epoch
            files[WEIGHTS] = packed_weights(model, {"epoch": of, "step": step if of == len(history) else 0})
        if checkpoint is not None:
            files[CHECKPOINT] = packed_state(checkpoint)
        self._write(files)
        self.config = config

    def note(self, **state: Any) -> None:
        """Change entries of the config only, such as error="..."."""
        self.config.update(state)
        self._write({CONFIG: [_text(self.config)]})

    def finish(self, results: Mapping[str, Any]) -> None:
        """Write the results on the test set, and remove the checkpoint: the training is complete.

        Raises:
            OSError: the file cannot be written; then the checkpoint stays.
        """
        self._write({RESULTS: [_text({"format": RESULTS_FORMAT, **results})]})
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    @property
    def is_complete(self) -> bool:
        """Whether the training has ended, and its results on the test set are there."""
        return (self.folder / RESULTS).is_file() and not (self.folder / CHECKPOINT).exists()

    def checkpoint(self) -> dict[str, Any] | None:
        """The state of a training that is not complete; None if nothing was saved yet.

        Raises:
            CheckpointError: the file is damaged.
        """
        file = self.folder / CHECKPOINT
        return read_state(file) if os.path.lexists(file) else None

    def results(self) -> dict[str, Any]:
        """What the trained net reaches: "epoch", "chosen_by", "validation" and "test", which have loss and accuracies.

        Raises:
            RunError: the training is not complete, or results.json is damaged.
        """
        file = self.folder / RESULTS
        try:
            found = json.loads(read_text(file))
        except FileNotFoundError as error:
            raise RunError(
                f"{self.folder} has no {RESULTS}: its training is not complete; go on with `minicnn train --resume "
                f"{shlex.quote(str(self.folder))}`, or evaluate the net as it is with `minicnn eval`"
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{file}: cannot be read ({reason(error)}); {AGAIN}") from error
        if not isinstance(found, dict) or found.get("format") != RESULTS_FORMAT or not _are_results(found):
            raise RunError(f"{file}: not the results of a run, with the accuracies on the test set; {AGAIN}")
        return dict(found)

    def saved_at(self) -> str:
        """Up to where the training is saved, such as "epoch 3" or "step 20 of epoch 4"; empty at the beginning."""
        epoch, step = self.config["epochs_finished"], self.config["step"]
        return f"step {step} of epoch {epoch + 1}" if step else f"epoch {epoch}" if epoch else ""

    def saved(self) -> str:
        """A sentence that says which net is saved on the disk."""
        if not (after := self.saved_at()):
            return f"no epoch is finished and saved yet in {self.folder}"
        return f"the net after {after} is saved in {self.folder}"

    def history(self) -> list[Epoch]:
        """The finished epochs.

        Raises:
            RunError: metrics.csv is missing or damaged (the message names the line), or its epochs do not fit the
                weights.
        """
        file = self.folder / METRICS
        epochs = read_history(file)
        try:
            known = saved_metadata(self.folder / WEIGHTS).get("epoch")
        except CheckpointError:
            return epochs  # the method `model` says what is wrong with the weights
        if type(known) is int and known > len(epochs):
            raise RunError(
                f"{file}: has {len(epochs)} epochs, but {WEIGHTS} is of epoch {known}: they are from different runs; "
                "restore both from the same copy, or train again"
            )
        return epochs

    def model(self) -> tuple[Module, int, int]:
        """The trained net in evaluation mode, and the epoch, and the step of the next epoch, after which it was saved.

        It is made on the default device, wherever it was trained.

        Raises:
            RunError: config.json describes a model that does not exist.
            CheckpointError: the weights are missing or damaged, or do not fit.
        """
        described, file = self.config["model"], self.folder / WEIGHTS
        with Device("meta"):  # takes no memory, in case the file does not hold this net
            model = self._build("model", lambda: build_model(described["name"], described["options"]))
        load_weights(file, model)
        model = self._build("model", lambda: build_model(described["name"], described["options"]))
        found = load_weights(file, model)
        epoch, step = found.get("epoch", 0), found.get("step", 0)
        if not all(type(number) is int and number >= 0 for number in (epoch, step)):
            raise RunError(
                f"{file}: epoch {shortened(epoch)} and step {shortened(step)} are not whole numbers; {AGAIN}"
            )
        model.eval()
        return model, epoch, step

    def recipe(self) -> Recipe:
        """All settings of the training.

        Raises:
            RunError: the run is of an earlier version, which did not write them down, or they are damaged.
        """
        described = self.config.get("recipe")
        if described is None:
            raise RunError(f"{self.folder / CONFIG}: it has no recipe, since an earlier version wrote it; train again")
        recipe: Recipe = self._build("recipe", lambda: Recipe.from_dict(described))
        return recipe

    def loss(self) -> Module:
        """The loss function that the net was trained with.

        Raises:
            RunError: config.json describes a loss that does not exist.
        """
        training = self.config["training"]
        loss: Module = self._build("loss", lambda: build_loss(training["loss"], training.get("loss_options")))
        return loss

    def test_set(self, root: str | None = None) -> Any:
        """The test set of the training; `root` is its folder if the data have been moved.

        Raises:
            RunError: config.json describes a dataset that does not exist.
            DatasetError: files are missing or damaged.
        """
        described = self.config["dataset"]
        return self._build(
            "dataset",
            lambda: build_dataset(
                described["name"],
                train=False,
                steps=described["transforms"],
                root=root or described["root"],
                classes=described.get("only"),
            ),
        )

    @property
    def eval_batch(self) -> int:
        """The batch size of evaluation in the training."""
        return int(self.config["training"].get("eval_batch_size", EVAL_BATCH))

    def backend(self, device: str | Device = "cpu") -> str:
        """The backend that the run was trained with; "auto" on a device for which that one has no kernels."""
        name = str(self.config["training"]["backend"])
        on_gpu = str(device).partition(":")[0] == "cuda"
        return name if (name in ON_GPU) == on_gpu else "auto"

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Inside the `with` block, where the net runs on images, errors name the run and a remedy."""
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # from bad weights
                yield
        except (RunError, CheckpointError, DatasetError, OSError):
            raise
        except Exception as error:
            raise RunError(
                f"{self.folder}: the net and the images that {CONFIG} describes do not fit, or the weights are "
                f"wrong: {_said(error)}. Restore {CONFIG} and {WEIGHTS} from a copy, or train again"
            ) from error

    def _build(self, what: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (RunError, DatasetError, OSError):
            raise
        except Exception as error:
            raise RunError(
                f"{self.folder / CONFIG}: the {what} it describes cannot be built: {_said(error)}; {AGAIN}"
            ) from error

    def _recipe_file(self) -> dict[str, Any]:
        """recipe.toml, with which the run can be repeated."""
        described = self.config.get("recipe")
        return {} if described is None else {RECIPE: [Recipe.from_dict(described).to_toml().encode()]}

    def _write(self, files: Mapping[str, Any]) -> None:
        """Replace files of the folder, which is made again if it does not exist any more."""
        self.folder.mkdir(exist_ok=True)
        write_together({self.folder / name: pieces for name, pieces in files.items()}, within=self.folder)


def _text(config: Mapping[str, Any]) -> bytes:
    return (json.dumps(config, indent=2) + "\n").encode()


def _are_results(found: Mapping[str, Any]) -> bool:
    """Whether results.json has what other parts use: the epoch, and accuracies from 0 to 1."""
    test, held_out = found.get("test"), found.get("validation")
    if type(found.get("epoch")) is not int or not isinstance(test, dict):
        return False
    if not (held_out is None or isinstance(held_out, dict)):
        return False
    shares = [test.get("top1"), test.get("top5"), *([] if held_out is None else [held_out.get("top1")])]
    return all(isinstance(share, float | int) and 0 <= share <= 1 for share in shares)


def _said(error: Exception) -> str:
    """The message of an error; with its type, unless it is a ValueError or RuntimeError with a text."""
    text = str(error).rstrip(".")
    return text if isinstance(error, (ValueError, RuntimeError)) and text else f"{type(error).__name__}: {text}"


def _new_folder(stem: str) -> Path:
    """A folder `runs/<stem>-<time>` that was not there before."""
    stamp, number = datetime.now().strftime("%Y%m%d-%H%M%S"), 1
    while True:
        path = Path("runs") / (f"{stem}-{stamp}" if number == 1 else f"{stem}-{stamp}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return path


def _clear(path: Path, overwrite: bool) -> None:
    """Prepare the folder of a run: raise unless it is new or empty, or remove the earlier run if `overwrite`."""
    if path.exists() and not path.is_dir():
        raise RunError(f"--out {path} is a file, not a folder; choose another name")
    if not path.is_dir():
        return
    for name in (CONFIG, RECIPE):
        sweep(path / name)  # all that a run leaves which was killed while it began
    if not any(path.iterdir()):
        return
    if not (path / CONFIG).is_file():
        raise RunError(f"the folder {path} is not empty and not a run; choose a new one with --out")
    if not overwrite:
        go_on = f"; `minicnn train --resume {shlex.quote(str(path))}` continues it"
        raise RunError(
            f"the folder {path} already holds a run; choose another with --out, or replace the run with --overwrite"
            f"{go_on if (path / CHECKPOINT).exists() else ''}"
        )
    Run.open(path)  # raises if config.json is of another program, and leaves the file
    for name in (CHECKPOINT, RESULTS, WEIGHTS, METRICS, *(f"{name}.png" for name in PICTURES), RECIPE, CONFIG):
        (path / name).unlink(missing_ok=True)


def _nearby(path: Path) -> str:
    """The end of a message that lists the runs in the folder, or else in ./runs; empty if there are none."""
    for place in (path, Path("runs")):
        if place.is_dir() and (runs := sorted(file.parent.name for file in place.glob(f"*/{CONFIG}"))):
            return f". Runs in {place}: {', '.join(runs[-5:])}"
    return ""
