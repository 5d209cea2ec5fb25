"""Looking for values that must stand nowhere: as they are, in the usual disguises, and inside what is packed."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from tests.serving import serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Stored as credentials by fixtures, to be found nowhere.
CANARY = "canary-4f1b-not-to-be-seen"
VENDOR_KEY = "canary-77aa-not-to-be-seen"
CLIENT_SECRET = "client-secret-not-to-be-seen"
CANARIES = [CANARY, VENDOR_KEY, CLIENT_SECRET]


def leaks_below(folder: Path) -> list[str]:
    """Files of every home below a folder that has credentials, and in which one of the canaries stands."""
    homes = {path.parent for path in folder.rglob("secrets.db")}
    files = (path for home in homes for path in home.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(str(path) for path in files if leaked(path.read_bytes(), CANARIES))


def leaked(content: bytes, hidden: list[str]) -> list[str]:
    """Which of `hidden` stand in `content`, as text, base64, hex or percent-encoded; archives are looked into."""
    return [value for value in hidden if any(_stands_in(part, value) for part in _parts(content))]


def _stands_in(content: bytes, value: str) -> bool:
    raw = value.encode()
    forms = [raw, raw.hex().encode(), raw.hex().upper().encode(), quote_plus(value).encode()]
    for before in range(3):
        # What stands in front of a value decides how its base64 looks; the ends depend on neighbours.
        encoded = base64.b64encode(b"\0" * before + raw)[4 if before else 0 :].rstrip(b"=")[:-2]
        forms += [encoded, encoded.translate(bytes.maketrans(b"+/", b"-_"))]
    return any(form in content for form in forms)


def _parts(content: bytes) -> Iterator[bytes]:
    yield content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from _parts(archive.read(name))
    elif content[:2] == b"\x1f\x8b":
        try:
            yield gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return


class Traces:
    """A collector of traces (OTLP over HTTP) that keeps whatever it is sent."""

    def __init__(self) -> None:
        kept = self.bodies = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                kept.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"
        serve(self._server)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
