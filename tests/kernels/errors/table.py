"""What a row of an error table is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

# What is called, and the parts the message must have, in order: the operation, the values at fault, the remedy.
Error: TypeAlias = tuple[Callable[[], Any], list[str]]
