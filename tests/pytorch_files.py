"""Files of `torch.save` for tests without PyTorch: two that PyTorch 2.13 wrote, and functions that forge others.

The two hold the same object, `SAVED` below; w is [[0, 1, 2], [3, 4, 5]]:

    s = OrderedDict(w=w, t=w.T, tied=w, part=w[1, 1:], n=torch.tensor(7), e=torch.zeros(0, 3))
    s._metadata = OrderedDict([("", {"version": 1})])
    {
        "state_dict": s, "p": torch.nn.Parameter(torch.ones(2, dtype=torch.float16), False),
        "g": torch.ones(1, dtype=torch.float64, requires_grad=True),
        "b": torch.tensor([1.5, -2], dtype=torch.bfloat16), "m": torch.tensor([True, False]),
        "u": torch.tensor([65535], dtype=torch.uint16), "epoch": 3, "lr": [0.1, (True, None)],
        "c": Counter("aab"), "s": {1, 2}, "k": {(0, "a"): torch.Size([2])},
        "d": [torch.float32, torch.device("cpu")], "big": 2**70,
    }
"""

from __future__ import annotations

import base64
import io
import pickle
import struct
import zipfile
import zlib
from typing import Any

import pytest

from minicnn.serialization import CheckpointError, load

FOUR = struct.pack("<4f", 0, 1, 2, 3)
MAGIC = 0x1950A86A20F9469CFC6C

_ARCHIVE = """
    eNqlVktz21QUlu3EdlRI0gckDVAe5eFA6vptp03rVA1KQaVN1AfGEIRsK7aoYvlI1+kDQgPFobCiGwZYMPwDlgwb6LBhDQuGBbsuOh0WMGxgF+69
    khVJSZrSaCx7JJ3vcc7VOdczQqiHYaJRZt0xyOxiZKPaUBeVgzUZyfHWBY3n+pmy51gOLgETK7EYYCIZKVJNrSIIVKu6pilVpOpNkz1t1BRDqU3h
    JywER0UIxUoBDLgIPVWkY4m41EaqZrKSoVTaqlaTkNI0dUNaTLHQG4uVIpRdN+S6AmELwvKaLqMz1k0WIpQwAdFSCP9WW23oE8II2FmBEYJCaAV2
    CCEhsAIPfNwgBh5E0C/CAAUhGGxgkUa4EWlEGxS2k8BCQnAFdgkBgt5twfYgeEiEh0s9BKYqNRhqDNCLlmwgGPbT7J0VeoRgB0aEQAcesSgeRfCY
    CPuochMetyB2Sif1Zt3J6AkakoQnMVcAwVPY0uioxbEfwdMiPEMDFHi2K0uvU/AcBuCkYiQHhpgftVJ/3gK/gGBMhAPtJYiX+jBAWlCQTNYXDtLn
    iRJZfEguQYrWfVExTLyKkBYCpmlWqEgLMpssHC6EjAkVg4WsJ7cTsjbv5JajLGnIY6tBBAW6Sh0YJ3U6ZNk8jGBChCPWxdGPoCjCJEXV4ZiHeEpv
    VzTFoeZoUAaOW2WbItSY9UXyxV+nbNMITojwEg2swMseNo6+VsmcwyfQsCyctKy+Yls9RfhOW+5mEMyKINLABTjj5dN1zeE6S0NycM7iOm9zvUq4
    ShbXawjKIrxOA9vwxhbtkWZhbk0sbrcIe66JLreUmqP7JqXLg2TpvmXXRCZfFUu3avttq02cPQs1BIoI86Ve8oq19GoD6kKoFMRXmgGNOVBj08Xv
    viDHl9dPrcDbCpWowgVP4x/X2036LmhLsGD1vAxNIWiXXhcC7Q60RAB6wwSjKkkkQ6Q2JYk1FTwuzDlAMdyEQaUDbREWaeQFuLgElwTGZry8Alds
    /2fUKzjhd0hZ3+3AkgjvmTSoBlfnYDlmR82TRU7j4fK+faOmLKpVDPzAGR/XOvChCB2F3qiodVj5pK87GSfb8RkhEj29Z6T8D+5+cs5sOkaHmB5n
    jMbndWNBRpLdUzyHG5wwffvn79eIS3JuzjTC5NeY7LWWZE2tNxeUJuK5tG8039ORyxADxYtwhyxu8K4GdjJFx0DlMlJ0Mtd57vD96HYPTUVIU4iH
    zpFbe8NYJXxXD/3MUc+udDDBc4e2YcBiXS6SZcUffC7j8+tJ4mjo09s3hvGD4S0cjXkdJXkuds+OIjYL0Wv9elsnAlFHj9lQb8Krl+K5wn1X4G55
    7fHqpHlucJ0ONjNBvOs/lPcTwz1b1GrSy5nhuYntvD72+v1VJB7u7P73J2/9ovdSv+x26nezyNwk2pHZ8q37yD+33fwD9M35fv+Ppa37t5/hvOp5
    nju6LfVyeXWV6DPM6urW+gPMMUffGYFHtmcgzRL9n7+qn9tafx+TWhugtACmYqh4gl6RyX4lqTWei/9PO4lCKlfIZfL5dDaXyGTz+XwikSgkU+OF
    8Wy2UEhkk9lcLpMcJy6H//7mfAz7iFGXAWLW8eneTAbXOff/D/ej3RvIkAc53ctstv34SdybwIiH5IabZN3O4+dxD/KdHp5dYWb9BuKHu6duvwf+
    WZjxzX4/1j1BvdhYxIdNdrEbz1j38bkfm/LruqefF0vYvVPUj3VPLS/2rB+b8WPdU8eL/c2Pzfqx7pnh0+3zYXN+rLvfvdhf/Ni8H+vu1QEPVmQZ
    /3zwg90ttM8r7AJv3NwzQjg81h0FoQPrFrv7a4as30s7ultzmO7Sf9gB1r+03rCF6afxVux/kEuPyQ==
"""
_SEQUENCE = """
    eNqFlFl320QUxyXZsVtBF3bKWnaHxcRLvUAgoQ1pQW3aKBTEYoQsTSy1iuS/NEppwWAWu6HfAA4PPPIVeOvX4Y1XzuGcMjOSneNgQMeSrDtzf/c/
    d+7coXJL9f/6ef3Pk1d+vXSiPFQu/J5jzwGkknFckqR+FNLQDn1zl0SxFwaQ2QTjCBvxPUp9YpLA8awAyp6hMiO93idm7N0gMXID5EvGAjPGbhhR
    LGiKkWNfXkBR0PJGnjPCoIeilk+SSUwOialFiel4NoVss9g+sSkLHasXI4dExFljIyqURR25kiEzh2vI2zSMbLdsJtTzY9WMSDfxfMekJIjDyNyt
    qlgolYyioIeR1SMopC7quh9adCs1qigaR9mcdr1Vr9RrtUqrearWwCEh3O4nOKwVNijUTU3SFC03xl1aTpPHuPsHl8s5QnFUxzGhieK4y0K6BXcu
    8h43Rd3LUTlNGeM+TebE+1PUAxQP6nhIZIl6xMHD7jHx0bdYLk/8F/qRDP3oppbXlBEe0+QRHk+xT1A8qeOkUBjgqRSTJeI824xpHp7eJ9fqjUa1
    2Wws4RlGlhn5WSZ6cTElPkfxvI4XBJGg9E9hzL3ZqjB/LDJ3ibm/yNcs8cW+lKbv5RT1CkVZx6vJAEvGYeZu7hBqORa1UBHjVYMZJdQGqIudnJTk
    KU2O47grJPTR+JdSYImzGJBEKpoz6z5n+dvTdbcOCK9WmPA2E64w4a+JfR/hdZ7R5VT0GxRv6lhJP1Zv4i0dp4WSHs7MhFkLk65PpoHWDgZq1+t4
    O0vwOg/EYpzlj3N7gv0Oxbs6NMHu4vwM+7Qo4kpjSr8wS6+3KtUWNrJlXMyWcYnTN1PlOsWWjvcEfQeXZ+lh6E/J7x8kt5aW8EFGNjLyh5z8UUr+
    mOITHR1BTvDp/xzUmgpzP3Q5O6zq5YB3Fmeq4rPZwm+3eX1ZmYpulj2bP5xUBcnWkrD2U2mo2Kbo6XBFfyL90HbhaTlD4T0pwpUOrpbOrvz2I79+
    2tsYwydCv42dmYZ0JkwCUVHBAGHaiyz0WaNLNwmanIwQ6YiFIQa1TZOvl3qBaaoxYW0s6WC3xI6+Qka4puNzMfMqrg9wQ5My4hdjfJnp32K9VcWA
    J/mrEb7WMUzZDr7p4NtSNmubl0ONNb3vMoNDdj2bOX4/7WSjEcY6bhJh6Ho97N3iZ05cq7wdd3g7ntME5Hmlpcyrity8JpCfd8AW5h2GwrzmVpy3
    8YdIWc6kF7O3kr1vr0i3J/8nc/ZHpWVped/Krz9WCjPfwxWeD/Zj95Ddv6xOfO/c+RuYbedH
"""
SAVED = {name: zlib.decompress(base64.b64decode(text)) for name, text in (("zip", _ARCHIVE), ("old", _SEQUENCE))}


def read(data: bytes, **options: Any) -> Any:
    """The object in a file with this content."""
    return load(io.BytesIO(data), **options)


def refused(data: bytes, message: str) -> None:
    """Check that a file with this content raises the right error."""
    with pytest.raises(CheckpointError, match="(?s)^BytesIO: .*" + message):
        read(data)


def archive(data: bytes, storages: dict[str, bytes] | None = None, **options: Any) -> bytes:
    """A file as PyTorch writes since 1.6: a pickle, and storages by their keys."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as packed:
        packed.writestr("net/data.pkl", data)
        packed.writestr("net/byteorder", "little")
        for key, content in (storages or {}).items():
            packed.writestr(f"net/data/{key}", content)
    return file.getvalue()


def sequence(data: bytes, storages: dict[str, bytes] | None = None, width: int = 4) -> bytes:
    """A file as PyTorch wrote before: storages of numbers of `width` bytes each."""
    facts = {"protocol_version": 1001, "little_endian": True}
    pickles = [pickle.dumps(part, 2) for part in (MAGIC, 1001, facts)] + [data, pickle.dumps([*(storages or {})], 2)]
    contents = [struct.pack("<q", len(content) // width) + content for content in (storages or {}).values()]
    return b"".join(pickles + contents)


def text(value: str) -> bytes:
    """The instruction that pushes text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    """The instruction that pushes an integer."""
    return pickle.dumps(value, 2)[2:-1]


def numbers(*values: int) -> bytes:
    """The instructions that push a tuple of integers."""
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key: str, count: int, kind: str = "FloatStorage", old: bool = False, view: bytes = b"N") -> bytes:
    """The instructions that push a storage."""
    parts = text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(count)
    return b"(" + parts + (view if old else b"") + b"tQ"


def tensor(part: bytes, size: bytes, stride: bytes, offset: bytes = number(0)) -> bytes:
    """The instructions that push a tensor: a view of a storage."""
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + part + offset + size + stride + b"\x89" + hooks + b"tR"
