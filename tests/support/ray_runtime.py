"""A runtime of Ray on this machine, for tests that need one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def ray_runtime(**environment: str) -> Iterator[None]:
    """Two cores, no page of its own, nothing told to anybody; workers import what this process imports.

    Args:
        environment: of the workers, beside what this process has.
    """
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
            _node_ip_address="127.0.0.1", object_store_memory=100 * 2**20,
            runtime_env={"env_vars": environment},
        )  # fmt: skip
        try:
            yield
        finally:
            ray.shutdown()
