"""Compiles a CUDA source for the CPU, by g++ with `cpp/cuda.h`, as a library or as a program."""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from . import source
from .source import SharedMemoryError, for_the_cpu

HEADERS = Path(__file__).parent / "cpp"
# Without -fno-gnu-unique, static variables in templates would be shared with all libraries that have the same template.
_FLAGS = ("-std=c++17", "-fopenmp", "-fPIC", "-Wfatal-errors", "-fno-gnu-unique")
_LIBRARY = (
    "-shared", "-O2", "-Wl,-z,defs",
    "-fsanitize=alignment", "-fsanitize-undefined-trap-on-error",  # at an address that is not aligned, SIGILL
    "-Werror=frame-larger-than=100000",  # what a thread has on its stack: emulated::STACK
)  # fmt: skip
_PROGRAMS = {
    "address": ("-O1", "-fsanitize=address"),
    "undefined": ("-O1", "-fsanitize=undefined"),
    "thread": ("-O1", "-fsanitize=thread"),
    "debug": ("-O0",),
}


class NoCompilerError(RuntimeError):
    """Kernels in CUDA cannot be compiled for the CPU here; the message says what is missing."""


class CompileError(RuntimeError):
    """g++ does not accept the kernel; the message has its lines."""


def cache_folder() -> Path:
    """Where compiled kernels are kept: `minicnn/emulated` in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base or Path.home() / ".cache") / "minicnn" / "emulated"


@functools.cache
def compiler() -> str:
    """The path of g++.

    Raises:
        NoCompilerError: there is none, or kernels cannot be emulated on this system.
    """
    here = f"{platform.system()} on {platform.machine()}"
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NoCompilerError(f"kernels in CUDA run on the CPU only under Linux on x86-64, and this is {here}")
    found = shutil.which("g++")
    if found is None:
        raise NoCompilerError("kernels in CUDA run on the CPU only where g++ is installed (apt install g++)")
    return found


def compiled(code: str, names: Sequence[str], options: Sequence[str], sanitizer: str | None = None) -> Path:
    """The file of a library that launches the kernels `names` of a source; with a sanitizer, that of a program.

    The program of the "sanitizer" debug is for a debugger.

    Raises:
        CompileError: g++ does not accept the source.
    """
    program = [*_PROGRAMS[sanitizer], "-g", "-fno-omit-frame-pointer", "-DEMULATED_PROGRAM"] if sanitizer else []
    kind = program or list(_LIBRARY)
    chosen = [option for option in options if option.startswith(("-I", "-D"))]
    text = _text(code, names)
    if sanitizer:
        launches = ", ".join(f"launch_{i}" for i in range(len(names)))
        text += f'static decltype(&launch_0) launches[] = {{{launches}}};\n#include "program.h"\n'
    headers = "".join(path.read_text(encoding="utf-8") for path in sorted(HEADERS.iterdir()))
    command = [compiler(), *_FLAGS, *kind, f"-I{HEADERS}", *chosen]
    rules = Path(source.__file__).read_text(encoding="utf-8")
    key = hashlib.sha256("\0".join([text, headers, rules, *command]).encode()).hexdigest()[:20]
    name = f"{key}.so" if sanitizer is None else key
    path = cache_folder() / name
    if not path.exists():
        path = _folder() / name
    if not path.exists():
        what = ", ".join(names)
        try:
            plain = for_the_cpu(_output_of([*command, "-E", "-x", "c++", "-"], text, what))
        except SharedMemoryError as error:
            raise CompileError(f"{what}: {error}") from None
        with tempfile.TemporaryDirectory(prefix=f"{key}.", dir=path.parent) as own:  # others may compile the same
            part = Path(own) / name
            _output_of([*command, "-x", "c++-cpp-output", "-", "-o", str(part)], plain, what)
            part.replace(path)
    return path


def _output_of(command: list[str], text: str, what: str) -> str:
    done = subprocess.run(command, input=text, encoding="utf-8", errors="replace", capture_output=True, check=False)
    if done.returncode:
        raise CompileError(f"g++ cannot compile {what}:\n{done.stderr}")
    return done.stdout


def _folder() -> Path:
    """The folder of the cache, or another for this process if it cannot be written."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        return _other_folder(str(folder), str(error))


@functools.cache
def _other_folder(folder: str, error: str) -> Path:
    warnings.warn(
        f"compiled kernels cannot be kept in {folder} ({error}); this process compiles them anew. "
        "Set XDG_CACHE_HOME to a folder that can be written.",
        RuntimeWarning,
        stacklevel=2,
    )
    other = tempfile.TemporaryDirectory(prefix="minicnn-")
    atexit.register(other.cleanup)
    return Path(other.name)


def _text(code: str, names: Sequence[str]) -> str:
    """The source with two functions for each kernel, number i: its parameters, and its launch."""
    hide, show = "#define std the_standard_library_is_not_on_a_GPU", "#undef std"
    text = f'#include "cuda.h"\n{hide}\n#line 1 "source"\n{code}\n{show}\n#line 1 "launches"\n'
    for i, name in enumerate(names):
        text += f"""
extern "C" const char* parameters_{i}() {{ return emulated::parameters({name}); }}
extern "C" int launch_{i}(const emulated::Launch& how, void** arguments, char* error, size_t room) {{
  return emulated::launch({name}, how, arguments, error, room);
}}
"""
    return text
