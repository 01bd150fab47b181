"""`cupy.cuda`: devices, streams, events and memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from .devices import DEVICES, TOTAL_MEMORY, CUDARuntimeError, here, set_device
from .memory import (
    MemoryPointer,
    MemoryPool,
    OutOfMemoryError,
    PinnedMemoryPointer,
    PinnedMemoryPool,
    alloc,
    alloc_pinned_memory,
    arenas,
)
from .streams import Event, Stream, get_current_stream, get_elapsed_time, synchronize_device
from .traffic import wait

__all__ = [
    "Device", "Event", "MemoryPointer", "MemoryPool", "PinnedMemoryPointer", "PinnedMemoryPool", "Stream", "alloc",
    "alloc_pinned_memory", "get_current_stream", "get_device_id", "get_elapsed_time", "is_available", "memory",
    "pinned_memory", "runtime", "stream",
]  # fmt: skip


class Device:
    """A device; with `with`, the current one."""

    __slots__ = ("_before", "id")

    def __init__(self, device: int | Device | None = None) -> None:
        self.id = here.device if device is None else int(device)
        self._before: list[int] = []

    def __enter__(self) -> Device:
        self._before.append(here.device)
        set_device(self.id)
        return self

    def __exit__(self, *error: object) -> None:
        here.device = self._before.pop()

    def use(self) -> Device:
        """Make it the current device of this thread."""
        set_device(self.id)
        return self

    def synchronize(self) -> None:
        """Wait until all its streams are done."""
        wait("Device.synchronize")
        synchronize_device(self.id)

    @property
    def mem_info(self) -> tuple[int, int]:
        """Bytes that are free, and bytes in all."""
        return TOTAL_MEMORY - arenas[self.id].total, TOTAL_MEMORY

    compute_capability = "90"
    pci_bus_id = property(lambda self: f"0000:{self.id:02X}:00.0")

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


def get_device_id() -> int:
    """The number of the current device."""
    return here.device


def is_available() -> bool:
    """Whether there is a GPU."""
    return True


def _properties(device: int) -> dict[str, Any]:
    """What CUDA says about a device; the sizes are those of an H200."""
    if not 0 <= device < DEVICES:
        raise CUDARuntimeError(101, f"cudaErrorInvalidDevice: invalid device ordinal: {device} of {DEVICES}")
    return {
        "name": b"Emulated GPU", "totalGlobalMem": TOTAL_MEMORY, "major": 9, "minor": 0, "multiProcessorCount": 132,
        "warpSize": 32, "maxThreadsPerBlock": 1024, "sharedMemPerBlock": 49152, "sharedMemPerBlockOptin": 232448,
        "regsPerBlock": 65536, "pciBusID": device, "pciDeviceID": 0, "pciDomainID": 0,
    }  # fmt: skip


def _can_access_peer(device: int, peer: int) -> int:
    return 0


runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDevice=get_device_id,
    setDevice=set_device,
    getDeviceCount=lambda: DEVICES,
    getDeviceProperties=_properties,
    deviceCanAccessPeer=_can_access_peer,
    deviceSynchronize=lambda: Device().synchronize(),
    memGetInfo=lambda: Device().mem_info,
    runtimeGetVersion=lambda: 13000,
    driverGetVersion=lambda: 13000,
    is_hip=False,
)
memory = SimpleNamespace(
    MemoryPointer=MemoryPointer, MemoryPool=MemoryPool, OutOfMemoryError=OutOfMemoryError, alloc=alloc
)
pinned_memory = SimpleNamespace(
    PinnedMemoryPointer=PinnedMemoryPointer,
    PinnedMemoryPool=PinnedMemoryPool,
    alloc_pinned_memory=alloc_pinned_memory,
)
stream = SimpleNamespace(
    Event=Event, Stream=Stream, get_current_stream=get_current_stream, get_elapsed_time=get_elapsed_time
)
