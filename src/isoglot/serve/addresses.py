"""The paths of requests within this server, whatever path a proxy exposes it at."""

from __future__ import annotations

from starlette.types import Scope


def route_path(scope: Scope) -> str:
    """Return a request's path within this server: without the proxy's prefix, if the proxy has left it in.

    >>> [route_path({"path": path, "root_path": "/find"}) for path in ("/find/search", "/search", "/finder")]
    ['/search', '/search', '/finder']
    """
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    inside = root and (path == root or path.startswith(f"{root}/"))
    return path.removeprefix(root) if inside else path


def home_of(path: str) -> str:
    """Return the server's root as an address relative to a path within it.

    >>> home_of("/"), home_of("/api"), home_of("/a/b")
    ('./', './', '../')
    """
    return "../" * (path.count("/") - 1) or "./"
