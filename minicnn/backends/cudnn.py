"""The switches of `torch.backends.cudnn`; minicnn is deterministic in any case."""

from __future__ import annotations

from ..missing import answer as _answer

enabled = False
benchmark = False
deterministic = True
allow_tf32 = False


def is_available() -> bool:
    """False: there is no cuDNN here."""
    return False


def version() -> None:
    """None: there is no cuDNN here."""


_answer(globals())
