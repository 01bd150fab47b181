"""The run folder: the results of a training, enough to evaluate the net, to use it, and to train it again.

    config.json         the settings: model, data, recipe, seed, backend, versions, machine, command line
    metrics.csv         one line per finished epoch, the columns of `Epoch`; accuracies from 0 to 1, seconds of training
    model.safetensors   the weights after the last step

All files are replaced after every epoch: first the new ones are written beside the old ones, then they are renamed, the
weights last. So a run that is killed, or whose disk is full, keeps all but its last epoch. If it is killed between two
renames, the epoch in the weights' metadata counts: `Run.history` leaves out a line of a later epoch.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from minicnn_kernels.dispatch import ON_GPU

from ..datasets import DatasetError
from ..device import Device
from ..nn import Module
from ..serialization.files import read_text, write_together
from .building import build_loss, build_model
from .checkpoint import CheckpointError, load_weights, packed_weights, saved_metadata
from .config import AGAIN, RunError, read_config, reason, shortened
from .data import build_dataset
from .progress import Epoch
from .settings import EVAL_BATCH

CONFIG, METRICS, WEIGHTS = "config.json", "metrics.csv", "model.safetensors"


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
            run._write({CONFIG: [_text(run.config)]})
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

    def save(self, model: Module, history: list[Epoch], *, step: int = 0, **state: Any) -> None:
        """Write the weights, the metrics and the config, each atomically.

        Args:
            model: the current net.
            history: the finished epochs.
            step: how many steps of the next epoch the net has been trained for.
            state: entries of the config to change, such as interrupted=True.

        Raises:
            OSError: a file cannot be written; the earlier files stay.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Epoch._fields)
        writer.writerows(history)  # floats as their repr: nothing is rounded
        config = {**self.config, "epochs_finished": len(history), "step": step, **state}
        weights = packed_weights(model, {"epoch": len(history), "step": step})
        self._write({METRICS: [text.getvalue().encode()], CONFIG: [_text(config)], WEIGHTS: weights})
        self.config = config

    def note(self, **state: Any) -> None:
        """Change entries of the config only, such as error="..."."""
        self.config.update(state)
        self._write({CONFIG: [_text(self.config)]})

    def saved(self) -> str:
        """A sentence that says which net is saved on the disk."""
        epoch, step = self.config["epochs_finished"], self.config["step"]
        if not epoch and not step:
            return f"no epoch is finished and saved yet in {self.folder}"
        after = f"epoch {epoch}" if not step else f"step {step} of epoch {epoch + 1}"
        return f"the net after {after} is saved in {self.folder}"

    def history(self) -> list[Epoch]:
        """The finished epochs, up to that of the weights.

        Raises:
            RunError: metrics.csv is missing or damaged (the message names the line), or its epochs do not fit the
                weights.
        """
        file = self.folder / METRICS
        try:
            lines = list(csv.reader(io.StringIO(read_text(file), newline="")))
        except (OSError, ValueError, csv.Error) as error:
            raise RunError(f"{file}: cannot be read ({reason(error)}); {AGAIN}") from error
        if not lines or tuple(lines[0]) != Epoch._fields:
            raise RunError(f"{file}: the first line should be {','.join(Epoch._fields)}; {AGAIN}")
        epochs = [_epoch(file, number, line) for number, line in enumerate(lines[1:], 1)]
        try:
            known = saved_metadata(self.folder / WEIGHTS).get("epoch")
        except CheckpointError:
            return epochs  # the method `model` says what is wrong with the weights
        if type(known) is int and len(epochs) not in (known, known + 1):
            raise RunError(
                f"{file}: has {len(epochs)} epochs, but {WEIGHTS} is of epoch {known}: they are from different runs; "
                "restore both from the same copy, or train again"
            )
        return epochs[:known] if type(known) is int else epochs

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
                described["name"], train=False, steps=described["transforms"], root=root or described["root"]
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

    def _write(self, files: Mapping[str, Any]) -> None:
        """Replace files of the folder, which is made again if it does not exist any more."""
        self.folder.mkdir(exist_ok=True)
        write_together({self.folder / name: pieces for name, pieces in files.items()}, within=self.folder)


def _text(config: Mapping[str, Any]) -> bytes:
    return (json.dumps(config, indent=2) + "\n").encode()


def _epoch(file: Path, number: int, line: list[str]) -> Epoch:
    """The epoch in line `number` of metrics.csv, not counting the line of names."""
    try:
        epoch = Epoch(int(line[0]), *(float(cell) for cell in line[1:]))
    except (ValueError, TypeError, IndexError) as error:
        raise RunError(
            f"{file}: line {number + 1} is not {len(Epoch._fields)} numbers: {shortened(','.join(line))}; {AGAIN}"
        ) from error
    shares = 0 <= epoch.train_top1 <= 1 and 0 <= epoch.test_top1 <= 1
    if epoch.epoch != number or not shares or not all(math.isfinite(value) for value in epoch):
        raise RunError(
            f"{file}: line {number + 1} should be epoch {number}, with finite numbers and accuracies from 0 to 1, got "
            f"{shortened(','.join(line))}; {AGAIN}"
        )
    return epoch


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
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not (path / CONFIG).is_file():
        raise RunError(f"the folder {path} is not empty and not a run; choose a new one with --out")
    if not overwrite:
        raise RunError(
            f"the folder {path} already holds a run; choose another with --out, or replace the run with --overwrite"
        )
    Run.open(path)  # raises if config.json is of another program, and leaves the file
    for name in (WEIGHTS, METRICS, CONFIG):
        (path / name).unlink(missing_ok=True)


def _nearby(path: Path) -> str:
    """The end of a message that lists the runs in the folder, or else in ./runs; empty if there are none."""
    for place in (path, Path("runs")):
        if place.is_dir() and (runs := sorted(file.parent.name for file in place.glob(f"*/{CONFIG}"))):
            return f". Runs in {place}: {', '.join(runs[-5:])}"
    return ""
