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
        patch.setenv("RAY_worker_niceness", "0")  # the others' tests, beside which they run, are not nice either
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
            _node_ip_address="127.0.0.1", object_store_memory=100 * 2**20,
            runtime_env={"env_vars": environment},
        )  # fmt: skip
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def ray_cluster(machines: int) -> Iterator[str]:
    """A head that takes no work, and machines of one core each, all of them processes; gives the head's address."""
    from ray.cluster_utils import Cluster

    # Another loopback address, since Ray takes 127.0.0.1 for this machine's name in its network.
    each = {"node_ip_address": "127.0.0.2", "object_store_memory": 100 * 2**20}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        # A machine that is gone is found out in seconds instead of most of a minute.
        soon = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_timeout_ms": 2000}
        head = {**each, "num_cpus": 0, "include_dashboard": False, "_system_config": soon}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(machines):
                cluster.add_node(num_cpus=1, **each)
            yield cluster.address
        finally:
            cluster.shutdown()
