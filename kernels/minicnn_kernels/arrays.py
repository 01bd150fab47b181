"""Arrays, and offsets into their memory."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

# Compiled loops walk flat memory by unsigned offsets. A signed index may be negative and then counts from the end, so
# the loop has to test for that, and is not vectorised. An unsigned index needs no such test.
U = np.uintp
