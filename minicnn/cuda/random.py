"""Random numbers on a GPU: they are those of the CPU.

NumPy draws them on the CPU, from the one stream of `minicnn.manual_seed`, and they are copied to the GPU. Dropout draws
only a key there, and computes the rest where its input is, the same on both (`minicnn_kernels.philox`). So a seed gives
the same numbers on the CPU and on a GPU. PyTorch has a stream for each device; the functions for a GPU here act on the
common stream, whatever the device, and only if there is a GPU: without one they do nothing, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

from .. import random as common
from ..compat.missing import answer as _answer
from . import devices


def manual_seed(seed: int) -> None:
    """Seed the common stream, as `minicnn.manual_seed` does; without a GPU, do nothing."""
    if devices.is_available():
        common.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the common stream, as `manual_seed`: all GPUs share it."""
    manual_seed(seed)


def seed() -> None:
    """Restart the common stream with a seed from the operating system; without a GPU, do nothing."""
    if devices.is_available():
        common.seed()


def seed_all() -> None:
    """Restart the common stream, as `seed`: all GPUs share it."""
    seed()


def initial_seed() -> int:
    """The seed that the common stream was started with."""
    return common.initial_seed()


def get_rng_state(device: Any = "cuda") -> dict[str, Any]:
    """The position in the common stream, as `minicnn.get_rng_state`.

    Raises:
        RuntimeError: there is no such GPU.
    """
    devices.number(device, "get_rng_state")
    return common.get_rng_state()


def get_rng_state_all() -> list[dict[str, Any]]:
    """The position in the common stream, once for each GPU; an empty list without one."""
    return [common.get_rng_state() for _ in range(devices.device_count())]


def set_rng_state(new_state: dict[str, Any], device: Any = "cuda") -> None:
    """Continue the common stream at a position that `get_rng_state` returned.

    Raises:
        RuntimeError: there is no such GPU.
    """
    devices.number(device, "set_rng_state")
    common.set_rng_state(new_state)


def set_rng_state_all(new_states: list[dict[str, Any]]) -> None:
    """Continue the common stream at a position of `get_rng_state_all`; an empty list changes nothing.

    Raises:
        RuntimeError: there is no GPU.
    """
    for state in new_states[:1]:
        set_rng_state(state)


_answer(globals())
