"""Open bitext files by their extension, also inside .gz and .zip files."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from isoglot.core.errors import InputError
from isoglot.data.readers.bitext.lines import moses_units, tsv_units
from isoglot.data.readers.bitext.po import po_units
from isoglot.data.readers.bitext.tmx import tmx_units
from isoglot.data.readers.bitext.units import Notes, Unit, Wanted
from isoglot.data.readers.bitext.xliff import xliff_units
from isoglot.languages.codes import known_code

Read = Callable[[IO[bytes], str, Wanted, Notes], Iterator[Unit]]
READERS: dict[str, Read] = {
    ".tmx": tmx_units,
    ".xlf": xliff_units,
    ".xliff": xliff_units,
    ".po": po_units,
    ".pot": po_units,
    ".tsv": tsv_units,
}
KINDS = f"{', '.join(READERS)} (also in .gz and .zip), or LANG=FILE of lines that match"


class Source(NamedTuple):
    """A file, or a member of a zip file; `name` is for messages."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The path, such as `memory.zip/en-de.tmx`."""
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def ending(self) -> str:
        """The extension of the content, in lower case and without `.gz`."""
        last = (self.member or self.path.name).lower().removesuffix(".gz")
        return "." + last.rpartition(".")[2] if "." in last else ""


def read_units(names: Sequence[str], wanted: Wanted, notes: Notes) -> Iterator[Unit]:
    """Stream the units of files, in order.

    Args:
        names: files. Those given as LANG=FILE, and those with an unknown extension (whose languages come from
            `wanted.langs`, if it has as many, or their extensions), match line by line.
        wanted: options for reading.
        notes: collects problems and counts.

    Raises:
        InputError: there are no files, or one is missing or of an unknown kind.
    """
    if not names:
        raise InputError(f"no files given; expected {KINDS}")
    aligned = [_aligned(name) for name in names]
    if all(aligned):
        yield from _moses([(lang, Source(path)) for lang, path in filter(None, aligned)], notes)
        return
    if any(aligned) and not all(Path(name).exists() for name in names):
        plain_name = next(name for name, found in zip(names, aligned, strict=True) if not found)
        raise InputError(f"{plain_name}: no language given; give all files that match line by line as LANG=FILE")
    sources = [source for name in names for source in _sources(Path(name))]
    plain = [source for source in sources if source.ending not in READERS]
    for source in sources:
        if source in plain:
            continue
        with _opened(source, notes) as stream:
            if stream is not None:
                yield from READERS[source.ending](stream, source.name, wanted, notes)
    if plain:
        yield from _moses(_by_language(plain, wanted), notes)


def _aligned(name: str) -> tuple[str, Path] | None:
    lang, equals, path = name.partition("=")
    return (lang, Path(path)) if equals and lang.replace("-", "").replace("_", "").isalnum() else None


def _sources(path: Path) -> list[Source]:
    if not path.is_file():
        raise InputError(f"{path}: no such file" if not path.is_dir() else f"{path}: a folder; name its files")
    if path.suffix.lower() != ".zip":
        return [Source(path)]
    try:
        with zipfile.ZipFile(path) as archive:
            members = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            # macOS adds a metadata file `._NAME` for every file.
            members = [member for member in members if not Path(member).name.startswith("._")]
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: a broken or truncated zip file ({error})") from error
    known = [Source(path, member) for member in members if Source(path, member).ending in READERS]
    if known:
        return known
    # A zip of Moses files also contains a licence and a readme.
    pair = [Source(path, member) for member in members if Path(member).suffix and "readme" not in member.lower()]
    stems = {source.member.rpartition(".")[0]: 0 for source in pair if source.member}
    for source in pair:
        stems[str(source.member).rpartition(".")[0]] += 1
    several = [source for source in pair if stems[str(source.member).rpartition(".")[0]] > 1]
    if not several:
        raise InputError(f"{path}: holds {', '.join(members) or 'nothing'}; expected {KINDS}")
    return several


def _by_language(plain: Sequence[Source], wanted: Wanted) -> list[tuple[str, Source]]:
    """Return files that match line by line with their languages: those given, or else their extensions."""
    if wanted.langs and len(wanted.langs) == len(plain):
        return list(zip(wanted.langs, plain, strict=True))
    ends = [source.ending.removeprefix(".") for source in plain]
    if len(plain) > 1 and all(end.replace("-", "").isalpha() and 2 <= len(end) <= 8 for end in ends):
        return list(zip(ends, plain, strict=True))
    raise InputError(f"{plain[0].name}: language and kind are unknown; expected {KINDS}, such as en=a.en de=a.de")


def _moses(files: Sequence[tuple[str, Source]], notes: Notes) -> Iterator[Unit]:
    for lang, source in files:
        if known_code(lang) is None:
            raise InputError(f"{source.name}: {lang!r} is not a language code such as 'de'; give it as LANG=FILE")
    if len({lang for lang, _ in files}) < 2:
        raise InputError(f"{files[0][1].name}: only one language; bitext needs a file for each of two or more")
    with ExitStack() as stack:
        streams = []
        for lang, source in files:
            stream = stack.enter_context(_opened(source, notes))
            if stream is None:
                return
            streams.append((lang, source.name, stream))
        yield from moses_units(streams, notes)


@contextmanager
def _opened(source: Source, notes: Notes) -> Iterator[IO[bytes] | None]:
    """Open a source as a stream, decompressed while it is read; None (and a problem) if it cannot be opened."""
    if not source.path.is_file():
        raise InputError(f"{source.path}: no such file")
    broken = (gzip.BadGzipFile, zipfile.BadZipFile, EOFError, zlib.error)
    with ExitStack() as stack:
        try:
            stream: Any
            if source.member is not None:
                archive = stack.enter_context(zipfile.ZipFile(source.path))
                stream = stack.enter_context(archive.open(source.member))
            else:
                stream = stack.enter_context(source.path.open("rb"))
        except PermissionError as error:
            raise InputError(f"{source.path}: cannot be read ({error.strerror})") from error
        except (*broken, RuntimeError, NotImplementedError) as error:  # a password, an unknown compression
            notes.problems.add(source.name, None, f"cannot be unpacked ({error})")
            yield None
            return
        if source.name.lower().endswith(".gz"):
            stream = stack.enter_context(gzip.GzipFile(fileobj=stream))
        try:
            yield stream
        except broken as error:
            notes.problems.add(source.name, None, f"a broken or truncated compressed file ({error})")
        except RecursionError:
            notes.problems.add(source.name, None, "elements are nested too deeply")
