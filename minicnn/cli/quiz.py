"""`minicnn exercise quiz`: questions about convolutional nets, asked here or printed as a sheet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, UsageError, add_output, command, positive, seed
from .console import DONE

if TYPE_CHECKING:
    from ..exercises.quiz import Question, Verdict

FORMATS = {"": "text", ".txt": "text", ".md": "markdown", ".html": "html", ".htm": "html"}


def add_quiz(commands: Commands) -> None:
    """Define the command `quiz` below `exercise`."""
    one = command(commands, "quiz", quiz)
    one.add_argument(
        "of", nargs="?", metavar="TOPIC|ID",
        help="a topic or a question (--list shows them), or the id of one question, such as output-size-7 (default: "
        "all)",
    )  # fmt: skip
    one.add_argument("--list", action="store_true", help="list topics and questions")
    one.add_argument("-n", "--number", type=positive(int), metavar="N", help="how many questions (default: 10)")
    one.add_argument("--seed", type=seed, metavar="N", help="of the random numbers (default: others in each run)")
    one.add_argument("--slides", action="store_true", help="the questions of courses, with their numbers")
    one.add_argument("--sheet", action="store_true", help="print them instead of asking")
    one.add_argument("--answers", action="store_true", help="print them with answers and calculations")
    add_output(one, "write the sheet to a file: .txt, .md or .html (where curves are drawn)")


def quiz(options: argparse.Namespace) -> int:
    """Answer questions about sizes, costs, receptive fields, training curves and more; or print them as a sheet."""
    from ..exercises.quiz import TOPICS, questions, sheet

    if options.list:
        for topic, (about, templates) in TOPICS.items():
            print(f"{topic}: {about}")
            width = max(len(one.name) for one in templates)
            print("".join(f"    {one.name:<{width}}  {one.about}\n" for one in templates), end="")
        return DONE
    number = options.seed
    if number is None:
        import secrets

        number = secrets.randbelow(10_000)
    try:
        found = questions(options.of, options.number, number, from_slides=options.slides)
    except ValueError as error:
        raise UsageError(str(error).removeprefix("quiz: ")) from error
    if options.output is not None:
        suffix = Path(options.output).suffix.lower()
        if suffix not in FORMATS:
            raise UsageError(f"--output {options.output}: a sheet is written as .txt, .md or .html")
        Path(options.output).write_text(sheet(found, FORMATS[suffix], answers=options.answers), encoding="utf-8")
        print(options.output)
    elif options.sheet or options.answers:
        print(sheet(found, answers=options.answers), end="")
    else:
        _ask(found)
    return DONE


def _ask(questions: list[Question]) -> None:
    """Ask all questions and print the score; the end of the input or Ctrl-C ends it earlier."""
    from ..exercises.quiz.sheet import lines, solution

    print("Press Enter without an answer to see the solution; Ctrl-C ends the quiz.")
    right = second = asked = 0
    try:
        for number, one in enumerate(questions, 1):
            print(f"\nQuestion {number} of {len(questions)} ({one.id})\n")
            print("\n".join(lines(one)), end="\n\n")
            verdict, attempts = _answer(one)
            asked += 1
            right += verdict
            second += verdict and attempts > 1
            print("\n".join(solution(one)))
    except (EOFError, KeyboardInterrupt):
        print()
    again = f", {second} of them at the second try" if second else ""
    print(f"\n{right} of {asked} {'answer' if asked == 1 else 'answers'} right{again}.")


def _answer(one: Question) -> tuple[bool, int]:
    """Ask until the answer is right, wrong twice, or given up; whether it is right, and how many answers there were."""
    for attempt in (1, 2):
        verdict = _understood(one)
        if verdict is None:
            return False, attempt
        print(verdict.text)
        if verdict.right:
            return True, attempt
        if attempt == 1:
            print("Try once more, or press Enter for the solution.")
    return False, 2


def _understood(one: Question) -> Verdict | None:
    """The verdict on the next answer that can be understood; None for an empty line."""
    while True:
        try:
            typed = input("> ")
        except RuntimeError:  # there is no standard input
            raise EOFError from None
        if not typed.strip():
            return None
        verdict = one.check(typed)
        if verdict.understood:
            return verdict
        print(f"{verdict.text[:1].upper()}{verdict.text[1:]}.")
