"""The handle that every registration of a hook returns."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class RemovableHandle:
    """Removes a hook again: by `handle.remove()`, or at the end of `with handle:`.

    It holds the hooks of a module or an optimiser weakly: a handle that is kept does not keep them alive.

    >>> net = nn.Identity()
    >>> with net.register_forward_hook(lambda module, args, output: 10 * output):
    ...     net(minicnn.ones(2))
    tensor([10., 10.])
    >>> net(minicnn.ones(2))
    tensor([1., 1.])
    """

    _next = 0

    def __init__(self, hooks: dict[int, Any], hook: Any, *flags: dict[int, Any]) -> None:
        self.id = RemovableHandle._next
        RemovableHandle._next += 1
        hooks[self.id] = hook
        for flag in flags:
            flag[self.id] = True
        self._hold((hooks, *flags))

    def _hold(self, dicts: tuple[dict[int, Any], ...]) -> None:
        self.hooks_dict_ref, *self._flags = map(_weak, dicts)

    def remove(self) -> None:
        """Remove the hook and its flags; a second call does nothing."""
        for reference in (self.hooks_dict_ref, *self._flags):
            hooks = reference()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self) -> dict[str, Any]:
        return {"id": self.id, "hooks": self.hooks_dict_ref(), "flags": [flag() for flag in self._flags]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.id = state["id"]
        dicts = state["hooks"], *state.get("flags", ())  # earlier versions saved no flags
        self._hold(tuple(OrderedDict() if hooks is None else hooks for hooks in dicts))
        RemovableHandle._next = max(RemovableHandle._next, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def _weak(hooks: dict[int, Any]) -> Callable[[], dict[int, Any] | None]:
    """Return a weak reference to a dict of hooks; Python has none to a plain dict."""
    return weakref.ref(hooks) if isinstance(hooks, OrderedDict) else lambda: hooks
