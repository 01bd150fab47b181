"""`minicnn doctor`: a verdict on each line, with a remedy for each problem."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minicnn import cli
from minicnn.bench import doctor
from minicnn_kernels import blas, machine_code, runtime
from minicnn_kernels.dispatch import Table


def named(lines: list[doctor.Line], name: str) -> doctor.Line:
    return next(line for line in lines if line.name == name)


def test_everything_is_reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_best", lambda call, seconds=0.3: call() is None or 0.1)
    assert cli.main(["doctor", "--json"]) == 0
    lines = [doctor.Line(**entry) for entry in json.loads(capsys.readouterr().out)]
    names = [line.name for line in lines]
    assert len(set(names)) == len(names)
    for name in ("minicnn", "numpy", "scipy", "numba", "processor", "cores", "blas (numpy)", "blas (scipy)", "threads",
                 "threading layer", "machine code", "data", "check convolution", "check product", "matrix product",
                 "memory"):  # fmt: skip
        assert named(lines, name).found
    for line in lines:
        assert line.verdict in (doctor.OK, doctor.SLOW, doctor.WRONG) and (line.remedy or line.verdict == doctor.OK)
    text = doctor.as_text([doctor.Line("a", "b"), doctor.Line("long", "c", doctor.SLOW, "mend it")])
    assert text == "ok    a     b\nslow  long  c\n            -> mend it\n\n1 of 2 need attention"


def test_quick_measures_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_speed", None)
    monkeypatch.setattr(doctor, "_check", None)
    assert cli.main(["doctor", "--quick"]) == 0
    assert "numba" in capsys.readouterr().out


def test_old_blas_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(
        architecture="Haswell",
        internal_api="openblas",
        version="1",
        num_threads=2,
        filepath="/x/scipy.libs/libopenblas.so",
    )
    monkeypatch.setattr(blas, "libraries", lambda: [fake])
    monkeypatch.setattr(blas, "cpu_flags", lambda: blas.AVX512)
    (line,) = doctor._libraries(False)
    assert line.name == "blas (scipy)" and line.verdict == doctor.SLOW
    assert line.remedy == "Haswell kernels on a CPU with AVX-512: start Python with OPENBLAS_CORETYPE=SkylakeX"


def test_what_slows_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "cores", lambda: runtime.threads() + 1)
    assert named(list(doctor._numba(False)), "threads").verdict == doctor.SLOW
    monkeypatch.setattr(doctor, "cores", lambda: runtime.threads() - 1)
    assert "wait for each other" in named(list(doctor._numba(False)), "threads").remedy
    monkeypatch.setattr(doctor, "_read", lambda path: "150000 100000\n" if "cgroup" in str(path) else "")
    monkeypatch.setattr(doctor, "cores", lambda: 2)
    line = named(list(doctor._processor()), "cpu quota")
    assert line.found == "1.5 cores" and line.remedy.endswith("NUMBA_NUM_THREADS=1")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert "set NUMBA_CACHE_DIR" in named(list(doctor._numba(False)), "machine code").remedy
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "astray").symlink_to("nowhere")
    for name in ("loop", "loop/x", "astray", "astray/x"):
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / name))
        line = named(list(doctor._numba(False)), "machine code")
        assert line.verdict == doctor.SLOW and "nothing can be written" in line.remedy, name
    good, bad = tmp_path / "0123456789abcdef" / "f.nbc", tmp_path / "f123456789abcdef" / "g.nbc"
    machine_code.write(good, bytes(32), b"code")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    line = named(list(doctor._numba(False)), "machine code")
    assert (line.verdict, line.found) == (doctor.OK, f"{tmp_path}: 1 files, 0 MB")
    machine_code.write(bad, bytes(32), b"code")
    bad.write_bytes(bad.read_bytes()[:-1])
    line = named(list(doctor._numba(False)), "machine code")
    assert (line.verdict, line.found) == (doctor.SLOW, f"{tmp_path}: 2 files, 0 MB, 1 of them damaged")
    assert "compiled again" in line.remedy and str(bad) in line.remedy
    monkeypatch.setattr(machine_code, "refusal", lambda folder: "No space left on device")
    line = named(list(doctor._numba(False)), "machine code")
    assert line.verdict == doctor.SLOW and "(No space left on device)" in line.remedy
    monkeypatch.setattr(machine_code, "root", lambda: None)
    assert named(list(doctor._numba(False)), "machine code").found == "no home folder to keep it in"
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path / "nowhere"))
    assert [line.verdict for line in doctor._data()] == [doctor.SLOW]


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "have_numba", lambda: False)
    lines = doctor.examine(measure=False)
    assert "threads" not in [line.name for line in lines]


@pytest.mark.parametrize("wrong", [1.01, np.nan])
def test_wrong_numbers_are_found(
    wrong: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call = Table.__call__

    def broken(self: Table, *args: Any, **options: Any) -> Any:
        y = call(self, *args, **options)
        if self.op == "conv2d" and y.dtype == np.float32:
            y = y * np.float32(wrong)
        return y

    monkeypatch.setattr(Table, "__call__", broken)
    monkeypatch.setattr(doctor, "_speed", lambda: ())
    assert cli.main(["doctor", "--json"]) == 1
    lines = [doctor.Line(**entry) for entry in json.loads(capsys.readouterr().out)]
    assert [line.name for line in lines if line.verdict == doctor.WRONG] == ["check convolution"]
