"""Serve the built pages as GitHub Pages does, compressed: http.server sends files as they are."""

from __future__ import annotations

import gzip
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from build_site import PAGES
from set_repository import declared

PREFIX = f"/{declared().partition('/')[2]}/"


class Compressing(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        file = Path(self.directory) / self.path.removeprefix(PREFIX).partition("?")[0]
        if not file.is_file():
            self.send_error(404)
            return
        content, kind = file.read_bytes(), self.guess_type(file.name)
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=600")
        if not kind.startswith("image/") or "svg" in kind:
            content = gzip.compress(content)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if "text" in kind else kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def serve() -> str:
    """Start a server that ends with the program; return the address of the pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Compressing, directory=str(PAGES)))
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}{PREFIX}"
