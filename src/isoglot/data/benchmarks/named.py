"""Open benchmarks by name: built in, registered from Python, or provided by an installed package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from isoglot.core.arguments import check_choice, check_function, check_kind
from isoglot.core.errors import InputError
from isoglot.core.registry import Registry
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.benchmarks.streamed import StreamedCorpus
from isoglot.languages.codes import known_code
from isoglot.languages.table import given_codes

Subset = Literal["full", "hard-negatives"]
_MORE = ("context", "rows", "scratch", "split", "stream", "subset")  # further arguments of `load_benchmark`


@dataclass(frozen=True)
class Request:
    """The arguments with which a benchmark is opened.

    Attributes:
        name: the name of the benchmark, up to a colon.
        argument: the part after the colon, such as `TASK` of `mteb:TASK`; otherwise empty.
        data_dir: folder of its files, or a Hub data set (id@revision); if None, the benchmark finds its files itself.
        rows: row files, or any other input of `isoglot.data.prepare`; None if there is none.
        langs: codes to keep, for queries and candidates alike: several, or one text with commas; None for all.
        context: whether each candidate sentence is followed by its paragraph.
        subset: full, or hard-negatives.
        split: split of the judgements.
        offline: never download; None asks the environment.
        stream: do not read passages into memory, if the benchmark supports that.
        scratch: folder for temporary files, deleted later; None for the cache.
    """

    name: str = "xquad-r"
    argument: str = ""
    data_dir: Path | None = None
    rows: Any = None
    langs: str | Sequence[str] | None = None
    context: bool = False
    subset: Subset = "full"
    split: str = "test"
    offline: bool | None = None
    stream: bool = False
    scratch: Path | None = None


Opener = Callable[[Request], Benchmark | StreamedCorpus]

BENCHMARKS: Registry[Opener] = Registry(
    "isoglot.benchmarks",
    "benchmark",
    {
        "xquad-r": "isoglot.data.benchmarks.openers:open_lareqa",
        "mlqa-r": "isoglot.data.benchmarks.openers:open_lareqa",
        "miracl": "isoglot.data.benchmarks.openers:open_miracl",
        "beir": "isoglot.data.benchmarks.openers:open_beir",
        "rows": "isoglot.data.benchmarks.openers:open_rows_as_benchmark",
        "mteb": "isoglot.data.benchmarks.openers:open_mteb",
    },
)


def register_benchmark(name: str, opener: Opener) -> Opener:
    """Register your own benchmark under a name, for `load_benchmark` and `--benchmark` in this process.

    To register it for every process, install a package with an entry point in the group `isoglot.benchmarks`.

    Args:
        name: the name, without spaces, commas, `=` and `:`.
        opener: returns the benchmark for a `Request`; it may ignore fields that do not concern it.

    Raises:
        InputError: `opener` is not a function, or the name is invalid.
    """
    check_function(f"benchmark {name!r}", opener, 1, "a function that takes a Request and returns a Benchmark")
    return BENCHMARKS.register(name, opener)


def open_benchmark(request: Request) -> Benchmark | StreamedCorpus:
    """Open a benchmark by its name, or by the path of a BEIR folder, a LAReQA folder, a prepared folder or a row file.

    Raises:
        InputError: neither a known name nor such a path; also whatever the benchmark's opener raises.
    """
    name, _, argument = request.name.partition(":")
    if name in BENCHMARKS:
        opener = BENCHMARKS.get(name)
        check_function(f"benchmark {name!r}", opener, 1, "a function that takes a Request and returns a Benchmark")
        found = opener(replace(request, name=name, argument=argument))
        if not isinstance(found, Benchmark) and not callable(getattr(found, "benchmark", None)):
            raise InputError(
                f"benchmark {name!r}: its opener returned {type(found).__name__}; expected a Benchmark or a "
                "StreamedCorpus"
            )
        return found
    path = Path(request.name)
    if not path.exists():
        raise InputError(
            f"benchmark {request.name!r}: no benchmark of this name and no such path; there are: "
            f"{', '.join(BENCHMARKS.names())}"
        )
    if any((path / f"corpus.jsonl{ending}").is_file() for ending in ("", ".gz")):
        return BENCHMARKS.get("beir")(replace(request, name="beir", data_dir=path))
    if path.is_file() or (path / "meta.json").is_file():
        return BENCHMARKS.get("rows")(replace(request, name="rows", rows=[path]))
    names = [file.stem for file in path.glob("*.json")]
    if names and all(map(known_code, names)):
        return BENCHMARKS.get("xquad-r")(replace(request, name=path.resolve().name, data_dir=path))
    raise InputError(
        f"benchmark {path}: neither a BEIR folder (corpus.jsonl), nor a LAReQA folder (de.json, ...), nor a prepared "
        f"folder, nor a row file; name the benchmark ({', '.join(BENCHMARKS.names())}) and give the folder as "
        "`data_dir`"
    )


def load_benchmark(
    name: str | Path,
    data_dir: Path | str | None = None,
    langs: str | Sequence[str] | None = None,
    *,
    offline: bool | None = None,
    **more: Any,
) -> Benchmark:
    """Load a benchmark into memory (miracl: its hard negatives by default).

    Args:
        name: xquad-r, mlqa-r, miracl, beir, rows, mteb:TASK, a registered name, or the path of a BEIR folder, a folder
            in LAReQA's layout, a prepared folder or a row file. A `Path` is never taken as a name.
            `isoglot list benchmarks` prints the names.
        data_dir: folder of its files; if None, xquad-r, mlqa-r and miracl are downloaded to the cache once.
        langs: codes to keep, for queries and candidates alike: several, or one text with commas.
        offline: never download; None asks `ISOGLOT_OFFLINE` and `HF_HUB_OFFLINE`.
        more: further fields of `isoglot.data.benchmarks.named.Request`, such as `split` or `rows`.

    Raises:
        InputError: the name is unknown, files are malformed, or missing files may not be downloaded.
        IsoglotError: the download failed.

    Example:
        >>> from isoglot import load_benchmark
        >>> rows = [{"group": 1, "lang": "de", "query": "Wer?", "passage": "Grimm."}]
        >>> load_benchmark("rows", rows=rows).candidates.ids
        ['de:1']
    """
    if data_dir is not None:
        check_kind("data_dir", data_dir, (str, Path), "the folder of its files, as text or a path")
    folder = None if data_dir is None else Path(data_dir)
    asked = {"subset": "hard-negatives", **more}
    wrong = sorted(asked.keys() - set(_MORE))
    if wrong:
        raise InputError(f"load_benchmark takes no {wrong[0]}; expected some of {', '.join(_MORE)}")
    check_choice("subset", asked["subset"], get_args(Subset))
    codes = langs if isinstance(langs, str) else given_codes(langs)
    if isinstance(name, Path):
        name = name.absolute()  # Path("beir") is a folder, not the benchmark beir
    found = open_benchmark(Request(str(name), data_dir=folder, langs=codes, offline=offline, **asked))
    return found if isinstance(found, Benchmark) else found.benchmark()
