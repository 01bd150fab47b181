"""What people type: numbers, shapes and choices in the usual ways of writing them, and what is no answer."""

from __future__ import annotations

import pytest

from minicnn.exercises.quiz import question
from minicnn.exercises.quiz.answers import AnswerError, letters, numbers, same_shape, shape
from minicnn.exercises.quiz.question import Mistake, Question, count, size_text, usual_mistakes
from minicnn.exercises.quiz.sizes import exact_padding

TIMES = "\N{MULTIPLICATION SIGN}"
DENSE = question("parameters-slide-4")  # 200,960 parameters
BYTES = question("output-bytes-slide-3")  # 692,224 B
TOP1 = question("top-k-slide-1")  # 20 %
VOLUME = question("output-volume-slide-1")  # 32 x 32 x 10
NO_FIT = question("output-size-slide-3")
FITS = question("output-size-slide-1")


@pytest.mark.parametrize(
    "typed",
    ["200960", "200,960", "200 960", "200\N{NO-BREAK SPACE}960", "200'960", "200.960", "200_960", " 200960 ", "200960.",
     "200960 parameters", "200,960 params", "= 200960", "201k", "201K", "200.96k", "0.201M", "0.201 million",
     "2.0096e5", "2.01E5", "2.01*10^5", "2.01 x 10**5", "785*256 = 200960", "256*785 params",
     "784*256 + 256", "256 * (784 + 1)", "785 x 256", f"785 {TIMES} 256", "785·256", "200960.0", "about 201k"],
)  # fmt: skip
def test_ways_to_write_a_number(typed: str) -> None:
    assert DENSE.check(typed).right, typed


@pytest.mark.parametrize(
    "typed",
    ["200961", "2009600", "200.96", "200k", "202k", "20,096", "-200960", "0", "200960.6", "784*256", "201M", "20 k",
     "2.01e4", "200,960,000"],
)  # fmt: skip
def test_other_numbers(typed: str) -> None:
    verdict = DENSE.check(typed)
    assert not verdict.right and verdict.understood, typed


@pytest.mark.parametrize(
    "typed",
    ["692224", "692224 B", "692,224 bytes", "692 kB", "692KB", "676 KiB", "676 KB", "0.692 MB", "0.66 MiB", "173056*4"],
)
def test_ways_to_write_bytes(typed: str) -> None:
    assert BYTES.check(typed).right, typed


def test_percentages() -> None:
    for typed in ("20", "20%", "20 %", "20 percent", "0.2", ".2", "1/5", "1/5*100", "20,0"):
        assert TOP1.check(typed).right, typed
    for typed in ("80 %", "4/5"):
        assert "not the accuracy" in TOP1.check(typed).text, typed
    assert not TOP1.check("0.2 %").right
    half = Question("?", "number", 12.5, ("100/8 = 12.5 %",), unit="%")  # the exact number rounds up
    assert half.check("13").right and half.check("0.125").right and not half.check("12").right
    third = Question("?", "number", 100 / 3, ("100/3 = 33.33 %",), unit="%")
    for typed in ("33.3", "33.33", "33,3 %", "33", "0.333"):
        assert third.check(typed).right, typed
    assert not third.check("33.4").right and third.solution == "33.33 %"


def test_another_unit_is_wrong_and_not_nonsense() -> None:
    for typed in ("200960 B", "200,960 FLOPs", "201 kMACs"):
        verdict = DENSE.check(typed)
        assert verdict == (False, f"the answer is in parameters, not in {verdict.text.split()[-1]}", True)
    flops = question("flops-slide-2")
    assert flops.check("401664 flops").right and flops.check("0.402 MFLOPs").right and flops.check("402k ops").right
    assert flops.check("401,664 MACs").text == "the answer is in FLOPs, not in MACs"
    assert question("padding-slide-1").check("1 MAC") == (False, "the answer has no unit, and is not in MACs", True)


@pytest.mark.parametrize(
    "typed", ["", "  ", "many", "12 apples", "1..2", "1,23,4", "(3 + 4", "3 +", "1/0", "2**9999", "-", "k"]
)
def test_what_is_no_number_is_asked_again(typed: str) -> None:
    verdict = DENSE.check(typed)
    assert not verdict.right and (not verdict.understood or typed == "-")


def test_a_long_calculation_is_refused_quickly() -> None:
    for typed in ("9*" * 5000 + "9", "1" * 5000, "1x" * 3000, "9" * 499):
        assert not DENSE.check(typed).right and not VOLUME.check(typed).right
    assert "too long; answer in up to 500 characters" in VOLUME.check("1" * 501).text
    assert not DENSE.check("(" * 90 + "1+1" + ")" * 90).right
    assert not DENSE.check("__import__('os')").understood


def test_rounding_too_much_asks_for_digits() -> None:
    verdict = DENSE.check("0.2M")
    assert not verdict.understood and "more digits" in verdict.text
    assert DENSE.check("201k").text == "Right; exactly 200,960 parameters." and DENSE.check("200960").text == "Right."


@pytest.mark.parametrize(
    "typed",
    ["32x32x10", "32 x 32 x 10", f"32 {TIMES} 32 {TIMES} 10",
     "32*32*10", "(10, 32, 32)", "10,32,32", "[10, 32, 32]", "10@32x32",
     "(1, 10, 32, 32)", "10 32 32", "32X32X10", "torch.Size([10, 32, 32])", "(32; 32; 10)"],
)  # fmt: skip
def test_ways_to_write_a_shape(typed: str) -> None:
    assert VOLUME.check(typed).right, typed


def test_other_shapes() -> None:
    assert "the depth is missing" in VOLUME.check("32x32").text
    assert "forgot the padding" in VOLUME.check("(10, 28, 28)").text
    assert VOLUME.check("32x10x32") == (False, "Not right.", True)
    assert VOLUME.check("(2, 10, 32, 32)").text == "Not right."
    for typed in ("a x b", "32x32x", "3.5x3", "-3x4", "big"):
        assert not VOLUME.check(typed).right, typed
    assert not VOLUME.check("3.5x3").understood and not VOLUME.check("big").understood
    assert FITS.check("5").right and FITS.check("5x5").right and not FITS.check("5x4").right
    assert same_shape((256,), (256,)) and same_shape((1, 256), (256,)) and same_shape((1, 1, 256), (256,))
    assert not same_shape((1,), (256,)) and same_shape((1,), (1,)) and not same_shape((2, 2), (4,))
    assert not same_shape((5,), (5, 4)) and same_shape((5, 4), (5, 4))


@pytest.mark.parametrize(
    "typed",
    ["does not fit", "doesn't fit", "It does not fit.", "no fit", "DOES NOT FIT", "none",
     "doesn\N{RIGHT SINGLE QUOTATION MARK}t fit",
     "impossible", "never fits", "cannot fit", "does not fit!", "It won't fit", "not possible", "there is none"],
)  # fmt: skip
def test_does_not_fit(typed: str) -> None:
    assert NO_FIT.check(typed).right, typed
    assert FITS.check(typed) == (False, "Not right: it does fit.", True)


def test_none_is_zero_where_a_number_is_asked_for() -> None:
    pool = question("parameters-slide-6")
    for typed in ("0", "none", "None.", "no", "zero", "no parameters"):
        assert pool.check(typed).right, typed
        assert not DENSE.check(typed).right and "fit" not in DENSE.check(typed).text, typed
    assert not pool.check("does not fit").understood
    zero = exact_padding(11, 5, 2)
    assert zero.answer == 0 and zero.check("no padding").right and zero.check("0").right
    assert zero.check("does not fit").text == "Not right: it does fit."
    assert question("exact-padding-slide-1").check("no padding fits").right


def test_ways_to_write_a_window_a_padding_and_comparisons() -> None:
    field, padding = question("receptive-field-slide-1"), question("padding-slide-2")
    for typed in ("7", "7x7", f"7 {TIMES} 7", "7 by 7", "7x7 pixels", "7 px"):
        assert field.check(typed).right, typed
    for typed in ("7x5", "9x9", "49", "5x5"):
        assert not field.check(typed).right, typed
    assert "a layer adds K - 1" in field.check("9x9").text
    for typed in ("2", "P = 2", "padding=2", "padding 2", "2 pixels", "2 px"):
        assert padding.check(typed).right, typed
    assert not padding.check("P = 4").right
    pool = question("flops-slide-4")
    assert pool.check("588 comparisons").right and pool.check("588 compares").right
    assert question("macs-slide-2").check("200704 ops").text == "the answer is in MACs, not in FLOPs"
    assert BYTES.check("26*26*256*4 bytes").right and BYTES.check("26*26 KiB").right


def test_a_depth_of_one_may_be_left_out() -> None:
    scores = question("net-shape-slide-5")  # of AlphaGo: a course writes 19 x 19
    for typed in ("19x19", "19x19x1", "(1, 19, 19)", "19 by 19"):
        assert scores.check(typed).right, typed
    assert not scores.check("19x19x19").right and not scores.check("19").right
    assert not any("depth is missing" in mistake.reason for mistake in scores.mistakes)


def test_choices() -> None:
    options = ("ReLU", "max pooling", "average pooling", "dropout, twice")
    for typed in ("b", "B", "b)", "(b)", "b) max pooling", "max pooling", "Max Pooling", "max"):
        assert letters(typed, options, False) == {1}, typed
    for typed in ("b d", "b,d", "bd", "b and d", "b; d", "d) dropout, twice, b) max pooling", "max + dropout"):
        assert letters(typed, options, True) == {1, 3}, typed
    assert letters("none", options, True) == frozenset() and letters("all", options, True) == {0, 1, 2, 3}
    assert letters("batch normalization", ("batch normalisation", "ReLU"), False) == {0}
    for typed, several, message in (
        ("pooling", True, "names several of the options"),
        ("e", True, "is none of the options; give letters from a to d"),
        ("a b", False, "give a letter from a to d"),
        (",", True, "give one or more letters"),
        ("none", False, "is none of the options"),
    ):
        with pytest.raises(AnswerError, match=message):
            letters(typed, options, several)
    one = Question("?", "choice", frozenset({0, 2}), ("because",), options=options, several=True,
                   mistakes=(Mistake(1, "it learns nothing"),))  # fmt: skip
    assert one.check("ac").right and one.check({2, 0}).right
    assert (
        one.check("ab").text == "Not right: it learns nothing; not among them: max pooling; missing: average pooling."
    )
    assert one.check(frozenset()).text == "Not right: missing: ReLU, average pooling."
    verdict = question("parametric-slide-1").check("convolution, fully connected layer")  # a reason for what is missing
    assert verdict.text == (
        "Not right: batch normalisation learns a scale and a shift for each channel; missing: batch normalisation."
    )


def test_texts() -> None:
    one = Question(
        "?", "text", "padding=2", ("5 - 1 = 4",), (Mistake("padding=1", "that keeps 3x3"),), accepted=("padding=2", "2")
    )
    for typed in ("padding=2", "padding = 2", "`padding=2`", "Padding=2;", "padding: 2", "padding 2", "2"):
        assert one.check(typed).right, typed
    assert one.check("padding = 1").text == "Not right: that keeps 3x3." and one.check("x").text == "Not right."
    assert one.solution == "padding=2"


def test_answers_that_are_not_texts() -> None:
    assert DENSE.check(200960).right and DENSE.check(200960.0).right and VOLUME.check((10, 32, 32)).right
    assert VOLUME.check([32, 32, 10]).right and NO_FIT.check(None).right and not FITS.check(None).right
    for wrong in (True, {"a": 1}, b"5", object()):
        with pytest.raises(TypeError, match="check: an answer is a text, a number, a shape"):
            DENSE.check(wrong)


def test_parts() -> None:
    assert [r.value for r in numbers("1.234")] == [1.234, 1234] and numbers("1.234")[0].margin == pytest.approx(0.0005)
    assert [r.value for r in numbers("3.288.064")] == [3288064] and [r.value for r in numbers("2,5")] == [2.5]
    assert shape("10@28x28") == (10, 28, 28)
    assert (count(200960), count(33.3333), count(2.5), count(-3)) == ("200,960", "33.33", "2.5", "-3")
    assert (size_text((10, 32, 30)), size_text((5, 4)), size_text((256,))) == ("32 x 30 x 10", "5 x 4", "256")
    assert usual_mistakes(3, [(3, "right"), (4, "first"), (4, "second"), (-1, "below 0")]) == (Mistake(4, "first"),)
