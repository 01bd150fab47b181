"""`torch.backends.mps`: Apple's GPUs are not used."""

from __future__ import annotations

from ..doors import door as _door


def is_available() -> bool:
    """False."""
    return False


is_built = is_available

_door(globals())
