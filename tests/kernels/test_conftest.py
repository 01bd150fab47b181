"""The guard that keeps the tests off the network, and the random numbers of the tests."""

from __future__ import annotations

import socket
import urllib.request
import zlib
from pathlib import Path

import numpy as np
import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org", "2001:db8::1"])
def test_other_machines_are_out_of_reach(host: str) -> None:
    with pytest.raises(RuntimeError, match="tests use no network"):
        socket.create_connection((host, 80), timeout=1)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for connect in ("connect", "connect_ex"):
        with socket.socket(family) as client, pytest.raises(RuntimeError, match="tests use no network"):
            getattr(client, connect)((host, 80))
    with socket.socket(family, socket.SOCK_DGRAM) as client, pytest.raises(RuntimeError, match="tests use no network"):
        client.sendto(b"hello", (host, 53))


def test_urlopen_is_out_of_reach() -> None:
    with pytest.raises(RuntimeError, match=r"look up 'example\.org'"):
        urllib.request.urlopen("http://example.org/", timeout=1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_in_reach(host: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection((host, server.getsockname()[1]), timeout=5) as client,
        server.accept()[0] as peer,
    ):
        client.sendall(b"hello")
        assert peer.recv(5) == b"hello"


def test_random_numbers_are_the_same_in_every_run(rng: np.random.Generator) -> None:
    seed = zlib.crc32(b"test_random_numbers_are_the_same_in_every_run")
    np.testing.assert_array_equal(rng.random(5), np.random.default_rng(seed).random(5))


def test_mnist_tests_are_skipped_only_where_mnist_is_missing(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (conftest,) = (plugin for plugin in request.config.pluginmanager.get_plugins() if hasattr(plugin, "_missing"))
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    assert "set MINICNN_DATA" in conftest._missing("MNIST")
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    assert "train-images" in conftest._missing("MNIST") or "t10k-images" in conftest._missing("MNIST")
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{name}-ubyte").write_bytes(b"damaged")
    assert conftest._missing("MNIST") is None  # the files exist but are damaged: the tests must run and fail
