from .benchmarks.benchmark import Benchmark as Benchmark
from .benchmarks.lareqa import load_lareqa as load_lareqa
from .opening import open_rows as open_rows
from .prepared import Prepared as Prepared
from .prepared import prepare as prepare
