"""docs/analysis.md tells the truth: its code gives what the comments say, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from minicnn.analysis import Box

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"


def test_the_code_of_the_page() -> None:
    text = PAGE.read_text("utf-8")
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(code, names)
    found, field = names["found"], names["field"]
    assert (found.total_params, found.total_macs, found.total_flops) == (61_706, 416_520, 850_794)
    assert all(f"{n:,}" in text for n in (found.total_params, found.total_macs, found.total_flops))
    assert f'"{found.layers[2].arithmetic}"' in text
    assert (field.size, field.stride, field.offset) == ((16, 16), (4, 4), (7.5, 7.5))
    assert field.box(0, 2) == Box(0, 8, 15, 23) and names["measured"].weights.shape == (32, 32)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (PAGE.parent / link).exists(), link
