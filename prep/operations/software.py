"""The list of the installed software: every file of our packages and of the packages beside them, with its SHA-256.

The list is a text in the form of SHA256SUMS, after lines `# …` with the versions of Python and PostgreSQL. It holds no
path of this machine, so two machines with the same installation give the same list. Two kinds of files are left out,
because they differ from machine to machine: files that Python compiles by itself (`__pycache__`), and files in which an
installer notes how and from which source it installed.
"""

import base64
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Final

from prep.errors import Rejected
from publisher.site_files import constants

PACKAGES: Final = ("capture", "integrity", "load_tests", "prep", "publisher")
BESIDE: Final = "dependencias"
SITE: Final = "sitio"
_ABOUT_INSTALLING: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})
_CACHE: Final = "__pycache__"


def listing(runs: Mapping[str, str]) -> str:
    """The text of the list. `runs` names programs that are not files of these packages: PostgreSQL and its version."""
    versions = {"Python": f"{platform.python_implementation()} {platform.python_version()}", **runs}
    lines = [f"# {name} {version}\n" for name, version in sorted(versions.items())]
    files = [*_our_files(), *_other_files()]
    # hashlib lets go of the interpreter while it hashes: each core takes its share of the files.
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        found = dict(chain.from_iterable(pool.map(_file_digests, (files[n::cores] for n in range(cores)))))
    # The files of the site that are the same in every night of this release, as they are published.
    found |= {f"{SITE}/{name}": hashlib.sha256(content).hexdigest() for name, content in constants().items()}
    return "".join(lines + [f"{digest}  {name}\n" for name, digest in sorted(found.items())])


def _our_files() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            yield from _files_under(Path(folder), package)


def _other_files() -> Iterator[tuple[str, Path]]:
    """All files beside our packages, even if no package lists them: an auditor wants to see exactly those files."""
    paths = sysconfig.get_paths()
    for folder in dict.fromkeys(Path(paths[scheme]) for scheme in ("purelib", "platlib")):
        for name, path in _files_under(folder, BESIDE):
            if name.split("/")[1] not in PACKAGES:
                yield name, path


def _files_under(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if each != _CACHE]
        # One path for a folder, not one for a file: an installation has some twenty thousand files.
        here = Path(parent)
        prefix = "/".join((name, *here.relative_to(folder).parts))
        for file in files:
            if not _is_note_of_installer(here.name, file):
                yield f"{prefix}/{file}", here / file


def _is_note_of_installer(folder: str, file: str) -> bool:
    return folder.endswith(".dist-info") and file in _ABOUT_INSTALLING


def _file_digests(files: Sequence[tuple[str, Path]]) -> list[tuple[str, str]]:
    """The name of each file, and its digest."""
    found = []
    for name, path in files:
        with path.open("rb", buffering=0) as file:
            found.append((name, hashlib.file_digest(file, "sha256").hexdigest()))
    return found


def altered(text: str) -> list[str]:
    """One sentence for each file of this list that is missing, or that differs from the RECORD of its own package."""
    wrong: list[str] = []
    here = read_listing(text)
    for distribution in importlib.metadata.distributions():
        for file in distribution.files or ():
            # Packages list their scripts outside the library folder (`..`); our list does not have those.
            if file.hash is None or file.hash.mode != "sha256" or file.parts[0] == "..":
                continue
            if _CACHE in file.parts or _is_note_of_installer(file.parent.name, file.name):
                continue
            # RECORD writes digests in base64 without padding.
            said = base64.urlsafe_b64decode(file.hash.value + "=" * (-len(file.hash.value) % 4)).hex()
            if file.parts[0] not in PACKAGES and here.get(f"{BESIDE}/{file}") != said:
                wrong.append(f"{BESIDE}/{file}: no es el que su paquete dice, o falta")
    return sorted(wrong)


def read_listing(text: str) -> dict[str, str]:
    """Name → digest (of a file) or version (of a program). Raises Rejected if the text is not such a list."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# "):
            name, _, held = line[2:].partition(" ")
        else:
            held, separator, name = line.partition("  ")
            if not separator or len(held) != hashlib.sha256().digest_size * 2 or not name:
                raise Rejected(f"la lista de software no se entiende en la línea {number}")
        if name in found:
            raise Rejected(f"la lista de software nombra dos veces {name}")
        found[name] = held
    return found


def differences(ours: str, theirs: str) -> Sequence[str]:
    """One sentence for each file that differs between our list and another list."""
    here, there = read_listing(ours), read_listing(theirs)
    sentences: list[str] = []
    for name in sorted(here.keys() | there.keys()):
        if name not in there:
            sentences.append(f"{name}: está aquí y no en la lista")
        elif name not in here:
            sentences.append(f"{name}: está en la lista y no aquí")
        elif here[name] != there[name]:
            sentences.append(f"{name}: aquí es {here[name]}; en la lista, {there[name]}")
    return sentences
