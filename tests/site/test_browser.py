"""The site in a real browser, Chromium: equations and pictures are drawn, the search finds, no request leaves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt install chromium")
    with playwright.sync_playwright() as run:
        found = run.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(params=["light", "dark"])
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page of a browser that fails if a request leaves this machine, or a script complains."""
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1300, "height": 900})
    found, complaints = context.new_page(), []
    found.on("request", lambda each: complaints.append(each.url) if not each.url.startswith(("file:", "data:")) else 0)
    found.on("console", lambda each: complaints.append(each.text) if each.type == "error" else 0)
    found.on("pageerror", lambda each: complaints.append(str(each)))
    yield found
    context.close()
    assert not complaints


def test_a_notebook(site: Path, page: Any) -> None:
    page.goto((site / "notebooks" / "02_convolution_arithmetic.html").as_uri())
    page.wait_for_selector("mjx-container svg, mjx-container mjx-math")
    sizes = page.eval_on_selector_all(".cell_output img", "each => each.map(one => [one.complete, one.naturalWidth])")
    assert len(sizes) >= 4 and all(complete and width > 100 for complete, width in sizes)
    page.click("details summary")
    assert page.locator("details[open]").count() == 1


def test_dark_and_light(site: Path, page: Any) -> None:
    page.goto((site / "index.html").as_uri())
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    red = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert red < 60 if dark else red > 200


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("max_pool2d", "minicnn.nn.functional.max_pool2d"),
        ("window", "02 Convolution arithmetic"),
        ("Conv2d", "minicnn.nn.Conv2d"),
    ],
)
def test_the_search(site: Path, page: Any, words: str, wanted: str) -> None:
    page.goto((site / "index.html").as_uri())
    page.fill("input[name=q]", words)
    page.press("input[name=q]", "Enter")
    page.wait_for_selector("text=Search finished")
    assert wanted in [each.inner_text() for each in page.locator("ul.search li a").all()]


def test_a_name_leads_to_its_source(site: Path, page: Any) -> None:
    page.goto((site / "reference" / "minicnn" / "nn" / "conv.html").as_uri())
    page.click("dt[id='minicnn.nn.Conv2d'] >> text=[source]")
    page.wait_for_selector("h1:has-text('minicnn/nn/conv.py')")
    line = page.evaluate("decodeURIComponent(location.hash).slice(1)")
    assert "class Conv2d" in page.evaluate(
        "id => document.getElementById(id).parentElement.innerText.split('\\n').join(' ')", line
    )


def test_equations_in_pages(site: Path, page: Any) -> None:
    found = sorted(file for file in site.rglob("*.html") if 'class="math' in file.read_text(encoding="utf-8"))
    assert found
    for file in found[:12]:
        page.goto(file.as_uri())
        page.wait_for_selector("mjx-container")
        page.wait_for_function("!document.querySelector('.math:not(:has(mjx-container))')")
        assert page.locator("mjx-merror").count() == 0, file
