"""LeNet-5 on MNIST: what each improvement of the course's recipe is worth, one at a time, and all that help together.

    MINICNN_DATA=/path/to/data python benchmarks/lenet_ablation.py [--epochs 20] [--seeds 0 1 2] [--out DIR]
    python benchmarks/lenet_ablation.py --short --out DIR       # the same in a minute, on the bundled digits

Nine trainings for each seed: the course's recipe, seven with one change, and one with all changes that help. Test-time
augmentation needs no training of its own: the course's nets look at each image, also moved by a pixel to four sides.

A tenth of the training images is held out. They choose the epoch of each training, and they alone decide what helps: a
change does if its mean accuracy over the seeds is higher than the course's. The test images are evaluated once for each
net, at the end. For a seed all trainings have the same images in the same order.

The trainings are in DIR; those that are finished are not repeated, and one that was interrupted is continued, so that
the program can be stopped and started again. JSON, table and picture go to benchmarks/results, with --short to DIR.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from datetime import date
from pathlib import Path
from typing import Any

from timing import libraries, machine

RESULTS = Path(__file__).parent / "results"
COURSE, TTA, ALL = "course", "test-time augmentation", "all that help"
VIEWS = "shift"  # an image as it is, and moved by one pixel to each of four sides
MOVED = {"degrees": 10, "translate": [0.08, 0.08], "scale": [0.9, 1.1], "shear": 5, "interpolation": "bilinear"}
CHANGES: dict[str, dict[str, Any]] = {  # of the course's recipe
    COURSE: {},
    "Xavier init": {"init": "xavier"},
    "He init": {"init": "he"},
    "augmentation": {"augmentation": [{"RandomAffine": MOVED}], "augment_after": 1},
    "OneCycle, momentum": {
        "optimizer": {"name": "SGD", "lr": 0.05, "momentum": 0.9, "nesterov": True},
        "schedule": {"name": "OneCycleLR", "pct_start": 0.2, "cycle_momentum": False},
    },
    "mixup": {"mixup": 0.2},
    "label smoothing": {"loss": {"name": "CrossEntropyLoss", "label_smoothing": 0.1}},
    "moving average": {"ema": 0.999},
}
INITS = ("Xavier init", "He init")  # of these, the better one


def recipe_of(changes: dict[str, Any], options: argparse.Namespace) -> Any:
    """The course's recipe with changes, and the length of this program's trainings."""
    from minicnn.train import find_recipe

    size = {"dataset": "digits", "train_size": 400} if options.short else {}
    return find_recipe(
        "lenet5", "mnist", "lenet5-course", {"validation": 0.1, "epochs": options.epochs, **size, **changes}
    )


def trained(entries: dict[str, dict[str, Any]], folder: Path, options: argparse.Namespace) -> Any:
    """The results of training with each of the changes and each seed, new or continued."""
    from minicnn.train import compare, resume_comparison

    def tell(text: str) -> None:
        print(text, flush=True)

    recipes = {name: recipe_of(changes, options) for name, changes in entries.items()}
    plan = folder / "comparison.json"
    if not plan.exists():
        return compare(recipes, folder, seeds=options.seeds, tell=tell)
    about = json.loads(plan.read_text())["plan"]
    asked = {name: recipe.to_dict() for name, recipe in recipes.items()}
    if (about["recipes"], about["seeds"]) != (json.loads(json.dumps(asked)), options.seeds):
        raise ValueError(f"{folder} has trainings with other settings or seeds; choose another --out, or remove it")
    return resume_comparison(folder, tell=tell)


def seen_moved(folder: Path, seed: int) -> tuple[float, float]:
    """The accuracies, on validation and test images, of a finished run whose net looks at several views."""
    from minicnn.train import Run, TestTimeAugmentation, Training, evaluate

    run = Run.open(folder)
    images = Training(run.recipe(), seed=seed)
    net = TestTimeAugmentation(run.model()[0].eval(), VIEWS)
    return tuple(evaluate(net, loader, run.loss()).top1 for loader in (images.val_loader, images.test_loader))  # type: ignore[return-value]


def rows_of(found: Any) -> dict[str, dict[str, list[float]]]:
    """The accuracies of each entry, one for each seed."""
    names = dict.fromkeys(row.name for row in found.rows)
    return {name: {what: found.values(name, f"{what}_top1") for what in ("val", "test")} for name in names}


def with_views(folder: Path, seeds: list[int]) -> dict[str, list[float]]:
    """The accuracies of the nets in a folder when they look at several views."""
    both = [seen_moved(folder / f"seed-{seed}", seed) for seed in seeds]
    return {"val": [one[0] for one in both], "test": [one[1] for one in both]}


def helpful(rows: dict[str, dict[str, list[float]]]) -> list[str]:
    """The changes with a higher mean validation accuracy than the course's recipe; of the initialisations, the better.

    A change with a training that diverged does not help.
    """
    means = {name: statistics.fmean(one["val"]) for name, one in rows.items()}
    worse = min(INITS, key=lambda name: (means[name] == means[name], means[name]))  # NaN is the worst
    return [name for name in rows if name not in (COURSE, worse) and means[name] > means[COURSE]]


def table(rows: dict[str, dict[str, list[float]]], chosen: list[str]) -> str:
    """In Markdown: mean and range over the seeds; and what a change is worth, in pairs of the same seed."""
    from minicnn.train import spread

    lines = [
        "| | validation (%) | test (%) | test, difference to the course's (points) | helps |",
        "|---|---|---|---|---|",
    ]
    for name, one in rows.items():
        gains = [b - a for a, b in zip(rows[COURSE]["test"], one["test"], strict=True)]
        gain = "" if name == COURSE else spread(gains, 2, 100)
        mark = "" if name in (COURSE, ALL) else "yes" if name in chosen else "no"
        lines.append(f"| {name} | {spread(one['val'], 2, 100)} | {spread(one['test'], 2, 100)} | {gain} | {mark} |")
    return "\n".join(lines)


def draw(rows: dict[str, dict[str, list[float]]], file: Path) -> None:
    """The test accuracies: a point for each seed, a bar at their mean."""
    from minicnn.visualize.style import BLUE, GREY, ORANGE, drawing

    with drawing(8, 0.7 + 0.42 * len(rows), file) as figure:
        axes = figure.subplots()
        for y, (name, one) in enumerate(rows.items()):
            color = GREY if name == COURSE else ORANGE if name == ALL else BLUE
            values = [100 * value for value in one["test"]]
            axes.plot(values, [y] * len(values), "o", color=color, alpha=0.6, markersize=6, linestyle="none")
            axes.plot([statistics.fmean(values)] * 2, [y - 0.3, y + 0.3], color=color)
        axes.axvline(100 * statistics.fmean(rows[COURSE]["test"]), color=GREY, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(rows)), list(rows))
        axes.invert_yaxis()
        axes.set_title("Test accuracy (%): each seed, and the mean")
        axes.grid(axis="x")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, help="of each training (default: 20, or 2 with --short)")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: 0 1 2, or 0 1 with --short")
    parser.add_argument("--out", type=Path, default=Path("runs/lenet-ablation"), help="default: %(default)s")
    parser.add_argument("--short", action="store_true", help="400 of the bundled digits, to try the program")
    options = parser.parse_args()
    options.epochs = options.epochs or (2 if options.short else 20)
    options.seeds = options.seeds or ([0, 1] if options.short else [0, 1, 2])
    found = libraries(False)
    try:
        rows = rows_of(trained(CHANGES, options.out / "single", options))
        rows[TTA] = with_views(options.out / "single" / COURSE, options.seeds)
        chosen = helpful(rows)
        together = {key: value for name in chosen if name != TTA for key, value in CHANGES[name].items()}
        rows |= rows_of(trained({ALL: together}, options.out / "all", options))
        if TTA in chosen:
            rows[ALL] = with_views(options.out / "all" / ALL.replace(" ", "-"), options.seeds)
    except ValueError as error:
        parser.error(str(error))
    file = (options.out if options.short else RESULTS) / "lenet_ablation.json"
    about = {"epochs": options.epochs, "seeds": options.seeds, "dataset": "digits" if options.short else "mnist"}
    results = {"settings": about, "machine": f"{machine(found)}, {date.today().isoformat()}",
               "changes": CHANGES, "helpful": chosen, "accuracies": rows}  # fmt: skip
    file.write_text(json.dumps(results, indent=1) + "\n")
    text = table(rows, chosen)
    file.with_suffix(".md").write_text(text + "\n")
    print(text)
    draw(rows, file.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
