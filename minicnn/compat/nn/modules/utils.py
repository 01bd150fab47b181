"""Small helpers that published PyTorch code imports under these names."""

from __future__ import annotations

from typing import Any

from ....nn.tuples import _ntuple as _ntuple
from ....nn.tuples import _pair as _pair
from ....nn.tuples import _quadruple as _quadruple
from ....nn.tuples import _reverse_repeat_tuple as _reverse_repeat_tuple
from ....nn.tuples import _single as _single
from ....nn.tuples import _triple as _triple
from ...doors import door as _door


def _list_with_default(out_size: Any, defaults: list[int]) -> Any:
    """The output size, with None entries replaced by the sizes of the input."""
    if isinstance(out_size, int):
        return out_size
    if len(defaults) <= len(out_size):
        raise ValueError(f"Input dimension should be at least {len(out_size) + 1}")
    return [d if v is None else v for v, d in zip(out_size, defaults[-len(out_size) :], strict=True)]


def consume_prefix_in_state_dict_if_present(state_dict: dict[str, Any], prefix: str) -> None:
    """Remove `prefix`, such as "module.", from the names in a state dict, in place."""
    for key in [key for key in state_dict if key.startswith(prefix)]:
        state_dict[key[len(prefix) :]] = state_dict.pop(key)
    metadata = getattr(state_dict, "_metadata", {})
    for key in [key for key in metadata if key and (key == prefix.replace(".", "") or key.startswith(prefix))]:
        metadata[key[len(prefix) :]] = metadata.pop(key)


_door(globals())
