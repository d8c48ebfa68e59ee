"""The ZIPs of a corte: named after its hour, with the length and digest in its manifest, holding its very files.

One ZIP holds one ZIP for each election; each of those holds the CSV, the candidaturas and LEEME.txt. A ZIP can be built
so that two programs see different files in it (members twice, overlapping, hidden between others): no such ZIP passes.
"""

import hashlib
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import IO, Final

from integrity.report import Ledger
from integrity.source import Fetched
from integrity.tree.documents import Manifest, PublishedElection

ZIP_LIMIT: Final = 4 << 30
_IN_MEMORY: Final = 8 << 20
_CHUNK: Final = 1 << 20
_LOCAL_HEADER: Final = 30
_LENGTHS: Final = struct.Struct("<HH")
_DESCRIPTOR: Final = 24
_ENCRYPTED: Final = 0x1
_HAS_DESCRIPTOR: Final = 0x8
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)
"""Errors of zipfile for bytes that are no sound ZIP. The file itself was read without error before."""


def judge_zip(zipped: Fetched, manifest: Manifest, sums: Mapping[str, str], ledger: Ledger) -> None:
    """The ZIP of one corte. `sums` gives the digests of the corte's own files, by name."""
    name = manifest.zip_name
    stamp = f"{manifest.at:%Y%m%d_%H%M}_PREP"
    ledger.did("INT-05")
    # Two cortes in one minute would have one name: the second one's name ends in its number.
    if not re.fullmatch(re.escape(f"zip/{stamp}_{manifest.edo}") + rf"(?:_{manifest.corte:04})?\.zip", name):
        ledger.wrong("INT-05", name, expected=f"zip/{stamp}_{manifest.edo}.zip", found=name)
    if zipped.size != manifest.zip_bytes:
        ledger.wrong("INT-05", name, expected=f"{manifest.zip_bytes} bytes", found=zipped.size)
    if zipped.sha256 != manifest.zip_sha256:
        ledger.wrong("INT-05", name, expected=manifest.zip_sha256, found=zipped.sha256)

    ledger.did("INT-06")
    inner = {f"{stamp}_{election.code}_{manifest.edo}.zip": election for election in manifest.elections}

    def judge_member(member: str, packed: IO[bytes]) -> None:
        # A ZIP is read from its end, so this one must be a file.
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as plain:
            shutil.copyfileobj(packed, plain, _CHUNK)
            _judge_inner(plain, f"{name} → {member}", inner[member], sums, ledger)

    with zipped.local.open("rb") as handle:
        _read_members(handle, name, set(inner), ledger, judge_member)


def _judge_inner(
    content: IO[bytes], name: str, election: PublishedElection, sums: Mapping[str, str], ledger: Ledger
) -> None:
    def judge_member(member: str, packed: IO[bytes]) -> None:
        hasher = hashlib.sha256()
        while block := packed.read(_CHUNK):
            hasher.update(block)
        ledger.did("INT-06")
        # The same digests as in SHA256SUMS: one list answers for the folder and for the ZIP.
        if hasher.hexdigest() != sums.get(member):
            expected = sums.get(member, "nada")
            ledger.wrong("INT-06", f"{name} → {member}", expected=expected, found=hasher.hexdigest())

    _read_members(content, name, {election.archivo, election.candidaturas, "LEEME.txt"}, ledger, judge_member)


def _read_members(
    handle: IO[bytes], name: str, expected: set[str], ledger: Ledger, judge: Callable[[str, IO[bytes]], None]
) -> None:
    """Unpack the expected members one by one; none if the archive holds anything else, or in another layout.

    A member ends at the size in the directory, which `_archive_problems` limits.
    """
    try:
        with zipfile.ZipFile(handle) as archive:
            problems = _archive_problems(archive, handle, expected)
            for wanted, found in problems:
                ledger.wrong("INT-06", name, expected=wanted, found=found)
            for member in archive.infolist() if not problems else ():
                with archive.open(member) as packed:
                    judge(member.filename, packed)
    except _UNREADABLE:
        ledger.wrong("INT-06", name, expected="un ZIP sano", found="uno que no se puede leer")


def _archive_problems(archive: zipfile.ZipFile, handle: IO[bytes], expected: set[str]) -> list[tuple[str, str]]:
    """The faults of an archive before anything is unpacked, as pairs of expected and found."""
    # The directory is judged before any member is unpacked.
    members = archive.infolist()
    names = [member.filename for member in members]
    problems: list[tuple[str, str]] = []
    if sorted(names) != sorted(expected):
        problems.append((", ".join(sorted(expected)), ", ".join(sorted(names)) or "nada"))
    if archive.comment:
        problems.append(("un ZIP sin comentario", "uno con comentario"))
    # A name with a hidden end, a link, encryption or a rare compression would be read differently by other programs.
    for member in members:
        if member.orig_filename != member.filename or stat.S_ISLNK(member.external_attr >> 16):
            problems.append(("archivos ordinarios", f"{member.filename} es otra cosa"))
        if member.flag_bits & _ENCRYPTED or member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            problems.append(("archivos sin cifrar, guardados o comprimidos con deflate", member.filename))
        if member.file_size > ZIP_LIMIT:
            problems.append((f"archivos de hasta {ZIP_LIMIT} bytes", f"{member.filename}, de {member.file_size}"))
    return problems or _layout_problems(archive, handle, members)


def _layout_problems(
    archive: zipfile.ZipFile, handle: IO[bytes], members: list[zipfile.ZipInfo]
) -> list[tuple[str, str]]:
    """Members follow one another from the first byte to the directory. No byte between them, none shared by two."""
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset != end:
            return [("un archivo tras otro, sin huecos ni traslapes", f"{member.filename} en {member.header_offset}")]
        handle.seek(member.header_offset)
        header = handle.read(_LOCAL_HEADER)
        lengths = _LENGTHS.unpack(header[26:30])
        # A local header has 30 bytes, then the name and the extra field, whose lengths end it (APPNOTE 4.3.7).
        end = member.header_offset + _LOCAL_HEADER + sum(lengths) + member.compress_size
        if member.flag_bits & _HAS_DESCRIPTOR:
            end = _after_descriptor(handle, end)
    if end != archive.start_dir:
        return [("el directorio justo después del último archivo", f"el directorio en {archive.start_dir}")]
    return []


def _after_descriptor(handle: IO[bytes], end: int) -> int:
    """The end of a data descriptor: 12 or 20 bytes, with or without its four-byte mark."""
    handle.seek(end)
    following = handle.read(_DESCRIPTOR + 4)
    for size in (16, 24, 12, 20):
        if following[size : size + 2] == b"PK":
            return end + size
    return end
