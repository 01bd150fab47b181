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
WIDTH, COLOURS = 1000, 128  # of a picture: these files are small
VIEWS = {
    "lenet5": ("patches", "maps", "changed", "excited", "embedding", "tiles", "neighbours", "probes", "activations"),
    "resnet20": ("patches", "maps", "excited", "embedding", "neighbours", "probes", "dropped", "flow"),
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
            image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
        content = io.BytesIO()
        image.quantize(COLOURS, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
        out.write_bytes(content.getvalue())
        print(f"{out.name}: {len(content.getvalue()) // 1000} kB", flush=True)


if __name__ == "__main__":
    runs = [argument for argument in sys.argv[1:] if Path(argument).is_dir()]
    chosen = [argument for argument in sys.argv[1:] if argument not in runs]
    for each in runs:
        pictures(each, chosen)
