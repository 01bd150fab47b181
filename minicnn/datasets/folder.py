"""Images of your own: a folder for each class.

root/cat/1.png      root/cat/more/2.jpg      root/dog/a.webp      the classes are "cat" and "dog"
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

from ..compat.missing import answer as _answer
from .image_file import formats, image_bytes
from .vision import DatasetError, VisionDataset

__all__ = [
    "IMG_EXTENSIONS", "DatasetFolder", "ImageFolder", "default_loader", "find_classes", "has_file_allowed_extension",
    "is_image_file", "make_dataset", "pil_loader",
]  # fmt: skip

FilePath = str | os.PathLike[str]

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def has_file_allowed_extension(filename: str, extensions: str | tuple[str, ...]) -> bool:
    """Whether a name ends with one of these endings, given in lower case; its own case does not matter.

    >>> minicnn.datasets.folder.has_file_allowed_extension("cat/1.JPG", (".jpg", ".png"))
    True
    """
    return filename.lower().endswith(extensions if isinstance(extensions, str) else tuple(extensions))


def is_image_file(filename: str) -> bool:
    """Whether a name ends like one of an image, as `IMG_EXTENSIONS` lists them.

    >>> minicnn.datasets.folder.is_image_file("cat/1.JPG"), minicnn.datasets.folder.is_image_file("cat/notes.txt")
    (True, False)
    """
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def find_classes(directory: FilePath) -> tuple[list[str], dict[str, int]]:
    """The folders in a folder, in the order of their names, and their numbers.

    Raises:
        FileNotFoundError: the folder does not exist, or has no folders.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("dog", "cat"):
    ...         os.mkdir(os.path.join(root, name))
    ...     print(minicnn.datasets.folder.find_classes(root))
    (['cat', 'dog'], {'cat': 0, 'dog': 1})
    """
    try:
        classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no folder {directory}; it should hold a folder for each class") from error
    if not classes:
        raise FileNotFoundError(
            f"Couldn't find any class folder in {directory}: it should hold a folder for each class, with its images"
        )
    return classes, {name: number for number, name in enumerate(classes)}


def make_dataset(
    directory: FilePath,
    class_to_idx: dict[str, int] | None = None,
    extensions: str | tuple[str, ...] | None = None,
    is_valid_file: Callable[[str], bool] | None = None,
    allow_empty: bool = False,
) -> list[tuple[str, int]]:
    """The files of each class, also those in folders further down: (path, number of the class).

    They are in the order of the names of classes, then of folders, then of files. Links to folders are followed; one
    that leads back to a folder above itself is not.

    Args:
        directory: the folder with a folder for each class.
        class_to_idx: from the name of a class to its number; None: as `find_classes`.
        extensions: the endings of files to take, in lower case.
        is_valid_file: a function of a path, in place of `extensions`: whether to take the file.
        allow_empty: a class may have no files.

    Raises:
        ValueError: both or neither of `extensions` and `is_valid_file`, or no classes.
        FileNotFoundError: a class has no files, or there is no such folder.
    """
    directory = os.path.expanduser(directory)
    if class_to_idx is None:
        class_to_idx = find_classes(directory)[1]
    if not class_to_idx:
        raise ValueError("make_dataset: class_to_idx must have at least one entry to collect any samples")
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("make_dataset: pass extensions or is_valid_file, one of them and not both")
    samples: list[tuple[str, int]] = []
    empty = []
    for name in sorted(class_to_idx):
        before = len(samples)
        for folder, files in sorted(_walk(os.path.join(directory, name), ())):
            for path in (os.path.join(folder, file) for file in sorted(files)):
                if is_valid_file(path) if is_valid_file else has_file_allowed_extension(path, extensions or ()):
                    samples.append((path, class_to_idx[name]))
        if len(samples) == before:
            empty.append(name)
    if empty and not allow_empty:
        known = extensions if isinstance(extensions, str) else ", ".join(extensions or ())
        raise FileNotFoundError(
            f"Found no valid file for the classes {', '.join(empty)} in {directory}; "
            + (f"names end with {known}; " if known else "")
            + "remove these folders, or pass allow_empty=True"
        )
    return samples


def _walk(folder: str, above: tuple[tuple[int, int], ...]) -> list[tuple[str, list[str]]]:
    """The folders below a folder, itself included, and the names of their files; `above` are the folders it is in."""
    try:
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        entries = [] if here in above else list(os.scandir(folder))
    except OSError:  # it is gone, no folder, or closed to us, which torchvision passes over, too
        return []
    inner = [entry.name for entry in entries if entry.is_dir()]
    found = [(folder, [entry.name for entry in entries if entry.name not in set(inner)])] if entries else []
    for name in inner:
        found += _walk(os.path.join(folder, name), (*above, here))
    return found


def pil_loader(path: FilePath) -> Any:
    """The image in a file, as PIL image of mode "RGB"; grey, transparent and palette images are converted.

    It is read as it is stored; `PIL.ImageOps.exif_transpose` turns photographs that a camera stored on their side.

    Raises:
        DatasetError: the file cannot be read, is no image, or a damaged one, or has more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS` (89 million), a bomb that would fill the memory. For larger images that you
            trust, set that number to a larger one.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (4, 3), 7).save(folder + "/grey.png")
    ...     minicnn.datasets.folder.pil_loader(folder + "/grey.png").getpixel((0, 0))
    (7, 7, 7)
    """
    from PIL import Image

    most = Image.MAX_IMAGE_PIXELS
    try:
        with Image.open(io.BytesIO(image_bytes(path)), formats=formats()) as image:
            if most is not None and image.width * image.height > most:
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels, more than {most:,}")
            return image.convert("RGB")
    except Image.DecompressionBombError as error:
        raise DatasetError(
            f"{path}: too large ({error}). If you trust it, set PIL.Image.MAX_IMAGE_PIXELS to a larger number; a "
            "smaller copy is read faster"
        ) from error
    except Exception as error:  # Pillow's formats raise errors of many types for damaged files
        if isinstance(error, OSError) and error.errno is not None:
            raise DatasetError(f"{path}: cannot be read ({error}); check the path and its permissions") from error
        raise DatasetError(
            f"{path}: no image, or a damaged one ({_said(error)}); remove it, or save it again in another program"
        ) from error


def _said(error: Exception) -> str:
    text = str(error)
    return "its format is none of those that are read" if "cannot identify" in text else text or type(error).__name__


def default_loader(path: FilePath) -> Any:
    """The image in a file: `pil_loader`."""
    return pil_loader(path)


class DatasetFolder(VisionDataset):
    """Files of any kind, with a folder for each class.

    Args:
        root: the folder with a folder for each class; files may be in folders further down.
        loader: a function of a path that gives the sample.
        extensions: the endings of files to take, in lower case: (".npy",).
        transform, target_transform: functions of the sample and of the number of its class.
        is_valid_file: a function of a path, in place of `extensions`: whether to take the file.
        allow_empty: a class may have no files.

    Attributes: `classes`, the names of the folders in their order; `class_to_idx`, from a name to its number;
    `samples`, a list of (path, number); `targets`, the numbers. A subclass may override `find_classes`.

    Raises:
        ValueError: both or neither of `extensions` and `is_valid_file`.
        FileNotFoundError: there are no classes, or one has no files.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("a", "b"):
    ...         os.mkdir(os.path.join(root, name))
    ...         np.save(os.path.join(root, name, "0.npy"), np.arange(3))
    ...     data = minicnn.datasets.DatasetFolder(root, np.load, (".npy",))
    ...     print(len(data), data.classes, data[1])
    2 ['a', 'b'] (array([0, 1, 2]), 1)
    """

    def __init__(
        self,
        root: FilePath,
        loader: Callable[[str], Any],
        extensions: tuple[str, ...] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        assert self.root is not None
        self.classes, self.class_to_idx = self.find_classes(self.root)
        self.loader, self.extensions = loader, extensions
        self.samples = self.make_dataset(self.root, self.class_to_idx, extensions, is_valid_file, allow_empty)
        self.targets = [target for _, target in self.samples]

    @staticmethod
    def make_dataset(
        directory: FilePath,
        class_to_idx: dict[str, int],
        extensions: tuple[str, ...] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> list[tuple[str, int]]:
        """The samples, (path, number of the class): the function `make_dataset`, for subclasses to override."""
        if class_to_idx is None:
            raise ValueError("make_dataset: class_to_idx must not be None; it is what find_classes gives")
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory: FilePath) -> tuple[list[str], dict[str, int]]:
        """The classes and their numbers: the function `find_classes`, for subclasses to override."""
        return find_classes(directory)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self.apply_transforms(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Images, with a folder for each class: `root/cat/1.png`, `root/dog/more/2.jpg`.

    Images are read when they are asked for. They may have different sizes: a batch needs one size, so resize or crop
    them in `transform`.

    Args:
        root, transform, target_transform, is_valid_file, allow_empty: as in `DatasetFolder`; without `is_valid_file`,
            files are taken whose names end as `IMG_EXTENSIONS` says.
        loader: a function of a path that gives the image; by default a PIL image of mode "RGB".

    Attributes: those of `DatasetFolder`, and `imgs`, another name of `samples`.

    Raises:
        FileNotFoundError: there are no classes, or one has no images.
        DatasetError: when a sample is asked for: its file is no image, damaged or too large. The message names it.

    >>> import os, tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name, grey in (("dark", 10), ("bright", 200)):
    ...         os.mkdir(os.path.join(root, name))
    ...         Image.new("L", (4, 3), grey).save(os.path.join(root, name, "0.png"))
    ...     data = minicnn.datasets.ImageFolder(root, transform=minicnn.transforms.ToTensor())
    ...     print(data.classes, [(x.shape, round(x.mean().item() * 255), label) for x, label in data])
    ['bright', 'dark'] [(minicnn.Size([3, 3, 4]), 200, 0), (minicnn.Size([3, 3, 4]), 10, 1)]
    """

    def __init__(
        self,
        root: FilePath,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(root, loader, extensions, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples


_answer(globals())
