"""`minicnn exercise`: layers to be written by hand, and graded: list, new, check, solution; and the quiz."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, UsageError, add_output, command, positive
from .console import DONE, FAILED
from .quiz import add_quiz

if TYPE_CHECKING:
    from ..exercises import Report


def add_command(commands: Commands) -> None:
    """Define the command and its parts."""
    about = "Exercises: write a layer by hand, and have it graded by the library's own kernels; or a quiz."
    one = commands.add_parser("exercise", help=about, description=about, allow_abbrev=False)
    parts = one.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_list, _add_new, _add_check, _add_solution, add_quiz):
        add(parts)


def _add_list(parts: Commands) -> None:
    one = command(parts, "list", list_all)
    one.add_argument("--folder", metavar="DIR", default=".", help="where your files are (default: this folder)")
    one.add_argument("--fast", action="store_true", help="do not check the files that are there")


def _add_new(parts: Commands) -> None:
    one = command(parts, "new", new)
    one.add_argument("names", nargs="+", metavar="NAME", help="of an exercise")
    add_output(one, "the file, or a folder for several exercises (default: NAME.py)")
    one.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def _add_check(parts: Commands) -> None:
    one = command(parts, "check", check)
    one.add_argument("file", metavar="FILE", help="the file with your function")
    one.add_argument("names", nargs="*", metavar="NAME", help="exercises (default: all that the file answers)")
    one.add_argument(
        "--seconds", type=positive(float), default=10.0, metavar="N", help="the time limit for a case (default: 10)"
    )
    add_output(one, "write the report to a file, as text or as a page (.html)")


def _add_solution(parts: Commands) -> None:
    one = command(parts, "solution", solution)
    one.add_argument("name", metavar="NAME", help="of an exercise")
    add_output(one, "write it to a file")


def list_all(options: argparse.Namespace) -> int:
    """List the exercises: name, difficulty, and whether the file NAME.py in your folder is right."""
    from ..exercises import EXERCISES

    folder = Path(options.folder)
    if not folder.is_dir():
        raise UsageError(f"--folder {options.folder} is no folder")
    width = max(map(len, EXERCISES))
    topic = ""
    for name, exercise in EXERCISES.items():
        if exercise.topic != topic:
            topic = exercise.topic
            print(f"\n{topic}" if name != next(iter(EXERCISES)) else topic)
        state = _state(folder / f"{name}.py", name, options.fast)
        print(
            f"  {name.ljust(width)}  {('*' * exercise.level).ljust(3)}  {state.ljust(12)}  {exercise.title}", flush=True
        )
    return DONE


def _state(file: Path, name: str, fast: bool) -> str:
    """Whether an exercise is done: "", "begun", or "3 of 9" cases, or "done"."""
    from ..exercises import check_file

    if not file.is_file():
        return ""
    if fast:
        return "begun"
    (report,) = check_file(file, [name])
    return "done" if report.ok else f"{report.passed} of {len(report.cases)}" if report.results else "begun"


def new(options: argparse.Namespace) -> int:
    """Write the file of an exercise: statement, hints, and a function to fill in."""
    from ..exercises import find, stub

    names = [find(name).name for name in options.names]
    out = Path(options.output or ".")
    many = options.output is None or len(names) > 1 or out.is_dir()
    if options.output is not None and len(names) > 1 and not out.is_dir():
        raise UsageError(f"--output {out}: for several exercises give a folder that is there")
    files = [out / f"{name}.py" if many else out for name in names]
    for file in files:
        if file.exists() and not options.overwrite:
            raise UsageError(f"{file} is there already; give another name with -o, or replace it with --overwrite")
    for name, file in zip(names, files, strict=True):
        file.write_text(stub(name), encoding="utf-8")
        print(file)
    return DONE


def check(options: argparse.Namespace) -> int:
    """Grade a file: what is right, the smallest case that fails, and the name of the mistake."""
    from ..exercises import check_file

    reports = check_file(options.file, options.names, options.seconds)
    if options.output is None:
        print("\n\n".join(map(str, reports)))
    else:
        _write(reports, Path(options.output))
    return DONE if all(report.ok for report in reports) else FAILED


def _write(reports: list[Report], out: Path) -> None:
    if out.suffix.lower() in (".html", ".htm"):
        page = "".join(report._repr_html_() for report in reports)
        out.write_text(
            f'<!doctype html><meta charset="utf-8"><title>minicnn exercise</title>{page}\n', encoding="utf-8"
        )
    else:
        out.write_text("\n\n".join(map(str, reports)) + "\n", encoding="utf-8")
    print(out)


def solution(options: argparse.Namespace) -> int:
    """Print the solution of an exercise, cut out of the library, with the lines where it is."""
    from ..exercises import solution as text

    if options.output is None:
        print(text(options.name), end="")
    else:
        Path(options.output).write_text(text(options.name), encoding="utf-8")
        print(options.output)
    return DONE
