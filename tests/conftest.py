"""Rules for every test: no network, the same random numbers each time, and skipping what this machine cannot run."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")  # figures without a screen

# A shell starts what runs in its background with Ctrl-C ignored, and programs that tests start would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# HYPOTHESIS_PROFILE=explore looks for new examples; every other run, in CI too, tries the same ones. No deadline: the
# first example may have to compile a kernel.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """The test's own random numbers, the same in every run and with any other tests."""
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


@pytest.fixture
def gpu() -> Iterator[Any]:
    """CuPy, emulated: it stands for a GPU during the test, which moves its tensors there itself."""
    from minicnn_kernels import arrays

    with arrays.emulated() as cupy:
        yield cupy


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a file of `benchmarks` by its name."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    return import_module


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[Any]:
    """Skip a test that runs kernels in CUDA on the CPU where they cannot be: no g++, or not Linux on x86-64."""
    from minicnn_kernels.emulated.build import NoCompilerError

    try:
        return (yield)
    except NoCompilerError as error:
        pytest.skip(str(error))


# ------------------------------------------------------------------------------------------------------------ workers

MOST_WORKERS = 8  # each has its own interpreter, Numba and kernels in memory, and as many threads as there are cores


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """`-n auto` in pyproject.toml: a worker for each core, and none for the tests of a few files, which run in here."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # as pytest-xdist does
    if not any(Path(argument.partition("::")[0]).is_dir() for argument in config.args):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS) if cores > 1 else 0


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--device cuda` runs the tests on a GPU: see `on_gpu.py`."""
    parser.addoption("--device", choices=("cpu", "cuda"), default="cpu", help="where the tests compute")


def pytest_configure(config: pytest.Config) -> None:
    """Take the tests to a GPU if that is wanted. Set the environment of the workers, before they start.

    Their kernels keep their threads, which are more than there are cores. While a thread has no core, the others must
    not spin: those of a matrix product in NumPy took seven times as long.
    """
    if config.getoption("device") == "cuda":
        import on_gpu

        on_gpu.use()
        config.pluginmanager.register(on_gpu)
    if not config.getoption("numprocesses", None):
        return
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if os.environ.get("PYTHONDONTWRITEBYTECODE") and "PYTHONPYCACHEPREFIX" not in os.environ:
        # As container images have it. Hundreds of processes would compile all sources anew: half of an import's time.
        del os.environ["PYTHONDONTWRITEBYTECODE"]
        os.environ["PYTHONPYCACHEPREFIX"] = str(config.rootpath / ".pytest_cache" / "bytecode")


# ------------------------------------------------------------------------------------------------------------ network


def _is_loopback(family: int, address: Any) -> bool:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True  # a socket of this machine
    host = address[0]
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False  # a name that would have to be looked up


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Let a test reach servers of this machine only; any other address raises."""

    def guarded(method: str) -> Any:
        original = getattr(socket.socket, method)

        def call(self: socket.socket, *args: Any) -> Any:
            if not _is_loopback(self.family, args[-1]):
                raise RuntimeError(f"a test tried to reach {args[-1]}: tests use no network; serve it from 127.0.0.1")
            return original(self, *args)

        return call

    def look_up(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_loopback(socket.AF_INET, (name,)):
            raise RuntimeError(f"a test tried to look up {name!r}: tests use no network; serve it from 127.0.0.1")
        return getaddrinfo(host, *args, **options)

    getaddrinfo = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, method, guarded(method))
        patch.setattr(socket, "getaddrinfo", look_up)
        yield


# ----------------------------------------------------------------------------------------------------- MNIST, CIFAR-10


def _missing(name: str) -> str | None:
    """Why tests that need a dataset cannot run; None if they can. Damaged files are for the tests to complain about."""
    root = os.environ.get("MINICNN_DATA")
    if not root:
        return f"needs {name}: set MINICNN_DATA to the folder with its files"
    from minicnn import datasets

    try:
        for train in (False, True):
            getattr(datasets, name)(root, train=train)
    except datasets.DatasetError as error:
        if "not found" in str(error):
            return f"needs {name}: {error}"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `mnist` or `cifar` if the files are missing."""
    for marker, name in (("mnist", "MNIST"), ("cifar", "CIFAR10")):
        marked = [item for item in items if item.get_closest_marker(marker)]
        reason = _missing(name) if marked else None
        if reason:
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))
