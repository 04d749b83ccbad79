"""The texts inside a PNG, read without decoding a pixel: keyword and text, in chunks beside the picture's own.

PNG (third edition), 11.3.3: tEXt is Latin-1, zTXt the same compressed, iTXt UTF-8, compressed or not.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from core.errors import BadFile
from core.words import in_bytes

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LONGEST_KEYWORD = 79
MOST_CHUNKS = 100_000
"""A picture of 50 MB in chunks of 8 KB has 6 000; whoever sends more wants to keep us busy."""
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


@dataclass(frozen=True)
class PngHead:
    """Size in pixels, the texts that were asked for, and the keywords of all of them."""

    width: int
    height: int
    texts: dict[str, str] = field(default_factory=dict)
    keywords: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Chunk:
    kind: bytes
    length: int


def read_texts(path: Path, wanted: Collection[str], most_bytes: int) -> PngHead:
    """Read the texts under the `wanted` keywords, at most `most_bytes` each; of two with one keyword, the first.

    Raises BadFile, with what to do, for a file that is no PNG, is damaged, or holds more than that.
    """
    reader = _Reader(path, frozenset(wanted), most_bytes)
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise BadFile("error.recipe_not_png", name=path.name)
        return reader.head(file)


@dataclass(frozen=True)
class _Reader:
    path: Path
    wanted: frozenset[str]
    most_bytes: int

    def head(self, file: BinaryIO) -> PngHead:
        size: tuple[int, int] | None = None
        texts: dict[str, str] = {}
        keywords: set[str] = set()
        for chunk in self._chunks(file):
            if size is None:
                size = self._size(file, chunk)
            elif chunk.kind in _TEXTS:
                keyword, text = self._text(file, chunk)
                keywords.add(keyword)
                if text is not None:
                    texts.setdefault(keyword, text)
        if size is None:
            raise self._damaged()
        return PngHead(*size, texts, frozenset(keywords))

    def _chunks(self, file: BinaryIO) -> Iterator[_Chunk]:
        """Yield each chunk with the file at its data, and go on behind it, up to the end of the picture."""
        for _ in range(MOST_CHUNKS):
            start = self._exactly(file, 8)
            chunk = _Chunk(start[4:], int.from_bytes(start[:4], "big"))
            after = file.tell() + chunk.length + 4
            if chunk.kind == b"IEND":
                return
            yield chunk
            file.seek(after)
        raise self._damaged()

    def _size(self, file: BinaryIO, chunk: _Chunk) -> tuple[int, int]:
        if chunk.kind != b"IHDR" or chunk.length != 13:  # noqa: PLR2004 the standard's own number
            raise self._damaged()
        content = self._checked(file, chunk)
        width, height = int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big")
        if not width or not height:
            raise self._damaged()
        return width, height

    def _text(self, file: BinaryIO, chunk: _Chunk) -> tuple[str, str | None]:
        """Return a text's keyword, and the text itself where it is wanted."""
        start = file.tell()
        keyword, end, _ = self._exactly(file, min(chunk.length, LONGEST_KEYWORD + 1)).partition(b"\0")
        named = keyword.decode("latin-1")
        if not end or named not in self.wanted:
            return named, None
        if chunk.length > self.most_bytes:
            raise self._too_long()
        file.seek(start)
        return named, self._decoded(chunk.kind, self._checked(file, chunk)[len(keyword) + 1 :])

    def _decoded(self, kind: bytes, rest: bytes) -> str:
        if kind == b"tEXt":
            return _latin_or_utf8(rest)
        if kind == b"zTXt":
            return _latin_or_utf8(self._inflated(rest[1:]))
        compressed, (_, _, text) = rest[:1] == b"\1", _three(rest[2:])
        return (self._inflated(text) if compressed else text).decode("utf-8", "replace")

    def _inflated(self, packed: bytes) -> bytes:
        """Unpack a text, never more of it than is allowed: a small chunk may hold gigabytes of the same letter."""
        unpacker = zlib.decompressobj()
        try:
            text = unpacker.decompress(packed, self.most_bytes + 1)
        except zlib.error as error:
            raise self._damaged() from error
        if len(text) > self.most_bytes:
            raise self._too_long()
        if not unpacker.eof:
            raise self._damaged()
        return text

    def _checked(self, file: BinaryIO, chunk: _Chunk) -> bytes:
        content = self._exactly(file, chunk.length)
        if zlib.crc32(chunk.kind + content) != int.from_bytes(self._exactly(file, 4), "big"):
            raise self._damaged()
        return content

    def _exactly(self, file: BinaryIO, count: int) -> bytes:
        content = file.read(count)
        if len(content) != count:
            raise self._damaged()
        return content

    def _damaged(self) -> BadFile:
        return BadFile("error.png_damaged", name=self.path.name)

    def _too_long(self) -> BadFile:
        return BadFile("error.recipe_too_long", name=self.path.name, limit=in_bytes(self.most_bytes))


def _latin_or_utf8(text: bytes) -> str:
    """Read what the standard calls Latin-1; many tools write UTF-8 there, which Latin-1 hardly ever looks like."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _three(rest: bytes) -> tuple[bytes, bytes, bytes]:
    """Split iTXt's language, translated keyword and text."""
    language, _, after = rest.partition(b"\0")
    translated, _, text = after.partition(b"\0")
    return language, translated, text
