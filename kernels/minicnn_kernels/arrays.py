"""Arrays, and offsets into their memory."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

# Compiled loops walk flat memory by unsigned offsets: an unsigned index cannot be a negative one that counts from the
# end, so the loop has no test for that in it and is vectorised.
U = np.uintp
