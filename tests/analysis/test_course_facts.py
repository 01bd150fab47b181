"""Every checkable statement of the courses is computed: see `tests/facts`. No statement is forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from facts import CHECKS, NEEDS, ROWS, VALUES, Row, blocks, convolution, nets, nets_since_2014, value_of
from facts.left_out import LEFT_OUT

assert blocks and convolution and nets and nets_since_2014  # importing them enters their checks


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS if row.id not in LEFT_OUT])
def test_what_the_courses_say(row: Row) -> None:
    assert row.id in CHECKS, f"no check for {row.id} ({row.statement}); write one, or a reason in facts/left_out.py"
    CHECKS[row.id](value_of(row.value))


def test_reasons_are_for_statements_without_a_check() -> None:
    ids = {row.id for row in ROWS}
    assert len(ids) == len(ROWS) and set(LEFT_OUT) <= ids
    assert not set(LEFT_OUT) & set(CHECKS)
    assert all(len(reason) > 10 for reason in LEFT_OUT.values())


def test_a_wrong_number_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change each number in each statement: its check must fail (for those that state numbers and are right)."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(v) for v in value]
        if isinstance(value, dict):
            return {key: changed(v) for key, v in value.items()}
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return value
        return value + 1

    missed = []
    for row in ROWS:
        value = value_of(row.value)
        if row.id in CHECKS and not row.wrong and changed(value) != value and not NEEDS[row.id]:
            monkeypatch.setitem(VALUES, row.id, changed(value))
            try:
                CHECKS[row.id](changed(value))
            except (AssertionError, ValueError, IndexError, KeyError, TypeError):
                continue
            finally:
                monkeypatch.setitem(VALUES, row.id, value)
            missed.append(row.id)
    assert not missed, f"these checks do not look at the value: {missed}"
