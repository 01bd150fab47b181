"""`minicnn docs`: the documentation, read offline."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

from .arguments import Commands, command
from .console import DONE, FAILED

INSTALL = 'pip install -e ".[docs]"'


class DocsError(RuntimeError):
    """There are no pages to open, or nothing to build them from. The message says how to get them."""


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "docs", docs)
    one.add_argument("--build", action="store_true", help=f"build the pages first; needs {INSTALL} in a checkout")
    one.add_argument("--path", action="store_true", help="print where the pages are, and open nothing")


def docs(options: argparse.Namespace) -> int:
    """Open the documentation in a browser, from this machine; or say how to build it."""
    checkout = find_checkout()
    if options.build:
        _build(checkout)
    page = checkout / "build" / "docs" / "html" / "index.html" if checkout else None
    if page is None or not page.is_file():
        raise DocsError(f"the pages are not built; {_how(checkout)}, then minicnn docs --build (two minutes)")
    print(page)
    if options.path:
        return DONE
    import webbrowser

    if webbrowser.open(page.as_uri()):
        return DONE
    print("no browser was found here; open this file in one", file=sys.stderr)
    return FAILED


def find_checkout() -> Path | None:
    """The folder with the sources of the documentation: that of this code, or the current one, or one above it."""
    here = Path.cwd()
    for folder in (Path(__file__).parents[2], here, *here.parents):
        if (folder / "docs" / "build.py").is_file() and (folder / "minicnn" / "version.py").is_file():
            return folder
    return None


def _how(checkout: Path | None) -> str:
    if checkout is None:
        return f"in a checkout of minicnn (its folder docs has the sources), {INSTALL}"
    return f"in {checkout}, {INSTALL}" if importlib.util.find_spec("sphinx") is None else f"in {checkout}"


def _build(checkout: Path | None) -> None:
    """Build the pages.

    Raises:
        DocsError: there is no checkout, Sphinx is not installed, or the build failed.
    """
    if checkout is None or importlib.util.find_spec("sphinx") is None:
        raise DocsError(f"nothing to build the pages with; {_how(checkout)}, then minicnn docs --build")
    done = subprocess.run([sys.executable, str(checkout / "docs" / "build.py")], stdout=subprocess.DEVNULL)
    if done.returncode:
        raise DocsError("the pages could not be built; what is wrong stands above")
