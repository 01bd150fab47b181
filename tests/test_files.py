"""Files that are replaced completely, even if others write them too; and files that are not read."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from minicnn.serialization import files
from minicnn.serialization.files import Draft, open_regular, read_text, write_atomically, write_together

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and locks of POSIX")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --------------------------------------------------------------------------------------------------- atomic replacing


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failing_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="No space"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_order_that_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes reach the disk before the name does, and the name before the call returns."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        calls.append("fsync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "fsync file")
        fsync(descriptor)

    def note_replace(*paths: Any) -> None:
        calls.append("replace")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_atomically(tmp_path / "file", b"data")
    if sys.platform == "linux":
        assert calls == ["fsync file", "replace", "fsync folder"]
    assert (tmp_path / "file").read_bytes() == b"data"


def test_killed_while_writing(tmp_path: Path) -> None:
    """A process that only replaces a file is killed at ten moments; the file is always complete."""
    code = (
        "import sys; from pathlib import Path; from minicnn.files import write_atomically\n"
        "path = Path(sys.argv[1]); n = 0\n"
        "while True: write_atomically(path, bytes([n % 256]) * 1_000_000); n += 1"
    )
    path = tmp_path / "file"
    with subprocess.Popen([sys.executable, "-c", code, str(path)]) as process:
        deadline = time.monotonic() + 30
        while not path.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        for _ in range(10):  # what a reader finds while it is being replaced
            data = path.read_bytes()
            assert len(data) == 1_000_000 and len(set(data)) == 1
            time.sleep(0.003)
        process.send_signal(signal.SIGKILL)
    data = path.read_bytes()
    assert len(data) == 1_000_000 and len(set(data)) == 1
    write_atomically(path, b"next")  # what the killed one left behind is no obstacle
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


# ------------------------------------------------------------------------------------------------------ several savers


def test_many_threads_save_to_one_path(tmp_path: Path) -> None:
    path, wrong = tmp_path / "file", []

    def save(number: int) -> None:
        for turn in range(20):
            try:
                write_atomically(path, bytes([number * 20 + turn]) * 50_000, bytes([number * 20 + turn]))
                data = path.read_bytes()
                assert len(data) == 50_001 and len(set(data)) == 1
            except BaseException as error:  # a thread's errors are lost otherwise
                wrong.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and names(tmp_path) == ["file"]


@posix
def test_many_processes_save_to_one_path_and_some_are_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from minicnn.files import write_atomically\n"
        "for n in range(int(sys.argv[2])): write_atomically(sys.argv[1], bytes([n % 256]) * 200_000)"
    )
    path = tmp_path / "file"
    arguments = [sys.executable, "-c", code, str(path)]
    write_atomically(path, bytes(200_000))
    processes = [subprocess.Popen([*arguments, "25"]) for _ in range(3)]
    killed = [subprocess.Popen([*arguments, "1000000"]) for _ in range(2)]
    while any(process.poll() is None for process in processes):
        data = path.read_bytes()
        assert len(data) == 200_000 and len(set(data)) == 1
        time.sleep(0.002)
    for process in killed:
        process.kill()
        process.wait()
    assert [process.returncode for process in processes] == [0, 0, 0]
    write_atomically(path, b"last")
    assert path.read_bytes() == b"last" and names(tmp_path) == ["file"]


@posix
def test_the_dead_are_swept_and_the_living_spared(tmp_path: Path) -> None:
    code = (
        "import sys, time; from minicnn.files import Draft\n"
        "draft = Draft(sys.argv[1]); draft.write([b'living']); print('ready', flush=True); sys.stdin.read(); "
        "draft.publish()"
    )
    path = tmp_path / "file"
    dead, other = tmp_path / f".file.{'a' * 16}.part", tmp_path / f".files.{'a' * 16}.part"
    for left in (dead, other):
        left.write_bytes(b"")
    link = tmp_path / f".file.{'b' * 16}.part"
    link.symlink_to(other)
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipe) as process, Draft(path) as mine:  # type: ignore[call-overload]
        process.stdout.readline()
        write_atomically(path, b"new")
        assert len(names(tmp_path)) == 5  # the file, this process's draft and the other's, the link, the other file's
        assert not dead.exists() and other.exists() and link.is_symlink()
        mine.write([b"mine"])
        mine.publish()
        assert path.read_bytes() == b"mine"
        process.communicate(b"")
    assert process.returncode == 0 and path.read_bytes() == b"living"


def test_a_draft_that_was_swept_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, met = files._lock, []

    def late(file: Any) -> bool:
        if not met:
            os.unlink(file.name)
        met.append(file.name)
        return lock(file)

    monkeypatch.setattr(files, "_lock", late)
    write_atomically(tmp_path / "file", b"data")
    assert len(set(met)) == 2 and names(tmp_path) == ["file"]


@posix
def test_a_draft_is_never_created_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / f".file.{'0' * 16}.part").symlink_to(tmp_path / "precious")
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "00" * count)
    with pytest.raises(FileExistsError, match="file"):
        write_atomically(tmp_path / "file", b"data")
    assert (tmp_path / "precious").read_bytes() == b"precious"


# ---------------------------------------------------------------------------------------------------- modes and links


@posix
def test_modes(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o640
    for mode in (0o600, 0o644, 0o660, 0o666):
        os.chmod(tmp_path / "new", mode)
        write_atomically(tmp_path / "new", b"2")
        assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == mode


@posix
def test_a_private_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.chmod(tmp_path / "file", 0o600)
    with Draft(tmp_path / "file") as draft:
        assert draft.part is not None and stat.S_IMODE(os.stat(draft.part).st_mode) == 0o600


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everything")
def test_a_write_protected_file_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    os.chmod(tmp_path / "file", 0o400)
    with pytest.raises(PermissionError, match=r"write-protected.*file"):
        write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


@posix
def test_links_stay_and_what_they_point_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for target in ("there", "new"):
        if target == "there":
            (tmp_path / "far" / target).write_bytes(b"old")
        (tmp_path / f"to-{target}").symlink_to(Path("far") / target)
        (tmp_path / f"twice-{target}").symlink_to(tmp_path / f"to-{target}")
        write_atomically(tmp_path / f"twice-{target}", b"data")
        assert (tmp_path / "far" / target).read_bytes() == b"data"
        assert (tmp_path / f"to-{target}").is_symlink() and (tmp_path / f"twice-{target}").is_symlink()
    assert names(tmp_path / "far") == ["new", "there"]
    (tmp_path / "self").symlink_to("self")
    with pytest.raises(OSError, match=r"symbolic links.*self"):
        write_atomically(tmp_path / "self", b"data")


@posix
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "alias").symlink_to("run")
    (tmp_path / "outside").write_bytes(b"precious")
    for target in ("../outside", "../new", "/dev/null"):
        (tmp_path / "run" / "link").symlink_to(target)
        with pytest.raises(PermissionError, match=r"leads out of the folder, to .*remove it.*run/link"):
            write_atomically(tmp_path / "run" / "link", b"data", within=tmp_path / "run")
        (tmp_path / "run" / "link").unlink()
    (tmp_path / "run" / "link").symlink_to("inside")
    write_atomically(tmp_path / "alias" / "link", b"data", within=tmp_path / "alias")
    assert (tmp_path / "run" / "inside").read_bytes() == b"data"
    assert (tmp_path / "outside").read_bytes() == b"precious" and not (tmp_path / "new").exists()


@posix
def test_a_file_without_a_name_is_written_to() -> None:
    """For example stdout, if it goes to a file that was removed."""
    import tempfile

    with tempfile.TemporaryFile() as file:
        write_atomically(f"/dev/fd/{file.fileno()}", b"data")
        file.seek(0)
        assert file.read() == b"data"


def test_long_names(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    write_atomically(path, b"data")
    left = tmp_path / f".{files._stem(path)}.{'0' * 16}.part"
    left.write_bytes(b"")
    write_atomically(path, b"data")
    assert names(tmp_path) == [path.name] or os.name != "posix"


# ------------------------------------------------------------------------------------------------------------ failures


@pytest.mark.parametrize("path", ["no/such", "folder", "file/below"])
def test_errors_name_the_path_that_was_asked_for(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="Errno") as caught:
        write_atomically(tmp_path / path, b"data")
    assert caught.value.filename == str(tmp_path / path)
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("end", ["trail/", "trail/.", "trail/..", "folder/"])
def test_a_path_that_ends_as_a_folder_does_is_refused(tmp_path: Path, end: str) -> None:
    (tmp_path / "folder").mkdir()
    path = f"{tmp_path}/{end}"
    with pytest.raises(IsADirectoryError, match="folder") as caught:
        write_atomically(path, b"data")
    assert caught.value.filename == path and names(tmp_path) == ["folder"]


def test_an_error_while_writing_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*file'"):
        write_atomically(tmp_path / "file", b"data")
    assert names(tmp_path) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def pieces() -> Any:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_together({tmp_path / "a": [b"whole"], tmp_path / "b": pieces()})
    assert names(tmp_path) == [] and not files._alive


def test_files_that_belong_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is renamed before all are complete; then nothing happens between the renames."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda old, new: (calls.append(Path(new).name), replace(old, new)))
    write_together({tmp_path / name: [name.encode()] for name in ("b", "a", "c")})
    assert calls[:6] == ["fsync", "fsync", "fsync", "b", "a", "c"]
    assert names(tmp_path) == ["a", "b", "c"]


# ------------------------------------------------------------------------------------------------------------- reading


@posix
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path, kind in ((tmp_path / "pipe", "named pipe"), (tmp_path / "link", "device"), (tmp_path, "folder")):
        with pytest.raises(OSError, match=f"it is a {kind}") as caught:
            open_regular(path)
        assert caught.value.filename == str(path)


def test_text_of_a_limited_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("größer", encoding="utf-8")
    assert read_text(tmp_path / "file", 8) == "größer"
    with pytest.raises(OSError, match="more than 7 bytes"):
        read_text(tmp_path / "file", 7)
