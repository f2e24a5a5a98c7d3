from .benchmarks.benchmark import Benchmark as Benchmark
from .benchmarks.lareqa import load_lareqa as load_lareqa
from .benchmarks.named import load_benchmark as load_benchmark
from .benchmarks.named import register_benchmark as register_benchmark
from .opening import open_rows as open_rows
from .prepared import Prepared as Prepared
from .prepared import prepare as prepare
from .rows import Row as Row
