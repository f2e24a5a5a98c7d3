"""The page's script and style sheet, served from memory as one file each, compressed if the browser accepts it."""

from __future__ import annotations

import gzip
from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

_PARTS = {"page.js": ("htmx.min.js", "page.js"), "page.css": ("page.css",)}
_TYPES = {"page.js": "text/javascript; charset=utf-8", "page.css": "text/css; charset=utf-8"}


class StaticFiles:
    """The files of /static, read once, so that no request reaches the file system.

    Attributes:
        build: hash of all of them; part of their addresses, since browsers cache them for good.
    """

    def __init__(self) -> None:
        folder = files("isoglot.serve") / "static"
        self._plain = {
            name: b"\n".join((folder / part).read_bytes() for part in parts) for name, parts in _PARTS.items()
        }
        self._packed = {name: gzip.compress(content, 9, mtime=0) for name, content in self._plain.items()}
        self.build = sha256(b"".join(self._plain.values())).hexdigest()[:12]

    def answer(self, request: Request, name: str) -> Response | None:
        """Return a file, or None if there is none of that name."""
        if name not in self._plain:
            return None
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        takes = {part.partition(";")[0].strip() for part in request.headers.get("accept-encoding", "").split(",")}
        if "gzip" in takes:
            headers["Content-Encoding"] = "gzip"
            return Response(self._packed[name], media_type=_TYPES[name], headers=headers)
        return Response(self._plain[name], media_type=_TYPES[name], headers=headers)
