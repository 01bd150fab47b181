"""Sheets of questions, and the command that asks or prints them."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from minicnn import cli
from minicnn.exercises.quiz import TOPICS, Question, question, questions, sheet


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["exercise", "quiz", *arguments]) == 0
    return capsys.readouterr().out


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_a_sheet_has_no_answer_and_one_for_teachers_has_all() -> None:
    found = questions(number=40, seed=3)
    for format in ("text", "markdown", "html"):
        without, with_ = sheet(found, format), sheet(found, format, answers=True)
        assert without.count("Answer:") == with_.count("Answer:") == len(found)
        for one in found:
            assert one.id in with_ and one.id not in without
    text = sheet(found, answers=True)
    for one in found:
        assert f"Answer: {one.solution}" in text
    assert max(map(len, sheet(found).splitlines())) < 120


def test_markdown_shows_signs_as_they_are() -> None:
    one = Question("Is 2*3*4 a_b_c?", "choice", frozenset({0}), ("2*3 = 6",), options=("a_b", "<b>"), block="x * y * z")
    text = sheet([one], "markdown", answers=True, title="A sheet")
    assert text.startswith("# A sheet\n") and "Is 2\\*3\\*4 a\\_b\\_c?" in text and "```\nx * y * z\n```" in text
    assert "- b) \\<b\\>" in text and "- 2\\*3 = 6" in text


class Page(HTMLParser):
    """Tags must be closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs)["src"] or "")
        elif tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_needs_no_other_file() -> None:
    found = questions("curves", 4, 1)
    page = Page()
    text = sheet(found, "html", answers=True)
    page.feed(text)
    assert not page.open and len(page.pictures) == 4
    for picture in page.pictures:
        kind, _, content = picture.partition(",")
        assert kind == "data:image/svg+xml;base64" and b"<svg" in base64.b64decode(content)
    assert not re.search(r'(src|href)="(?!data:)', text)


def test_errors_of_sheets() -> None:
    with pytest.raises(ValueError, match="no format 'pdf'; there are: text, markdown, html"):
        sheet(questions("macs", 1), "pdf")
    with pytest.raises(ValueError, match="there are no questions to print"):
        sheet([])


def test_asking(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "5x5", "what", "3", "2x2", "does not fit", "6x6", "5x5")
    text = said(capsys, "output-size", "--slides")
    assert text.count("Question ") == 4 and text.count("> ") == 7
    assert "'what' is no shape; write height x width x depth" in text
    assert "Not right: you rounded down" in text and "Try once more" in text
    assert "Not right: you padded one side only" in text and "Not right: you forgot the padding." in text
    assert text.endswith("3 of 4 answers right, 1 of them at the second try.\n")
    assert text.index("Answer: 5 x 5") < text.index("Question 2 of 4")


def test_giving_up_a_question_and_the_end_of_the_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "", "9", "")
    text = said(capsys, "receptive-field", "--slides")
    assert "Answer: 7 pixels" in text and "Answer: 5 pixels" in text and text.endswith("0 of 2 answers right.\n")
    typed(monkeypatch, "7")
    assert said(capsys, "receptive-field", "--slides").endswith("1 of 1 answer right.\n")
    typed(monkeypatch)
    assert said(capsys, "macs-3").endswith("0 of 0 answers right.\n")


def test_ctrl_c_ends_with_the_score(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["7"])

    def interrupted(prompt: str) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("builtins.input", interrupted)
    assert said(capsys, "receptive-field", "--slides").endswith("1 of 1 answer right.\n")
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.undo()


def test_no_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert said(capsys, "macs-3").endswith("0 of 0 answers right.\n")


def test_printing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    listed = said(capsys, "--list")
    assert "sizes: the size of outputs" in listed and "    bug-accuracy" in listed
    first = said(capsys, "-n", "3", "--seed", "7", "--sheet")
    assert first == said(capsys, "-n", "3", "--seed", "7", "--sheet") and "3. " in first and "4. " not in first
    assert first != said(capsys, "-n", "3", "--seed", "8", "--sheet")
    assert "Answer: 760 parameters" in said(capsys, "costs", "--slides", "--answers")
    for name, begin in (("a.md", "# "), ("a.txt", "Questions"), ("a.html", "<!DOCTYPE"), ("a", "Questions")):
        out = tmp_path / name
        assert said(capsys, "fields", "-n", "2", "-o", str(out)).strip() == str(out)
        assert out.read_text(encoding="utf-8").startswith(begin)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no topic or question 'nothing'; topics: sizes"),
        (["macs-slide-99"], "there is no question 'macs-slide-99'; macs has the slides 1 to 3"),
        (["-n", "0"], "0 is not above 0"),
        (["-o", "a.pdf"], "a sheet is written as .txt, .md or .html"),
    ],
)
def test_errors_of_the_command(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["exercise", "quiz", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("minicnn: error: ") and message in error and error.count("\n") == 1


def test_the_documentation_shows_what_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "quiz.md").read_text(encoding="utf-8")
    answers = iter(["416", "2416"])

    def echoed(prompt: str) -> str:
        answer = next(answers)
        print(f"{prompt}{answer}")
        return answer

    monkeypatch.setattr("builtins.input", echoed)
    printed = said(capsys, "parameters-slide-2")
    shown = printed[printed.index("A convolution") : printed.index("\n\n1 of 1")]
    assert f"```\n{shown}\n```" in page
    for topic in TOPICS:
        assert f"| `{topic}` |" in page
    for typed_ in ("200960", "200 960", "200.960", "201k", "0.201M", "785*256"):
        assert f"`{typed_}`" in page and question("parameters-slide-4").check(typed_).right
