"""Draw the pictures of views.md, of runs, that is of nets that were trained:

minicnn train lenet5 --dataset mnist --epochs 3 -o runs/lenet5
minicnn train resnet20 --dataset cifar10 --epochs 10 -o runs/resnet20
python docs/draw_views.py runs/lenet5 runs/resnet20
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from minicnn.train import Run
from minicnn.visualize import draw

PICTURES = Path(__file__).parent / "images" / "views"
WIDTHS, COLOURS, BYTES = (1000, 860, 740, 640), 256, 150_000  # of a picture; the widest one that is small enough
VIEWS = {
    "lenet5": ("patches", "maps", "changed", "excited", "embedding", "tiles", "neighbours", "probes", "activations"),
    "resnet20": ("patches", "maps", "changed", "excited", "embedding", "neighbours", "probes", "dropped", "flow"),
}


def pictures(folder: str, names: list[str]) -> None:
    """The views of a run, or some of them."""
    run = Run.open(folder)
    net = run.config["model"]["name"].lower()
    for name in VIEWS[net]:
        if names and name not in names:
            continue
        out = PICTURES / f"{name}_{net}.png"
        draw(run, [name], out=out)
        with Image.open(out) as drawn:
            image = drawn.convert("RGB")
        out.write_bytes(small(image))
        print(f"{out.name}: {out.stat().st_size // 1000} kB", flush=True)


def small(image: Image.Image) -> bytes:
    """A picture as a small file."""
    for width in WIDTHS:
        smaller = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
        content = io.BytesIO()
        few = smaller.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=4, dither=Image.Dither.NONE)
        few.save(content, "PNG", optimize=True)
        if content.tell() < BYTES:
            break
    return content.getvalue()


if __name__ == "__main__":
    runs = [argument for argument in sys.argv[1:] if Path(argument).is_dir()]
    chosen = [argument for argument in sys.argv[1:] if argument not in runs]
    for each in runs:
        pictures(each, chosen)
