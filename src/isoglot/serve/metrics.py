"""Prometheus metrics: requests, seconds per stage, the queue, languages of results and of collections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import prometheus_client as prometheus
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from isoglot.core.version import __version__
from isoglot.search.hit import Hit
from isoglot.serve.cleaning import plain
from isoglot.serve.served import Collection
from isoglot.serve.workers import Workers

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)


class Metrics:
    """The metrics of one application, in a separate registry.

    Args:
        collections: the served collections.
        workers: the pool of threads, whose queue times are recorded from now on.
    """

    def __init__(self, collections: Sequence[Collection], workers: Workers) -> None:
        self._registry = registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)
        prometheus.Info("isoglot", "This server.", registry=registry).info({"version": __version__})
        self._requests = prometheus.Counter(
            "isoglot_requests", "Requests answered.", ("path", "method", "status"), registry=registry
        )
        self._seconds = prometheus.Histogram(
            "isoglot_request_seconds", "Seconds to answer a request.", ("path",), registry=registry, buckets=_BUCKETS
        )
        self._stages = prometheus.Histogram(
            "isoglot_stage_seconds", "Seconds of a stage.", ("stage",), registry=registry, buckets=_BUCKETS
        )
        self._languages = prometheus.Counter(
            "isoglot_results", "Passages shown in results.", ("index", "lang"), registry=registry
        )
        registry.register(_State(collections, workers))
        workers.waited = lambda seconds: self.stage("queue", seconds)

    def request(self, path: str, method: str, status: int, seconds: float) -> None:
        """Record a response; `path` is a route, not an address, to keep the number of labels small."""
        self._requests.labels(path, method, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def stage(self, stage: str, seconds: float) -> None:
        """Record how long a stage took."""
        self._stages.labels(stage).observe(seconds)

    def found(self, index: str, hits: Sequence[Hit]) -> None:
        """Record the languages of the passages in an index's results."""
        for lang, count in Counter(plain(hit.lang) for hit in hits).items():
            self._languages.labels(index, lang).inc(count)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return prometheus.generate_latest(self._registry)


class _State(Collector):
    """Gauges whose values are read when the metrics are requested."""

    def __init__(self, collections: Sequence[Collection], workers: Workers) -> None:
        self._collections, self._workers = collections, workers

    def collect(self) -> Iterator[Metric]:
        waiting, running = self._workers.load
        yield GaugeMetricFamily("isoglot_queue_waiting", "Requests that wait for a thread.", waiting)
        yield GaugeMetricFamily("isoglot_queue_running", "Requests that a thread works on.", running)
        passages = GaugeMetricFamily(
            "isoglot_collection_passages", "Passages of the collection.", labels=("index", "lang")
        )
        for entry in self._collections:
            for lang, count in entry.languages.items():
                passages.add_metric((entry.name, plain(lang)), count)
        yield passages
        versions = GaugeMetricFamily("isoglot_index_version", "The version that is served.", labels=("index",))
        for entry in self._collections:
            if entry.searcher.version is not None:
                versions.add_metric((entry.name,), entry.searcher.version)
        yield versions
        behind = GaugeMetricFamily(
            "isoglot_index_behind",
            "1 if the newest version cannot be opened and an older one is served.",
            labels=("index",),
        )
        for entry in self._collections:
            behind.add_metric((entry.name,), entry.behind)
        yield behind
