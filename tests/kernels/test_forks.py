"""Kernels in a child made by fork: it must not use the threads of its parent, but finds its machine code."""

from __future__ import annotations

import ast
import inspect
import os
import sys
from pathlib import Path

import pytest

import minicnn_kernels  # noqa: F401  (its drivers are examined)
from minicnn_kernels import drivers as drivers_module

from .test_runtime import CHECK, python


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_after_fork_kernels_still_work() -> None:
    """A child of a process that has used OpenMP threads must not use them: Numba would end the child."""
    code = """
import ast
import os
check(0)
child = os.fork()
if child == 0:
    try:
        check(1)
        from minicnn_kernels import runtime
        assert runtime.threads() == 1
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(3)
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, f"the child ended with status {status}"
check(2)
"""
    python("-c", CHECK + code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_finds_the_machine_code_of_its_parent(tmp_path: Path) -> None:
    """In memory if the parent compiled it, or on disk if the parent loaded only a driver; the fork compiles nothing."""
    code = """
import os
import numpy as np
from minicnn_kernels import activations

def check(seed):
    x = np.random.default_rng(seed).standard_normal((3, 4, 5))
    for table, args in ((activations.RELU, (x,)), (activations.PRELU, (x, np.full(4, 0.5)))):
        assert np.array_equal(*(table(*args, backend=backend) for backend in ("numba", "numpy"))), table.op

from numba.core import event
check(0)
check(1)

class Count(event.Listener):
    def on_start(self, started):
        raise AssertionError(f"compiles {started.data['dispatcher']}")

    def on_end(self, ended):
        pass

child = os.fork()
if child == 0:
    event.register("numba:compile", Count())
    try:
        check(2)
        grandchild = os.fork()
        if grandchild == 0:
            check(3)
            os._exit(0)
        assert os.waitpid(grandchild, 0)[1] == 0
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(3)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
check(3)
"""
    for _ in range(2):
        python("-c", code, timeout=300, NUMBA_CACHE_DIR=str(tmp_path))


def test_every_driver_is_a_loop_over_shares() -> None:
    """So that each can be compiled without Numba's parallel compiler; and no compiled code calls a driver."""
    drivers, called = set(), set()
    for module in [module for name, module in sorted(sys.modules.items()) if name.startswith("minicnn")]:
        for name, value in list(vars(module).items()):
            function = getattr(value, "py_func", None) or getattr(value, "function", None)
            if function is None or getattr(function, "__module__", "") != module.__name__:
                continue
            options = getattr(value, "targetoptions", None) or getattr(value, "options", {})
            if options.get("parallel"):
                drivers.add(function.__code__)
                tree = ast.parse(inspect.getsource(function))
                loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
                assert len(loops) == 1 and len(loops[0].body) == 1, f"{module.__name__}.{name}"
                assert drivers_module.rewritten(function) is not None, f"{module.__name__}.{name}"
            else:
                called |= {(module.__name__, used) for used in function.__code__.co_names}
    assert len(drivers) > 40
    for module, used in called:
        found = getattr(sys.modules[module], used, None)
        function = getattr(found, "py_func", None) or getattr(found, "function", None)
        assert getattr(function, "__code__", None) not in drivers, f"{module}: {used}"


def test_fork_before_the_first_kernel_keeps_the_threads() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    code = """
import ast
import os
child = os.fork()
if child == 0:
    try:
        check(1)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(3)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    python("-c", CHECK + code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_runs_the_emulated_gpu() -> None:
    """A launch of many blocks uses OpenMP's threads, which a fork does not have."""
    code = """
import os
import signal
import numpy as np
from minicnn_kernels.emulated.build import NoCompilerError
from minicnn_kernels.emulated.raw_module import RawModule

def check(seed):
    x = np.arange(1 << 17, dtype=np.float32) + seed
    module = RawModule(code="__global__ void twice(float* x) { x[blockIdx.x * blockDim.x + threadIdx.x] *= 2; }",
                       name_expressions=("twice",))
    module.get_function("twice")((x.size // 256,), (256,), (x,))
    np.testing.assert_array_equal(x, 2 * (np.arange(1 << 17, dtype=np.float32) + seed))

try:
    check(0)
except NoCompilerError:
    raise SystemExit
child = os.fork()
if child == 0:
    signal.alarm(60)
    try:
        check(1)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(3)
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, f"the child ended with status {status}"
check(2)
"""
    python("-c", code, OMP_NUM_THREADS="2")
