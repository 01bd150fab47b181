"""`minicnn.cuda`: the GPUs, their memory, streams and random numbers, with PyTorch's names.

    device = "cuda" if minicnn.cuda.is_available() else "cpu"
    net.to(device)

CuPy does the work: `pip install 'minicnn[cuda13]'`, or `[cuda12]` for an older driver. `docs/gpu.md` says what runs
where, and `minicnn doctor` what is missing. Without a GPU the functions that ask answer 0 or False, those that seed or
wait do nothing, and all others raise RuntimeError.

| file | what is in it |
|---|---|
| `devices.py` | which GPUs there are, and which is the current one; the emulated GPU |
| `memory.py` | how much memory of a GPU is in use |
| `random.py` | seeds, and the position in the stream of random numbers |
| `streams.py` | queues of work, and the events between them |
"""

from __future__ import annotations

from ..compat.cuda import amp
from ..compat.missing import answer as _answer
from ..device import OutOfMemoryError
from . import memory, random, streams
from .devices import (
    can_device_access_peer,
    current_device,
    device,
    device_count,
    device_of,
    emulate,
    get_device_capability,
    get_device_name,
    get_device_properties,
    init,
    is_available,
    is_bf16_supported,
    is_initialized,
    set_device,
    synchronize,
)
from .memory import (
    empty_cache,
    ipc_collect,
    max_memory_allocated,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_reserved,
    memory_summary,
    reset_peak_memory_stats,
)
from .random import (
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)
from .streams import Event, Stream, current_stream, default_stream, set_stream, stream

__all__ = [
    "Event", "OutOfMemoryError", "Stream", "amp", "can_device_access_peer", "current_device", "current_stream",
    "default_stream", "device", "device_count", "device_of", "empty_cache", "emulate", "get_device_capability",
    "get_device_name", "get_device_properties", "get_rng_state", "get_rng_state_all", "init", "initial_seed",
    "ipc_collect", "is_available", "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "max_memory_reserved", "mem_get_info", "memory", "memory_allocated", "memory_reserved",
    "memory_summary", "random", "reset_peak_memory_stats", "seed", "seed_all", "set_device", "set_rng_state",
    "set_rng_state_all", "set_stream", "stream", "streams", "synchronize",
]  # fmt: skip

_answer(globals())
