"""Which GPUs there are, and which of them is the current one; the emulated GPU."""

from __future__ import annotations

from typing import Any, NamedTuple

from minicnn_kernels import arrays

from ..compat.missing import answer as _answer
from ..device import resolve


def is_available() -> bool:
    """Whether tensors can be on a GPU: False if there is none, or no driver, or no working CuPy. It never raises."""
    return device_count() > 0


def device_count() -> int:
    """The number of GPUs that this process may use; 0 without CuPy."""
    try:
        return int(arrays.gpu().cuda.runtime.getDeviceCount())
    except Exception:  # no CuPy, a broken one, or no driver
        return 0


def is_initialized() -> bool:
    """Whether this process has asked for a GPU and found one."""
    return arrays.in_use() and is_available()


def init() -> None:
    """Start CUDA now, and not at the first use.

    Raises:
        RuntimeError: there is no GPU.
    """
    number(None, "init")


def emulate() -> None:
    """Let the CPU emulate two GPUs in this process, to check a program for GPUs without one.

    Tensors on "cuda" are then arrays of an emulation of CuPy, by NumPy. Set it before the first tensor goes to a GPU,
    or start the program with the environment variable MINICNN_CUDA=emulated.

    It finds the mistakes that a GPU would show: tensors on two devices, a page-locked array that is changed while it is
    copied, work on one stream that does not wait for a copy on another, an operation that CuPy does not have. The
    numbers are those of CuPy's rules, up to rounding. It is no GPU: it is slower than the CPU, its times say nothing,
    and its memory is that of the CPU, though it counts as two GPUs of 16 GB each.

    Raises:
        RuntimeError: this process already uses a real GPU.
    """
    arrays.emulate()


def number(device: Any, function: str) -> int:
    """The number of a GPU that is given as in PyTorch: 1, "cuda:1", a device, or None for the current one.

    Raises:
        RuntimeError: there is no such GPU.
        ValueError: the device is not a GPU.
    """
    found = resolve("cuda" if device is None else device, f"cuda.{function}")
    if found.index is None:
        raise ValueError(f"cuda.{function}: expected a cuda device, but got: {found}")
    return found.index


def cupy_device(device: Any, function: str) -> Any:
    """CuPy's object for a GPU that is given as in PyTorch; raises as `number` does."""
    index = number(device, function)
    return arrays.gpu().cuda.Device(index)


# ---------------------------------------------------------------------------------------------------- the current one


def current_device() -> int:
    """The number of the current GPU, where `device="cuda"` puts tensors; each thread has its own.

    Raises:
        RuntimeError: there is no GPU.
    """
    return number(None, "current_device")


def set_device(device: Any) -> None:
    """Make a GPU the current one; a negative number changes nothing. Better is `with cuda.device(...):`.

    Raises:
        RuntimeError: there is no such GPU.
    """
    if not _is_negative(device):
        cupy_device(device, "set_device").use()


class device:
    """`with cuda.device(1):` makes a GPU the current one inside the block; a negative number changes nothing.

    Raises:
        RuntimeError: there is no such GPU.
    """

    def __init__(self, device: Any) -> None:
        self.idx = -1 if _is_negative(device) else number(device, "device")
        self._entered: list[Any] = []

    def __enter__(self) -> None:
        if self.idx >= 0:
            self._entered.append(arrays.gpu().cuda.Device(self.idx))
            self._entered[-1].__enter__()

    def __exit__(self, *error: object) -> None:
        if self.idx >= 0:
            self._entered.pop().__exit__(*error)


class device_of(device):
    """`with cuda.device_of(x):` makes the GPU of a tensor the current one; nothing changes if x is on the CPU."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device())


def _is_negative(device: Any) -> bool:
    return isinstance(device, int) and device < 0


def synchronize(device: Any = None) -> None:
    """Wait until a GPU, by default the current one, has done all work of all streams; without a GPU, do nothing."""
    if is_available():
        cupy_device(device, "synchronize").synchronize()


# ---------------------------------------------------------------------------------------------------- what a GPU is


class DeviceProperties(NamedTuple):
    """What CUDA says about a GPU; sizes are in bytes."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    warp_size: int
    max_threads_per_multi_processor: int
    shared_memory_per_block: int
    shared_memory_per_block_optin: int
    L2_cache_size: int


def get_device_properties(device: Any = None) -> DeviceProperties:
    """What CUDA says about a GPU, by default the current one.

    Raises:
        RuntimeError: there is no such GPU.
    """
    index = number(device, "get_device_properties")
    found = arrays.gpu().cuda.runtime.getDeviceProperties(index)
    name = found["name"]
    return DeviceProperties(
        name.decode() if isinstance(name, bytes) else str(name), found["major"], found["minor"],
        found["totalGlobalMem"], found["multiProcessorCount"], found["warpSize"],
        found.get("maxThreadsPerMultiProcessor", 0), found["sharedMemPerBlock"],
        found.get("sharedMemPerBlockOptin", 0), found.get("l2CacheSize", 0),
    )  # fmt: skip


def get_device_name(device: Any = None) -> str:
    """The name of a GPU, by default of the current one.

    Raises:
        RuntimeError: there is no such GPU.
    """
    return get_device_properties(number(device, "get_device_name")).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability of a GPU: (9, 0) for an H100.

    Raises:
        RuntimeError: there is no such GPU.
    """
    found = get_device_properties(number(device, "get_device_capability"))
    return found.major, found.minor


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether a GPU can read the memory of another one.

    Raises:
        RuntimeError: there is no such GPU.
    """
    pair = [number(one, "can_device_access_peer") for one in (device, peer_device)]
    return bool(arrays.gpu().cuda.runtime.deviceCanAccessPeer(*pair))


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False: minicnn has no bfloat16."""
    return False


_answer(globals())
