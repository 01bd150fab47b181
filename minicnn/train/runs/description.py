"""What a run's config.json says about the training: its settings, and what else its results depend on."""

from __future__ import annotations

import os
import platform
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from minicnn_kernels import runtime
from minicnn_kernels.arrays import gpu, is_emulated

from ...device import Device
from ...nn import Module
from ..recipes.settings import Recipe
from .config import FORMAT


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
    held_out: int = 0,
) -> dict[str, Any]:
    """The config of a run: everything needed to repeat it; `held_out` is the number of images for validation."""
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
            "validation": held_out,
            "test": len(test_set),
            "classes": list(test_set.classes),
            "only": None if recipe.classes is None else list(recipe.classes),
            "transforms": [[name, dict(arguments)] for name, arguments in recipe.eval_transforms],
            "augmentation": [[name, dict(arguments)] for name, arguments in recipe.augmentation],
        },
        "training": {
            "recipe": recipe.name,
            "loss": recipe.loss,
            "loss_options": dict(recipe.loss_options),
            "optimizer": recipe.optimizer,
            **recipe.optimizer_options,
            "decay": recipe.decay,
            "schedule": recipe.schedule,
            "schedule_options": dict(recipe.schedule_options),
            "schedule_every": recipe.schedule_every,
            "batch_size": recipe.batch_size,
            "eval_batch_size": recipe.eval_batch_size,
            "epochs": recipe.epochs,
            "validation": recipe.validation,
            "seed": seed,
            "backend": backend,
            "device": recipe.device,
        },
        "recipe": recipe.to_dict(),
        "environment": environment(backend, recipe.device),
        "epochs_finished": 0,
        "step": 0,
        "interrupted": False,
    }


def environment(backend: str = "auto", device: str = "cpu") -> dict[str, Any]:
    """What the results depend on besides the settings: versions, processor, threads; on a GPU also CuPy.

    If all of this and the backend are the same, the same seed gives the same bits.
    """
    on_gpu = {} if Device(device).type != "cuda" else {"cupy": gpu().__version__, "emulated": is_emulated()}
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
        **on_gpu,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """The name of the processor."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _blas_threads() -> int:
    from threadpoolctl import threadpool_info

    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
