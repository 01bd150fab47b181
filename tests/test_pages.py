"""`pages` runs the programs of a page, and notices what is not as the page says."""

from __future__ import annotations

from pathlib import Path

import pages
import pytest

from minicnn.cli.arguments import UsageError

PAGE = """# Title

```python
x = 2
print(x, 0.5)
```

```
2 0.5001
```

```python
print("first")
int("a")
```
```
...
ValueError: invalid literal for int() with base 10: 'a'
```
"""


def test_a_page_that_is_right() -> None:
    assert pages.run(PAGE)["x"] == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.5001", "0.6", "prints\n2 0.5"), ("2 0.5001", "2", "and not"), ('int("a")', 'int("1")', "no error"),
        ("int() with", "float() with", "and not"), ("...\nValue", "Value", "and not"), ("...\n", "second\n", "line 13"),
    ],
)  # fmt: skip
def test_a_page_that_is_wrong(old: str, new: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        pages.run(PAGE.replace(old, new, 1))


def test_an_error_that_the_page_does_not_show() -> None:
    with pytest.raises(ZeroDivisionError):
        pages.run("```python\n1 / 0\n```\n")


def test_commands() -> None:
    text = "`minicnn eval RUN` and `minicnn eval`\n\n```sh\nminicnn train lenet5 --epochs 2   # soon\nls\n```\n"
    assert pages.commands(text) == ["minicnn train lenet5 --epochs 2", "minicnn eval RUN", "minicnn eval"]
    for command in pages.commands(text):
        pages.parse(command)
    for wrong in ("minicnn trains", "minicnn train --epoch 2", "minicnn eval --data x", "minicnn plots"):
        with pytest.raises(UsageError):
            pages.parse(wrong)


def test_links(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text(
        "# A\n\n## Two words, `code`\n\n[x](a.md) [y](#two-words-code) [z](https://a.b) [v](#two) [w](b.md)\n"
    )
    assert pages.broken_links(page) == ["#two", "b.md"]
