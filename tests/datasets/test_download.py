from __future__ import annotations

import gzip
import hashlib
import threading
import time
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.datasets import DatasetError, download
from minicnn.datasets.download import content_matches, fetch
from minicnn.serialization import download as web

CONTENT = np.random.default_rng(0).bytes(300_000)
PACKED = gzip.compress(CONTENT)
BODIES = {
    "raw": CONTENT,
    "page": b"<!DOCTYPE html><html>Sign in to the hotel's network</html>",
    "wrong": gzip.compress(CONTENT[:-1] + b"?"),
    "more": gzip.compress(CONTENT + b"?"),
    "bomb": gzip.compress(bytes(50 << 20), 1),
    "empty": b"",
    "damaged": PACKED[:1000] + b"????" + PACKED[1004:],
}
SHA256, SIZE = hashlib.sha256(CONTENT).hexdigest(), len(CONTENT)


class Mirrors(BaseHTTPRequestHandler):
    """Every path is a mirror with a different fault."""

    asked: list[str]

    def do_GET(self) -> None:
        fault = self.path.split("/")[1]
        type(self).asked.append(fault)
        body = BODIES.get(fault, PACKED)
        if fault == "missing":
            self.send_error(404)
        elif fault == "refused":
            self.send_error(503)
        elif fault == "drops":  # announces everything, hangs up in the middle
            self.answer(PACKED, sent=len(PACKED) // 2)
        elif fault == "truncated":  # announces what it sends, which is not everything
            self.answer(PACKED[: len(PACKED) // 2])
        elif fault == "silent":
            self.answer(PACKED, sent=1000)
            self.server.let_go.wait(30)  # type: ignore[attr-defined]
        else:
            self.answer(body)

    def answer(self, body: bytes, sent: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    Mirrors.asked = []
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Mirrors)
    httpd.let_go = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.let_go.set()  # type: ignore[attr-defined]
    httpd.shutdown()
    httpd.server_close()
    thread.join()


FAULTS = ["missing", "refused", "drops", "truncated", "page", "wrong", "more", "bomb", "empty", "damaged"]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_mirror_helps(server: str, tmp_path: Path, fault: str) -> None:
    target = tmp_path / "new" / "file"
    fetch([f"{server}/{fault}/file.gz", f"{server}/good/file.gz", f"{server}/unused/file.gz"], target, SHA256, SIZE)
    assert target.read_bytes() == CONTENT and Mirrors.asked == [fault, "good"]
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_a_mirror_that_falls_silent_is_given_up(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transfer = download._transfer

    def impatient(url: str, *rest: Any) -> None:
        monkeypatch.setattr(web, "SILENCE", 0.3 if "silent" in url else 30.0)
        transfer(url, *rest)

    monkeypatch.setattr(download, "_transfer", impatient)
    fetch([f"{server}/silent/file.gz", f"{server}/good/file.gz"], tmp_path / "file", SHA256, SIZE)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_mirror_may_serve_the_content_unpacked(server: str, tmp_path: Path) -> None:
    fetch([f"{server}/raw/file.gz"], tmp_path / "file", SHA256, SIZE)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_where_no_mirror_helps_each_is_accused(server: str, tmp_path: Path) -> None:
    urls = ["http://127.0.0.1:1/file.gz", *(f"{server}/{fault}/file.gz" for fault in FAULTS), "nonsense://x/file.gz"]
    with pytest.raises(DatasetError) as caught:
        fetch(urls, tmp_path / "file", SHA256, SIZE)
    message = str(caught.value)
    assert all(f"  {url}: " in message for url in urls)
    for reason in (
        "refused",
        "404",
        "503",
        "cut off after",
        "a web page",
        "wrong content",
        "more than the 300000 bytes",
    ):
        assert reason in message
    assert "by hand" in message and "MINICNN_DATA" in message and "Digits" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_transfer_leaves_nothing(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """The interrupt comes in the middle of the transfer, when there is a partial file."""
    (tmp_path / "file").write_bytes(b"as it was")
    unpack = download._content

    def interrupted(chunks: object, size: int, packed: bool) -> Iterator[bytes]:
        for position, piece in enumerate(unpack(chunks, size, packed)):  # type: ignore[arg-type]
            if position == 2:
                assert any(path.suffix == ".part" for path in tmp_path.iterdir())
                raise error
            yield piece

    monkeypatch.setattr(download, "_content", interrupted)
    with pytest.raises(error):
        fetch([f"{server}/good/file.gz", f"{server}/good/file.gz"], tmp_path / "file", SHA256, SIZE)
    assert Mirrors.asked == ["good"]
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_bytes() == b"as it was"


def test_a_full_disk_is_not_a_mirrors_fault(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_transfer", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch([f"{server}/good/file.gz"] * 2, tmp_path / "file", SHA256, SIZE)
    assert not isinstance(caught.value, DatasetError) and list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error_at_once(server: str, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_bytes(b"")
    with pytest.raises(OSError) as caught:
        fetch([f"{server}/good/file.gz"], tmp_path / "occupied" / "file", SHA256, SIZE)
    assert not isinstance(caught.value, DatasetError) and Mirrors.asked == []


def test_what_is_replaced_is_kept(server: str, tmp_path: Path) -> None:
    for version in (b"one", b"two"):
        (tmp_path / "file").write_bytes(version)
        fetch([f"{server}/good/file.gz"], tmp_path / "file", SHA256, SIZE)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {"file": CONTENT, "file.bad": b"one", "file.bad1": b"two"}


def test_dead_partial_files_are_swept_and_living_ones_spared(server: str, tmp_path: Path) -> None:
    import os

    dead, living, other = (tmp_path / name for name in ("file.1-a.part", "file.2-b.part", "files.1-a.part"))
    for path in (dead, living, other):
        path.write_bytes(b"")
    for path in (dead, other):
        os.utime(path, (time.time() - 7200,) * 2)
    fetch([f"{server}/good/file.gz"], tmp_path / "file", SHA256, SIZE)
    assert not dead.exists() and living.exists() and other.exists()


def test_the_order_of_the_last_steps(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flush the file, rename it, flush the folder: the order that survives a power cut."""
    import os

    steps: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("fsync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *names: (steps.append("replace"), replace(*names)))
    fetch([f"{server}/good/file.gz"], tmp_path / "file", SHA256, SIZE)
    assert steps == ["fsync", "replace", "fsync"]


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(bytes(50 << 20)))
    tracemalloc.start()
    try:
        assert not content_matches(path, SHA256, SIZE)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_content_matches(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for good in (CONTENT, PACKED):
        path.write_bytes(good)
        assert content_matches(path, SHA256, SIZE)
    for bad in (CONTENT[:-1], CONTENT + b"?", PACKED[:-1], PACKED[:-9], CONTENT[:-1] + b"?", b"", gzip.compress(b"")):
        path.write_bytes(bad)
        assert not content_matches(path, SHA256, SIZE)
    assert not content_matches(tmp_path / "nowhere", SHA256, SIZE)


def test_a_packed_file_is_checked_and_kept_as_it_is(server: str, tmp_path: Path) -> None:
    target = tmp_path / "file.tar.gz"
    sha256 = hashlib.sha256(PACKED).hexdigest()
    with pytest.raises(DatasetError, match="cut off"):  # the hash and size of its content are not meant
        fetch([f"{server}/raw/file"], target, sha256, len(CONTENT) + 1, packed=True)
    fetch([f"{server}/raw/file", f"{server}/good/file"], target, sha256, len(PACKED), packed=True)
    assert target.read_bytes() == PACKED
    assert content_matches(target, sha256, len(PACKED), packed=True)
    assert not content_matches(target, sha256, len(PACKED)) and content_matches(target, SHA256, SIZE)
