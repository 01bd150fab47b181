"""Machine code on disk that is damaged, of another kernel, or unreadable costs a compilation, and nothing more."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import dispatchers, machine_code
from minicnn_kernels.machine_code import HASH, MAGIC

pytest.importorskip("numba")
Damage = Callable[[Path, Path], None]


def double(x: Any) -> Any:
    return x * 2


def triple(x: Any) -> Any:
    return x * 3


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of machine code, in a process that has printed no message yet."""
    made = tmp_path / "cache" / "0123456789abcdef"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(made.parent))
    monkeypatch.setattr(machine_code, "folder_of", lambda module: made)
    monkeypatch.setattr(machine_code, "_told", set())
    yield made


def run(function: Callable[[Any], Any], factor: int) -> int:
    """Call a function as in a new process; return how many times its machine code was found."""
    kernel = dispatchers.jit(function, {})
    assert kernel(np.float32(1.5)) == 1.5 * factor
    return sum(kernel.stats.cache_hits.values())


def fill(folder: Path) -> tuple[Path, Path]:
    """The files of `double` and `triple`, compiled and kept."""
    for function, factor in ((double, 2), (triple, 3)):
        assert run(function, factor) == 0
    machine_code._told.clear()
    first, second = sorted(folder.iterdir())
    assert first.name.startswith("test_damage.double-") and second.name.startswith("test_damage.triple-")
    return first, second


def changed(at: int, mask: int = 1) -> Damage:
    """Flip bits of one byte."""

    def damage(file: Path, _: Path) -> None:
        content = bytearray(file.read_bytes())
        content[at] ^= mask
        file.write_bytes(content)

    return damage


def cut(length: int) -> Damage:
    return lambda file, _: os.truncate(file, length)


def swap(file: Path, other: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(other.read_bytes())
    other.write_bytes(content)


def of_an_older_format(file: Path, _: Path) -> None:
    file.write_bytes(file.read_bytes().replace(MAGIC, b"minicnn machine code 0\n"))


def of_no_use(file: Path, _: Path) -> None:
    """A file with a right checksum that cannot be loaded, because Python's modules have changed."""
    key = file.read_bytes()[len(MAGIC) + HASH :][:HASH]
    machine_code.write(file, key, b"cno_such_module\nthing\n.")


def in_place(make: Callable[[Path], Any]) -> Damage:
    def damage(file: Path, _: Path) -> None:
        file.unlink()
        make(file)

    return damage


def pipe(file: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names on this system")
    os.mkfifo(file)


DAMAGES: dict[str, Damage] = {
    "of no length": cut(0),
    "cut in the magic": cut(7),
    "cut in the checksum": cut(len(MAGIC) + 9),
    "cut in the key": cut(len(MAGIC) + HASH + 9),
    "cut in the code": lambda file, _: os.truncate(file, file.stat().st_size - 100),
    "one byte short": lambda file, _: os.truncate(file, file.stat().st_size - 1),
    "longer": lambda file, _: file.write_bytes(file.read_bytes() + b"\0"),
    "a bit of the magic": changed(0),
    "a bit of the checksum": changed(len(MAGIC) + 3, 0x80),
    "a bit of the key": changed(len(MAGIC) + HASH + 3),
    "a bit of the code": changed(2000, 0x10),
    "the last bit": changed(-1),
    "zeros": lambda file, _: file.write_bytes(bytes(file.stat().st_size)),
    "text": lambda file, _: file.write_bytes(b"<html>404</html>" * 1000) and None,  # type: ignore[func-returns-value]
    "too large": lambda file, _: os.truncate(file, 10**12),
    "an older format": of_an_older_format,
    "of no use": of_no_use,
    "swapped": swap,
    "an empty folder": in_place(Path.mkdir),
    "a link to a folder": in_place(lambda file: file.symlink_to("/")),
    "a link to a device": in_place(lambda file: file.symlink_to("/dev/zero")),
    "a link to itself": in_place(lambda file: file.symlink_to(file.name)),
    "a pipe": in_place(pipe),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_costs_a_compilation_and_a_line(folder: Path, damage: Damage, capfd: pytest.CaptureFixture[str]) -> None:
    file, other = fill(folder)
    damage(file, other)
    assert machine_code.look(folder.parent).bad or damage in (swap, of_no_use), "what `doctor` finds"
    capfd.readouterr()
    assert run(double, 2) == 0
    told = capfd.readouterr().err
    assert told.count("\n") == 2 and f"{file}: " in told, told
    assert told.startswith("minicnn: warning: machine code is damaged and is compiled again; ")
    assert "minicnn: compiling kernels for this machine; the next run finds them on disk\n" in told
    assert run(triple, 3) == (damage is not swap)
    machine_code._told.clear()
    assert run(double, 2) == run(triple, 3) == 1
    assert capfd.readouterr().err == "" and not machine_code.look(folder.parent).bad


@pytest.mark.parametrize("gone", ["file", "link to nothing", "folder"])
def test_code_that_went_missing_is_compiled_again(folder: Path, gone: str, capfd: pytest.CaptureFixture[str]) -> None:
    file, other = fill(folder)
    file.unlink()
    if gone == "folder":
        other.unlink()
        folder.rmdir()
    elif gone == "link to nothing":
        file.symlink_to("nothing")
    capfd.readouterr()
    assert run(double, 2) == 0 and run(double, 2) == 1
    assert "warning" not in capfd.readouterr().err
    assert not file.is_symlink()


# ------------------------------------------------------------------------------------------ refused by the system


def a_file_is_in_the_way(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("not a folder")


def the_root_is_a_file(folder: Path) -> None:
    folder.parent.write_text("not a folder")


def the_name_is_too_long(folder: Path) -> None:
    machine_code.folder_of = lambda module: folder / ("x" * 300)  # type: ignore[assignment]


def the_name_is_impossible(folder: Path) -> None:
    machine_code.folder_of = lambda module: folder / "a\0b"  # type: ignore[assignment]


def there_is_no_home(folder: Path) -> None:
    machine_code.folder_of = lambda module: None  # type: ignore[assignment]


REFUSALS = [a_file_is_in_the_way, the_root_is_a_file, the_name_is_too_long, the_name_is_impossible, there_is_no_home]


@pytest.mark.parametrize("refuse", REFUSALS, ids=lambda refuse: refuse.__name__)
def test_what_cannot_be_kept_is_compiled(
    folder: Path, refuse: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    refuse(folder)
    for function, factor in ((double, 2), (double, 2), (triple, 3)):
        assert run(function, factor) == 0
    first, second = capfd.readouterr().err.splitlines()
    assert first == "minicnn: compiling kernels for this machine"
    assert second.startswith("minicnn: warning: compiled kernels cannot be kept ")
    assert second.endswith(
        "so that the next run compiles them again; set NUMBA_CACHE_DIR to a folder that can be written"
    )


@pytest.mark.parametrize("number", ["EACCES", "EROFS", "ENOSPC", "EDQUOT", "EIO"])
@pytest.mark.parametrize("call", ["open", "mkdir", "replace"])
def test_a_refused_write(
    folder: Path, call: str, number: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:

    def refuse(*args: Any, **options: Any) -> Any:
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))

    if call == "replace":
        monkeypatch.setattr(os, "replace", refuse)
    elif call == "mkdir":
        monkeypatch.setattr(Path, "mkdir", refuse)
    else:
        monkeypatch.setattr(machine_code, "open", refuse, raising=False)
    assert run(double, 2) == run(double, 2) == run(triple, 3) == 0
    told = capfd.readouterr().err
    assert told.count("warning") == 1 and os.strerror(getattr(errno, number)) in told, told
    assert not folder.is_dir() or not list(folder.iterdir()), "nothing half written stays"


def test_a_refused_read(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    file, _ = fill(folder)
    capfd.readouterr()

    def refuse(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert run(double, 2) == 0
    assert f"{file}: Permission denied" in capfd.readouterr().err
    assert len(machine_code.look(folder.parent).bad) == 2


def test_a_full_disk(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The system itself refuses, in the middle of a file."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    capfd.readouterr()
    try:
        for limit in (100, 70_000):  # before the first file, and in the middle of the second
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            kernel = dispatchers.jit(double, {})
            assert kernel(np.ones(3)).tolist() == [2, 2, 2]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert capfd.readouterr().err  # as much as fits the file to which pytest writes it
    assert all(file.suffix == ".nbc" for file in folder.iterdir()), "nothing half written stays"
    assert not machine_code.look(folder.parent).bad


def test_a_closed_standard_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    file, _ = fill(folder)
    os.truncate(file, 5)
    assert run(double, 2) == 0


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user of a container may be a number without a name and a home folder."""
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert machine_code.root() is None
    assert machine_code.folder_of.__wrapped__("minicnn_kernels.activations.relu_tanh_sigmoid") is None


# -------------------------------------------------------------------------------------------------- several at a time

LOOP = """
import numpy as np, sys
from minicnn_kernels import activations, runtime
from numba.core import event
x, compiled = np.arange(-2.0, 3.0), event.RecordingListener()
event.register("numba:compile", compiled)
for dtype in sys.argv[1:]:
    got = activations.RELU(x.astype(dtype), backend="numba")
    assert got.tolist() == [0, 0, 0, 1, 2], got
started = [entry.data["dispatcher"] for _, entry in compiled.buffer if entry.is_start]
print(sum(hasattr(one, "folder") for one in started))  # without functions that compiled code calls
"""


def test_processes_that_compile_at_once(tmp_path: Path) -> None:
    """Each kernel is compiled by one of them, though they begin with different types, and found by the others."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    orders = [("float32", "float64"), ("float64", "float32"), ("float32",)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment, "text": True}
    at_once = [subprocess.Popen([sys.executable, "-c", LOOP, *order], **pipes) for order in orders]
    compiled = 0
    for process in at_once:
        count, told = process.communicate(timeout=300)
        assert process.returncode == 0 and "warning" not in told, told
        compiled += int(count)
    found = machine_code.look(tmp_path)
    assert found.files and not found.bad
    if importlib.util.find_spec("fcntl"):
        assert compiled == found.files
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".nbc"}
    again = subprocess.run([sys.executable, "-c", LOOP, *orders[0]], env=environment, capture_output=True, timeout=300)
    assert again.returncode == 0 and again.stderr == b"" and again.stdout == b"0\n"


def test_turns_come_one_after_another(tmp_path: Path) -> None:
    """Of several threads, each of which opens the file as a process does; the later ones learn that they waited."""
    pytest.importorskip("fcntl")
    inside, most, waited = 0, 0, []

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with machine_code.turn(tmp_path / "new" / "f.nbc") as had_to:
                inside += 1
                most = max(most, inside)
                time.sleep(0.005)
                waited.append(had_to)
                inside -= 1

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert most == 1 and len(waited) == 20 and 0 < sum(waited) < 20
    assert not list((tmp_path / "new").iterdir())


HOLDER = """
import sys, time
from pathlib import Path
from minicnn_kernels import machine_code
with machine_code.turn(Path(sys.argv[1])):
    print("inside", flush=True)
    time.sleep(600)
"""


def test_the_turn_of_a_killed_process_ends(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fcntl")
    file, _ = fill(folder)
    file.unlink()
    with subprocess.Popen([sys.executable, "-c", HOLDER, file], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"inside\n"
        killer = threading.Timer(0.3, holder.kill)
        killer.start()
        assert run(double, 2) == 0
        assert holder.wait() and not killer.is_alive()
    assert "another process is compiling kernels for this machine; waiting for it" in capfd.readouterr().err
    assert run(double, 2) == 1 and len(list(folder.iterdir())) == 2


def test_a_process_that_keeps_its_turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been stopped: the others compile for themselves in the end."""
    file, _ = fill(folder)
    file.unlink()
    monkeypatch.setattr(machine_code, "PATIENCE", 0.1)
    with machine_code.turn(file):
        assert run(double, 2) == 0
        assert file.is_file()


def test_threads_that_read_and_write_one_file(tmp_path: Path) -> None:
    file, key, wrong = tmp_path / "f.nbc", bytes(HASH), []

    def work(number: int) -> None:
        for i in range(100):
            machine_code.write(file, key, bytes([number]) * (1000 * i + 1))
            code = machine_code.read(file, key)
            if code is None or set(code) != {code[0]}:
                wrong.append(code)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong and [path.name for path in tmp_path.iterdir()] == ["f.nbc"]
