"""A web server on this machine, each of whose folders is a mirror with another fault."""

from __future__ import annotations

import gzip
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

CONTENT = np.random.default_rng(0).bytes(300_000)
PACKED = gzip.compress(CONTENT, mtime=0)
OTHER = gzip.compress(np.random.default_rng(1).bytes(300_000), mtime=0)
BODIES = {
    "raw": CONTENT,
    "page": b"<!DOCTYPE html><html><title>Sign in to\n the hotel's network</title></html>",
    "wrong": gzip.compress(CONTENT[:-1] + b"?"),
    "more": gzip.compress(CONTENT + b"?"),
    "bomb": gzip.compress(bytes(50 << 20), 1),
    "empty": b"",
    "damaged": PACKED[:1000] + b"????" + PACKED[1004:],
    "other": OTHER,
}
SHA256, SIZE = hashlib.sha256(CONTENT).hexdigest(), len(CONTENT)
TAG = '"version 1"'


class Mirrors(BaseHTTPRequestHandler):
    """`asked` lists the faults that were asked for, `ranges` the ranges."""

    asked: list[str]
    ranges: list[str | None]
    after: dict[str, int]  # bytes after which a fault breaks off, the first time

    def do_GET(self) -> None:
        fault = self.path.split("/")[1]
        type(self).asked.append(fault)
        type(self).ranges.append(self.headers.get("Range"))
        if fault == "missing":
            self.send_error(404)
        elif fault == "refused":
            self.send_error(503)
        elif fault == "loops":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        elif fault == "moved":
            self.send_response(302)
            self.send_header("Location", "/good/file.gz")
            self.end_headers()
        elif fault == "local":  # leads to a file of this machine
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif fault == "drops":  # announces everything, hangs up in the middle
            self.answer(PACKED, sent=len(PACKED) // 2)
        elif fault == "truncated":  # announces what it sends, which is not everything
            self.answer(PACKED[: len(PACKED) // 2])
        elif fault == "silent":
            self.answer(PACKED, sent=1000)
            self.server.let_go.wait(30)  # type: ignore[attr-defined]
        elif fault == "mute":
            self.server.let_go.wait(30)  # type: ignore[attr-defined]
        elif fault == "trickle":
            self.trickle()
        elif fault == "endless":
            self.endless()
        elif fault in ("breaks", "changed", "shifted", "forgetful", "gone", "stubborn"):
            self.continued(fault)
        else:
            self.answer(BODIES.get(fault, PACKED))

    def answer(self, body: bytes, sent: int | None = None, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[:sent])
        self.wfile.flush()

    def continued(self, fault: str) -> None:
        """The first answers break off after some bytes; what comes after a request for the rest, the fault says."""
        whole = PACKED
        given = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(given[1]) if given else 0
        known = {"Accept_Ranges": "bytes", "ETag": TAG}
        if not start or fault == "stubborn":
            cut = type(self).after.pop(fault, None) if fault != "stubborn" else 1000
            self.answer(whole, sent=cut, **known)
        elif fault == "breaks":
            assert self.headers["If-Range"] in (TAG, None)
            cut = type(self).after.pop(fault, None)
            span = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
            self.answer(whole[start:], sent=cut, status=206, Content_Range=span, **known)
        elif fault == "changed":  # another version: the server sends all of it
            self.answer(whole, ETag='"version 2"')
        elif fault == "shifted":  # another part than it was asked for
            span = f"bytes {start - 7}-{len(whole) - 1}/{len(whole)}"
            self.answer(whole[start - 7 :], status=206, Content_Range=span)
        elif fault == "forgetful":  # ignores the range
            self.answer(whole)
        else:
            self.send_error(416)

    def trickle(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.let_go.wait(0.01):  # type: ignore[attr-defined]
            try:
                self.wfile.write(b"?")
            except OSError:
                return

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.let_go.is_set():  # type: ignore[attr-defined]
            try:
                self.wfile.write(PACKED)
            except OSError:
                return

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def serving() -> Iterator[str]:
    """The address of the server."""
    Mirrors.asked, Mirrors.ranges, Mirrors.after = [], [], {}
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Mirrors)
    httpd.let_go = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.let_go.set()  # type: ignore[attr-defined]
        httpd.shutdown()
        httpd.server_close()
        thread.join()
