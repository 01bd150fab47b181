"""Ctrl-C while the command line program is being imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minicnn.cli.early_interrupt import is_command


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python /usr/bin/minicnn train", True),
        ("python -m minicnn", True),
        ("python -W error -X dev -m minicnn.cli train", True),
        ("python -I minicnn.exe doctor", True),
        ("python train.py minicnn", False),
        ("python -m pytest minicnn", False),
        ("python -c pass minicnn", False),
        ("python", False),
        ("python -m", False),
    ],
)
def test_which_program_it_is(line: str, expected: bool) -> None:
    assert is_command(line.split()) is expected


def run(folder: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python, with a module that presses Ctrl-C instead of one that it imports."""
    (folder / f"{module}.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("module", ["numpy", "argparse"])
def test_one_line_and_130(tmp_path: Path, module: str) -> None:
    done = run(tmp_path, module, "-m", "minicnn.cli", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "minicnn: interrupted\n")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_after_that_it_is_for_the_program(tmp_path: Path) -> None:
    """While a command runs, and in other programs, Ctrl-C is a KeyboardInterrupt."""
    done = run(tmp_path, "threadpoolctl", "-m", "minicnn.cli", "doctor", "--quick")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "minicnn: interrupted\n")
    done = run(tmp_path, "numpy", "-c", "try: import minicnn\nexcept KeyboardInterrupt: print('caught')")
    assert done.returncode == 0 and done.stdout == "caught\n"
