from __future__ import annotations

import errno
import gzip
import hashlib
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirrors import CONTENT, PACKED, SHA256, SIZE, Mirrors, serving

from minicnn.datasets import DatasetError, download
from minicnn.datasets.download import Checksum, content_matches, fetch
from minicnn.serialization import transfer

INNER = Checksum(SIZE, SHA256, packed=False)  # of what the mirrors' gzip file holds, and of that file itself
OUTER = Checksum(len(PACKED), hashlib.sha256(PACKED).hexdigest())
OLD = Checksum(None, md5=hashlib.md5(PACKED, usedforsecurity=False).hexdigest())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    with serving() as address:
        yield address


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


FAULTS = [
    "missing", "refused", "loops", "local", "drops", "truncated", "page", "wrong", "more", "bomb", "empty", "damaged",
    "endless", "stubborn",
]  # fmt: skip


@pytest.mark.parametrize("wanted", [INNER, OUTER, OLD], ids=["content", "file", "md5"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_mirror_helps(server: str, tmp_path: Path, fault: str, wanted: Checksum, capfd: object) -> None:
    target = tmp_path / "new" / "file"
    fetch([f"{server}/{fault}/file.gz", f"{server}/good/file.gz", f"{server}/unused/file.gz"], target, wanted)
    assert target.read_bytes() == (CONTENT if wanted is INNER else PACKED)
    assert list(dict.fromkeys(Mirrors.asked)) == [fault, "good"] and names(target.parent) == ["file"]


@pytest.mark.parametrize(("fault", "reason"), [("silent", "timed out"), ("mute", "timed out"), ("trickle", "slow: ")])
def test_slow_and_silent_mirrors_are_given_up(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    monkeypatch.setattr(transfer, "SILENCE", 0.3)
    monkeypatch.setattr(transfer, "PATIENCE", 0.5)
    fetch([f"{server}/{fault}/file.gz", f"{server}/good/file.gz"], tmp_path / "file", INNER)
    assert (tmp_path / "file").read_bytes() == CONTENT
    with pytest.raises(DatasetError, match=reason):
        fetch([f"{server}/{fault}/file.gz"], tmp_path / "other", INNER)


def test_a_mirror_that_never_answers_is_given_up(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is looked up for ever has no time limit of its own."""
    monkeypatch.setattr(transfer, "PATIENCE", 0.2)
    with pytest.raises(DatasetError, match=r"no answer within 0 seconds"):
        fetch([f"{server}/mute/file.gz"], tmp_path / "file", INNER)
    assert names(tmp_path) == []


def test_a_mirror_may_serve_the_content_unpacked_or_move(server: str, tmp_path: Path) -> None:
    for number, fault in enumerate(("raw", "moved")):
        fetch([f"{server}/{fault}/file.gz"], tmp_path / str(number), INNER)
        assert (tmp_path / str(number)).read_bytes() == CONTENT


def test_where_no_mirror_helps_each_is_accused(server: str, tmp_path: Path) -> None:
    urls = ["http://127.0.0.1:1/file.gz", *(f"{server}/{fault}/file.gz" for fault in FAULTS), "nonsense://x/file.gz"]
    with pytest.raises(DatasetError) as caught:
        fetch(urls, tmp_path / "file", INNER)
    message = str(caught.value)
    assert all(f"  {url}: " in message for url in urls)
    for reason in (
        "refused", "404", "503", "cut off after", "wrong content", "more than the 300000 bytes", "infinite loop",
        "a web page instead of the file, titled \"Sign in to the hotel's network\"", "not allowed",
    ):  # fmt: skip
        assert reason in message
    assert f"put the file into {tmp_path} by hand, under the name file (gzipped or not)" in message
    assert "MINICNN_DATA" in message and "Digits" in message


# ------------------------------------------------------------------------------------------------- broken downloads


def test_a_connection_that_breaks_is_taken_up_again(server: str, tmp_path: Path) -> None:
    Mirrors.after = {"breaks": 100_000}
    fetch([f"{server}/breaks/file.gz"], tmp_path / "file", INNER)
    assert (tmp_path / "file").read_bytes() == CONTENT and names(tmp_path) == ["file"]
    assert Mirrors.ranges == [None, "bytes=100000-"]


@pytest.mark.parametrize("wanted", [INNER, OUTER], ids=["content", "file"])
@pytest.mark.parametrize("fault", ["breaks", "changed", "shifted", "forgetful", "gone"])
def test_a_later_call_continues_or_starts_again(server: str, tmp_path: Path, fault: str, wanted: Checksum) -> None:
    """As after Ctrl-C: whatever the server makes of the request for the rest, the file is right in the end."""
    target = tmp_path / "file"
    with transfer.Part(target) as part, pytest.raises(OSError, match="cut off"):
        Mirrors.after = {fault: 70_000}
        part._continue(f"{server}/{fault}/file.gz", 1 << 20, "", False)
    assert names(tmp_path) == ["file.part", "file.part.json"] and part.path.read_bytes() == PACKED[:70_000]
    Mirrors.ranges = []
    fetch([f"{server}/{fault}/file.gz"], target, wanted)
    assert target.read_bytes() == (CONTENT if wanted is INNER else PACKED) and names(tmp_path) == ["file"]
    assert Mirrors.ranges[0] == "bytes=70000-"
    assert Mirrors.ranges[1:] == ([None] if fault in ("shifted", "gone") else [])


def test_another_mirror_continues_a_file_whose_hash_is_known(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(PACKED[:5000])
    fetch([f"{server}/missing/file.gz", f"{server}/breaks/file.gz"], tmp_path / "file", OUTER)
    assert Mirrors.ranges == ["bytes=5000-", "bytes=5000-"] and (tmp_path / "file").read_bytes() == PACKED


@pytest.mark.parametrize("left", [b"?" * 5000, PACKED[:-1] + b"?", PACKED + b"?", PACKED], ids=len)
@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": 3, "version": 4}', '{"version": "a\\r\\nb"}', "9" * 20_000])
def test_whatever_was_left_the_file_is_right(server: str, tmp_path: Path, left: bytes, note: str) -> None:
    for wanted in (OUTER, INNER):
        (tmp_path / "file.part").write_bytes(left)
        (tmp_path / "file.part.json").write_text(note)
        fetch([f"{server}/breaks/file.gz"], tmp_path / "file", wanted)
        assert (tmp_path / "file").read_bytes() == (CONTENT if wanted is INNER else PACKED)
        (tmp_path / "file").unlink()
        assert names(tmp_path) == []


def test_a_web_page_does_not_cost_what_is_there(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(PACKED[:5000])
    with pytest.raises(DatasetError, match="a web page"):
        fetch([f"{server}/page/file.gz"], tmp_path / "file", OUTER)
    assert (tmp_path / "file.part").read_bytes() == PACKED[:5000]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_transfer_is_continued(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """The interrupt comes in the middle of the transfer, when there is a partial file."""
    (tmp_path / "file").write_bytes(b"as it was")
    pieces = transfer._pieces

    def interrupted(answer: object, start: int) -> Iterator[bytes]:
        for position, piece in enumerate(pieces(answer, start)):
            if position == 2:
                raise error
            yield piece

    monkeypatch.setattr(transfer, "_pieces", interrupted)
    with pytest.raises(error):
        fetch([f"{server}/breaks/file.gz", f"{server}/good/file.gz"], tmp_path / "file", INNER)
    assert Mirrors.asked == ["breaks"] and (tmp_path / "file").read_bytes() == b"as it was"
    there = (tmp_path / "file.part").read_bytes()
    assert there == PACKED[: len(there)] and 0 < len(there) < len(PACKED)
    monkeypatch.setattr(transfer, "_pieces", pieces)
    fetch([f"{server}/breaks/file.gz"], tmp_path / "file", INNER)
    assert (tmp_path / "file").read_bytes() == CONTENT and names(tmp_path) == ["file", "file.bad"]
    assert Mirrors.ranges == [None, f"bytes={len(there)}-"]


def test_several_at_once_fetch_it_once(server: str, tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=fetch, args=([f"{server}/good/file.gz"], tmp_path / "file", OUTER)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Mirrors.asked == ["good"] and names(tmp_path) == ["file"]


# ------------------------------------------------------------------------------------------------------- the disk


def test_a_full_disk_is_not_a_mirrors_fault(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer.Part, "fill", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch([f"{server}/good/file.gz"] * 2, tmp_path / "file", INNER)
    assert not isinstance(caught.value, DatasetError) and names(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_an_error_at_once(server: str, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_bytes(b"")
    with pytest.raises(OSError) as caught:
        fetch([f"{server}/good/file.gz"], tmp_path / "occupied" / "file", INNER)
    assert not isinstance(caught.value, DatasetError) and Mirrors.asked == []


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_a_link_or_pipe_in_place_of_the_part_is_not_written_to(server: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"precious")
    (tmp_path / "file.part").symlink_to(tmp_path / "mine")
    os.mkfifo(tmp_path / "pipe.part")
    for name in ("file", "pipe"):
        with pytest.raises(OSError, match=rf"{name}\.part"):
            fetch([f"{server}/good/file.gz"], tmp_path / name, INNER)
    assert (tmp_path / "mine").read_bytes() == b"precious" and Mirrors.asked == []


def test_what_is_replaced_is_kept(server: str, tmp_path: Path) -> None:
    for version in (b"one", b"two"):
        (tmp_path / "file").write_bytes(version)
        fetch([f"{server}/good/file.gz"], tmp_path / "file", INNER)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {"file": CONTENT, "file.bad": b"one", "file.bad1": b"two"}


@pytest.mark.parametrize("wanted", [INNER, OUTER], ids=["content", "file"])
def test_the_order_of_the_last_steps(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Checksum
) -> None:
    """Flush the file, rename it, flush the folder: the order that survives a power cut."""
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("fsync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *names: (steps.append("replace"), replace(*names)))
    fetch([f"{server}/good/file.gz"], tmp_path / "file", wanted)
    assert steps == ["fsync", "replace", "fsync"]


# -------------------------------------------------------------------------------------------------------- checksums


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(bytes(50 << 20)))
    tracemalloc.start()
    try:
        assert not content_matches(path, INNER)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_content_matches(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for good in (CONTENT, PACKED):
        path.write_bytes(good)
        assert content_matches(path, INNER)
        assert content_matches(path, OUTER) == content_matches(path, OLD) == (good == PACKED)
    for bad in (CONTENT[:-1], CONTENT + b"?", PACKED[:-1], PACKED[:-9], CONTENT[:-1] + b"?", b"", gzip.compress(b"")):
        path.write_bytes(bad)
        assert not any(content_matches(path, one) for one in (INNER, OUTER, OLD))
        assert download.mismatch(path, OUTER)
    assert not content_matches(tmp_path / "nowhere", INNER)


def test_both_sums_count(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PACKED)
    assert content_matches(tmp_path / "file", OUTER._replace(md5=OLD.md5))
    assert "MD5" in download.mismatch(tmp_path / "file", OUTER._replace(md5="0" * 32))
    assert "SHA-256" in download.mismatch(tmp_path / "file", OUTER._replace(sha256="0" * 64))
