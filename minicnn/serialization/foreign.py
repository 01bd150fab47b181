"""Recognises files that are not safetensors files by their first bytes, and says what to do with them.

The same for what files of `torch.save` can hold and is not read: what it is, and how to save it.
"""

from __future__ import annotations

import re

NO_PICKLE = """a pickle, but none that torch.save wrote; reading one can run any code, so minicnn does not. Write the \
data with minicnn.save or numpy.savez, or as tensors with torch.save"""
_PIPE = """a pickle or a file of torch.save, and reading it needs a file that can go back to its beginning; copy the \
pipe into a file, or into io.BytesIO"""
_NPZ = """an archive of NumPy arrays (.npz), not a safetensors file; convert it once:
    import numpy, minicnn
    minicnn.save(dict(numpy.load("file.npz")), "file.safetensors")"""
_NPY = """a NumPy array (.npy), not a safetensors file; convert it once:
    import numpy, minicnn
    minicnn.save(numpy.load("file.npy"), "file.safetensors")"""
SCRIPT = "a TorchScript program; in PyTorch, save the state_dict() of the module instead, with safetensors"
_PACKED = "compressed ({0}), not a safetensors file; unpack it first"
_OTHER = "{0}, not a safetensors file"
_WEIGHTS = "{0}, not a safetensors file; read it with {1}, and save its arrays with minicnn.save"

AGAIN = "restore it from a copy, or train again"
_BEGINNINGS = [
    (b"\x93NUMPY", _NPY),
    (b"\x89HDF\r\n\x1a\n", _WEIGHTS.format("an HDF5 file, such as Keras writes", "h5py")),
    (b"\x1f\x8b", _PACKED.format("gzip")),
    (b"BZh", _PACKED.format("bzip2")),
    (b"\xfd7zXZ\0", _PACKED.format("xz")),
    (b"\x28\xb5\x2f\xfd", _PACKED.format("zstd")),
    (b"7z\xbc\xaf\x27\x1c", _PACKED.format("7z")),
    (b"GGUF", _WEIGHTS.format("a GGUF file", "the package gguf")),
    (b"MATLAB 5.0", _WEIGHTS.format("a MATLAB file", "scipy.io.loadmat")),
    (b"\x89PNG", _OTHER.format("a PNG image")),
    (b"\xff\xd8\xff", _OTHER.format("a JPEG image")),
    (b"GIF8", _OTHER.format("a GIF image")),
    (b"%PDF", _OTHER.format("a PDF")),
    (b"SQLite format 3", _OTHER.format("an SQLite database")),
    (b"\x7fELF", _OTHER.format("a program")),
    (b"version https://git-lfs", "a pointer of Git LFS instead of the file; fetch the file with `git lfs pull`"),
]

# what is not read from a file of torch.save, by the beginning of its name there: tensors, and how to save them
_TENSORS = {
    "torch._utils._rebuild_sparse": ("a sparse tensor", "x.to_dense()"),
    "torch._utils._rebuild_qtensor": ("a quantised tensor", "x.dequantize()"),
    "torch._utils._rebuild_nested_tensor": ("a nested tensor", "list(x.unbind())"),
    "torch._utils._rebuild_device_tensor": ("a tensor of a device that minicnn lacks", "x.cpu()"),
    "torch.serialization._get_layout": ("the layout of a tensor", "str(x)"),
}
_NUMBERS = (
    ("complex", "complex numbers", "torch.view_as_real(x)"), ("qu?int", "quantised numbers", "x.dequantize()"),
    ("b?float", "floating-point numbers", "x.float()"), ("", "integers", "x.to(torch.int64)"),
)  # fmt: skip
# objects of Python that are nearly plain data
_OBJECTS = {
    "argparse.": "vars(x)", "types.SimpleNamespace": "vars(x)", "collections.defaultdict": "dict(x)",
    "collections.deque": "list(x)", "builtins.frozenset": "set(x)", "builtins.range": "list(x)",
    "builtins.slice": "(x.start, x.stop, x.step)", "datetime.": "str(x)", "pathlib.": "str(x)", "decimal.": "str(x)",
    "fractions.": "str(x)", "uuid.": "str(x)", "torch.return_types.": "tuple(x)",
}  # fmt: skip


def unread(name: str) -> str:
    """What a name in the pickle of a file of `torch.save` stands for, which is not read, and how to save it."""
    for beginning, (what, how) in _TENSORS.items():
        if name.startswith(beginning):
            return f"it contains {what} ({name}), which minicnn lacks; where PyTorch is, save {how}"
    kind = re.fullmatch(r"torch\.(?:\w+\.)*(\w+)Storage|torch\.((?:b?float|complex|q?u?int|bits)\d\w*)", name)
    if kind:
        found = (kind[1] or kind[2]).lower()
        what, how = next((what, how) for begin, what, how in _NUMBERS if re.match(begin, found))
        return f"it contains {name}, a type of {what} that minicnn lacks; where PyTorch is, save tensors of it as {how}"
    if name.startswith("numpy"):
        return f"it contains {name}; save NumPy's arrays as tensors, and its numbers as float(x)"
    name = name.replace("__builtin__.", "builtins.").replace("builtins.xrange", "builtins.range")
    for beginning, how in _OBJECTS.items():
        if name.startswith(beginning):
            return (
                f"it contains {name}, an object of Python that is no plain data; PyTorch's weights_only=True refuses "
                f"it, too. Save {how} in its place"
            )
    return (
        f"it contains {name}, which is code: a class or a function, or an object that only they can make; none runs "
        "here. Tensors, numbers, text, bytes and containers of them are read. Where PyTorch is, save the state dict "
        "alone: torch.save(model.state_dict(), 'weights.pth')"
    )


def recognised(beginning: bytes) -> str | None:
    """What a file with these first bytes is, and the remedy; None if they are not recognised.

    Args:
        beginning: the first 512 bytes or more.
    """
    if not beginning:
        return f"empty; {AGAIN}"
    for magic, text in _BEGINNINGS:
        if beginning.startswith(magic):
            return text
    if beginning[:2] == b"PK":
        return _archive(beginning)
    if beginning[:1] == b"\x80" and beginning[1:2] in b"\x02\x03\x04\x05":
        return _PIPE
    if beginning[257:262] == b"ustar":
        return _OTHER.format("a tar archive") + "; unpack it first"
    if beginning[:1] == b"\x08" and 0 < beginning[1] < 32 and beginning[2:3] in (b"\x12", b"\x1a", b"\x3a"):
        return _WEIGHTS.format("an ONNX model", "the package onnx")
    return _text(beginning)


def first_in_archive(beginning: bytes) -> str:
    """The name of the first file in a zip file, if that begins so."""
    length = int.from_bytes(beginning[26:28], "little")
    return beginning[30 : 30 + length].decode(errors="replace")


def _archive(beginning: bytes) -> str:
    """Recognise a zip file by the name of the first file in it."""
    first = first_in_archive(beginning)
    if beginning[2:4] == b"\5\6":
        return f"an empty zip archive, such as numpy.savez() writes without arrays; {AGAIN}"
    if first.endswith(".npy"):
        return _NPZ
    if first.endswith(("data.pkl", ".format_version")):
        return _PIPE
    if "/data/" in first or "/code/" in first:
        return SCRIPT
    if first in ("metadata.json", "config.json", "model.weights.h5"):
        return _WEIGHTS.format("a zip archive, such as Keras writes", "Keras")
    return _OTHER.format(f"a zip archive, whose first file is {first!r}") + "; unpack it first"


def _text(beginning: bytes) -> str | None:
    """Recognise text; None if the bytes do not look like text."""
    text = beginning[:256].decode(errors="ignore")
    if not (text and len(text) >= min(len(beginning), 256) / 4 and all(c.isprintable() or c in "\t\r\n" for c in text)):
        return None
    start = text.lstrip().lower()
    if start.startswith(("<!doctype", "<html")):
        return f"a web page, perhaps the answer to a download that failed; {AGAIN}, or download it again"
    return _OTHER.format(f"a text that begins with {text[:30]!r}") + f"; {AGAIN}"
