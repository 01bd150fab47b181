"""Every mistake that an exercise looks for is shown by a case, fails, and is named, and no other output is accused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn.exercises import EXERCISES
from minicnn.exercises.attempt import Outcome
from minicnn.exercises.grading import _is, _mistakes, _rights, grade

# Words of the mistakes that cannot be made in an exercise: it has no groups, no dilation, or only one channel in a sum.
IMPOSSIBLE = {
    "conv2d_forward": "group",
    "conv2d_backward": "the number of outputs",
    "conv2d_groups": "dilation",
    "depthwise_conv2d": "dilation|channel",
    "dropout": "axes are swapped",
}


def planted(name: str) -> Iterator[tuple[str, str, list[dict[str, Any]], bool]]:
    """(output, mistake, the outputs in each case with this mistake made, whether that differs anywhere)."""
    exercise = EXERCISES[name]
    rights, mistakes = _rights(exercise), _mistakes(exercise)
    for output in exercise.outputs:
        known = {(one.name, one.remedy): None for case in mistakes for one in case[output]}
        for mistake, remedy in known:
            found, differs = [], False
            for right, case in zip(rights, mistakes, strict=True):
                made = [c.result for c in case[output] if (c.name, c.remedy) == (mistake, remedy)]
                result = made[0] if made and made[0] is not None else right[output]
                differs |= not _is(result, right[output])
                found.append({**right, output: result})
            yield output, mistake, found, differs


@pytest.mark.parametrize("name", EXERCISES)
def test_every_mistake_is_named(name: str) -> None:
    shown: dict[str, bool] = {}
    for output, mistake, cases, differs in planted(name):
        shown[mistake] = shown.get(mistake, False) or differs
        if differs:
            report = grade(EXERCISES[name], [Outcome(tuple(map(np.asarray, case.values()))) for case in cases])
            assert not report.ok and set(report.mistakes) == {output}, (output, mistake, report)
            assert mistake in [one.name for one in report.mistakes[output]], (output, mistake, report)
    hidden = {mistake for mistake, differs in shown.items() if not differs}
    allowed = IMPOSSIBLE.get(name, "-")
    assert all(re.search(allowed, mistake) for mistake in hidden), f"no case shows {hidden}"
