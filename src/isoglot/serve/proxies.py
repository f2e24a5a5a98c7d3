"""The `X-Forwarded-` headers of reverse proxies, trusted from the configured addresses only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from isoglot.core.errors import InputError
from isoglot.serve.settings import ServeSettings

_HOST = re.compile(r"[A-Za-z0-9._\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_NAME = re.compile(r"\*|(\*\.)?[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\]")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~\-]+)+")


class Placed:
    """ASGI middleware that rewrites requests to the address and client that the proxy saw.

    These come from `root_path`, and from `X-Forwarded-Proto`, `-For`, `-Host` and `-Prefix` of trusted proxies.

    Args:
        app: the next application.
        root_path: path at which a proxy exposes this server; empty for the root.
        trusted: addresses or networks of the proxies, such as `127.0.0.1` or `10.0.0.0/8`.

    Raises:
        InputError: one of `trusted` is no address or network.
    """

    def __init__(self, app: ASGIApp, root_path: str = "", trusted: Sequence[str] = ()) -> None:
        self._root_path = root_path
        self._networks = [_network(text) for text in trusted]
        self._plain = app
        self._app: ASGIApp = ProxyHeadersMiddleware(app, trusted_hosts=list(trusted))  # type: ignore[arg-type, assignment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, as its proxy saw it."""
        if scope["type"] == "http" and self._root_path:
            scope["root_path"] = self._root_path
        if scope["type"] != "http" or not self._trusts(scope):
            await self._plain(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("x-forwarded-host", "").split(",")[0].strip()
        prefix = headers.get("x-forwarded-prefix", "").split(",")[0].strip().rstrip("/")
        if _HOST.fullmatch(host):
            MutableHeaders(scope=scope)["host"] = host
        if _PREFIX.fullmatch(prefix):
            scope["root_path"] = prefix
        await self._app(scope, receive, send)

    def _trusts(self, scope: Scope) -> bool:
        try:
            address = ip_address(scope["client"][0])
        except (TypeError, ValueError):
            return False
        return any(address in network for network in self._networks)


def behind_proxy(
    settings: ServeSettings, hosts: Sequence[str], root_path: str, trusted: Sequence[str]
) -> ServeSettings:
    """Return the settings of a server behind a reverse proxy.

    Args:
        settings: the settings to extend.
        hosts: further host names that requests may use.
        root_path: path at which the proxy exposes the server, such as `/search`; empty for the root.
        trusted: addresses or networks of the proxies.

    Raises:
        InputError: a host name has a scheme, a port or a path, `root_path` is no path, or `trusted` has no address.
    """
    for name in hosts:
        if not _NAME.fullmatch(name):
            raise InputError(f"hosts {name!r}: expected a name alone, such as search.example.org")
    root_path = root_path.rstrip("/")
    if root_path and not _PREFIX.fullmatch(root_path):
        raise InputError(f"root_path {root_path!r}: expected a path such as /search")
    for text in trusted:
        _network(text)
    return replace(settings, hosts=(*settings.hosts, *hosts), root_path=root_path, proxies=tuple(trusted))


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise InputError(
            f"trusted proxy {text!r}: expected an address or a network, such as 127.0.0.1 or 10.0.0.0/8"
        ) from error
