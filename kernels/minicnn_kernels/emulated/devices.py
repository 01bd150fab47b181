"""Which devices there are, and which of them a thread works on."""

from __future__ import annotations

import threading

DEVICES = 2
TOTAL_MEMORY = 16 << 30  # bytes of each device; nothing is reserved


class CUDARuntimeError(RuntimeError):
    """An error of CUDA itself."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Here(threading.local):
    """The current device of this thread."""

    device = 0


here = _Here()


def set_device(device_id: int) -> None:
    """Make it the current device of this thread.

    Raises:
        CUDARuntimeError: there is no such device.
    """
    if not 0 <= device_id < DEVICES:
        raise CUDARuntimeError(101, f"cudaErrorInvalidDevice: invalid device ordinal: {device_id} of {DEVICES}")
    here.device = device_id


def check_device(device_id: int) -> None:
    """Refuse an array that lies on another device than the current one, as without access between devices.

    Raises:
        ValueError: as CuPy raises it.
    """
    if device_id != here.device:
        raise ValueError(
            f"The device where the array resides ({device_id}) is different from the current device ({here.device}). "
            "Peer access is unavailable between these devices."
        )
