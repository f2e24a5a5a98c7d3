"""Connect to a Ray cluster, or start a Ray runtime on this machine."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from isoglot.core.errors import InputError, first_line, needs

_TRIES = "2"  # attempts of 20 to 40 seconds each to reach a head; Ray's default is 20
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def ray_package() -> Any:
    """Import and return the module `ray`.

    Raises:
        MissingPackageError: it is not installed.
    """
    # Send no usage statistics, and opt in to a coming default of Ray's, which turns off its warning about it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with needs("workers on other machines need Ray", "ray"):
        import ray
    return ray


@contextmanager
def ray_runtime(ray: Any, address: str | None, *, cores: int) -> Iterator[bool]:
    """Connect to a cluster, or start a runtime here that ends with the block; yields whether it was started here.

    This process's handling of SIGTERM remains as it is.

    Args:
        ray: the module.
        address: of the cluster's head; when None, RAY_ADDRESS or else a runtime here.
        cores: minimum number of cores that a runtime here declares, even if this machine has fewer.

    Raises:
        InputError: no cluster there.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    open_already = ray.is_initialized()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    try:
        with warnings.catch_warnings(), _same_sigterm():
            # Other libraries warn about forking; Ray does not fork this process.
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.filterwarnings("ignore", message="lance is not fork-safe", category=UserWarning)
            if address:
                _knock(ray, address)
            if open_already:
                pass
            elif address:
                with _few_tries():
                    ray.init(address=address, **quiet)
            else:
                here: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
                ray.init(address="local", num_cpus=max(os.cpu_count() or 1, cores), **here, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        where = address or "this machine"
        raise InputError(
            f"ray: no cluster can be reached at {where} ({brief(error)}); give its head, as ray=HOST:PORT. If "
            "`ray start` made it, set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH if the token is a copy"
        ) from error
    if open_already:
        yield False
        return
    try:
        # Ray prints its daemons' messages to standard output, which is for results.
        with redirect_stdout(sys.stderr):
            yield not address
    finally:
        ray.shutdown()


def brief(error: BaseException) -> str:
    """Return the first line of an error's message, at most 200 characters."""
    return first_line(error)[:200]


def _knock(ray: Any, address: str) -> None:
    """Check that something listens at an address, since Ray itself tries for minutes.

    Raises:
        OSError: nothing does, or nothing where Ray will look.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdecimal()):
        return
    socket.create_connection((host, int(port)), timeout=10).close()
    if host in _LOOPBACK and not address.startswith("ray://"):
        # Ray replaces these by this machine's network address, where a head may not listen.
        there = ray.util.get_node_ip_address()
        try:
            socket.create_connection((there, int(port)), timeout=10).close()
        except OSError as error:
            raise OSError(
                f"something answers at {host}, but Ray looks for it at {there}; to stay on one machine, start the "
                "head with `ray start --head --node-ip-address 127.0.0.2` and give that"
            ) from error


@contextmanager
def _same_sigterm() -> Iterator[None]:
    """Undo what the block does to the handling of SIGTERM: Ray makes it an exit with code 15, for good."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where Ray cannot install its handler either
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:  # or else it was not installed by Python
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _few_tries() -> Iterator[None]:
    """Make Ray give up after a minute if what responds is not a head; by default it tries for a quarter hour."""
    name = "RAY_gcs_server_port_wait_time_s"  # despite its name a number of attempts
    if name in os.environ:
        yield
        return
    os.environ[name] = _TRIES
    try:
        yield
    finally:
        del os.environ[name]
