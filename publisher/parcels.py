"""The ZIPs of a corte. Rows that did not change are not compressed again: their block is copied from the ZIP before.

The official file goes into its ZIP as blocks: the lines above the rows, then every `ROWS` rows. Each block is deflated
by itself and ends with a full flush, so blocks may stand one behind the other (RFC 1951, 3.2.4), and every program
that reads ZIPs reads them. A block depends on its lines alone. So a ZIP has the same bytes if blocks are copied or made
again. No index says where a block ends: the end of a full flush is a mark of four bytes, and a block that would have
the mark in its middle is deflated with another level.

The ZIP before is trusted if it has the digest on record. If it is of another form, all blocks are made.
"""

import hashlib
import json
import os
import shutil
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Final

from prep.domain.corte import Corte
from publisher.kept import PREAMBLE, file_before

ROWS: Final = 64
"""Rows of a block. With more a block is seldom the same as before, with fewer the file grows: by 6 % with these."""
_LEVEL: Final = 4
"""Of zlib: more than twice as fast as 6, and its files are 3 % larger."""
_OTHER_LEVELS: Final = (5, 3, 6, 2, 7, 1, 8, 9)
_RAW: Final = -15
"""For zlib: bare deflate, as in a ZIP."""
_MARK: Final = b"\x00\x00\xff\xff"
_END: Final = b"\x03\x00"
"""An empty last block: none of the blocks of rows is the last one."""
_CHUNK: Final = 1 << 20
_GROUP: Final = 8
"""Blocks that go to a thread together."""
_WAITING: Final = 16
"""Groups that are held in memory."""
_MOST: Final = (1 << 32) - 1

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_TAIL: Final = struct.Struct("<4s4H2LH")
_VERSION: Final = 20
_UNIX: Final = 3 << 8
_RIGHTS: Final = 0o644 << 16
"""Rights and system are fixed, and the time is that of the corte: the same files give the same ZIP on every machine."""
_CRC_AT: Final = 14
_UTF8: Final = 1 << 11
"""The flag of a name that is not plain ASCII."""


@dataclass(frozen=True, slots=True)
class OldParcel:
    """The official file of the corte before, and the ZIP that it is in."""

    file: Path
    archive: Path
    inner: str
    """The ZIP of the election, in that ZIP."""


@dataclass(frozen=True, slots=True)
class _Member:
    name: bytes
    crc: int
    packed: int
    size: int
    at: int


class Parcel:
    """The ZIP of one election, open for writing; `close` completes it."""

    def __init__(self, target: Path, local: datetime) -> None:
        """`local`: the time of all its members, without a zone."""
        self._file = target.open("wb")
        self._members: list[_Member] = []
        # Of MS-DOS: two seconds are one step (APPNOTE 4.4.6).
        self._time = local.hour << 11 | local.minute << 5 | local.second // 2
        self._date = (local.year - 1980) << 9 | local.month << 5 | local.day

    def add(self, path: Path) -> None:
        """Add a small file."""
        content = path.read_bytes()
        packed = zlib.compress(content, _LEVEL, _RAW)
        at = self._begin(path.name)
        self._file.write(packed)
        self._end(path.name, at, zlib.crc32(content), len(content))

    def add_rows(self, path: Path, before: OldParcel | None, threads: Executor) -> None:
        """Add an official file, in blocks."""
        at = self._begin(path.name)
        start = self._file.tell()
        packed = self._write_blocks(path, before, threads) if before is not None else None
        if packed is None:
            self._file.seek(start)
            self._file.truncate()
            packed = self._write_blocks(path, None, threads)
            assert packed is not None
        self._end(path.name, at, *packed)

    def close(self) -> None:
        """Write the directory."""
        start = self._file.tell()
        for each in self._members:
            self._file.write(
                _ENTRY.pack(
                    b"PK\x01\x02", _UNIX | _VERSION, _VERSION, 0 if each.name.isascii() else _UTF8,
                    zipfile.ZIP_DEFLATED, self._time, self._date,
                    each.crc, each.packed, each.size, len(each.name), 0, 0, 0, 0, _RIGHTS, each.at,
                )
                + each.name
            )  # fmt: skip
        many = len(self._members)
        self._file.write(_TAIL.pack(b"PK\x05\x06", 0, 0, many, many, self._file.tell() - start, start, 0))
        self._file.close()

    def _begin(self, name: str) -> int:
        at, encoded = self._file.tell(), name.encode()
        flags = 0 if name.isascii() else _UTF8
        head = (b"PK\x03\x04", _VERSION, flags, zipfile.ZIP_DEFLATED, self._time, self._date, 0, 0, 0, len(encoded), 0)
        self._file.write(_LOCAL.pack(*head) + encoded)
        return at

    def _end(self, name: str, at: int, crc: int, size: int) -> None:
        encoded, end = name.encode(), self._file.tell()
        member = _Member(encoded, crc, end - at - _LOCAL.size - len(encoded), size, at)
        if max(end, size) > _MOST:
            raise ValueError(f"{name} has more than 4 GiB")
        self._file.seek(at + _CRC_AT)
        self._file.write(struct.pack("<3L", crc, member.packed, size))
        self._file.seek(end)
        self._members.append(member)

    def _write_blocks(self, path: Path, before: OldParcel | None, threads: Executor) -> tuple[int, int] | None:
        """CRC-32 and length of the file. None if the ZIP before has another form: then anything may be written."""
        crc = size = 0
        waiting: deque[Future[bytes]] = deque()
        with path.open("rb") as file:
            blocks = _with_packed(_blocks_of(file), before)
            try:
                while group := [*islice(blocks, _GROUP)]:
                    for block, _ in group:
                        crc, size = zlib.crc32(block, crc), size + len(block)
                    waiting.append(threads.submit(_deflate_group, group))
                    if len(waiting) > _WAITING:
                        self._file.write(waiting.popleft().result())
            except _OtherFormError:
                return None
        for each in waiting:
            self._file.write(each.result())
        self._file.write(_END)
        return crc, size


def pack(target: Path, inner: Sequence[Path], local: datetime) -> None:
    """The outer ZIP. The inner ones are stored in it, not compressed again."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in inner:
            info = zipfile.ZipInfo(path.name, local.timetuple()[:6])
            info.external_attr, info.create_system = _RIGHTS, _UNIX >> 8
            with path.open("rb") as source, archive.open(info, "w") as member:
                shutil.copyfileobj(source, member, _CHUNK)


def archive_before(public: Path, before: Corte | None) -> Path | None:
    """The ZIP of the corte before, if it is the one on record."""
    manifest = file_before(public, before, "manifest.json")
    if manifest is None:
        return None
    try:
        content = manifest.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest.sha256:
            return None
        told = json.loads(content)["zip"]
        with (public / told["archivo"]).open("rb") as file:
            return (
                public / told["archivo"] if hashlib.file_digest(file, "sha256").hexdigest() == told["sha256"] else None
            )
    except OSError:
        return None


class _OtherFormError(Exception):
    """The ZIP of the corte before is not made of these blocks."""


def _blocks_of(file: IO[bytes]) -> Iterator[bytes]:
    if above := b"".join(islice(file, PREAMBLE)):
        yield above
    while rows := b"".join(islice(file, ROWS)):
        yield rows


def _with_packed(blocks: Iterator[bytes], before: OldParcel | None) -> Iterator[tuple[bytes, bytes | None]]:
    """Each block; and its packed form, if the corte before has the same block in its place. Raises _OtherFormError."""
    if before is None:
        yield from ((block, None) for block in blocks)
        return
    try:
        with (
            before.file.open("rb") as file,
            zipfile.ZipFile(before.archive) as outer,
            outer.open(before.inner) as held,
            zipfile.ZipFile(held) as inner,
        ):
            packed = _packed_blocks(held, inner.getinfo(before.file.name))
            for number, (block, old, kept) in enumerate(zip_longest(blocks, _blocks_of(file), packed)):
                # An older release made its ZIPs in another way: then the first block is not this one.
                if (old is None) != (kept is None) or (not number and _inflated(kept or b"") != old):
                    raise _OtherFormError
                if block is not None:
                    yield block, kept if block == old else None
    except (OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _OtherFormError from error


def _packed_blocks(held: IO[bytes], member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The blocks of a member as they are packed. Raises _OtherFormError."""
    held.seek(member.header_offset)
    head = _LOCAL.unpack(held.read(_LOCAL.size))
    held.seek(head[-2] + head[-1], os.SEEK_CUR)
    left, rest = member.compress_size, b""
    while left:
        chunk = held.read(min(left, _CHUNK))
        if not chunk:
            raise EOFError
        left -= len(chunk)
        *blocks, rest = (rest + chunk).split(_MARK)
        yield from (block + _MARK for block in blocks)
        if len(rest) > _CHUNK:  # no block is as long
            raise _OtherFormError
    if rest != _END:
        raise _OtherFormError


def _inflated(packed: bytes) -> bytes:
    return zlib.decompressobj(_RAW).decompress(packed)


def _deflate_group(group: Sequence[tuple[bytes, bytes | None]]) -> bytes:
    return b"".join([kept if kept is not None else deflate(block) for block, kept in group])


def deflate(block: bytes) -> bytes:
    """The packed form of a block."""
    for level in (_LEVEL, *_OTHER_LEVELS):
        packing = zlib.compressobj(level, zlib.DEFLATED, _RAW)
        packed = packing.compress(block) + packing.flush(zlib.Z_FULL_FLUSH)
        if packed.find(_MARK) == len(packed) - len(_MARK):
            return packed
    raise AssertionError("every level makes the mark")  # once in 10^50 blocks
