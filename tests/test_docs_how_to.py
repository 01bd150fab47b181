"""docs/how-to and the front page: programs run and print what stands below them; commands and links exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pages
import pytest

import minicnn
from minicnn_kernels import arrays

FOLDER = Path(__file__).parents[1] / "docs" / "how-to"
PAGES = sorted(path for path in FOLDER.glob("*.md"))
SLOW: set[str] = set()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder, a home and caches for a page; then all that a page may change in the process is as it was."""
    monkeypatch.chdir(tmp_path)
    for name in ("MINICNN_HOME", "TORCH_HOME", "no_proxy"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    threads, stream, gpu = minicnn.get_num_threads(), minicnn.get_rng_state(), arrays._gpu
    yield
    minicnn.set_num_threads(threads)
    minicnn.set_rng_state(stream)
    arrays._use(gpu)


def texts() -> list[object]:
    return [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in SLOW else []) for path in PAGES]


@pytest.mark.cpu_only("shows CPU tensors")
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")  # of weights that diverge
@pytest.mark.parametrize("page", texts())
@pytest.mark.usefixtures("here")
def test_programs(page: Path) -> None:
    if page.stem == "use_a_gpu" and minicnn.cuda.is_available():
        pytest.skip("shows what a machine without a GPU says")
    pages.run(page.read_text(encoding="utf-8"), page.name)


@pytest.mark.usefixtures("here")
def test_what_pytorch_makes_of_the_weights(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    text = (FOLDER / "move_weights_to_pytorch.md").read_text(encoding="utf-8")
    pages.run(text)
    (program,) = [code for language, code, _ in pages.blocks(text) if language == "py" and "load_file" in code]
    exec(program, {})
    assert 0 <= float(capsys.readouterr().out.strip().removeprefix("tensor(").partition(",")[0].rstrip(")")) < 1e-5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_links(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for command in pages.commands(text):
        pages.parse(command)
    assert not pages.broken_links(page)
    assert len(re.findall(r"^# ", pages.BLOCK.sub("", text), re.M)) == 1 and text.startswith("# ")


def test_the_front_page() -> None:
    page = FOLDER.parent / "index.md"
    pages.run(page.read_text(encoding="utf-8"), page.name)
    assert set(pages.broken_links(page)) == {"reference/index.md"}  # it is made when the site is built


def test_the_table_lists_all_pages() -> None:
    listed = re.findall(r"^\| .*\]\((\w+\.md)\)", (FOLDER / "index.md").read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == [path.name for path in PAGES if path.name != "index.md"]
