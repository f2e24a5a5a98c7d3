"""isoglot: train, measure and search with multilingual retrievers that serve every language alike."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from isoglot.data.benchmark import Benchmark as Benchmark
    from isoglot.data.lareqa import load_lareqa as load_lareqa
    from isoglot.data.prepare import Prepared as Prepared
    from isoglot.data.prepare import prepare as prepare
    from isoglot.evaluate import evaluate as evaluate
    from isoglot.evaluator import MultilingualEvaluator as MultilingualEvaluator
    from isoglot.model import load as load
    from isoglot.sampler import HybridBatchSampler as HybridBatchSampler
    from isoglot.search import Searcher as Searcher
    from isoglot.study import study as study
    from isoglot.train import train as train

_HOMES = {
    "Benchmark": "isoglot.data.benchmark",
    "HybridBatchSampler": "isoglot.sampler",
    "MultilingualEvaluator": "isoglot.evaluator",
    "Prepared": "isoglot.data.prepare",
    "Searcher": "isoglot.search",
    "evaluate": "isoglot.evaluate",
    "load": "isoglot.model",
    "load_lareqa": "isoglot.data.lareqa",
    "prepare": "isoglot.data.prepare",
    "study": "isoglot.study",
    "train": "isoglot.train",
}

__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import isoglot` stays instant."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'isoglot' has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps `isoglot.evaluate`, `isoglot.study` and `isoglot.train` the functions, in whatever order things load."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing the submodule of that name binds it here; `from isoglot.evaluate import ...` works without.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
