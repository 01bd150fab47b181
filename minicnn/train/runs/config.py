"""Reads config.json of a run folder, and checks every entry before anything is built from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minicnn_kernels.dispatch import BACKENDS, EMULATED, ON_GPU

from ...serialization.files import read_text

FORMAT = "minicnn run 1"
AGAIN = "restore it from a copy, or train again"


class RunError(RuntimeError):
    """A run folder that cannot be made or read. The message names the folder and the remedy."""


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value < 2**64


def _steps(value: Any) -> bool:
    """[["Resize", {"size": [32, 32]}], ...]"""
    return isinstance(value, list) and all(
        isinstance(step, list) and len(step) == 2 and isinstance(step[0], str) and isinstance(step[1], dict)
        for step in value
    )


_TEXT = (lambda value: isinstance(value, str), "text")
_OPTIONS = (lambda value: isinstance(value, dict), "an object of options")
_BACKENDS = ("auto", *BACKENDS, *ON_GPU, EMULATED)
# The entries needed later, for each part of the config: a check, and what the value should be.
_PARTS: dict[str, dict[str, tuple[Callable[[Any], bool], str]]] = {
    "model": {"name": _TEXT, "options": _OPTIONS},
    "dataset": {
        "name": _TEXT,
        "root": (lambda value: value is None or isinstance(value, str), "a folder or null"),
        "transforms": (_steps, "a list of [name, options]"),
    },
    "training": {
        "epochs": (_whole(1), "a whole number above 0"),
        "backend": (lambda value: value in _BACKENDS, f"one of {', '.join(_BACKENDS)}"),
        "seed": (_whole(0), "a whole number"),
        "loss": _TEXT,
    },
}
_OPTIONAL = {
    ("training", "eval_batch_size"): (_whole(1), "a whole number above 0"),
    ("training", "device"): _TEXT,
    ("training", "loss_options"): _OPTIONS,
    ("dataset", "classes"): (lambda value: isinstance(value, list), "a list of names"),
    ("dataset", "only"): (lambda value: value is None or isinstance(value, list), "a list of classes or null"),
}


def read_config(file: Path) -> dict[str, Any]:
    """The content of a config.json.

    Raises:
        FileNotFoundError: the file does not exist.
        RunError: the file cannot be read, is not JSON or not the config of a run, or an entry is missing or wrong.
    """
    try:
        config = json.loads(read_text(file))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{file}: cannot be read ({reason(error)}); {AGAIN}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise RunError(f"{file}: not the config of a run; its format should be {FORMAT!r}; {AGAIN}")
    for part, keys in _PARTS.items():
        values = config[part] if isinstance(config.get(part), dict) else {}
        missing = [key for key in keys if key not in values]
        if missing:
            raise RunError(f"{file}: {part} lacks {', '.join(missing)}; {AGAIN}")
        for key, (fits, kind) in keys.items():
            _check(file, part, key, values[key], fits, kind)
    for (part, key), (fits, kind) in _OPTIONAL.items():
        if key in config[part]:
            _check(file, part, key, config[part][key], fits, kind)
    return config


def _check(file: Path, part: str, key: str, value: Any, fits: Callable[[Any], bool], kind: str) -> None:
    try:
        good = fits(value)
    except TypeError:  # such as a list looked up in a set
        good = False
    if not good:
        raise RunError(f"{file}: {part}.{key} should be {kind}, got {shortened(value)}; {AGAIN}")


def reason(error: BaseException) -> str:
    """The text of an error; of an OSError without number and file name, since our message names the file."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def shortened(value: Any) -> str:
    """The repr of a value, at most 60 characters of it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
