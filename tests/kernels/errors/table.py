"""The type of a row of an error table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

# The call, and the parts that its message must have, in this order: the operation, the wrong values, the remedy.
Error: TypeAlias = tuple[Callable[[], Any], list[str]]
