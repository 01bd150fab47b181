"""What the site is made with: names, docstrings as reStructuredText, links."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_LISTED = {  # names that files show and that no program needs; a class that only says what to use instead
    "minicnn.utils.data.dataset.as_index",
    "minicnn.utils.data.dataset.current_method",
    "minicnn.nn.parallel.DistributedDataParallel",
    "minicnn.nn.modules.module.Function",
}


def parts(name: str) -> object:
    return importlib.import_module(name)


def plain(text: str) -> str:
    docstrings = parts("docstrings")
    return "\n".join(docstrings.rst(inspect.cleandoc(text).split("\n"), lambda code: {"Conv2d": "nn.Conv2d"}.get(code)))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a*b, c_ and |d|", r"a\*b, c\_ and \|d\|"),
        ("`x`, `y`s of (`Conv2d`)", r"``x``, ``y``\ s of (:py:obj:`Conv2d <nn.Conv2d>`)"),
        ("the buffer `name`_u", r"the buffer ``name``\ _u"),
        ("A. Author, a paper", r"\A. Author, a paper"),
        ("over two `lines\nof code`", "over two ``lines of code``"),
        ("|x|_p, [1]_ and x__", r"\|x\|\_p, [1]\_ and x\_\_"),
        ("https://x.org/a_b*c_d", r"https://x.org/a_b\*c_d"),
        (r"C:\new_dir, and these::", r"C:\\new_dir, and these:\:"),
        (".. note:: a", r"\.. note:\: a"),
    ],
)
def test_signs_mean_themselves(text: str, wanted: str) -> None:
    assert plain(text) == wanted


def test_blocks_sections_and_examples() -> None:
    found = plain("""First line.

    The equation:
        y = a*b
          + c

    - one
      more
    - two

    Args:
        x: (N, C), a*b.

    >>> 2 * 3
    6
    """)
    assert ".. code-block:: none\n\n    y = a*b\n      + c" in found
    assert "- one\n  more\n- two" in found
    assert "Args:\n    x: (N, C), a\\*b." in found
    assert "\n>>> 2 * 3\n6\n" in found


def shown(text: str) -> str:
    """The elements of the page that a docstring becomes; each in its own line, indented below what it is in."""
    napoleon = pytest.importorskip("sphinx.ext.napoleon", reason="needs Sphinx: pip install -e .[docs]")
    lines = str(napoleon.GoogleDocstring(plain(text), napoleon.Config(napoleon_use_rtype=False), what="function"))
    publish = pytest.importorskip("docutils.core").publish_string
    settings = {"halt_level": 2, "output_encoding": "unicode", "syntax_highlight": "none"}
    return str(publish(lines, writer="pseudoxml", settings_overrides=settings))


def test_lists_in_lists() -> None:
    found = shown("""Lists:

    - one
      more
      - inner
    - two

    1. first
       - a*b
    2. second
    """)
    assert found.count("<bullet_list") == 3 and found.count("<enumerated_list") == 1 and found.count("<list_item") == 6
    assert "one\n                more" in found and "a*b" in found


def test_tables() -> None:
    found = shown("""A table.

    | a | b |
    |---|---|
    | x_ | 1 |
    """)
    assert "<thead>" in found and found.count("<entry>") == 4 and "x_" in found


def test_items_of_sections_are_as_they_are_written() -> None:
    found = shown("""First.
    Args:
        channels: C.
        *sizes: as in

                2 * a_

    Raises:
        ValueError: x is
            negative.

    Example:
        >>> "a*b_"
        'a*b_'
    """)
    assert "list" not in found.replace("field_list", "")  # "C." is the mark of no item
    assert "<literal_block" in found and "2 * a_" in found and "*sizes" in found
    assert "raises ValueError" in found and """>>> "a*b_"\n        'a*b_'""" in found


def test_every_public_name_is_in_the_reference() -> None:
    names = parts("names")
    documented = {id(one.value) for one in names.public()}
    found = {full for one in names.public() for full in (one.full, *one.others)}
    listed = [
        (place, name) for place in names.PLACES for name in getattr(importlib.import_module(place), "__all__", [])
    ]
    place = ""
    for line in (ROOT / "tests" / "earlier" / "public_names.txt").read_text(encoding="utf-8").splitlines():
        if line.endswith(":"):
            place = line[:-1]
        else:
            listed += [(place, name) for name in line.split() if not name.startswith("_")]
    missing = []
    for place, name in listed:
        value = getattr(importlib.import_module(place), name)
        where = getattr(value, "__module__", None)
        foreign = isinstance(where, str) and where.split(".")[0] not in names.PACKAGES
        if not (inspect.ismodule(value) or foreign or id(value) in documented or f"{place}.{name}" in found):
            missing.append(f"{place}.{name}")
    assert len(listed) > 1000
    assert not set(missing) - NOT_LISTED, missing


def test_every_public_name_says_what_it_is() -> None:
    silent = [
        one.full for one in parts("names").public() if one.kind != "data" and not (one.value.__doc__ or "").strip()
    ]
    assert not silent


def test_sources_are_where_a_name_is_written() -> None:
    found = {one.full: one for one in parts("names").public()}
    for full, file in (("minicnn.exp", "minicnn/ops/tensor/unary.py"), ("minicnn.nn.Conv2d", "minicnn/nn/conv.py")):
        one = found[full]
        assert one.file == file
        assert one.name in (ROOT / file).read_text(encoding="utf-8").splitlines()[one.line - 1]
    assert found["minicnn.linalg.norm"].file == "minicnn/ops/tensor/norm.py"  # not where its decorator is
    assert "minicnn.conv2d" in found["minicnn.nn.functional.conv2d"].others


def test_pages_of_classes_have_what_hidden_bases_give() -> None:
    reference = parts("reference").Reference()
    names = ("minicnn.nn.Module", "minicnn.Tensor", "minicnn.nn.Conv2d", "minicnn.nn.Identity")
    entries = {one.full: reference._entry(one) for one in reference.names if one.full in names}
    assert "   :inherited-members: object" in entries["minicnn.nn.Module"]
    (line,) = (line for line in entries["minicnn.nn.Conv2d"] if "inherited-members" in line)
    assert {"Module", "State"} < set(line.replace(",", "").split())  # what a Module has is on the page of Module
    assert not any("inherited-members" in line for line in entries["minicnn.nn.Identity"])
    assert any("`state_dict <minicnn.nn.Module.state_dict>`" in line for line in entries["minicnn.nn.Module"])
    tensor = "\n".join(entries["minicnn.Tensor"])
    assert "`relu_ <minicnn.Tensor.relu_>`" in tensor and "align_as" not in tensor  # which only raises an error


def test_methods_have_sources() -> None:
    pytest.importorskip("sphinx", reason="needs Sphinx: pip install -e .[docs]")
    sources, file = parts("sources"), "minicnn/ops/tensor/expand.py"
    found, line = sources._of_member("minicnn", "Tensor.expand", {})
    assert found == file and "expand" in (ROOT / file).read_text(encoding="utf-8").splitlines()[line - 1]
    assert sources._of_member("minicnn", "Tensor.shape", {})[0] == "minicnn/tensor/tensor.py"
    assert sources._of_member("minicnn", "Size.count", {}) is None  # Python's


def test_links_become_those_of_the_site() -> None:
    assemble = parts("assemble")
    site = assemble.Site()
    words = (
        "[a](../minicnn/nn/conv.py#L3) [b](gpu.md#set-up) ![c](images/tile.png) [d](../LICENSE) "
        "`[x](y)` [`f`](../minicnn/nn/conv.py) `g` [e](https://x.org)"
    )
    found = site.linked(words, "docs/speed.md")
    assert "{source}``a <minicnn/nn/conv.py#L3>``" in found and "[b](gpu.md#set-up)" in found
    assert (
        "![c](images/tile.png)" in found
        and " d " in found
        and "`[x](y)` {source}``f <minicnn/nn/conv.py>`` `g`" in found
        and "[e](https://x.org)" in found
    )
    assert (
        site.linked("[k](README.md) ![p](../docs/images/tile.png)", "kernels/README.md")
        == "[k](kernels.md) ![p](images/tile.png)"
    )
    # a page that Sphinx makes itself
    assert site.linked("[r](reference/index.md)", "docs/index.md") == "[r](reference/index.rst)"
    assert site.linked("[r](../reference/index.md)", "docs/how-to/index.md") == "[r](../reference/index.rst)"
    assert site.linked("```\n[a](nothing.md)\n```", "docs/speed.md") == "```\n[a](nothing.md)\n```"
    with pytest.raises(assemble.LinkError, match=r"speed\.md: the link to nothing\.md leads to no file"):
        site.linked("[a](nothing.md)", "docs/speed.md")


def test_what_programs_print_is_text() -> None:
    page = parts("assemble").Site().page("docs/how-to/find_a_nan.md")
    assert "```python\nimport minicnn\n" in page and "```text\nDivergedError: train" in page
    assert "\n```\n\n```text\n" in page and "\n```text\n\n" not in page


def test_every_page_is_in_the_contents_once() -> None:
    site = parts("assemble").Site()
    text = site.contents("index") + site.contents("notebooks/index")
    listed = [line for line in text.splitlines() if line and not line.startswith((":", "`"))]
    listed = [f"notebooks/{line}" if line[0].isdigit() else line for line in listed]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(site.pages.values()) - {"index", "readme"} | {"reference/index"}
