"""`minicnn warmup`: compile everything that a training needs, before it."""

from __future__ import annotations

import argparse
import time

from .arguments import Commands, add_backend, add_data, command
from .console import DONE
from .recipe_options import add_recipe, chosen_recipe


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "warmup", warmup)
    one.add_argument(
        "model", nargs="?", metavar="MODEL",
        help="the net; upper and lower case do not matter (default: the recipe's, or LeNet5)",
    )  # fmt: skip
    add_recipe(one)
    add_data(one)
    one.add_argument("--download", action="store_true", help="fetch missing files of the dataset")
    add_backend(one, "auto")


def warmup(options: argparse.Namespace) -> int:
    """Compile the kernels that training and evaluating a net need, on all cores, and keep them for all later runs."""
    from .. import use
    from ..train import Training

    start = time.perf_counter()
    session = Training(
        chosen_recipe(options, options.data), backend=options.backend, root=options.data, download=options.download
    )
    with use(backend=options.backend):
        count = session.warmup()
    recipe, seconds = session.recipe, time.perf_counter() - start
    what = f"{count} kernels compiled" if count else "nothing had to be compiled"
    print(f"{recipe.model} on {recipe.dataset}, batches of {recipe.batch_size}: {what}, {seconds:.1f} s")
    return DONE
