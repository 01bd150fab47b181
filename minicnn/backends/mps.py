"""`torch.backends.mps`: Apple's GPUs are not used."""

from __future__ import annotations

from ..missing import answer as _answer


def is_available() -> bool:
    """False."""
    return False


is_built = is_available

_answer(globals())
