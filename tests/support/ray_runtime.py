"""Local Ray runtimes for tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def ray_runtime(**environment: str) -> Iterator[None]:
    """Run Ray with two cores, without dashboard and usage statistics; workers have this process's import path.

    Args:
        environment: of the workers, in addition to this process's.
    """
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # tests running in parallel have normal priority too
        sigterm = signal.getsignal(signal.SIGTERM)
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
            _node_ip_address="127.0.0.1", object_store_memory=100 * 2**20,
            runtime_env={"env_vars": environment},
        )  # fmt: skip
        signal.signal(signal.SIGTERM, sigterm)  # in place of Ray's handler, which would remain for later tests
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def ray_cluster(machines: int) -> Iterator[str]:
    """Run a head node without cores and machines of one core each, all as local processes; yield the head's address."""
    from ray.cluster_utils import Cluster

    # Another loopback address, since Ray replaces 127.0.0.1 with this machine's network address.
    each = {"node_ip_address": "127.0.0.2", "object_store_memory": 100 * 2**20}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        # Detect dead machines within seconds instead of most of a minute.
        soon = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_timeout_ms": 2000}
        head = {**each, "num_cpus": 0, "include_dashboard": False, "_system_config": soon}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(machines):
                cluster.add_node(num_cpus=1, **each)
            yield cluster.address
        finally:
            cluster.shutdown()
