"""The run folder: what training leaves behind, enough to judge the net, to use it, and to train it again.

    config.json         what was run: model, data, recipe, seed, backend, versions, machine, command line
    metrics.csv         one line per finished epoch, the columns of `Epoch`; accuracies from 0 to 1, seconds of training
    model.safetensors   the weights after the last step

Each is replaced atomically after every epoch, so a run that is killed keeps all but its last epoch.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from minicnn_kernels import runtime

from ..nn import Module
from .checkpoint import load_weights, save_weights, write_atomically
from .loop import Epoch
from .recipes import EVAL_BATCH, Recipe, build_dataset, build_model

CONFIG, METRICS, WEIGHTS = "config.json", "metrics.csv", "model.safetensors"
FORMAT = "minicnn run 1"


class RunError(RuntimeError):
    """A run folder that cannot be made or read. The message names it and the remedy."""


class Run:
    """One training run on disk: `config` is the content of config.json, `folder` where it is.

    Make one with `Run.create`, read one with `Run.open`.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder, self.config = folder, config

    @classmethod
    def create(
        cls, folder: str | os.PathLike[str] | None, config: Mapping[str, Any], *, overwrite: bool = False
    ) -> Run:
        """Make the folder and write its config; None: `runs/<model>-<dataset>-<time>`, never one that is there.

        Args:
            folder: where; it may exist if it is empty, or a run that `overwrite` gives up.
            config: as `describe` makes it.
            overwrite: remove the files of the run that is there. Other files stay.

        Raises:
            RunError: the folder has something in it, or cannot be made.
        """
        try:
            if folder is None:
                path = _new_folder(f"{config['model']['name']}-{config['dataset']['name']}".lower())
            else:
                path = Path(folder).expanduser()
                _clear(path, overwrite)
                path.mkdir(parents=True, exist_ok=True)
            run = cls(path, dict(config))
            run._write_config()
        except OSError as error:
            raise RunError(
                f"cannot write the run folder {folder or 'runs'}: {error.strerror}; choose another with --out"
            ) from error
        return run

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """The run in a folder.

        Raises:
            RunError: no run there, or its config.json is damaged.
        """
        path = Path(folder).expanduser()
        file = path / CONFIG
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(
                f"{path} is not a run: it has no {CONFIG}; `minicnn train --out {shlex.quote(str(path))}` makes one"
                f"{_nearby(path)}"
            ) from error
        except (OSError, ValueError) as error:
            raise RunError(f"{file}: cannot be read ({error})") from error
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise RunError(f"{file}: not the config of a run; its format should be {FORMAT!r}")
        parts = {
            "model": ("name", "options"),
            "dataset": ("name", "root", "transforms"),
            "training": ("epochs", "backend", "seed"),
        }
        for part, keys in parts.items():
            missing = [key for key in keys if not isinstance(config.get(part), dict) or key not in config[part]]
            if missing:
                raise RunError(f"{file}: {part} lacks {', '.join(missing)}")
        return cls(path, config)

    def save(self, model: Module, history: list[Epoch], *, step: int = 0, **state: Any) -> None:
        """Write the weights, the metrics and the config, each atomically.

        Args:
            model: the net as it is now.
            history: the finished epochs.
            step: how many steps of the next epoch the net has gone since.
            state: entries of the config to change, such as interrupted=True.

        Raises:
            OSError: the disk refuses; the files stay as they were.
        """
        save_weights(self.folder / WEIGHTS, model, {"epoch": len(history), "step": step})
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Epoch._fields)
        writer.writerows(history)  # floats as their repr: nothing is rounded
        write_atomically(self.folder / METRICS, text.getvalue().encode())
        self.config.update(epochs_finished=len(history), step=step, **state)
        self._write_config()

    def note(self, **state: Any) -> None:
        """Change entries of the config alone, such as error="..."."""
        self.config.update(state)
        self._write_config()

    def history(self) -> list[Epoch]:
        """The finished epochs.

        Raises:
            RunError: metrics.csv is missing or damaged; the message names the line.
        """
        file = self.folder / METRICS
        try:
            with open(file, newline="", encoding="utf-8") as stream:
                lines = list(csv.reader(stream))
        except (OSError, ValueError) as error:
            raise RunError(f"{file}: cannot be read ({error})") from error
        if not lines or tuple(lines[0]) != Epoch._fields:
            raise RunError(f"{file}: the first line should be {','.join(Epoch._fields)}")
        epochs = []
        for number, line in enumerate(lines[1:], 2):
            try:
                epochs.append(Epoch(int(line[0]), *(float(cell) for cell in line[1:])))
            except (ValueError, TypeError, IndexError) as error:
                raise RunError(
                    f"{file}: line {number} is not {len(Epoch._fields)} numbers: {','.join(line)!r}"
                ) from error
        return epochs

    def model(self) -> tuple[Module, int, int]:
        """The trained net, in evaluation mode, and after which epoch and step of the next one it was saved.

        Raises:
            RunError: config.json describes no model that there is.
            CheckpointError: the weights are missing or damaged, or do not fit.
        """
        described = self.config["model"]
        model = self._build("model", lambda: build_model(described["name"], described["options"]))
        found = load_weights(self.folder / WEIGHTS, model)
        model.eval()
        return model, int(found.get("epoch", 0)), int(found.get("step", 0))

    def test_set(self, root: str | None = None) -> Any:
        """The test set it was judged on, from the folder `root` if the data are elsewhere now.

        Raises:
            RunError: config.json describes no dataset that there is.
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
        """How many test pictures were judged at once."""
        return int(self.config["training"].get("eval_batch_size", EVAL_BATCH))

    def _build(self, what: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (ValueError, TypeError) as error:
            raise RunError(f"{self.folder / CONFIG}: the {what} it describes cannot be built: {error}") from error

    def _write_config(self) -> None:
        write_atomically(self.folder / CONFIG, (json.dumps(self.config, indent=2) + "\n").encode())


def describe(
    recipe: Recipe,
    model: Module,
    train_set: Any,
    test_set: Any,
    *,
    seed: int,
    backend: str,
    root: str | None,
    command: str,
) -> dict[str, Any]:
    """The config of a run: everything needed to repeat it."""
    return {
        "format": FORMAT,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": command,
        "model": {
            "name": recipe.model,
            "options": dict(recipe.model_options),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
        "dataset": {
            "name": recipe.dataset,
            "root": root,
            "train": len(train_set),
            "test": len(test_set),
            "classes": list(test_set.classes),
            "transforms": [[name, dict(arguments)] for name, arguments in recipe.transforms],
            "augmentation": [[name, dict(arguments)] for name, arguments in recipe.augmentation],
        },
        "training": {
            "recipe": recipe.name,
            "loss": recipe.loss,
            "optimizer": recipe.optimizer,
            **recipe.optimizer_options,
            "batch_size": recipe.batch_size,
            "eval_batch_size": EVAL_BATCH,
            "epochs": recipe.epochs,
            "seed": seed,
            "backend": backend,
        },
        "environment": environment(backend),
        "epochs_finished": 0,
        "step": 0,
        "interrupted": False,
    }


def environment(backend: str = "auto") -> dict[str, Any]:
    """What the results depend on besides the settings: versions, processor, threads.

    The same seed gives the same bits where all of this and the backend are the same.
    """
    compiled = backend in ("auto", "numba") and runtime.have_numba()
    return {
        "minicnn": _version("minicnn"),
        "numpy": np.__version__,
        "numba": _version("numba"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": runtime.threads() if compiled else _blas_threads(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's name as it gives it itself."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _blas_threads() -> int:
    from threadpoolctl import threadpool_info

    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)


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
    """Make sure nothing is lost or mixed: the folder is new or empty, or a run to be given up."""
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
    Run.open(path)  # someone else's config.json stays
    for name in (WEIGHTS, METRICS, CONFIG):
        (path / name).unlink(missing_ok=True)


def _nearby(path: Path) -> str:
    """The runs in the folder, if it holds some, or in ./runs."""
    for place in (path, Path("runs")):
        if place.is_dir() and (runs := sorted(file.parent.name for file in place.glob(f"*/{CONFIG}"))):
            return f". Runs in {place}: {', '.join(runs[-5:])}"
    return ""
