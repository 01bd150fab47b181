"""The options that choose a recipe and change its settings."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .arguments import add_device, natural, positive

if TYPE_CHECKING:
    from ..train import Recipe


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add --dataset, --recipe and the options that change settings."""
    parser.add_argument(
        "--dataset", metavar="NAME", help="digits (bundled, the default), mnist, cifar10, ..., or folder:PATH"
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help="the settings to start from: a name, as `minicnn recipes` lists them, or a .toml file "
        "(default: the recipe for the net and dataset)",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting of the recipe, such as optimizer.weight_decay=1e-4 or "
        "augmentation.RandomCrop.padding=2; may be given several times",
    )
    parser.add_argument("--epochs", type=positive(int), metavar="N", help="instead of the recipe's")
    parser.add_argument("--batch-size", type=positive(int), metavar="N", help="instead of the recipe's")
    parser.add_argument("--lr", type=positive(float), metavar="X", help="the learning rate, instead of the recipe's")
    parser.add_argument(
        "--val",
        type=_validation,
        metavar="SHARE",
        help="the share of the training images that validates; 0: none; test: a curve of the test images, by which "
        "nothing is chosen (default: the recipe's)",
    )
    parser.add_argument(
        "--workers", type=natural, metavar="N", help="processes that load images, not the recipe's number"
    )
    add_device(parser, "the recipe's, cpu")


def chosen_recipe(options: argparse.Namespace, root: str | None = None) -> Recipe:
    """The recipe that the options name, with their changes, complete; `root` is the folder of the dataset's files."""
    from ..train import complete, find_recipe, settings_of

    changes = settings_of(options.settings)
    short: dict[str, Any] = {
        "epochs": options.epochs, "batch_size": options.batch_size, "validation": options.val,
        "workers": options.workers, "device": options.device,
    }  # fmt: skip
    changes |= {key: value for key, value in short.items() if value is not None}
    if options.lr is not None:
        earlier = changes.get("optimizer", {})
        changes["optimizer"] = {**({"name": earlier} if isinstance(earlier, str) else earlier), "lr": options.lr}
    recipe = find_recipe(options.model, options.dataset, options.recipe, changes)
    return complete(recipe, root, options.download)


def _validation(text: str) -> float | str:
    if text == "test":
        return text
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to below 1, and not the word test")
    return value


_validation.__name__ = "share"  # the name in argparse's message
