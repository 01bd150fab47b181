"""Which kernels OpenBLAS is told to use, and when its own choice is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from minicnn_kernels import blas

NEW, OLD = frozenset({*blas.AVX512, "avx2"}), frozenset({"avx2", "fma", "avx512f"})  # OLD has only a part of AVX-512


def library(kernels: str | None, api: str = "openblas") -> Any:
    return SimpleNamespace(architecture=kernels, internal_api=api)


@pytest.mark.parametrize(
    ("environment", "flags", "kernels", "api", "expected"),
    [
        ({}, NEW, "Haswell", "openblas", "SkylakeX"),
        ({}, NEW, "Zen", "openblas", "SkylakeX"),
        ({"OPENBLAS_CORETYPE": "Haswell"}, NEW, "Haswell", "openblas", None),  # the user's choice
        ({"OPENBLAS_CORETYPE": ""}, NEW, "Haswell", "openblas", None),
        ({}, OLD, "Haswell", "openblas", None),
        ({}, frozenset(), "Haswell", "openblas", None),  # not Linux
        ({}, NEW, "SkylakeX", "openblas", None),
        ({}, NEW, "Cooperlake", "openblas", None),
        ({}, NEW, "SapphireRapids", "openblas", None),
        ({}, NEW, None, "openblas", None),  # the library does not report its kernels
        ({}, NEW, "haswell", "blis", None),
    ],
)
def test_core_type(environment: Any, flags: Any, kernels: Any, api: str, expected: Any) -> None:
    assert blas.core_type(environment, flags, [library(kernels, api)]) == expected
    assert blas.too_old(flags, library(kernels, api)) == (flags == NEW and kernels in ("Haswell", "Zen"))


def test_no_library_no_choice() -> None:
    assert blas.core_type({}, NEW, []) is None


SHOW = """
import os
from minicnn_kernels import blas, runtime
{}
print([library.architecture for library in runtime._numba_blas()], os.environ.get("OPENBLAS_CORETYPE"))
"""
FOOL = "blas.core_type = lambda *args: 'Nehalem'; blas.cpu_flags = lambda: blas.AVX512"


def shown(change: str, **environment: str) -> str:
    clean = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}
    command = [sys.executable, "-W", "error", "-c", SHOW.format(change)]
    return subprocess.run(
        command, env=clean | environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def openblas_for_x86() -> bool:
    from minicnn_kernels import runtime

    names = {library.internal_api for library in runtime._numba_blas()}
    return names == {"openblas"} and "sse4_2" in blas.cpu_flags()


def test_the_choice_reaches_the_library_and_no_other_process() -> None:
    if not openblas_for_x86():
        pytest.skip("OpenBLAS on x86 only")
    assert shown(FOOL) == "['Nehalem'] None"
    assert shown("", OPENBLAS_CORETYPE="Nehalem") == "['Nehalem'] Nehalem"  # the user's choice is kept
