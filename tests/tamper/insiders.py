"""Ways of cheating by somebody who has every key and writes into the database too.

Such a cheat tells the log again and opens what it likes, so every commitment can be made to agree. Against it help the
rules of what a row must stand on, and the copies of the log that others kept.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from integrity import layout
from tests.makers import tree_maker
from tests.makers.tree_maker import make_tree
from tests.tamper.night import AGREED, CHOSEN, Night, Said, committed

Does = Callable[[Path, Night], object]
Line = dict[str, Any]
Opened = dict[int, list[Line]]
"""By corte: the lines of its openings."""
PLAIN, SIN_ACTA, UNCAPTURED, MOVED = "280749B01001", "280902B01001", "280903E01001", "280901B01001"
IDENTIFIED = "280752B01001"
"""An acta whose image two people identified."""
OTHER = "f" * 32
"""The pseudonym of a person who does not exist."""


def opened_in(root: Path) -> Opened:
    files = sorted((root / "bitacora" / "aperturas").iterdir())
    return {int(path.stem): [json.loads(line) for line in path.read_bytes().splitlines()] for path in files}


def write_opened(root: Path, opened: Opened) -> None:
    for number, lines in opened.items():
        path = root / layout.opening_path(number)
        path.write_bytes(b"".join(tree_maker.canonical(line) for line in lines))


def _in_files(change: Callable[[Opened], object]) -> Does:
    """Only the files of openings are changed; the log stays."""

    def act(root: Path, _: Night) -> None:
        opened = opened_in(root)
        change(opened)
        write_opened(root, opened)

    return act


def _told_again(change: Callable[[Opened, Said], object], *, moved: bool = False) -> Does:
    """The log is told again, so that each opening has its commitment. A line with `hoja` is a new statement."""

    def act(root: Path, night: Night) -> None:
        if moved:
            _move_votes(root, night)
        said = night.told(root)
        opened = opened_in(root)
        leaves = {id(line): said[line["numero"]] for lines in opened.values() for line in lines}
        before = {id(leaf) for leaf in leaves.values()}
        kept = [line for lines in opened.values() for line in lines]
        change(opened, said)
        now = [line for lines in opened.values() for line in lines]
        gone = before - {id(leaves[id(line)]) for line in now if id(line) in leaves}
        said[:] = [leaf for leaf in said if id(leaf) not in gone]
        for line in now:
            if id(line) not in leaves:
                leaves[id(line)] = {"tipo": line.pop("hoja")}
                late = line.pop("tarde", False)
                place = next(at for at, leaf in enumerate(said) if leaf["tipo"] == "version")
                said.insert(len(said) - 1 if late else place, leaves[id(line)])
            leaves[id(line)]["compromiso"] = committed(line)
        night.vouch(root, said)
        places = {id(leaf): number for number, leaf in enumerate(said)}
        for line in now:
            line["numero"] = places[id(leaves[id(line)])]
        write_opened(root, opened)
        del kept  # until here, so that no identity is given twice

    return act


def _move_votes(root: Path, night: Night) -> None:
    """200 votes more for PAN in one acta of the last corte, with all sums, digests and pages; a correction tells of it."""
    for path in root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    tree_maker.CORRECTED["GOB", 901, 2] = [260, 71, 9, 7, 0, 4]
    try:
        make_tree(root)
    finally:
        tree_maker.CORRECTED.clear()
    night.vouch(root)


def lines_of(
    opened: Opened, clave: str, kind: str = "ordinal", code: str = "GOB", corte: int | None = None
) -> list[Line]:
    return [
        line
        for number, lines in opened.items()
        for line in lines
        if line["acta"] == clave and line["eleccion"] == code and kind in line and corte in {None, number}
    ]


def _drop(
    clave: str, kind: str = "ordinal", which: int = 0, corte: int | None = None, code: str = "GOB"
) -> Callable[..., None]:
    """Drop a line of an acta."""

    def change(opened: Opened, *_: object) -> None:
        gone = lines_of(opened, clave, kind, code, corte)[which]
        for lines in opened.values():
            lines[:] = [line for line in lines if line is not gone]

    return change


def _set(
    clave: str, kind: str = "ordinal", which: int = 0, corte: int | None = None, **fields: Any
) -> Callable[..., None]:
    """Change fields of a line of an acta."""
    return lambda opened, *_: lines_of(opened, clave, kind, corte=corte)[which].update(fields)


def _same_person(clave: str, kind: str, of: int, corte: int | None = None) -> Callable[..., None]:
    """The statement is by the person who made the capture `of`."""

    def change(opened: Opened, *_: object) -> None:
        person = lines_of(opened, clave, corte=corte)[of]["persona"]
        lines_of(opened, clave, kind, corte=corte)[-1]["persona"] = person

    return change


def _each(clave: str, kind: str, code: str = "GOB", **fields: Any) -> Callable[..., None]:
    """Change fields of all lines of that kind of an acta."""

    def change(opened: Opened, *_: object) -> None:
        for line in lines_of(opened, clave, kind, code):
            line.update(fields)

    return change


def _none_of(clave: str, kind: str) -> Callable[..., None]:
    """No line of that kind of an acta is left."""

    def change(opened: Opened, *_: object) -> None:
        for _each_line in lines_of(opened, clave, kind):
            _drop(clave, kind)(opened)

    return change


def _other_sticker(said: Said, acta: str | None) -> None:
    """The machine is told to have read another sticker, or none, in the images of PLAIN."""
    for leaf in said:
        if leaf["tipo"] == "derivada" and leaf["acta"] == PLAIN:
            leaf["acta"] = acta


def _add(clave: str, kind: str, corte: int, leaf: str, **fields: Any) -> Callable[..., None]:
    """One more statement, like the last one of that acta and kind, or of the model."""

    def change(opened: Opened, *_: object) -> None:
        models = lines_of(opened, clave, kind) or lines_of(opened, CHOSEN, kind)
        opened[corte].append({**models[-1], "acta": clave, "sal": "0" * 32, "hoja": leaf, **fields})

    return change


def _only_version(*, then: Callable[..., object] = lambda *_: None) -> Callable[..., None]:
    """An inserted version: the captures behind the moved votes are gone."""

    def change(opened: Opened, said: Said) -> None:
        for _ in range(2):
            _drop(MOVED, corte=2)(opened)
        then(opened, said)

    return change


def _one_again(opened: Opened) -> None:
    opened[2].append(dict(lines_of(opened, PLAIN)[0]))


def _later(opened: Opened) -> None:
    line = lines_of(opened, PLAIN)[0]
    opened[1].remove(line)
    opened[2].append(line)


def _exchange(opened: Opened) -> None:
    opened[1], opened[2] = opened[2], opened[1]


def _typed_late(opened: Opened, said: Said) -> None:
    """The captures behind the moved votes are in the log only after their corte."""
    for line in lines_of(opened, MOVED, corte=2):
        opened[2].remove(line)
        opened[2].append({**line, "hoja": "captura", "tarde": True})


def _one_typist(opened: Opened, _: Said) -> None:
    first, second = lines_of(opened, MOVED, corte=2)
    second["persona"] = first["persona"]


def _both_differ(opened: Opened, _: Said) -> None:
    line = lines_of(opened, MOVED, corte=2)[1]
    line["numeros"] = [line["numeros"][0] + 1, *line["numeros"][1:]]


def _fourth(opened: Opened, _: Said) -> None:
    for ordinal in (3, 4):
        line = lines_of(opened, MOVED, corte=2)[0]
        opened[2].append({**line, "ordinal": ordinal, "persona": f"{ordinal}" * 32, "hoja": "captura"})


def _in_said(change: Callable[[Said], object]) -> Callable[[Opened, Said], object]:
    return lambda _, said: change(said)


def _images(said: Said, device: str = "catd-01") -> Said:
    return [leaf for leaf in said if leaf["tipo"] == "imagen" and leaf["dispositivo"] == device]


def _gap(said: Said) -> None:
    for leaf in _images(said)[2:]:
        leaf["secuencia"] += 3


def _declared(said: Said, numbers: str, device: str = "catd-01") -> None:
    _gap(said)
    about = {"tipo": "perdida", "dispositivo": device, "numeros": numbers, "motivo": "robado"}
    said.insert(len(said) - 1, {**about, "fecha_hora": said[0]["fecha_hora"]})


def _hidden_image(said: Said) -> None:
    """A published image taken out of the log, and its number declared lost."""
    gone = _images(said)[1]
    said.remove(gone)
    about = {"tipo": "perdida", "dispositivo": "catd-01", "numeros": str(gone["secuencia"]), "motivo": "robado"}
    said.insert(len(said) - 1, {**about, "fecha_hora": said[0]["fecha_hora"]})


def _number_again(said: Said) -> None:
    _images(said)[2]["secuencia"] = _images(said)[1]["secuencia"]


def _strange_original(said: Said) -> None:
    next(leaf for leaf in said if leaf["tipo"] == "derivada" and leaf["acta"] == PLAIN)["imagen"] = "0" * 64


def _corte_twice(said: Said) -> None:
    cortes = [leaf for leaf in said if leaf["tipo"] == "corte"]
    said.insert(len(said) - 1, dict(cortes[1]))


def _early_close(said: Said) -> None:
    said.insert(len(said) - 2, said.pop())


def _as_other_kind(root: Path, night: Night) -> None:
    """A capture whose leaf says that it is a choice."""
    said = night.told(root)
    opened = opened_in(root)
    said[lines_of(opened, PLAIN)[0]["numero"]]["tipo"] = "resolucion"
    night.vouch(root, said)
    write_opened(root, opened)


def _exchanged_commitments(root: Path, night: Night) -> None:
    said, opened = night.told(root), opened_in(root)
    one, other = (said[line["numero"]] for line in lines_of(opened, PLAIN))
    one["compromiso"], other["compromiso"] = other["compromiso"], one["compromiso"]
    night.vouch(root, said)
    write_opened(root, opened)


def _write_line(line: bytes) -> Does:
    def act(root: Path, _: Night) -> None:
        path = root / layout.opening_path(1)
        path.write_bytes(path.read_bytes() + line)

    return act


FILES: dict[str, Does] = {
    "the openings of a corte dropped": lambda root, _: (root / layout.opening_path(1)).unlink(),
    "the opening of a capture dropped": _in_files(_drop(PLAIN)),
    "one of three captures left unopened: the other two agree": _in_files(_drop(AGREED, which=1)),
    "the third of three captures left unopened": _in_files(_drop(CHOSEN, which=2)),
    "a capture opened twice": _in_files(_one_again),
    "a capture opened with a later corte": _in_files(_later),
    "the openings of two cortes exchanged": _in_files(_exchange),
    "the word of one who identified an image left unopened": _in_files(_drop(IDENTIFIED, "imagen")),
    "the salt of an opening changed": _in_files(_set(PLAIN, sal="0" * 32)),
    "the author of an opening changed": _in_files(_set(PLAIN, persona=OTHER)),
    "an opening that names a leaf of another kind": _in_files(_set(PLAIN, numero=0)),
    "an opening with one field more": _in_files(_set(PLAIN, nota=1)),
    "a line that is no JSON among the openings": _write_line(b"x\n"),
}
"""By somebody who can write to the server."""

DATABASE: dict[str, Does] = {
    "a version with 200 votes more inserted": _told_again(_only_version(), moved=True),
    "… and one capture for it": _told_again(_only_version(then=_add(MOVED, "ordinal", 2, "captura", ronda=2, ordinal=1)), moved=True),
    "… and the captures of before opened again": _told_again(_only_version(then=lambda opened, _: opened[2].extend(dict(line, hoja="captura") for line in lines_of(opened, MOVED))), moved=True),
    "… and a cotejo that accepts it": _told_again(_only_version(then=_add(MOVED, "resultado", 2, "cotejo", resultado=1)), moved=True),
    "… and two captures of one person": _told_again(_one_typist, moved=True),
    "… and two captures that differ": _told_again(_both_differ, moved=True),
    "… and captures that the log has only after the corte": _told_again(_typed_late, moved=True),
    "… and four captures": _told_again(_fourth, moved=True),
    "… and captures of the round of before": _told_again(lambda opened, _: [line.update(ronda=1) for line in lines_of(opened, MOVED, corte=2)], moved=True),
    "both captures of an acta by one person": _told_again(_same_person(PLAIN, "ordinal", 0)),
    "the first capture of an acta removed": _told_again(_drop(PLAIN)),
    "the capture that disagreed removed": _told_again(_drop(AGREED, which=1)),
    "a capture that the published row does not show": _told_again(lambda opened, _: [line.update(marcas="N" * len(line["marcas"]), numeros=[7] * len(line["numeros"])) for line in lines_of(opened, PLAIN)]),
    "a blank of both captures published as another cell": _told_again(lambda opened, _: [line.update(marcas="S" + line["marcas"][1:], numeros=[None, *line["numeros"][1:]]) for line in lines_of(opened, PLAIN)]),
    "captures of two rounds mixed": _told_again(_set(PLAIN, which=1, ronda=7)),
    "captures of an acta that is not published": _told_again(_add(UNCAPTURED, "ordinal", 1, "captura", ordinal=1, ronda=1)),
    "the choice among three captures removed": _told_again(_drop(CHOSEN, "elige")),
    "the choice made by one of the three": _told_again(_same_person(CHOSEN, "elige", 2)),
    "the choice of another capture than the published one": _told_again(_set(CHOSEN, "elige", elige=1)),
    "the choice of a capture that does not exist": _told_again(_set(CHOSEN, "elige", elige=4)),
    "two people choose different captures": _told_again(_add(CHOSEN, "elige", 1, "resolucion", elige=3, persona=OTHER)),
    "a choice although two captures agree": _told_again(_add(AGREED, "elige", 1, "resolucion", elige=1, persona=OTHER)),
    "a choice of another round": _told_again(_set(CHOSEN, "elige", ronda=7)),
    "sin acta that nobody declared": _told_again(_none_of(SIN_ACTA, "criterio")),
    "sin acta on the word of one person": _told_again(_drop(SIN_ACTA, "criterio")),
    "sin acta on one person's word, said twice": _told_again(_each(SIN_ACTA, "criterio", persona=OTHER)),
    "sin acta for which two people gave different reasons": _told_again(_set(SIN_ACTA, "criterio", criterio="sin_acta_1")),
    "sin acta declared for another reason": _told_again(_each(SIN_ACTA, "criterio", criterio="sin_acta_1")),
    "sin acta declared of another acta": _told_again(_each(SIN_ACTA, "criterio", acta=PLAIN)),
    "an image without a sticker that nobody identified": _told_again(_none_of(IDENTIFIED, "imagen")),
    "an image that one person identified": _told_again(_drop(IDENTIFIED, "imagen")),
    "an image that one person identified twice": _told_again(_each(IDENTIFIED, "imagen", persona=OTHER)),
    "two people identified another image": _told_again(_each(IDENTIFIED, "imagen", imagen="0" * 64)),
    "the second person identified another image": _told_again(_set(IDENTIFIED, "imagen", which=1, imagen="0" * 64)),
    "two people said the image is of another acta": _told_again(_each(IDENTIFIED, "imagen", acta=PLAIN)),
    "two people said the image is of an acta that no row shows": _told_again(_each(IDENTIFIED, "imagen", acta=UNCAPTURED)),
    "an image whose sticker is of another acta": _told_again(_in_said(lambda said: _other_sticker(said, IDENTIFIED))),
    "an image in which the machine read no sticker": _told_again(_in_said(lambda said: _other_sticker(said, None))),
    "an image put aside as fuera de catálogo by one person": _told_again(_drop("-", "imagen", code="-")),
    "… who said it twice": _told_again(_each("-", "imagen", code="-", persona=OTHER)),
    "an image put aside as fuera de catálogo by nobody": _told_again(lambda opened, _: [_drop("-", "imagen", code="-")(opened) for _ in range(2)]),
    "a cotejo that nobody made": _told_again(_drop(PLAIN, "resultado")),
    "a cotejo that ended in another way": _told_again(_set(PLAIN, "resultado", resultado=3)),
    "a capture told as a choice": _as_other_kind,
    "the commitments of two captures exchanged": _exchanged_commitments,
    "numbers of a device skipped": _told_again(_in_said(_gap)),
    "numbers declared lost of another device": _told_again(_in_said(lambda said: _declared(said, "3-5", "movil-07"))),
    "a part of the missing numbers declared lost": _told_again(_in_said(lambda said: _declared(said, "3-4"))),
    "missing numbers declared lost backwards": _told_again(_in_said(lambda said: _declared(said, "5-3"))),
    "a published image hidden as a lost number": _told_again(_in_said(_hidden_image)),
    "a device that used a number twice": _told_again(_in_said(_number_again)),
    "a published copy of an image that nobody sent": _told_again(_in_said(_strange_original)),
    "a corte told twice": _told_again(_in_said(_corte_twice)),
    "the close told before the last corte": _told_again(_in_said(_early_close)),
}  # fmt: skip
"""By somebody who has every key and the database."""
