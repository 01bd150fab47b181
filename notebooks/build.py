"""Makes the notebooks from their sources: `NN_name.py` (jupytext's percent format) is run, and becomes `NN_name.ipynb`.

    python notebooks/build.py              those whose source has changed
    python notebooks/build.py 02 07        these
    python notebooks/build.py --all
    python notebooks/build.py --check      exit code 1 if a notebook is not that of its source

Write in the source; the notebook is what readers open. It keeps its outputs, with pictures of few colours, so that it
is small. MINICNN_DATA names the folder with MNIST and CIFAR-10; without it the notebooks run on the bundled digits.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
MOST_BYTES = 700_000  # of a notebook
SECONDS = 180  # of a notebook's run
COMPILING = re.compile("minicnn: .*compiling kernels")  # said once on a machine, also by those who wait for it
PLACES = [f"{place}/" for place in (HERE.parent, Path.home(), tempfile.gettempdir())]  # of this machine
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def read(source: Path) -> Any:
    """The notebook of a source, without outputs; the same source always gives the same notebook."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{source.stem[:2]}-{number:02}"
        cell["metadata"] = {}
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return notebook


def is_current(source: Path) -> bool:
    """Whether the notebook has the cells of its source, and has been run."""
    file = source.with_suffix(".ipynb")
    if not file.is_file():
        return False
    pairs = [(cell.cell_type, cell.source) for cell in nbformat.read(file, as_version=4).cells]
    return pairs == [(cell.cell_type, cell.source) for cell in read(source).cells]


def smaller(png: str) -> str:
    """A picture in base64 with at most 128 colours, if that is smaller."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    out = io.BytesIO()
    image.quantize(128, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    found = base64.b64encode(out.getvalue()).decode()
    return found if len(found) < len(png) else png


def clean(notebook: Any) -> None:
    """Leave out what differs from run to run and says nothing; make the pictures small.

    Raises:
        ValueError: an output names a folder of this machine, or there is a warning.
    """
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell["metadata"] = {}
        if "outputs" in cell:
            cell["outputs"] = [output for output in cell.outputs if not COMPILING.match(output.get("text", ""))]
        for output in cell.get("outputs", []):
            output.pop("metadata", None) if output.output_type == "stream" else output.update(metadata={})
            if output.get("name") == "stderr":
                raise ValueError(f"this cell writes to stderr: {output.text[:300]}\n{cell.source}")
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = smaller(data["image/png"]) + "\n"
            text = output.get("text", "") + "".join(
                v for k, v in data.items() if k != "image/png" and isinstance(v, str)
            )
            if named := [place for place in PLACES if place in text]:
                raise ValueError(f"an output names {named[0]}; print a relative path:\n{cell.source}")


def build(source: Path) -> str:
    """Run a source, write its notebook, and tell how long it took and how large it is."""
    notebook = read(source)
    os.environ.pop("MPLBACKEND", None)  # with another backend than Jupyter's, `plt.show()` would leave no picture
    start = time.perf_counter()
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": HERE}}).execute()
    seconds = time.perf_counter() - start
    clean(notebook)
    text = nbformat.writes(notebook, version=4) + "\n"
    if len(text) > MOST_BYTES:
        raise ValueError(
            f"{source.stem}: {len(text):,} bytes, more than {MOST_BYTES:,}: draw fewer or smaller pictures"
        )
    source.with_suffix(".ipynb").write_text(text, encoding="utf-8")
    return f"{source.stem}: {seconds:.0f} s, {len(text) // 1000} kB"


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", help="such as 02")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    sources = sorted(HERE.glob("[0-9][0-9]_*.py"))
    if unknown := set(options.numbers) - {source.stem[:2] for source in sources}:
        parser.error(f"no notebook has the number {', '.join(sorted(unknown))}")
    old = [source for source in sources if not is_current(source)]
    if options.check:
        for source in old:
            print(f"{source.stem}.ipynb is not that of {source.name}; run: python notebooks/build.py {source.stem[:2]}")
        return 1 if old else 0
    chosen = (
        [s for s in sources if s.stem[:2] in options.numbers] if options.numbers else sources if options.all else old
    )
    for source in chosen:
        print(build(source), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
