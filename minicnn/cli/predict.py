"""`minicnn predict`: the classes that a trained net sees in image files."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Commands, UsageError, add_backend, add_device, add_output, command, positive
from .console import DONE, FAILED, one_line, say, visible

if TYPE_CHECKING:
    from ..train import Prediction

RAMP = " .:-=+*#%@"  # from dark to light, on a dark terminal


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "predict", predict)
    one.add_argument("folder", metavar="RUN", help="the folder of a run")
    one.add_argument(
        "images", nargs="+", metavar="IMAGE", help="image files of any format; folders of them; - for standard input"
    )
    one.add_argument(
        "--top", type=positive(int), default=3, metavar="K", help="show the K likeliest classes (default: %(default)s)"
    )
    one.add_argument("--json", action="store_true", help="print one line of JSON for each image")
    one.add_argument("--invert", action="store_true", help="exchange light and dark: for dark digits on light paper")
    one.add_argument("--crop", action="store_true", help="cut away the empty ground around the thing")
    one.add_argument("--show", action="store_true", help="draw in the terminal what the net gets")
    add_backend(one)
    add_device(one, "cpu")
    add_output(one, "a picture of the images, of what the net gets, and of the probabilities")


def predict(options: argparse.Namespace) -> int:
    """Say the classes of image files, with probabilities."""
    from .. import datasets, train
    from ..visualize import check_format
    from ..visualize.predictions import MOST

    if options.output is not None:
        try:
            check_format(options.output)
        except ValueError as error:
            raise UsageError(str(error)) from error
    predictor = train.Predictor(
        options.folder, backend=options.backend, device=options.device, invert=options.invert, crop=options.crop
    )
    found: dict[str, Prediction] = {}
    failed, dark_on_light = 0, 0
    for name, source in _sources(options.images):
        try:
            if isinstance(source, Exception):
                raise source
            one = predictor(source, name)
        except (datasets.DatasetError, OSError) as error:
            failed += 1
            if options.json:
                print(json.dumps({"file": name, "error": one_line(error)}), flush=True)
            say(f"minicnn: {one_line(error)}")
            continue
        _print(name, one, options)
        dark_on_light += bool(one.warning)
        if options.output is not None and len(found) < MOST:
            found[name] = one
    if dark_on_light:
        many = "an image shows" if dark_on_light == 1 else f"{dark_on_light} images show"
        hint = "leave --invert out" if options.invert else "try --invert"
        say(f"minicnn: {many} dark on light, and the net was trained on light on dark; {hint}")
    if found:
        from ..visualize import predicted

        predicted(found, top=options.top, out=options.output)
        print(options.output, file=sys.stderr if options.json else sys.stdout)
    return FAILED if failed else DONE


def _sources(given: list[str]) -> Iterator[tuple[str, Any]]:
    """The name and the file of each image; or its content, or the error of reading it."""
    from .. import datasets

    for one in given:
        if one == "-":
            yield "standard input", sys.stdin.buffer.read((1 << 28) + 1)
        elif os.path.isdir(one):
            files = list(_images_in(one))
            if not files:
                yield one, datasets.DatasetError(f"{one}: the folder holds no file whose name ends like an image's")
            yield from ((file, file) for file in files)
        else:
            yield one, one


def _images_in(folder: str) -> Iterator[str]:
    """The files in a folder and in its folders whose names end like those of images, in order."""
    from PIL import Image

    endings = set(Image.registered_extensions()) - {".pdf"}
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in endings:
                yield os.path.join(place, name)


def _print(name: str, one: Prediction, options: argparse.Namespace) -> None:
    """The answer for one image."""
    best = list(zip(one.classes, one.probabilities, strict=True))[: options.top]
    if options.json:
        likeliest = [{"class": label, "probability": share} for label, share in best]
        about = {"file": name, "classes": likeliest, "prepared": one.notes, "warning": one.warning or None}
        print(json.dumps(about), flush=True)
        return
    print(visible(f"{name}: " + ", ".join(f"{label} {share:.1%}" for label, share in best)))
    print(f"    {'; '.join(one.notes)}", flush=True)
    if options.show:
        print("\n".join(_characters(one.seen)), flush=True)


def _characters(seen: Any) -> list[str]:
    """An image (C, H, W) as lines of characters, two for each pixel, which is about a square."""
    import numpy as np

    grey = seen.mean(axis=0)
    step = max(1, -(-grey.shape[1] * 2 // shutil.get_terminal_size((80, 24)).columns))
    grey = grey[::step, ::step]
    share = (grey - grey.min()) / max(float(grey.max() - grey.min()), 1e-12)
    return ["".join(2 * RAMP[i] for i in row) for row in np.minimum((share * len(RAMP)).astype(int), len(RAMP) - 1)]
