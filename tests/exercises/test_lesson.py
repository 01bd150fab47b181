"""What notebooks share: numbers compared with printed ones, questions with checked answers, missing images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.exercises import lesson

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("printed", "computed"),
    [
        (75, np.int64(75)),
        (10, minicnn.tensor(10.0)),
        ((1, 2, 3), range(1, 4)),
        (((1, 2), (3, 4)), np.array([[1, 2], [3, 4]])),
        ("25.6 M", 25_557_032),
        (("1 k", "2 k"), (1001, 2004)),
        ("does not fit", "does not fit"),
        ((INF, -INF, NAN), np.array([INF, -INF, NAN])),
    ],
)
def test_the_same(printed: Any, computed: Any) -> None:
    found = lesson.compare(("it", printed, computed))
    assert found.rows[0][3] == "" and str(found).endswith("the same")
    with pytest.raises(lesson.LessonError, match=r"it: said to be wrong on the slide \(why\), but .* is computed, too"):
        lesson.compare(("it", printed, computed, "why"))


@pytest.mark.parametrize(
    ("printed", "computed", "message"),
    [
        (75, 76, "it: 75 on the slide, 76 computed"),
        (0.1, np.float32(0.1), "it: 0.1 on the slide, 0.10000000149011612 computed"),
        (5, "5", "it: 5 on the slide, '5' computed"),
        (2.5, minicnn.tensor([2.5]), "it: 2.5 on the slide, (2.5,) computed"),
        ("25.6 M", 25_650_000, "it: 25.6 M on the slide, 25,650,000 computed"),
        ((1, 2), (1, 2, 3), "it: (1, 2) on the slide, (1, 2, 3) computed"),
        (INF, -INF, "it: inf on the slide, -inf computed"),
        (1, NAN, "it: 1 on the slide, nan computed"),
    ],
)
def test_another_number_needs_a_reason(printed: Any, computed: Any, message: str) -> None:
    for row in (("it", printed, computed), ("it", printed, computed, ""), ("it", printed, computed, "  ")):
        with pytest.raises(lesson.LessonError) as caught:
            lesson.compare(row)
        assert str(caught.value) == message
    assert str(lesson.compare(("it", printed, computed, "rounded"))).endswith("rounded")


def test_the_column_has_a_title() -> None:
    found = lesson.compare(("<a>", 4, 4.0), ("all", 123_456_789.0, 123_456_789), column="by hand & eye")
    assert str(found).splitlines()[0].split() == ["by", "hand", "&", "eye", "computed"]
    shown = found._repr_html_()
    assert "<th>by hand &amp; eye</th>" in shown and "&lt;a&gt;" in shown and shown.count(">123,456,789<") == 2
    with pytest.raises(lesson.LessonError, match="it: 1 by hand, 2 computed"):
        lesson.compare(("it", 1, 2), column="by hand")


def test_rows_have_their_parts() -> None:
    for row in (("it", 1), ("it", 1, 2, "why", "more"), "abc"):
        with pytest.raises(ValueError, match=r"a row is \(what, printed, computed\) or"):
            lesson.compare(row)
    for row in (("it",), ("it", 1, 1, "because", "more"), "ab"):
        with pytest.raises(ValueError, match=r"a row is \(question, answer\), with"):
            lesson.questions(row)
    with pytest.raises(
        lesson.LessonError, match=r"Which\? The answer is said to be 0.1; computed is 0.10000000149011612"
    ):
        lesson.questions(("Which?", 0.1, np.float32(0.1)))


def test_a_folder_without_the_images_is_not_passed_over_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    assert repr(lesson.images("mnist")).endswith("(the bundled digits, in place of the real images)")
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path / "misspelt"))
    for found in (lesson.images("mnist"), lesson.images("cifar10"), lesson.images("cifar10", root=str(tmp_path / "x"))):
        assert not found.real and "there is no folder" in repr(found)
    for name in (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ):
        (tmp_path / name).write_bytes(b"no images")
    assert "not an IDX file" in repr(lesson.images("mnist", root=str(tmp_path)))
