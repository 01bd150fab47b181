"""Any image file as a PIL image, grey or RGB: whatever its format, mode and orientation, and nothing else."""

from __future__ import annotations

import io
import os
import warnings
from typing import Any, NamedTuple

import numpy as np

from ..serialization.files import open_regular
from .vision import DatasetError

__all__ = ["ImageFile", "formats", "image_bytes", "read_image_file"]

MOST_BYTES = 1 << 28  # of a file
MOST_PIXELS = 100_000_000  # of an image: 300 MB in RGB
# The formats that Pillow may take a file for. It knows more, such as EPS, for which it starts another program.
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP")


class ImageFile(NamedTuple):
    """An image of mode "L" (grey) or "RGB", and what was done to it, as short texts."""

    image: Any
    notes: list[str]


def read_image_file(source: str | os.PathLike[str] | bytes, name: str | None = None) -> ImageFile:
    """Read an image file that users give, in any format that Pillow knows.

    - A turned photograph is set upright, as its EXIF entry says.
    - Of an animation, the first frame counts.
    - 16-bit values are divided by 257, so that the brightest possible one, 65535, becomes 255; floating-point numbers
      in 0..1 are multiplied by 255, others stretched from their least to their greatest.
    - Transparent pixels become white; or black, if what can be seen is light.

    Args:
        source: the file, or its content.
        name: the file's name in messages.

    Raises:
        DatasetError: the file is missing, no image, damaged, or too large; the message names it, and says why.

    >>> import tempfile
    >>> from PIL import Image
    >>> from minicnn.datasets.image_file import read_image_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGBA", (4, 3)).save(folder + "/clear.png")
    ...     found = read_image_file(folder + "/clear.png")
    >>> found.image.mode, found.image.size, found.notes
    ('RGB', (4, 3), ['4 x 3 PNG, RGBA', 'transparent pixels are white'])
    """
    from PIL import Image

    name = name or (os.fspath(source) if not isinstance(source, bytes) else "the image")
    content = source if isinstance(source, bytes) else _content(source, name)
    _check_start(content, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about odd tags and large images, which are checked here
            with Image.open(io.BytesIO(content), formats=formats()) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise DatasetError(
                        f"{name}: {image.width:,} x {image.height:,} pixels are more than the {MOST_PIXELS:,} that are "
                        "read; make the image smaller"
                    )
                return _plain(image)
    except DatasetError:
        raise
    except Image.UnidentifiedImageError as error:
        raise DatasetError(f"{name}: not an image of a format that Pillow knows, or a damaged one") from error
    except Image.DecompressionBombError as error:
        raise DatasetError(f"{name}: the image is too large: {error}") from error
    except MemoryError as error:
        raise DatasetError(f"{name}: there is not enough memory for this image; make it smaller") from error
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        raise DatasetError(f"{name}: the image is damaged or cut short ({error or type(error).__name__})") from error


def formats() -> list[str]:
    """The formats in which images are read, as Pillow names them."""
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def image_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file, at most one more than `MOST_BYTES`.

    Decoders read from these, since a file would make room for any number of bytes that a header announces.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    with open_regular(path) as file:
        return file.read(min(os.fstat(file.fileno()).st_size, MOST_BYTES + 1))


def _content(path: str | os.PathLike[str], name: str) -> bytes:
    try:
        content = image_bytes(path)
    except OSError as error:
        raise DatasetError(f"{name}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a name with a zero byte
        raise DatasetError(f"{name!r}: cannot be read ({error})") from error
    return content


def _check_start(content: bytes, name: str) -> None:
    """Refuse what is known not to be an image."""
    start = content[:512].lstrip().lower()
    if len(content) > MOST_BYTES:
        raise DatasetError(f"{name}: larger than the {MOST_BYTES >> 20} MB that are read of an image")
    if not content:
        raise DatasetError(f"{name}: the file is empty")
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        raise DatasetError(f"{name}: a web page, not an image; download the image itself")
    if start.startswith((b"<svg", b"<?xml")):
        raise DatasetError(f"{name}: a drawing of lines (SVG or XML), not an image of pixels; export it as PNG")
    if content.startswith(b"%PDF"):
        raise DatasetError(f"{name}: a PDF, not an image; export its page as PNG")


def _plain(image: Any) -> ImageFile:
    """The first frame, upright, as "L" or "RGB"."""
    from PIL import ImageOps

    notes = [f"{image.width} x {image.height} {image.format}, {image.mode}"]
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"the first of {frames} frames")
    turned = ImageOps.exif_transpose(image)  # loads the pixels
    if image.getexif().get(0x0112, 1) not in (0, 1):
        notes.append("turned upright, as its EXIF entry says")
    if turned.mode in ("I", "F") or turned.mode.startswith("I;"):
        return ImageFile(_scaled(turned, notes), notes)
    if turned.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in turned.info:
        return ImageFile(_opaque(turned.convert("RGBA"), notes), notes)
    if turned.mode in ("1", "L"):
        return ImageFile(turned.convert("L"), notes)
    return ImageFile(turned.convert("RGB"), notes)


def _scaled(image: Any, notes: list[str]) -> Any:
    """A grey image of more than 8 bits as "L"."""
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    if image.mode == "F" and not np.isfinite(values).all():
        raise DatasetError("the image holds NaN or infinite values")
    low, high = values.min(), values.max()
    if image.mode != "F" and low >= 0 and high <= 65535:
        factor, said = 1 / 257, "16 bits divided by 257"
    elif image.mode == "F" and low >= 0 and high <= 1:
        factor, said = 255.0, "0..1 multiplied by 255"
    else:
        values -= low
        factor, said = 255 / max(high - low, 1e-300), f"{low:g}..{high:g} stretched to 0..255"
    notes.append(said)
    return Image.fromarray((values * factor).round().clip(0, 255).astype(np.uint8))


def _opaque(image: Any, notes: list[str]) -> Any:
    """An RGBA image on a ground on which it can be seen."""
    from PIL import Image

    alpha = np.asarray(image)[..., 3].astype(np.float64)
    if alpha.min() == 255:
        return image.convert("RGB")
    light = np.asarray(image.convert("RGB").convert("L"))
    seen = float((light * alpha).sum() / alpha.sum()) if alpha.any() else 0.0
    ground = "black" if seen > 127.5 else "white"
    notes.append(f"transparent pixels are {ground}")
    canvas = Image.new("RGBA", image.size, ground)
    canvas.alpha_composite(image)
    return canvas.convert("RGB")
