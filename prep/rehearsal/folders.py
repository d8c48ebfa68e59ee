"""The folders of a rehearsed night: made, taken up again, or refused at once. Nothing of another night is mixed in."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from integrity import VERSION
from prep.errors import Rejected
from prep.rehearsal.plan import Plan

RECORD: Final = "noche.json"
"""In the night's folder: the words of the night that it holds."""
FINISHED: Final = "terminado"
_LOCK: Final = "noche.lock"
_SAYS: Final[Mapping[str, str]] = {
    "version": "otra versión del programa",
    "name": "otra elección",
    "catalogo": "otro catálogo u otras reglas",
    "seed": "otra semilla",
    "mistakes": "otra parte de equivocaciones",
    "ancho": "otro ancho de las imágenes",
    "interval": "otros segundos entre cortes",
    "public": "otra carpeta pública",
}
"""Each word of a night, and how a sentence says that two nights differ in it."""


@dataclass(frozen=True, slots=True)
class NightFolders:
    """The private and the public folder of a night, both absolute."""

    data: Path
    public: Path


def folders_of(plan: Plan, data: Path | None, public: Path | None) -> NightFolders:
    """The folders that a person named, or those of this night: in `noches` of PREP_DATA, or of `var` here."""
    private = (data or Path(os.environ.get("PREP_DATA", "var")) / "noches" / plan.name).absolute()
    return NightFolders(private, public.absolute() if public else private / "publico")


def take(plan: Plan, folders: NightFolders, *, interval: float, fresh: bool) -> str:
    """Make these folders the night's own, until this process ends. Returns a sentence if they held a night before.

    A night that ended is deleted. An unfinished one with the same words goes on; with `fresh` it is deleted too.
    Raises Rejected, and changes nothing, if another process plays there, if the unfinished night is another one, or if
    a folder has files of others.
    """
    data, public = folders.data, folders.public
    words: dict[str, object] = {
        "version": VERSION,
        "name": plan.name,
        "catalogo": plan.catalog.digest,
        "seed": plan.seed,
        "mistakes": plan.mistakes,
        "ancho": plan.width,
        "interval": interval,
        "public": str(public),
    }
    before = _words_in(data)
    if before is None:
        _refuse_files_of_others([data, public])
    _lock(data)
    if before is None:
        said = ""
    elif fresh or (data / FINISHED).exists():
        if before.get("public") != str(public):
            _refuse_files_of_others([public])
        said = f"en {data} había una noche {'que terminó' if (data / FINISHED).exists() else 'a medias'}: se borró"
        _clear(data, Path(str(before.get("public", data / "publico"))))
    elif differing := [why for word, why in _SAYS.items() if before.get(word) != words[word]]:
        raise Rejected(
            f"en {data} hay una noche a medias con {', '.join(differing)}: "
            "sígala con sus mismas opciones, bórrela con --fresh, o nombre otra carpeta con --data"
        )
    else:
        said = f"se sigue la noche a medias que está en {data}"
    # Renamed, so that a killed run never leaves half a record.
    (data / f"{RECORD}.nuevo").write_text(json.dumps(words), encoding="utf-8")
    (data / f"{RECORD}.nuevo").replace(data / RECORD)
    return said


def _words_in(data: Path) -> dict[str, object] | None:
    """The words of the night in this folder; None if there is none."""
    try:
        words = json.loads((data / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        words = None
    if not isinstance(words, dict):
        raise Rejected(f"{data / RECORD} no se entiende: la carpeta no es de una noche")
    return words


def _refuse_files_of_others(places: Iterable[Path]) -> None:
    for place in places:
        if place.exists() and any(each.name not in (_LOCK, f"{RECORD}.nuevo") for each in place.iterdir()):
            raise Rejected(f"la carpeta {place} tiene archivos que no son de esta noche: nombre otra")


def _lock(data: Path) -> None:
    """Hold the folder until this process ends: two players of one night would ruin it, and a third could delete it."""
    data.mkdir(parents=True, exist_ok=True)
    # The descriptor is never closed. The kernel drops the lock when the process ends, even if it is killed.
    lock = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Rejected(f"otro proceso juega ya la noche de {data}") from None


def _clear(data: Path, public: Path) -> None:
    """Delete a night. Its record goes last, so that a killed run can delete the rest."""
    shutil.rmtree(public, ignore_errors=True)
    for each in sorted(data.iterdir(), key=lambda each: each.name == RECORD):
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != _LOCK:
            each.unlink()
