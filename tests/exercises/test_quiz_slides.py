"""The numbers that courses print, or leave to be worked out: the first questions of each kind give them."""

from __future__ import annotations

import pytest

from minicnn.exercises.quiz import question

ANSWERS = {
    "output-size-slide-1": (5, 5),  # 7 x 7 with strides 1, 2, 3, and with padding 1
    "output-size-slide-2": (3, 3),
    "output-size-slide-3": None,
    "output-size-slide-4": (7, 7),
    "padding-slide-1": 1,
    "padding-slide-2": 2,
    "padding-slide-3": 3,
    "padding-slide-4": 2,
    "exact-padding-slide-1": None,
    "output-volume-slide-1": (10, 32, 32),
    "output-volume-slide-2": (6, 28, 28),
    "chain-slide-1": (10, 24, 24),
    "pooled-volume-slide-1": (64, 112, 112),
    "parameters-slide-1": 760,
    "parameters-slide-2": 2416,
    "parameters-slide-3": 4,  # the perceptron
    "parameters-slide-4": 200_960,
    "parameters-slide-5": 2560,
    "parameters-slide-6": 0,
    "macs-slide-2": 200_704,
    "macs-slide-3": 1_557_504,
    "flops-slide-1": 7,
    "flops-slide-2": 401_664,
    "flops-slide-3": 3_288_064,
    "flops-slide-4": 588,
    "output-bytes-slide-1": 4,
    "output-bytes-slide-2": 1024,
    "output-bytes-slide-3": 692_224,
    "output-bytes-slide-4": 784,
    "net-shape-slide-1": (96, 55, 55),  # AlexNet
    "net-shape-slide-2": (96, 27, 27),
    "net-shape-slide-3": (192, 19, 19),  # AlphaGo
    "net-shape-slide-4": (192, 19, 19),
    "net-shape-slide-5": (1, 19, 19),
    "net-parameters-slide-1": 34_848 + 96,
    "net-parameters-slide-2": 0,
    "net-parameters-slide-3": 230_592,
    "net-parameters-slide-4": 331_968,
    "net-total-slide-1": 61_706,
    "net-total-slide-2": 62_378_344,
    "net-values-slide-1": 15_237_608,
    "top-k-slide-1": 20,
    "top-k-slide-2": 80,
    "top-k-slide-3": 20,
    "receptive-field-slide-1": 7,
    "receptive-field-slide-2": 5,
    "net-field-slide-1": 16,
    "net-field-slide-2": 212,
    "inception-shape-slide-1": (672, 28, 28),
    "inception-shape-slide-2": (480, 28, 28),
    "inception-operations-slide-1": 854_196_224,
    "inception-operations-slide-2": 271_351_808,
    "bug-argument-slide-1": "padding=1",
}
CHOICES = {
    "parametric-slide-1": {"convolution", "batch normalisation", "fully connected layer"},
    "layer-needs-slide-1": {"fully connected layer"},
    "layer-needs-slide-2": {"fully connected layer"},
    "equivariance-slide-1": {"neither: the output changes in another way"},
    "equivariance-slide-2": {"equivariant: the output shifts with the image"},
    "equivariance-slide-3": {"invariant: the output stays the same"},
    "curve-phenomenon-slide-1": {"overfitting"},
    "decision-layer-slide-1": {"fully connected layer 1, 120 neurons"},
    "decision-layer-slide-2": {"fully connected layer 1, 4096 neurons"},
    "bug-inception-slide-1": {"in b3: padding=2 instead of 1"},
    "bug-residual-slide-1": {"both convolutions with kernel_size=3, padding=1"},
    "bug-comparison-slide-1": {"padding=1"},
    "bug-accuracy-slide-1": {"max instead of min"},
}
PRINTED = {  # what a course prints or a student often writes -> what was done wrong
    "parameters-slide-1": ("750", "forgot the biases"),
    "parameters-slide-2": ("416", "forgot the depth of the input"),
    "parameters-slide-4": ("200704", "forgot the biases"),
    "flops-slide-2": ("200704", "counted a multiply-accumulate as one operation"),
    "flops-slide-3": ("3,115,008", "forgot to add the biases"),
    "net-parameters-slide-1": ("34,848", "forgot the biases"),
    "net-total-slide-1": ("59706", "forgot the depth of the input of convolution 2"),
    "net-values-slide-1": ("24M", "a course prints 24 million"),
    "inception-operations-slide-2": ("358M", "counted the 3x3 branch twice"),
    "output-volume-slide-1": ("30x30x10", "padded one side only"),
    "receptive-field-slide-1": ("9", "a layer adds K - 1"),
    "net-field-slide-1": ("11", "forgot the strides"),
    "inception-shape-slide-1": ("28x28x416", "forgot the branch with the pooling"),
    "output-size-slide-3": ("2x2", "you rounded down"),
}


@pytest.mark.parametrize(("id", "answer"), ANSWERS.items(), ids=list(ANSWERS))
def test_the_answer(id: str, answer: object) -> None:
    assert question(id).answer == answer


@pytest.mark.parametrize(("id", "options"), CHOICES.items(), ids=list(CHOICES))
def test_the_choice(id: str, options: set[str]) -> None:
    one = question(id)
    assert {one.options[n] for n in one.answer} == options


@pytest.mark.parametrize(("id", "printed"), PRINTED.items(), ids=list(PRINTED))
def test_the_mistake(id: str, printed: tuple[str, str]) -> None:
    verdict = question(id).check(printed[0])
    assert not verdict.right and printed[1] in verdict.text


def test_what_courses_round() -> None:
    assert question("net-parameters-slide-1").check("35K").text == "Right; exactly 34,944 parameters."
    assert question("inception-operations-slide-1").check("854M").right
    assert question("net-total-slide-2").check("62 million").right
    assert question("net-values-slide-1").check("15.2M").right
