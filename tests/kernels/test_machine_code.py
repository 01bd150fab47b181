"""Machine code on disk: its date is renewed by use, old code is removed, and no other file is touched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from minicnn_kernels import machine_code
from minicnn_kernels.machine_code import DAY, KEPT, note_use


@pytest.fixture(autouse=True)
def _each_its_own_process() -> None:
    machine_code._prune.cache_clear()


def folder(root: Path, name: str, age: float) -> Path:
    """A folder as Numba fills it, last used `age` seconds ago."""
    made = root / name
    (made / "conv2d_5b8c").mkdir(parents=True)
    for file in ("a.f-3.py311.nbi", "a.f-3.py311.1.nbc", "a.f-3.py311.2.nbc.tmp.12"):
        (made / "conv2d_5b8c" / file).write_bytes(b"code")
    then = time.time() - age
    os.utime(made, (then, then))
    return made


def age(made: Path) -> float:
    return time.time() - made.stat().st_mtime


def files(made: Path) -> int:
    return sum(file.is_file() for file in made.rglob("*"))


def test_use_renews_the_date_once_a_day(tmp_path: Path) -> None:
    recent, old = folder(tmp_path, "0123456789abcdef", DAY / 2), folder(tmp_path, "f123456789abcdef", 2 * KEPT)
    note_use(recent)
    note_use(old)
    assert age(recent) > DAY / 3 and age(old) < 60
    assert files(recent) == files(old) == 3


def test_a_new_folder_removes_what_is_old_and_ours(tmp_path: Path) -> None:
    young, old = folder(tmp_path, "0123456789abcdef", KEPT - DAY), folder(tmp_path, "f123456789abcdef", KEPT + DAY)
    others = [folder(tmp_path, name, 2 * KEPT) for name in ("0123456789ABCDEF", "0123456789abcde", "a" * 17, "user")]
    mixed = folder(tmp_path, "e123456789abcdef", KEPT + DAY)
    (mixed / "conv2d_5b8c" / "notes.nbc.txt").write_text("mine")
    linked = tmp_path / "d123456789abcdef"
    linked.symlink_to(others[0])
    os.utime(linked, (0, 0), follow_symlinks=False)
    note_use(tmp_path / "new")
    assert files(young) == 3 and files(old) == 0 and old.is_dir()
    assert [files(other) for other in others] == [3] * 4
    assert [file.name for file in mixed.rglob("*") if file.is_file()] == ["notes.nbc.txt"]
    for made in (old, mixed):  # an old process may still write there; the folder is removed 60 days later
        assert age(made) < 60
        os.utime(made, (0, 0))
    machine_code._prune.cache_clear()
    note_use(tmp_path / "new")
    assert not old.exists() and (mixed / "conv2d_5b8c" / "notes.nbc.txt").exists()


def test_it_never_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cache yet, a file in its place, folders that vanish or belong to another user."""
    note_use(tmp_path / "no" / "cache")
    (tmp_path / "file").write_text("")
    note_use(tmp_path / "file" / "folder")
    first, second = (folder(tmp_path, name, 2 * KEPT) for name in ("0123456789abcdef", "f123456789abcdef"))
    remove, refused = machine_code._empty, []

    def refuse(made: Path) -> None:
        if not refused:
            refused.append(made)
            raise PermissionError(made)
        remove(made)

    monkeypatch.setattr(machine_code, "_empty", refuse)
    note_use(tmp_path / "new")
    assert sorted((files(first), files(second))) == [0, 3]
    monkeypatch.setattr(Path, "touch", lambda self: (_ for _ in ()).throw(PermissionError(self)))
    note_use(refused[0])


def test_the_runtime_notes_each_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    noted: list[Path] = []
    monkeypatch.setattr(machine_code, "note_use", noted.append)
    found = machine_code.folder_of.__wrapped__("minicnn_kernels.activations.relu_tanh_sigmoid")
    assert noted == [Path(found)] and noted[0].parent == tmp_path and machine_code._OURS.fullmatch(noted[0].name)
