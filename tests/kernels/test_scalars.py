"""The activations by name: every list that must have a new one, and the branches of the compiled functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import activations
from minicnn_kernels.activations import scalars, whole

from .samples.activation import PARAMETERS

LISTS: dict[str, Any] = {
    "the functions of activations/scalars.py": scalars.PLAIN,
    "TABLE of activations/whole.py": whole.TABLE,
    "PARAMETERS of tests/kernels/samples/activation.py": PARAMETERS,
    "the table in the docstring of activations/__init__.py": (activations.__doc__ or "").split(),
}


@pytest.mark.parametrize("place", LISTS)
def test_every_name_is_in_every_list(place: str) -> None:
    missing = [name for name in scalars.NAMES if name not in LISTS[place]]
    assert not missing, f"{place} lack(s) {missing} of NAMES"


def test_every_name_has_its_gradient_and_its_constant() -> None:
    assert not [name for name in scalars.NAMES if f"{name}_gradient" not in scalars.PLAIN]
    assert [getattr(scalars, name.upper()) for name in scalars.NAMES] == list(range(len(scalars.NAMES)))


@pytest.mark.parametrize("name", scalars.NAMES)
def test_every_name_has_its_own_branch(name: str) -> None:
    """The compiled functions, which choose by number, give what the plain functions of that name give."""
    number = scalars.NAMES.index(name)
    for parameters in PARAMETERS[name]:
        a, b, c = (*parameters, 0.0, 0.0, 0.0)[:3]
        for x in (-4.5, -0.7, -0.2, 0.3, 0.9, 2.5, 7.0):
            y, slope = scalars.PLAIN[name](x, a, b, c), scalars.PLAIN[f"{name}_gradient"](1.5, x, a, b, c)
            assert scalars.value(number, x, a, b, c) == pytest.approx(y, rel=1e-12), "value() in scalars.py"
            assert scalars.gradient(number, 1.5, x, a, b, c) == pytest.approx(slope, rel=1e-12), "gradient()"


def test_a_number_without_a_branch_gives_nan() -> None:
    for number in (-1, len(scalars.NAMES)):
        assert math.isnan(scalars.value(number, 0.5, 1.0, 1.0, 1.0))
        assert np.isnan(scalars.gradient(number, 1.5, 0.5, 1.0, 1.0, 1.0))
