"""`minicnn.jit.annotations`: names of types that TorchScript programs import. Annotations have no effect here."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035

from ..doors import door as _door

__all__ = ["BroadcastingList1", "BroadcastingList2", "BroadcastingList3", "Dict", "List", "Optional", "Tuple", "Union"]


class _Broadcasting:
    """`BroadcastingList2[int]` means an int or a list of 2 ints; here it is just int."""

    def __getitem__(self, kind: Any) -> Any:
        return kind


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = _Broadcasting()

_door(globals())
