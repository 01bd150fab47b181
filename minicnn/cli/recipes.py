"""`minicnn recipes`: the bundled recipes, and the text of one."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from .arguments import Commands, UsageError, command
from .console import DONE


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "recipes", recipes)
    one.add_argument("what", nargs="?", choices=("list", "show"), default="list", help="default: list")
    one.add_argument("name", nargs="?", metavar="NAME", help="the recipe to show")
    one.add_argument("--write", metavar="FILE", help="write the recipe to a file, to change it and train with it")
    one.add_argument("--whole", action="store_true", help="with all settings, also those that it extends or leaves out")


def recipes(options: argparse.Namespace) -> int:
    """List the recipes, or show one as the TOML file that `minicnn train --recipe FILE` reads."""
    from ..serialization.files import write_atomically
    from ..train import RECIPES, find_recipe
    from ..train.recipes.names import find

    if options.what == "list":
        if options.name or options.write or options.whole:
            raise UsageError("to see or write a recipe: minicnn recipes show NAME [--write FILE]")
        _list()
        return DONE
    if options.name is None:
        raise UsageError(f"name the recipe to show: {', '.join(RECIPES)}")
    name = find("recipe", options.name, RECIPES)
    text = find_recipe(name=name).to_toml() if options.whole else RECIPES[name].read_text(encoding="utf-8")
    if options.write is None:
        print(text, end="")
        return DONE
    file = Path(options.write)
    if file.suffix != ".toml":
        raise UsageError(f"the file of a recipe ends in .toml, got {options.write}")
    if file.exists():
        raise UsageError(f"{file} exists; remove it, or choose another name")
    write_atomically(file, text.encode())
    print(f"{file} written; train with it: minicnn train --recipe {file}")
    return DONE


def _list() -> None:
    from ..train.recipes import RECIPES, bundled

    for name in RECIPES:
        found = bundled(name)
        more = f" and {len(found.models) - 4} more" if len(found.models) > 4 else ""
        print(f"{name}: {', '.join(found.models[:4])}{more}; {', '.join(found.datasets)}")
        print(textwrap.fill(found.recipe.about, 100, initial_indent="    ", subsequent_indent="    "))
    print("fitted: any net and dataset that fit each other\n    common settings, not tuned")
