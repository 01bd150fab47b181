"""Where arrays live. This version computes on the CPU."""

from __future__ import annotations


class Device:
    """A place for tensors, by PyTorch's names: `device("cpu")`, or another `Device`.

    Raises:
        RuntimeError: a device this version has no kernels for.
    """

    def __init__(self, name: str | Device = "cpu") -> None:
        kind = str(name).partition(":")[0]
        if kind != "cpu":
            raise RuntimeError(f"device: {str(name)!r} is not available; this version of minicnn computes on 'cpu'")
        self.type = kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.type == self.type

    def __hash__(self) -> int:
        return hash(self.type)

    def __repr__(self) -> str:
        return f"device(type='{self.type}')"

    def __str__(self) -> str:
        return self.type
