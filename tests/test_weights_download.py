"""Weights from the web, here from a server on this machine: complete, checked and kept, or an error with a remedy."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pytorch_files import SAVED

import minicnn
from minicnn import hub
from minicnn.models import lenet5
from minicnn.serialization import CheckpointError, download
from minicnn.serialization.download import fetched, weights_folder

CONTENT = SAVED["zip"]
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = f"net-{SHA256[:8]}.pth"


class Server(BaseHTTPRequestHandler):
    """Every folder is a server with a different fault."""

    asked: list[str]

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        type(self).asked.append(kind)
        if kind == "missing":
            self.send_error(404)
            return
        body = {"page": b" <html>Sign in</html>", "empty": b"", "wrong": b"?" + CONTENT[1:]}.get(kind, CONTENT)
        self.send_response(200)
        if kind != "unknown":  # a length that is not announced
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if kind == "drops" else body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A server, and a home for the files; the server stands for PyTorch's."""
    for name, value in (("no_proxy", "*"), ("MINICNN_HOME", tmp_path / "home"), ("TORCH_HOME", tmp_path / "torch")):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(download, "_PYTORCH", "127.0.0.1")
    Server.asked = []
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.mark.parametrize("kind", ["good", "unknown"])
def test_a_file_is_fetched_once(server: str, tmp_path: Path, kind: str) -> None:
    path = fetched(f"{server}/{kind}/{NAME}")
    assert path == tmp_path / "home" / "weights" / NAME and path.read_bytes() == CONTENT
    assert fetched(f"{server}/{kind}/{NAME}") == path and Server.asked == [kind]
    assert [each.name for each in path.parent.iterdir()] == [NAME]


def test_pytorchs_own_files_are_found(server: str, tmp_path: Path) -> None:
    known = tmp_path / "torch" / "hub" / "checkpoints" / NAME
    known.parent.mkdir(parents=True)
    known.write_bytes(b"there")
    assert fetched(f"{server}/good/{NAME}") == known and not Server.asked


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "404"), ("page", "a web page instead of the file"), ("empty", "an empty file"),
        ("drops", f"cut off after {len(CONTENT) // 2} of {len(CONTENT)} bytes"),
        ("wrong", f"wrong content: its SHA-256 is [0-9a-f]+, and should begin with {SHA256[:8]}"),
    ],
)  # fmt: skip
def test_faults_of_a_server(server: str, tmp_path: Path, kind: str, reason: str) -> None:
    url = f"{server}/{kind}/{NAME}"
    with pytest.raises(CheckpointError, match=reason) as caught:
        fetched(url)
    place = tmp_path / "home" / "weights" / NAME
    assert f"from {url} (" in str(caught.value) and f"put it at {place}, or pass the path" in str(caught.value)
    left = [f"{NAME}.part", f"{NAME}.part.json"] if kind == "drops" else []  # to be continued
    assert sorted(path.name for path in place.parent.iterdir()) == left
    place.write_bytes(CONTENT)
    assert fetched(url) == place and Server.asked == [kind]


def test_without_a_network(server: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"from http://127\.0\.0\.1:1/a/net\.pth \(.*refused.*put it at"):
        fetched("http://127.0.0.1:1/a/net.pth")
    for url in (
        "http://127.0.0.1:1",
        "http://127.0.0.1:1/a/",
        "http://127.0.0.1:1/a/%2e%2e",
        "http://127.0.0.1:1/a%2fb",
    ):
        with pytest.raises(CheckpointError, match="its path names no file"):
            fetched(url)


def test_other_servers_files_may_have_the_same_name(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And digits in their names that are none of a hash."""
    monkeypatch.setattr(download, "_PYTORCH", "elsewhere")
    paths = {fetched(f"{server}/{folder}/net-20240101.pth") for folder in "ab"}
    assert len(paths) == 2 and all(path.name == "net-20240101.pth" for path in paths)
    assert fetched(f"{server}/a/net-20240101.pth") in paths and Server.asked == ["a", "b"]


def test_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINICNN_HOME", "~/here")
    assert weights_folder() == Path.home() / "here" / "weights"
    monkeypatch.delenv("MINICNN_HOME")
    assert weights_folder() == Path.home() / ".cache" / "minicnn" / "weights"


def test_the_bar(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import tqdm

    shown: list[Any] = []

    class Bar(tqdm.tqdm):  # type: ignore[type-arg]
        def __init__(self, **options: Any) -> None:
            shown.append((options["total"], options["desc"], options["disable"]))
            super().__init__(**options)

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    for number, progress in enumerate((True, False)):
        fetched(f"{server}/good/{number}/{NAME.replace('net', str(number))}", progress)
    assert shown == [(len(CONTENT), NAME.replace("net", "0"), None), (len(CONTENT), NAME.replace("net", "1"), True)]


def test_a_net_with_weights_from_the_web(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PYTORCH", "elsewhere")
    trained = lenet5()
    minicnn.save(trained.state_dict(), tmp_path / "f")
    monkeypatch.setitem(globals(), "CONTENT", (tmp_path / "f").read_bytes())
    net = lenet5(weights=f"{server}/good/lenet5.safetensors", progress=False)
    assert net.classifier[-1].bias.tolist() == trained.classifier[-1].bias.tolist()


@pytest.mark.filterwarnings("ignore:.*bfloat16 tensors become float32")
def test_hub(server: str, tmp_path: Path) -> None:
    url = f"{server}/good/{NAME}"
    assert hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True)["epoch"] == 3
    assert (tmp_path / "torch" / "hub" / "checkpoints" / NAME).read_bytes() == CONTENT
    found = hub.load_state_dict_from_url(url, str(tmp_path / "models"), progress=False, file_name="net.pth")
    assert found["epoch"] == 3 and (tmp_path / "models" / "net.pth").is_file()
    assert hub.load_state_dict_from_url(url)["epoch"] == 3 and Server.asked == ["good", "good"]
    hub.download_url_to_file(url, str(tmp_path / "f"), SHA256[:10], progress=False)
    assert (tmp_path / "f").read_bytes() == CONTENT
    with pytest.raises(CheckpointError, match="should begin with 0123"):
        hub.download_url_to_file(url, str(tmp_path / "g"), "0123")
    assert not (tmp_path / "g").exists()
    with pytest.raises(CheckpointError, match=f"should begin with {SHA256[:8]}"):
        hub.load_state_dict_from_url(f"{server}/wrong/x/{NAME}", str(tmp_path / "other"), check_hash=True)
