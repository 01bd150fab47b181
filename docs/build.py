"""Builds the documentation site, to be read offline: `python docs/build.py`, then open build/docs/html/index.html.

Needs `pip install -e ".[docs]"`. Warnings are errors: a link that leads nowhere, a name that is not there, a docstring
that cannot be read.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))


def main(arguments: list[str] | None = None) -> int:
    """Collect the pages and run Sphinx; the exit code."""
    from assemble import LinkError, Site
    from sphinx.cmd.build import main as sphinx

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="build all pages again")
    parser.add_argument("--keep-going", action="store_true", help="show warnings, and go on")
    parser.add_argument("-j", "--jobs", default="auto", help="processes (default: one for each core)")
    options = parser.parse_args(arguments)
    folder = HERE.parent / "build" / "docs"
    if options.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        Site().write(folder / "source")
    except LinkError as error:
        print(error, file=sys.stderr)
        return 1
    strict = [] if options.keep_going else ["--fail-on-warning"]
    run = ["-b", "html", "-c", str(HERE), "-d", str(folder / "doctrees"), "-j", options.jobs, "-q", *strict]
    code = int(sphinx([*run, str(folder / "source"), str(folder / "html")]))
    if not code:
        print(folder / "html" / "index.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
