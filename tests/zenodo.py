"""A stand-in for Zenodo on loopback, with one record of one file."""

import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Zenodo:
    """A server on loopback that answers as Zenodo does, with faults at will.

    Attributes:
        content: of the file.
        name: of the file.
        ranges: whether a part of it may be asked for.
        stalls: after how many bytes to send no more but hold the connection, an entry an answer.
        cuts: after how many bytes to close the connection, an entry an answer, then never again.
        statuses: to answer instead of the file, an entry an answer.
        retry_after: header of these answers.
        record: what the record's page says; ``None`` for what is true.
        asked: the ``Range`` of each request for the file.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self.content, self.name, self.ranges = content, name, True
        self.stalls, self.cuts, self.statuses, self.asked = [], [], [], []
        self.retry_after, self.record, self.closing = None, None, threading.Event()
        zenodo = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                zenodo.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def listing(self, md5: str = "") -> dict:
        checksum = md5 or hashlib.md5(self.content).hexdigest()
        link = f"{self.url}/api/files/{self.name}/content"
        entry = {"key": self.name, "size": len(self.content), "checksum": f"md5:{checksum}"}
        return {"files": [{**entry, "links": {"self": link}}]}

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(request.path)
        if path.startswith("/api/records/"):
            body = json.dumps(self.record or self.listing()).encode()
            self.send(request, 200, body, {})
            return
        self.asked.append(request.headers.get("Range"))
        assert request.headers["Accept-Encoding"] == "identity"
        if self.statuses:
            more = {"Retry-After": self.retry_after} if self.retry_after else {}
            self.send(request, self.statuses.pop(0), b"no", more)
            return
        begin, status, headers = 0, 200, {}
        if self.ranges and self.asked[-1]:
            begin = int(self.asked[-1].removeprefix("bytes=").removesuffix("-"))
            if begin >= len(self.content):
                self.send(request, 416, b"", {})
                return
            status, last = 206, len(self.content) - 1
            headers = {"Content-Range": f"bytes {begin}-{last}/{len(self.content)}"}
        stall = self.stalls.pop(0) if self.stalls else None
        cut = self.cuts.pop(0) if self.cuts else stall
        self.send(request, status, self.content[begin:], headers, cut)
        if stall is not None:
            self.closing.wait()

    def send(self, request, status, body, headers, cut=None) -> None:
        request.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(key, value)
        request.end_headers()
        with contextlib.suppress(ConnectionError):  # the client has read enough
            request.wfile.write(body[:cut])
        request.close_connection = cut is not None
