"""Several nets or recipes, trained under the same conditions and with several seeds, so that chance can be told.

    folder/comparison.json        what is compared, and all results
    folder/<name>/seed-<n>/       the run folder of each training

All entries get the same time or the same number of epochs, the same training, validation and test images, and, seed by
seed, the same order of the images. In each training the epoch is chosen by the validation images, and so is the entry
that the others are measured against; the test images only say how good the result is.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..datasets import DatasetError
from ..device import Device
from ..serialization.files import read_text, write_atomically
from .comparison import Compared, Comparison
from .divergence import DivergedError
from .loop import never
from .progress import Epoch
from .recipes.building import build_model
from .recipes.data import build_dataset
from .recipes.names import MODELS, SettingError, find, find_dataset
from .recipes.settings import Recipe
from .runs.config import AGAIN, RunError, reason
from .runs.run import CONFIG, Run
from .session import Training

__all__ = ["compare", "resume_comparison"]

FILE, FORMAT = "comparison.json", "minicnn comparison 1"
WARM, STEPS, SECONDS = 3, 40, 4.0  # of the trial that measures the speed: steps to warm up, steps, seconds at most
EVALUATION = 1 / 3  # of the time of a training step: the forward pass alone, about


@dataclass
class _Plan:
    """What is compared, as comparison.json keeps it."""

    recipes: dict[str, Recipe]
    seeds: list[int]
    backend: str
    root: str | None
    budget: float | None = None
    notes: list[str] = field(default_factory=list)


def compare(
    entries: Mapping[str, Recipe | Run], folder: str | Path, *, seeds: Iterable[int] = (0, 1, 2),
    budget: float | None = None, epochs: int | None = None, backend: str = "auto", root: str | None = None,
    download: bool = False, stop: Callable[[], bool] = never, tell: Callable[[str], None] = lambda text: None,
    progress: bool = False,
) -> Comparison:  # fmt: skip
    """Train every recipe with every seed; of a run that is an entry, the results count as they are.

    Args:
        entries: by their names.
        folder: for the run folders and the results; new or empty.
        seeds: for each recipe.
        budget: seconds for each training: the number of epochs is such that a training takes about this long, measured
            by a trial of some seconds. None: see `epochs`.
        epochs: of each training; None, without `budget`: those of the recipes.
        backend, root, download: as in `Training`.
        stop: called after each step; when it returns True, everything is saved, and what is finished is returned.
        tell: called with a line of text for each step of the comparison.
        progress: show bars of progress.

    Raises:
        SettingError: recipes for different datasets or images, which cannot be compared; a budget and epochs.
        RunError: the folder is not empty; a run that is an entry is not complete.

    >>> import tempfile
    >>> from minicnn.train import compare, find_recipe
    >>> changes = {"train_size": 200}
    >>> nets = {name: find_recipe(name, "digits", changes=changes) for name in ("lenet5", "mlp")}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = compare(nets, folder + "/both", seeds=[0], epochs=1)
    >>> found.images, sorted(found.names)
    (360, ['lenet5', 'mlp'])
    """
    path = Path(folder).expanduser()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(f"the folder {path} is not empty; choose a new one, or continue with --resume {path}")
    if budget is not None and epochs is not None:
        raise SettingError("give a budget of time or a number of epochs, not both")
    recipes = {name: one for name, one in entries.items() if isinstance(one, Recipe)}
    runs = {name: one for name, one in entries.items() if isinstance(one, Run)}
    wanted = list(dict.fromkeys(seeds))
    if not entries or (recipes and not wanted):
        raise SettingError("compare: there is nothing to train; give nets or recipes, and at least one seed")
    plan = _Plan(recipes, wanted, backend, None if root is None else str(root), budget)
    _make_equal(plan, runs)
    if budget is not None:
        for name, recipe in plan.recipes.items():
            tell(f"{name}: measuring the speed")
            plan.recipes[name] = _fitted(recipe, name, budget, plan, download)
            tell(plan.notes[-1])
    elif epochs is not None:
        plan.recipes = {name: replace(recipe, epochs=epochs) for name, recipe in plan.recipes.items()}
    path.mkdir(parents=True, exist_ok=True)
    given = [_row(name, run, run.history()) for name, run in runs.items()]
    images = max((int(run.results()["test"].get("images", 0)) for run in runs.values()), default=0)
    costs = {name: _cost(one if isinstance(one, Recipe) else one.recipe(), plan.root) for name, one in entries.items()}
    return _carry_out(path, plan, Comparison(tuple(given), costs, images), stop, tell, progress, download)


def resume_comparison(
    folder: str | Path, *, root: str | None = None, download: bool = False, stop: Callable[[], bool] = never,
    tell: Callable[[str], None] = lambda text: None, progress: bool = False,
) -> Comparison:  # fmt: skip
    """Go on with a comparison that was interrupted: finished trainings count, the others are continued or begun.

    Raises:
        RunError: the folder holds no comparison, or a damaged one.
    """
    path = Path(folder).expanduser()
    file = path / FILE
    try:
        data = json.loads(read_text(file))
        if data["format"] != FORMAT:
            raise ValueError(f"its format is {data['format']!r}, and should be {FORMAT!r}")
        about = data["plan"]
        recipes = {str(name): Recipe.from_dict(one) for name, one in about["recipes"].items()}
        for recipe in recipes.values():
            find("model", recipe.model, MODELS)
            find_dataset(recipe.dataset)
        plan = _Plan(recipes, [int(one) for one in about["seeds"]], str(about["backend"]), root or about["root"],
                     about["budget"], [str(note) for note in about["notes"]])  # fmt: skip
        rows = [_from_data(row) for row in data["rows"]]
        costs = {str(name): (str(net), int(size), int(macs)) for name, (net, size, macs) in data["costs"].items()}
        if lost := {*recipes, *(row.name for row in rows)} - costs.keys():
            raise ValueError(f"costs lacks {', '.join(sorted(map(repr, lost)))}")
        images = int(data["test_images"])
    except FileNotFoundError as error:
        raise RunError(f"{path} holds no comparison: there is no {FILE}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{file}: cannot be read ({reason(error)}); {AGAIN}") from error
    return _carry_out(path, plan, Comparison(tuple(rows), costs, images), stop, tell, progress, download)


def _make_equal(plan: _Plan, runs: Mapping[str, Run]) -> None:
    """Refuse what cannot be compared, and give all recipes the same images."""
    settings = [*plan.recipes.values(), *(run.recipe() for run in runs.values())]
    for what in ("dataset", "classes", "train_size"):
        if len(found := {str(getattr(one, what)) for one in settings}) > 1:
            raise SettingError(
                f"compare: the entries differ in {what}: {', '.join(sorted(found))}; accuracies on different images "
                "cannot be compared"
            )
    shares = {one.validation for one in settings}
    share = next((one for one in shares if isinstance(one, float) and one > 0), 0.1) if len(shares) == 1 else 0.1
    for name, recipe in plan.recipes.items():
        if recipe.validation != share:
            plan.notes.append(f"{name}: validation {recipe.validation!r} became {share}, as for all")
            plan.recipes[name] = replace(recipe, validation=share)
    for name, run in runs.items():
        if run.recipe().validation != share:
            plan.notes.append(
                f"{name} was trained with validation {run.recipe().validation!r}, the others with {share}"
            )
        plan.notes.append(f"{name} was trained before, for {len(run.history())} epochs: its budget may be another one")


def _fitted(recipe: Recipe, name: str, budget: float, plan: _Plan, download: bool) -> Recipe:
    """The recipe with the number of epochs that fits into the budget, measured by the first steps of a training."""
    training = Training(recipe, seed=plan.seeds[0], backend=plan.backend, root=plan.root, download=download)
    steps = len(training.train_loader)
    times: list[float] = []

    def enough() -> bool:
        times.append(time.perf_counter())
        measured = len(times) - 1 - WARM
        return measured >= STEPS or (measured >= 1 and times[-1] - times[WARM] > min(SECONDS, budget / 4))

    training.recipe = replace(recipe, epochs=1 + -(-(STEPS + WARM + 1) // steps), early_stopping=None)
    training.early_stopping = training.scheduler = None  # a trial may have more steps than the recipe
    with tempfile.TemporaryDirectory() as folder:
        training.run(Path(folder) / "trial", stop=enough, quiet=True, progress=False)
    step = statistics.median(end - start for start, end in zip(times[WARM:], times[WARM + 1 :], strict=False))
    batches = steps + EVALUATION * len(training.val_set) / recipe.batch_size
    seconds = step * batches
    count = max(1, int(budget / seconds))
    plan.notes.append(f"{name}: an epoch takes about {seconds:.2g} s, so {count} of them in {budget:g} s")
    return replace(recipe, epochs=count)


def _carry_out(
    path: Path, plan: _Plan, found: Comparison, stop: Callable[[], bool], tell: Callable[[str], None], progress: bool,
    download: bool,
) -> Comparison:  # fmt: skip
    """Train what is not trained yet; the results are written after each training."""
    found = replace(found, notes=tuple(plan.notes), complete=False)
    _write(path / FILE, plan, found)
    for seed in plan.seeds:  # one seed after the other, so that an interrupted comparison has all entries
        for name, recipe in plan.recipes.items():
            if any((row.name, row.seed) == (name, seed) for row in found.rows):
                continue
            row, images = None, found.images
            if not stop():
                row, images = _trained(
                    path / _slug(name) / f"seed-{seed}", name, recipe, seed, plan, stop, progress, download
                )
            if row is None:
                return found
            found = replace(found, rows=(*found.rows, row), images=images or found.images)
            said = f"diverged: {row.diverged}" if row.diverged else f"test accuracy {row.test_top1:.2%}"
            tell(f"{name}, seed {seed}: {said} ({row.seconds:.0f} s of training)")
            _write(path / FILE, plan, found)
    found = replace(found, complete=True)
    _write(path / FILE, plan, found)
    return found


def _trained(
    folder: Path, name: str, recipe: Recipe, seed: int, plan: _Plan, stop: Callable[[], bool], progress: bool,
    download: bool,
) -> tuple[Compared | None, int]:  # fmt: skip
    """The results of a training that is continued or begun, and the number of test images; None if it was stopped."""
    source: dict[str, Any] = {"root": plan.root, "download": download}
    run = Run.open(folder) if (folder / CONFIG).is_file() else None
    if run is None or not run.is_complete:
        if run is not None and run.checkpoint() is not None:
            training = Training.resume(folder, **source)
        else:
            training = Training(recipe, seed=seed, backend=plan.backend, **source)
        try:
            run = training.run(folder, overwrite=True, stop=stop, quiet=True, progress=progress)
        except DivergedError as error:
            return _row(name, Run.open(folder), training.progress.history, str(error)), 0
        if not run.is_complete:
            return None, 0
    return _row(name, run, run.history()), int(run.results()["test"].get("images", 0))


def _row(name: str, run: Run, history: Sequence[Epoch], diverged: str = "") -> Compared:
    """What a finished training reached."""
    seed = int(run.config["training"]["seed"])
    seconds = sum(row.seconds for row in history)
    speed = statistics.fmean(row.images_per_second for row in history) if history else math.nan
    if diverged:
        nothing = math.nan
        epochs, curve = len(history), _curve(history)
        return Compared(name, seed, 0, epochs, nothing, nothing, nothing, seconds, speed, diverged, curve)
    results = run.results()
    test, held_out = results["test"], results["validation"]
    if held_out is None:  # accuracies after the epochs, if any, are those of the test images
        history = [row._replace(val_top1=math.nan) for row in history]
    return Compared(
        name, seed, results["epoch"], len(history), held_out["top1"] if held_out else math.nan, test["top1"],
        test["loss"], seconds, speed, "", _curve(history),
    )  # fmt: skip


def _curve(history: Sequence[Epoch]) -> tuple[tuple[float, float, float], ...]:
    points, passed = [], 0.0
    for row in history:
        passed += row.seconds
        points.append((row.train_loss, row.val_top1, passed))
    return tuple(points)


def _cost(recipe: Recipe, root: str | None) -> tuple[str, int, int]:
    """The net's name, its parameters, and its MACs for one image of the test set; -1 MACs if its files are missing."""
    from ..analysis.summary import summary

    with Device("meta"):
        model = build_model(recipe.model, recipe.model_options)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    try:
        source: dict[str, Any] = {"root": root, "classes": recipe.classes}
        image, _ = build_dataset(recipe.dataset, train=False, steps=recipe.eval_transforms, **source)[0]
    except DatasetError:
        return recipe.model, parameters, -1
    return recipe.model, parameters, int(summary(model, tuple(image.shape), verbose=False).total_macs)


def _slug(name: str) -> str:
    """A name as that of a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "entry"


def _write(file: Path, plan: _Plan, found: Comparison) -> None:
    about = {
        "recipes": {name: recipe.to_dict() for name, recipe in plan.recipes.items()}, "seeds": plan.seeds,
        "backend": plan.backend, "root": plan.root, "budget": plan.budget, "notes": plan.notes,
    }  # fmt: skip
    rows = [_numbers(asdict(row)) for row in found.rows]
    data = {"format": FORMAT, "plan": about, "complete": found.complete, "test_images": found.images,
            "costs": {name: list(cost) for name, cost in found.costs.items()}, "rows": rows}  # fmt: skip
    write_atomically(file, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode())


def _numbers(value: Any) -> Any:
    """NaN and infinite numbers as None, which JSON can hold."""
    if isinstance(value, dict):
        return {key: _numbers(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _from_data(row: Mapping[str, Any]) -> Compared:
    """A row as `_write` writes it.

    Raises:
        KeyError, TypeError, ValueError: a value is missing or of another type.
    """
    kinds = {"name": str, "diverged": str, "seed": int, "epoch": int, "epochs": int}
    values: dict[str, Any] = {}
    for key in (one.name for one in fields(Compared) if one.name != "curve"):
        values[key] = row[key] if key in kinds else _number(row[key])
        if type(values[key]) is not kinds.get(key, float):
            raise ValueError(f"{key} of a row is {row[key]!r}")
    curve = tuple((_number(loss), _number(top1), _number(seconds)) for loss, top1, seconds in row["curve"])
    return Compared(**values, curve=curve)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
