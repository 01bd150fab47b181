"""Draw the pictures of pictures.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import minicnn
from minicnn import explain, transforms, visualize

PICTURES = Path(__file__).parent / "images" / "pictures"


def main() -> None:
    """All of them; nothing is downloaded."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    visualize.activation_functions(out=PICTURES / "activations.png")
    photo = explain.sample_image("china", 96)
    tiny = np.moveaxis(explain.sample_image("flower", 8)[:, 1:9], 2, 0)
    visualize.number_grid(minicnn.tensor((tiny * 255).round().astype(np.uint8)), out=PICTURES / "numbers.png")
    visualize.kernels(photo, out=PICTURES / "kernels.jpg")
    crop = transforms.Compose([transforms.RandomCrop(72), transforms.RandomHorizontalFlip()])
    image = minicnn.tensor(np.ascontiguousarray(np.moveaxis(photo, 2, 0)))
    visualize.augmentations(image, crop, n=6, out=PICTURES / "augmentations.png")
    matrix = explain.connections(np.arange(1.0, 10).reshape(1, 1, 3, 3), (1, 5, 5))
    visualize.local_connectivity(matrix, out=PICTURES / "connections.png")
    visualize.strides(7, 3, (1, 2, 3), out=PICTURES / "strides.png")
    visualize.shrinking(32, out=PICTURES / "shrinking.png")
    for file in [*PICTURES.glob("*.png"), *PICTURES.glob("*.jpg")]:
        smaller(file)


def smaller(file: Path, width: int = 1200, colors: int = 128) -> None:
    """Reduce a picture to what a page shows: so many pixels across, and, of a .png, so many colours."""
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    if file.suffix == ".jpg":
        picture.save(file, quality=70, optimize=True)
    else:
        picture.quantize(colors, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    main()
