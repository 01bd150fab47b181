"""Grading: right answers pass, however they are written; wrong ones fail, and the mistake is named."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
from answers import RIGHT, made
from hypothesis import given, settings
from hypothesis import strategies as st
from wrong_answers import WRONG

from minicnn.exercises import EXERCISES, case, check, find, solution, stub
from minicnn.exercises.sources import place, where


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes_and_is_cut_out_of_the_library(name: str) -> None:
    exercise = EXERCISES[name]
    assert check(exercise.solution, name).ok
    text = solution(name)
    report = check(made(name, text), name)
    assert report.ok, report
    path, line = place(exercise.solution)
    assert path.is_file() and f":{line}" in text
    assert re.fullmatch(r"(kernels/minicnn_kernels|minicnn)/[\w/]+\.py:\d+", where(exercise))


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_answer_is_never_accused(name: str) -> None:
    report = check(made(name, RIGHT[name]), name)
    assert report.ok and not report.mistakes, report
    assert f"minicnn exercise solution {name}" in str(report)


@pytest.mark.parametrize("number", range(len(WRONG)), ids=[f"{edit[0]}-{i}" for i, edit in enumerate(WRONG)])
def test_a_wrong_answer_fails_with_the_name_of_its_mistake(number: int) -> None:
    name, old, new, words = WRONG[number]
    assert old in RIGHT[name], "there is nothing to replace"
    report = check(made(name, RIGHT[name].replace(old, new)), name)
    assert not report.ok and 0 <= report.passed < len(report.cases)
    text = " ".join(str(report).split())
    assert re.search(words, text), report
    if "No usual" not in words:
        named = " ".join(one.name for known in report.mistakes.values() for one in known) + text
        assert report.mistakes or "negative" in words, report
        assert re.search(words, named)
    assert "must be" in text and ("Hint:" in text) is not bool(report.mistakes)


@pytest.mark.parametrize("name", [name for name in EXERCISES if name != "tape"])
def test_an_answer_that_knows_the_first_cases_by_heart_fails(name: str) -> None:
    exercise = EXERCISES[name]
    known = exercise.cases()[:2]

    def answer(*args: Any) -> Any:
        for one in known:
            if str(args) == str(tuple(one.args.values())):
                return exercise.solution(*args)
        found = exercise.solution(*args)
        zeros = [np.zeros_like(a) for a in (found if len(exercise.outputs) > 1 else [found])]
        return tuple(zeros) if len(zeros) > 1 else zeros[0]

    report = check(answer, name)
    assert not report.ok and report.passed < len(report.cases) / 2, report
    assert report.results[0].ok and report.results[1].ok


def test_a_mistake_that_a_right_case_excludes_is_not_named() -> None:
    def relu_backward(gy: Any, x: Any) -> Any:  # the mask of gy, but not in the cases that have two or four axes
        return gy * ((gy > 0) if gy.ndim == 1 else (x > 0))

    report = check(relu_backward)
    assert report.passed == 2 and not report.mistakes and "No usual mistake gives these numbers of gx" in str(report)

    def sometimes(gy: Any, x: Any) -> Any:  # in the case of four axes it is wrong in another way
        return gy * (gy > 0) if gy.ndim < 4 else gy * (x > 0) * 3

    report = check(sometimes, "relu_backward")
    known = report.mistakes["gx"][0]
    assert (known.explained, known.failed) == (4, 5) and "so it is in 4 of the 5 cases" in " ".join(str(report).split())


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_answers_and_solutions_agree_for_any_geometry(data: Any) -> None:
    """Right answers, which know nothing of the kernels, give what the solutions give."""

    def number(low: int, high: int) -> int:
        return int(data.draw(st.integers(low, high)))

    def pair(low: int, high: int) -> tuple[int, int]:
        return number(low, high), number(low, high)

    rng = np.random.default_rng(number(0, 99))
    kernel, stride, dilation = pair(1, 3), pair(1, 3), pair(1, 2)
    padding = number(0, kernel[0] // 2), number(0, kernel[1] // 2)
    n, c, o = number(1, 2), number(1, 3), number(1, 3)
    size = tuple(d * (k - 1) + 1 + number(0, 4) for k, d in zip(kernel, dilation, strict=True))
    x, w, b = rng.standard_normal((n, c, *size)), rng.standard_normal((o, c, *kernel)), rng.standard_normal(o)

    def same(name: str, *args: Any) -> Any:
        found, right = made(name, RIGHT[name])(*args), EXERCISES[name].solution(*args)
        for mine, its in zip(found if isinstance(found, tuple) else [found],
                             right if isinstance(right, tuple) else [right], strict=True):  # fmt: skip
            np.testing.assert_allclose(mine, its, rtol=1e-10, atol=1e-12)
        return right

    y = same("conv2d_forward", x, w, b, stride, padding, dilation)
    gy = rng.standard_normal(y.shape)
    gx, gw, gb = same("conv2d_backward", gy, x, w, stride, padding, dilation)
    np.testing.assert_allclose((gy * y).sum(), (gx * x).sum() + (gb * b).sum(), rtol=1e-9)  # y is linear in x and b
    np.testing.assert_allclose((gy * y).sum(), (gw * w).sum() + (gb * b).sum(), rtol=1e-9)
    col = same("im2col", x, kernel, stride, padding, dilation)
    same("col2im", rng.standard_normal(col.shape), size, kernel, stride, padding, dilation)
    np.testing.assert_allclose(same("conv2d_product", col, w, b, y.shape[2:]), y, rtol=1e-10, atol=1e-12)
    for kind in ("max", "avg"):
        y = same(f"{kind}_pool2d_forward", x, kernel, stride, padding)
        gy = rng.standard_normal(y.shape)
        same(f"{kind}_pool2d_backward", gy, x if kind == "max" else size, kernel, stride, padding)


def test_cases_are_many_and_different() -> None:
    for name, exercise in EXERCISES.items():
        cases = exercise.cases()
        assert len({one.title for one in cases}) == len(cases) >= 5, name
        arrays = [a for one in cases for a in one.args.values() if isinstance(a, np.ndarray)]
        assert any(a.dtype == np.float32 for a in arrays) or not arrays or name in (
            "numerical_gradient", "conv_transpose2d", "conv2d_groups", "depthwise_conv2d", "conv2d_product",
            "conv2d_product_backward",
        ), name  # fmt: skip


@pytest.mark.parametrize("name", EXERCISES)
def test_cases_are_the_same_at_each_call(name: str) -> None:
    first, second = EXERCISES[name].cases(), EXERCISES[name].cases()
    for a, b in zip(first, second, strict=True):
        assert a.title == b.title and list(a.args) == list(b.args)
        assert all(np.array_equal(x, y) for x, y in zip(a.args.values(), b.args.values(), strict=True)
                   if isinstance(x, np.ndarray))  # fmt: skip


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_can_be_filled_in(name: str) -> None:
    exercise = EXERCISES[name]
    text = stub(name)
    assert exercise.hints and all(hint.split()[0] in text for hint in exercise.hints)
    answer = made(name, text)
    report = check(answer, name)
    assert not report.ok and "it is not written yet" in report.problem
    statement = inspect.getdoc(exercise.solution).splitlines()
    assert all(line.strip() in str(report) for line in statement)  # what has to be written: a notebook has no stub
    assert exercise.title.split()[0] in text and exercise.level in (1, 2, 3)


def test_a_case_in_python() -> None:
    args = case("conv2d_backward", 3)
    gx, gw, gb = find("conv2d_backward").solution(**args)
    assert gx.shape == args["x"].shape and gw.shape == args["w"].shape and gb.shape == (3,)
    args["x"][:] = 0
    assert case("conv2d_backward", 3)["x"].any()  # a copy
    with pytest.raises(ValueError, match="has the cases 1 to 16, and no case 17"):
        case("conv2d_backward", 17)
    with pytest.raises(ValueError, match="there is no exercise 'conv2d_bakward'; similar ones are conv2d_backward"):
        case("conv2d_bakward", 1)


# Wrong answers whose numbers are by chance those of another mistake, in some of the cases; and that other mistake.
BY_CHANCE = [
    ("conv2d_forward", lambda answer, *args: answer(*args)[:, :, :-1, :-1], "padding"),
    ("conv2d_forward", lambda answer, x, w, b, *steps: answer(x, w, -b, *steps), "overwritten"),
    ("conv2d_forward", lambda answer, *args: answer(*args).transpose(0, 2, 3, 1), "swapped"),
    ("conv2d_backward", lambda answer, gy, x, w, *steps: (
        answer(gy, x, w, *steps)[0] / len(w), *answer(gy, x, w, *steps)[1:]), "batch size"),
    ("relu_backward", lambda answer, gy, x: np.abs(answer(gy, x)), "sign"),
    ("softmax_backward", lambda answer, gy, y: y * (gy - (gy * y).sum(0)), "diagonal"),
    ("im2col", lambda answer, *args: answer(*args)[:, ::-1], "flipped"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "words"), BY_CHANCE)
def test_what_fits_a_few_cases_by_chance_is_not_named(name: str, change: Any, words: str) -> None:
    answer = made(name, RIGHT[name])
    report = check(lambda *args: change(answer, *args), name)
    assert not report.ok
    assert not any(words in known.name for some in report.mistakes.values() for known in some), report


def test_a_factor_that_is_another_in_each_case_has_one_name() -> None:
    answer = made("linear_backward", RIGHT["linear_backward"])

    def mean(gy: Any, x: Any, w: Any) -> Any:
        gx, gw, gb = answer(gy, x, w)
        return gx, gw / len(x), gb

    (known,) = check(mean, "linear_backward").mistakes["gw"][:1]
    assert (known.name, known.explained) == ("it is too small by the batch size: a mean too many", known.failed)
    assert known.remedy == "do not divide by the batch size"

    def twice(gy: Any, x: Any, w: Any) -> Any:
        gx, gw, gb = answer(gy, x, w)
        return 2 * gx, gw, gb

    (known,) = check(twice, "linear_backward").mistakes["gx"][:1]
    assert known.explained == known.failed and "a factor that is not there" in known.name


def test_a_wrong_shape_or_type_is_not_called_unknown() -> None:
    answer = made("conv2d_forward", RIGHT["conv2d_forward"])
    for change in (np.float32, lambda y: y[..., None]):
        assert "No usual mistake" not in str(check(lambda *args, f=change: f(answer(*args)), "conv2d_forward"))
