"""Questions as a sheet to print: plain text, Markdown, or a page of its own; without the answers, or with them."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from collections.abc import Callable, Iterator, Sequence

from .question import Curves, Question

WIDTH = 100
TITLE = "Questions about convolutional nets"


def sheet(questions: Sequence[Question], format: str = "text", *, answers: bool = False, title: str = TITLE) -> str:
    """All questions, numbered.

    Args:
        questions: those to print.
        format: "text", "markdown", or "html", a page that needs no other file, where curves are drawn.
        answers: with the answer and the calculation after each question, for the teacher.
        title: above them.

    Raises:
        ValueError: there are no questions, or there is no such format.

    >>> from minicnn.exercises.quiz import questions, sheet
    >>> sheet(questions("output-size", 3)).count("output")
    3
    """
    if format not in FORMATS:
        raise ValueError(f"sheet: no format {format!r}; there are: {', '.join(FORMATS)}")
    if not questions:
        raise ValueError("sheet: there are no questions to print")
    return FORMATS[format](questions, answers, title)


def lines(question: Question) -> Iterator[str]:
    """The question as lines of text: what is asked, what belongs to it, and the options."""
    yield from textwrap.wrap(question.text, WIDTH)
    if question.block:
        yield ""
        yield from (f"    {line}".rstrip() for line in question.block.splitlines())
    if question.options:
        yield ""
        yield from (f"    {letter}) {option}" for letter, option in _lettered(question))


def solution(question: Question) -> Iterator[str]:
    """The answer and the way to it, as lines of text."""
    yield f"Answer: {question.solution}"
    for step in question.steps:
        yield from textwrap.wrap(
            step, WIDTH - 4, initial_indent="    ", subsequent_indent="      ", break_long_words=False
        )
    if question.note:
        yield from textwrap.wrap(f"Note: {question.note}", WIDTH)


def _lettered(question: Question) -> Iterator[tuple[str, str]]:
    return ((chr(ord("a") + i), option) for i, option in enumerate(question.options))


def _text(questions: Sequence[Question], answers: bool, title: str) -> str:
    found = [title, "=" * len(title)]
    for number, one in enumerate(questions, 1):
        first, *rest = lines(one)
        found += ["", f"{number}. {first}", *(f"{' ' * (len(str(number)) + 2)}{line}".rstrip() for line in rest)]
        found += ["", *solution(one), f"({one.id})"] if answers else ["", "Answer: " + "_" * 40]
    return "\n".join(found) + "\n"


def _markdown(questions: Sequence[Question], answers: bool, title: str) -> str:
    found = [f"# {title}"]
    for number, one in enumerate(questions, 1):
        found += ["", f"## {number}", "", _safe(one.text)]
        if one.block:
            found += ["", "```", one.block, "```"]
        if one.options:
            found += ["", *(f"- {letter}) {_safe(option)}" for letter, option in _lettered(one))]
        if answers:
            found += ["", f"**Answer: {_safe(one.solution)}**", "", *(f"- {_safe(step)}" for step in one.steps)]
            found += ["", _safe(one.note)] if one.note else []
            found += ["", f"`{one.id}`" + "".join(f"; {_safe(source)}" for source in one.sources)]
        else:
            found += ["", "Answer:"]
    return "\n".join(found) + "\n"


def _safe(text: str) -> str:
    """Text that Markdown shows as it is; addresses stay links."""
    for mark in "\\`*_<>|":
        text = text.replace(mark, f"\\{mark}")
    return text


_STYLE = """
body { font: 16px system-ui, sans-serif; margin: 2em auto; max-width: 52em; padding: 0 1em }
body { color: #222; background: #fff }
section { margin: 2em 0; break-inside: avoid }
pre { background: #f4f6f8; padding: .6em 1em; overflow-x: auto; font-size: 13px }
ol.options { list-style-type: lower-alpha }
.answer { border-left: 4px solid #0072B2; padding-left: 1em }
.blank { color: #767676 }
.source { color: #767676; font-size: 12px }
img { max-width: 100% }
"""


def _html(questions: Sequence[Question], answers: bool, title: str) -> str:
    esc, parts = html.escape, []
    for number, one in enumerate(questions, 1):
        inside = [f"<p><b>{number}.</b> {esc(one.text)}</p>"]
        if one.curves is not None:
            inside.append(f'<img alt="{esc(one.block)}" src="{_picture(one.curves)}">')
        if one.block and (one.curves is None or one.kind == "number"):  # an epoch is read off the numbers
            inside.append(f"<pre>{esc(one.block)}</pre>")
        if one.options:
            inside.append('<ol class="options">' + "".join(f"<li>{esc(o)}</li>" for o in one.options) + "</ol>")
        if answers:
            steps = "".join(f"<li>{esc(step)}</li>" for step in one.steps)
            note = f"<p>{esc(one.note)}</p>" if one.note else ""
            inside.append(f'<div class="answer"><p><b>Answer: {esc(one.solution)}</b></p><ul>{steps}</ul>{note}')
            inside.append(f'<p class="source">{esc("; ".join((one.id, *one.sources)))}</p></div>')
        else:
            inside.append(f'<p class="blank">Answer: {"_" * 40}</p>')
        parts.append(f"<section>{''.join(inside)}</section>")
    head = f'<meta charset="utf-8">\n<title>{esc(title)}</title>\n<style>{_STYLE}</style>'
    body = "\n".join(parts)
    page = f"<head>\n{head}\n</head>\n<body>\n<h1>{esc(title)}</h1>\n{body}\n</body>"
    return f'<!DOCTYPE html>\n<html lang="en">\n{page}\n</html>\n'


def _picture(found: Curves) -> str:
    """The curves as an address that holds the picture itself."""
    from ...visualize.training import losses

    content = io.BytesIO()
    losses(found.training, found.validation).savefig(content, format="svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(content.getvalue()).decode()}"


FORMATS: dict[str, Callable[[Sequence[Question], bool, str], str]] = {
    "text": _text,
    "markdown": _markdown,
    "html": _html,
}
