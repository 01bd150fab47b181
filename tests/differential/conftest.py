"""Counts what was compared with PyTorch, and prints it at the end."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

COMPARED: Counter[str] = Counter()  # name of an operation, module, optimiser ... -> samples that agree


@pytest.fixture
def compared() -> Counter[str]:
    """Where a test notes how many samples of a name agree with PyTorch."""
    return COMPARED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print names x samples."""
    if COMPARED:
        terminalreporter.write_sep("-", "compared with PyTorch")
        terminalreporter.write_line(f"{len(COMPARED)} names, {sum(COMPARED.values()):,} samples")
        if terminalreporter.verbosity > 0:
            for name, samples in sorted(COMPARED.items()):
                terminalreporter.write_line(f"{samples:7,}  {name}")
