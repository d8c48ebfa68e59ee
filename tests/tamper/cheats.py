"""The ways of cheating: the change that each makes, and the means that the cheat has.

`Hands.FILES` can write to the server. `Hands.DIGESTS` can then also correct every digest, ZIP and link of the chain.
`Hands.KEYS` has also the keys of log, witnesses, institute and time stamper, and signs all of it again. Against that
cheat only two things help: contradictions inside the files, and copies that other people kept.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from integrity import layout
from integrity.sealing import cms, development
from integrity.sealing.certificates import Purpose
from integrity.sealing.sello import seals
from tests.makers import tree_maker
from tests.makers.log_maker import signer
from tests.makers.seal_maker import Party, party, rsa_key
from tests.makers.tree_maker import Json, reseal
from tests.quick import test_integrity_verify as known
from tests.quick.test_integrity_verify import GOB, an_image, cells, corte, edit, flip, replace
from tests.tamper import catalogues, clean, impossible, insiders
from tests.tamper.night import IN_FORCE, LATER, Night, Said

Does = Callable[[Path, Night], object]
SUMS = "SHA256SUMS"
ACTA, ESPECIAL = "'280749B01001'", "'280753S01001'"


class Hands(StrEnum):
    """The means of the cheat; the values are headings of the table."""

    FILES = "**A person who can write to the server** changes published files"
    DIGESTS = "**… and then makes every digest, ZIP and link of the chain agree again**, from the first corte on"
    KEYS = "**… and has every key**: log, witnesses, institute, time stamper; all of it is signed again"
    OPENINGS = "**The openings**, changed by a person who can write to the server"
    DATABASE = (
        "**A person who has every key and the database** inserts, removes and changes facts; all of it is signed again"
    )
    LOG = "**The log**"
    SEALS = "**Seals, signatures, time stamps**"


@dataclass(frozen=True, slots=True)
class Cheat:
    name: str
    does: Does
    hands: Hands
    remembers: int | None = None
    """The corte whose checkpoint the reader kept."""

    def act(self, root: Path, night: Night) -> None:
        self.does(root, night)
        if self.hands in {Hands.DIGESTS, Hands.KEYS} and not self.name.startswith(("a ZIP", "the clean data")):
            reseal(root)
        if self.hands is Hands.KEYS:
            night.vouch(root)


def _on_files(change: Callable[[Path], object]) -> Does:
    return lambda root, _: change(root)


# --- files ------------------------------------------------------------------------------------------------------------


def _change_sums(change: Callable[[list[str]], object], number: int = 2) -> Does:
    """Change the lines of a SHA256SUMS."""

    def act(root: Path, _: Night) -> None:
        path = corte(root, number) / SUMS
        lines = path.read_text().splitlines(keepends=True)
        change(lines)
        path.write_text("".join(lines))

    return act


def _rename_file(old: str, new: str) -> Does:
    return _change_sums(
        lambda lines: lines.__setitem__(slice(None), [line.replace(f"  {old}", f"  {new}") for line in lines])
    )


def _add_colliding_name(lines: list[str]) -> None:
    lines.append(next(line for line in lines if "LEEME.txt" in line).replace("LEEME.txt", "leeme.TXT"))
    lines.sort(key=lambda line: line[66:])


def _write_file(path: str, content: bytes) -> Does:
    def act(root: Path, _: Night) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)

    return act


def _exchange_tables(root: Path, _: Night) -> None:
    """The files of the two elections exchanged."""
    one, other = corte(root) / "TAMPS_DIP_2023.csv", corte(root) / GOB
    one.rename(root / "x")
    other.rename(one)
    (root / "x").rename(other)


def _replay_file(root: Path, _: Night) -> None:
    """The official file of the corte before, shown again as the last one."""
    shutil.copy(corte(root, 1) / GOB, corte(root, 2) / GOB)


def _cut_night(root: Path, night: Night) -> None:
    """As if the night had ended at corte 1: its index, and no file of corte 2."""
    known.replay_index(root)
    # The ZIP too: a file that no corte names would be a finding of its own.
    zipped = json.loads((corte(root, 2) / "manifest.json").read_bytes())["zip"]["archivo"]
    (root / zipped).unlink()
    shutil.rmtree(corte(root, 2))
    shutil.rmtree(root / "datos/0002")


def _as_it_was(root: Path, night: Night) -> None:
    """Put back the whole tree of corte 1, with its pages and its log: everything agrees."""
    said = night.told(root)
    last = max(number for number, leaf in enumerate(said) if leaf["tipo"] == "corte" and leaf["corte"] == 1)
    lines = (corte(root, 2) / "images.csv").read_text().splitlines()[1:]
    _cut_night(root, night)
    for line in lines:
        image = root / line.split(",")[1]
        image.unlink()
        if not any(image.parent.iterdir()):
            image.parent.rmdir()
    for casilla in tree_maker.CASILLAS:
        for code in tree_maker.ELECTIONS:
            if casilla[5] == 2:
                (root / code / f"{tree_maker.clave(casilla, code)}.html").unlink()
    night.write_log(root, said[: last + 1])


def _in_index(change: Callable[[Json], object]) -> Does:
    return lambda root, _: edit(root / "index.json", change)


def _replace_raw_json(path: str, old: str, new: str, *, listed: bool = False) -> Does:
    """Write a JSON that is not canonical. `listed`: its SHA256SUMS agrees."""

    def act(root: Path, _: Night) -> None:
        replace(root / path, old, new)
        if listed:
            tree_maker.seal((root / path).parent)

    return act


def _reorder_rows(root: Path, _: Night) -> None:
    """Two rows exchanged: every sum stays, but the order of the catalogue does not."""
    path = corte(root) / GOB
    lines = path.read_bytes().split(b"\r\n")
    lines[8], lines[9] = lines[9], lines[8]
    path.write_bytes(b"\r\n".join(lines))


# --- rows, sums, manifests --------------------------------------------------------------------------------------------


def _change_row(acta: str, **changed: str) -> Does:
    """Cells of one row of the last corte."""
    return lambda root, _: cells(root, GOB, acta, changed)


def _change_json(name: str, change: Callable[[Json], object], number: int = 2) -> Does:
    """A JSON file of one corte, written canonically."""
    return lambda root, _: edit(corte(root, number) / name, change)


def _change_every_json(name: str, change: Callable[[Json], object]) -> Does:
    """The same change in all cortes, so that the chain cannot show it."""

    def act(root: Path, _: Night) -> None:
        for number in range(3):
            edit(corte(root, number) / name, change)

    return act


def _declare_again(held: Json, **fields: Any) -> None:
    """Another declaration, with the digest that it has."""
    content = held["declaracion"]["contenido"] | fields
    held["declaracion"] = {"sha256": tree_maker.sha(tree_maker.canonical(content)[:-1]), "contenido": content}


def _gob_of(held: Json) -> Json:
    found: Json = held["elecciones"]["GOB"]
    return found


def _shift_coalition(held: Json) -> None:
    """Move one vote of the combination to the other party, in the contest and in the state."""
    for part in (_gob_of(held), _gob_of(held)["contiendas"][0]):
        part["votos_por_partido"]["PAN"] -= 1
        part["votos_por_partido"]["PRI"] += 1


def _hide_published_acta(root: Path, _: Night) -> None:
    """A published acta disappears again: its row says that it is not captured."""
    path = corte(root) / GOB
    # Corte 0 shows every acta as not captured: that row is taken.
    blank = next(line for line in (corte(root, 0) / GOB).read_text("utf-8-sig").split("\n") if ACTA in line)
    lines = path.read_bytes().decode().split("\r\n")
    path.write_bytes("\r\n".join(blank.rstrip("\r") if ACTA in line else line for line in lines).encode())


def _rewrite_past_corte(root: Path, _: Night) -> None:
    """Rewrite a past corte: another LEEME, and all digests right."""
    path = corte(root, 1) / "LEEME.txt"
    path.write_bytes(path.read_bytes() + "Nada que ver aquí\r\n".encode())


def _listed_path(path: str) -> Does:
    """images.csv names another place for its first image."""

    def act(root: Path, _: Night) -> None:
        file = corte(root, 1) / "images.csv"
        lines = file.read_text().split("\n")
        sha256, _old, clave = lines[1].split(",")
        lines[1] = f"{sha256},{path},{clave}"
        file.write_text("\n".join(lines))

    return act


def _twice_listed(root: Path, _: Night) -> None:
    """images.csv lists its first image twice."""
    file = corte(root, 1) / "images.csv"
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([*lines[:2], lines[1], *lines[2:]]))


# --- the log ----------------------------------------------------------------------------------------------------------


def _retell_log(change: Callable[[Said], object]) -> Does:
    """Write the log again with its own key; the witnesses help the cheat."""

    def act(root: Path, night: Night) -> None:
        said = night.told(root)
        change(said)
        # The openings stay those of the first telling: a changed capture must not be opened with its own change.
        opened = [(path, path.read_bytes()) for path in root.glob("bitacora/aperturas/*")]
        night.write_log(root, said)
        if len(said) == len(night.told(root)):  # with more or fewer leaves, the openings name other numbers
            for path, content in opened:
                path.write_bytes(content)

    return act


def _places_of_kind(said: Said, kind: str) -> list[int]:
    return [number for number, leaf in enumerate(said) if leaf["tipo"] == kind]


def _drop_leaf(kind: str, which: int) -> Does:
    """A log without one leaf, signed again."""
    return _retell_log(lambda said: said.pop(_places_of_kind(said, kind)[which]))


def _change_leaf(kind: str, which: int = -1, **fields: Any) -> Does:
    """A log with other fields in one leaf, signed again."""
    return _retell_log(lambda said: said[_places_of_kind(said, kind)[which]].update(fields))


def _tell_version_late(said: Said) -> None:
    """A version whose leaf comes after the corte that showed it."""
    at, last = _places_of_kind(said, "version")[0], _places_of_kind(said, "corte")[1]
    said.insert(last + 1, said.pop(at))


def _dropped_number(said: Said) -> None:
    """Take an image out, and renumber the later ones of its device, so that no number is missing."""
    place = _places_of_kind(said, "imagen")[0]
    gone = said.pop(place)
    for leaf in said:
        if leaf["tipo"] == "imagen" and leaf["dispositivo"] == gone["dispositivo"]:
            leaf["secuencia"] -= 1


def _broken_chain(said: Said) -> None:
    said[_places_of_kind(said, "imagen")[-1]]["anterior"] = "0" * 64


def _fork_night(root: Path, night: Night) -> None:
    """Another night from corte 1 on, whole: log, witnesses and seals agree with it."""
    _rewrite_past_corte(root, night)
    reseal(root)
    night.vouch(root)


def _fork_alone(root: Path, night: Night) -> None:
    """The same fork, but the witnesses remember and do not sign it."""
    _rewrite_past_corte(root, night)
    reseal(root)
    night.vouch(root, witnesses=0)


def _change_checkpoint(change: Callable[[list[str]], object]) -> Does:
    """The lines of the checkpoint: three of text, an empty one, the log's signature, three of witnesses."""

    def act(root: Path, _: Night) -> None:
        path = root / "bitacora" / "checkpoint"
        lines = path.read_text().splitlines(keepends=True)
        change(lines)
        path.write_text("".join(lines))

    return act


def _another_key(root: Path, night: Night) -> None:
    night.write_log(root, night.told(root), key=signer(night.log.key.name, seed=9))


def _first_bundle(root: Path) -> Path:
    return max(root.glob("bitacora/tile/entries/000.p/*"), key=lambda path: int(path.name))


def _easier_policy(root: Path, night: Night) -> None:
    path = root / "bitacora" / "politica.txt"
    path.write_text(path.read_text().replace("group testigos 2", "group testigos 1"))


def _first_file(root: Path, pattern: str) -> Path:
    return min(root.glob(pattern))


def _exchange_proofs(root: Path, _: Night) -> None:
    one, other = sorted(root.glob("bitacora/acuses/*/*"))[:2]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def _no_log(root: Path, _: Night) -> None:
    shutil.rmtree(root / "bitacora")
    for path in root.glob("cortes/*/*.tlog-proof"):
        path.unlink()


# --- seals ------------------------------------------------------------------------------------------------------------


def _remove_files(*names: str) -> Does:
    def act(root: Path, _: Night) -> None:
        for name in names:
            (corte(root) / f"{SUMS}.{name}").unlink()

    return act


def _of_another(name: str) -> Does:
    return lambda root, _: shutil.copy(corte(root, 0) / f"{SUMS}.{name}", corte(root, 2) / f"{SUMS}.{name}")


def _sealed_by(who: Callable[[Night], Party]) -> Does:
    return lambda root, night: night.seal(corte(root), by=who(night))


def _stamped_by(who: Callable[[Night], Party]) -> Does:
    return lambda root, night: night.seal(corte(root), stamper=who(night))


def _seal_at(**later: timedelta) -> Does:
    return lambda root, night: night.seal(corte(root), **later)  # type: ignore[arg-type]  # two of its three


def _tls_party(night: Night) -> Party:
    """A certificate of the same authority, for a web server."""
    return night.who.sealer(night.who.root, extended=[ExtendedKeyUsageOID.SERVER_AUTH])


def _enciphering_party(night: Night) -> Party:
    return night.who.sealer(night.who.root, uses=["key_encipherment"])


def _seal_with_expired(root: Path, night: Night) -> None:
    """Sealed with a tool that does not check the certificate."""
    since, until = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 2, 1, tzinfo=UTC)
    old = night.who.sealer(night.who.root, since=since, until=until)
    at = datetime.fromisoformat(tree_maker.TIMES[2]).astimezone(UTC) + LATER
    p7s = cms.sign((corte(root) / SUMS).read_bytes(), old.signer, at=at, detached=True)
    (corte(root) / f"{SUMS}.p7s").write_bytes(p7s)


def _strange_party(night: Night) -> Party:
    return night.who.sealer(party(name="Autoridad", since=IN_FORCE["since"], until=IN_FORCE["until"]))


def _strange_stamper(night: Night) -> Party:
    return night.who.time(party(name="Autoridad de tiempo", since=IN_FORCE["since"], until=IN_FORCE["until"]))


def _no_stamper(night: Night) -> Party:
    return night.who.time(night.who.time_root, extended=[])


def _seal_with_development(root: Path, night: Night) -> None:
    """Certificates like those of `integrity dev-ca`, under an authority that the reader was told to trust."""
    kind = development.CertificateKind("Sello de desarrollo", Purpose.SEAL)
    key = rsa_key()
    certificate = development.issue(kind, key, night.who.root.certificate, night.who.root.key, since=IN_FORCE["since"])
    night.seal(corte(root), by=Party(certificate, key))


def _page_says(old: str, new: str) -> Does:
    return lambda root, _: replace(corte(root) / f"{SUMS}.sello", old, new)


def _only_sello(root: Path, night: Night) -> None:
    """A new sello with another hour in its string, beside the old seal."""
    at = datetime.fromisoformat(tree_maker.TIMES[2]).astimezone(UTC)
    sums = (corte(root) / SUMS).read_bytes()
    made = seals(sums, night.who.institute.signer, at=at - timedelta(hours=1))
    (corte(root) / f"{SUMS}.sello").write_bytes(made[f"{SUMS}.sello"])


def _short_digest(lines: list[str]) -> None:
    lines[0] = lines[0][2:]


def _corrupt_digest(lines: list[str]) -> None:
    lines[0] = ("0" if lines[0][0] != "0" else "1") + lines[0][1:]


def _write_huge_file(root: Path, _: Night) -> None:
    (root / "index.json").write_bytes(b"[" * (70 << 20))


def _no_correction(held: Json) -> None:
    held["correcciones"] = []


MORE_VOTES = {"PAN": "200", "TOTAL_VOTOS_CALCULADO": "265", "TOTAL_VOTOS_SACADOS": "265", "TOTAL_VOTOS_ASENTADO": "265"}
MANIFEST = "cortes/0002/manifest.json"

_GROUPS: dict[Hands, dict[str, Does]] = {
    Hands.FILES: {
        "a byte of an official CSV": _on_files(lambda root: flip(corte(root) / GOB)),
        "a byte of a manifest": _on_files(lambda root: flip(corte(root) / "manifest.json")),
        "a total in totals.json": _replace_raw_json("cortes/0002/totals.json", '"capturadas":8', '"capturadas":9'),
        "a byte of an acta's image": _on_files(lambda root: flip(an_image(root))),
        "a byte of a ZIP": _on_files(lambda root: flip(next(root.glob("zip/*2020*")))),
        "a file of a corte dropped": _on_files(lambda root: (corte(root) / "LEEME.txt").unlink()),
        "a file added to a corte": _write_file("cortes/0002/nota.txt", b"x"),
        "a file added beside the pages": _write_file("resultados.csv", b"x"),
        "a hidden file": _write_file(".oculto", b"x"),
        "an image nobody listed": _write_file(f"imagenes/ab/ab{'0' * 62}.png", b"x"),
        "two files of a corte exchange their names": _exchange_tables,
        "the CSV of the corte before, replayed": _replay_file,
        "two rows in another order": _reorder_rows,
        "a digest in SHA256SUMS": _change_sums(_corrupt_digest),
        "a digest of the wrong length": _change_sums(_short_digest),
        "the lines of SHA256SUMS in another order": _change_sums(list.reverse),
        "a path that climbs out (`../`)": _rename_file("LEEME.txt", "../0001/LEEME.txt"),
        "an absolute path": _rename_file("LEEME.txt", "/etc/passwd"),
        "two names that differ in case only": _change_sums(_add_colliding_name),
        "an image is a symbolic link": _on_files(known.link_image),
        "a corte is a symbolic link": _on_files(known.link_corte),
        "a pipe in the place of a page": _on_files(lambda root: os.mkfifo(root / "GOB" / "280903E01001.html")),
        "the bytes of two actas' images exchanged": _on_files(known.swap_images),
        "an image dropped": _on_files(lambda root: an_image(root).unlink()),
        "the page of an acta dropped": _on_files(lambda root: (root / "GOB" / "280749B01001.html").unlink()),
        "the page of an acta that nobody captured": _write_file("GOB/280903E01001.html", b"x"),
        "a corte dropped from the middle": _on_files(known.drop_middle_corte),
        "an old corte replayed: index.json put back": _on_files(known.replay_index),
        "the last corte dropped, and its ZIP; index.json put back": _cut_night,
        "index.json says that it is a simulacro": _in_index(lambda held: held.update(simulacro=True)),
        "index.json with a later hour": _in_index(lambda held: held.update(fecha_hora="2023-02-19T20:25:00-06:00")),
        "index.json of 70 MB": _write_huge_file,
        "NaN in index.json": _replace_raw_json("index.json", '"corte":2', '"corte":NaN'),
        "a key twice in index.json": _replace_raw_json("index.json", '"corte":2', '"corte":1,"corte":2'),
        "a float in a manifest, listed": _replace_raw_json(MANIFEST, '"corte":2', '"corte":2.0', listed=True),
        "a hash of the wrong length in a manifest, listed": _replace_raw_json(MANIFEST, '"catalogo":"', '"catalogo":"00', listed=True),
        "a path in a file name of a manifest, listed": _replace_raw_json(MANIFEST, f'"archivo":"{GOB}"', f'"archivo":"../{GOB}"', listed=True),
    },
    Hands.DIGESTS: {
        "a past corte rewritten, and all later hashes": _rewrite_past_corte,
        "a vote, and the sum of its row": _change_row(ACTA, PAN="99", TOTAL_VOTOS_CALCULADO="164"),
        "the code of an acta's image": _change_row(ACTA, CODIGO_INTEGRIDAD="0" * 64),
    },
    Hands.KEYS: {
        "a vote, its row's sum left": _change_row(ACTA, PAN="99"),
        "a vote and its row's sum; totals left": _change_row(ACTA, PAN="99", TOTAL_VOTOS_CALCULADO="164"),
        "an acta over its limit counted": _change_row("'280750B01001'", OBSERVACIONES="", CONTABILIZADA="1"),
        "an acta over its limit, because nobody says so": _change_row(ACTA, **MORE_VOTES),
        "an acta that counts left out": _change_row(ACTA, CONTABILIZADA="0"),
        "blanks turned into zeros": _on_files(known.blank_as_zero),
        "votes on an acta that never came": _change_row("'280902B01001'", PAN="50"),
        "an acta outside the catalogue counted": _on_files(known.count_fuera),
        "more voters in the list of an acta": _on_files(known.other_lista_nominal),
        "votes of a party that is not on the ballot": lambda root, _: cells(root, "TAMPS_DIP_2023.csv", "'280901B01003'", {"PVEM": "9"}),
        "a sin acta in a column that is not on its ballot": lambda root, _: cells(root, "TAMPS_DIP_2023.csv", "'280902B01003'", {"PVEM": "Sin acta"}),
        "a row dropped": _on_files(known.remove_row),
        "a row twice": _on_files(known.repeat_row),
        "a published acta captured no more": _hide_published_acta,
        "two actas show each other's image": _on_files(known.swap_codes),
        "a percentage rounded": _on_files(known.round_percentage),
        "a summary value": _on_files(lambda root: replace(corte(root) / GOB, "\r\n9,8,0,8,", "\r\n9,9,0,8,")),
        "votes of a contest in totals.json": _change_json("totals.json", lambda held: _gob_of(held)["contiendas"][0]["votos"].update(PAN=9999)),
        "votes of a territory in totals.json": _change_json("totals.json", lambda held: _gob_of(held)["territorios"][0]["votos"].update(PAN=9999)),
        "coalition votes given to the other party": _change_json("totals.json", _shift_coalition),
        "an option that stands for two candidacies": _on_files(known.two_candidacies),
        "a total shrinks; its correction is not published": _change_json("manifest.json", _no_correction),
        "an image listed twice": _twice_listed,
        "an image listed with a path that climbs out": _listed_path("imagenes/../../x.png"),
        "an image not listed": _on_files(known.unlist_image),
        "corte 0 already has an image": _on_files(known.early_image),
        "a corte backdated": _change_json("manifest.json", lambda held: held.update(fecha_hora="2023-02-19T19:00:00-06:00")),
        "a second final corte": _change_json("manifest.json", lambda held: held.update(fase="final"), number=1),
        "one corte is a simulacro": _change_json("manifest.json", lambda held: held.update(simulacro=True), number=1),
        "other rules in the middle of the night": _change_json("manifest.json", lambda held: held["reglas"]["GOB"]["contenido"].update(excede_applies=False)),
        "rules that are not those of their digest": _on_files(known.other_rules_digest),
        "another catalogue from corte 2 on": _change_json("manifest.json", lambda held: held.update(catalogo="0" * 64)),
        "a declaration that is not that of its digest": _change_every_json("manifest.json", lambda held: held["declaracion"]["contenido"].update(zona="America/Cancun")),
        "another declaration from corte 2 on": _change_json("manifest.json", lambda held: _declare_again(held, zona="America/Cancun")),
        "the declaration of a simulacro": _change_every_json("manifest.json", lambda held: _declare_again(held, simulacro=True)),
        "the declaration of another state": _change_every_json("manifest.json", lambda held: _declare_again(held, siglas="COL")),
        "the declaration taken away from corte 2 on": _change_json("manifest.json", lambda held: held.pop("declaracion")),
        "a ZIP with another CSV in it": _on_files(known.zip_of_other_bytes),
        "a ZIP with a member twice": _on_files(lambda root: known.rezip(root, known.pack_twice)),
        "a ZIP whose members overlap": _on_files(known.overlapping_zip),
        "a ZIP with a member that climbs out": _on_files(lambda root: known.rezip(root, known.pack_outside)),
        "a ZIP with absolute paths": _on_files(lambda root: known.rezip(root, known.pack_absolute)),
        "a ZIP with bytes hidden before its first member": _on_files(known.hidden_in_zip),
    },
    Hands.LOG: {
        "an entry changed": _on_files(lambda root: flip(_first_bundle(root))),
        "a hash in a tile": _on_files(lambda root: flip(root / "bitacora/tile/0/000.p" / _first_bundle(root).name)),
        "a tile dropped": _on_files(lambda root: shutil.rmtree(root / "bitacora/tile/0")),
        "the log taken away": _no_log,
        "a file added to the log": _write_file("bitacora/nota.txt", b"x"),
        "the log's signature stripped": _change_checkpoint(lambda lines: lines.pop(4)),
        "the log signed by another key of its name": _another_key,
        "two of three witnesses stripped: quorum too low": _change_checkpoint(lambda lines: lines.__delitem__(slice(6, 8))),
        "a false signature of a witness": _change_checkpoint(lambda lines: lines.__setitem__(5, re.sub("....\n", "AAA=\n", lines[5]))),
        "a policy that asks for fewer witnesses": _easier_policy,
        "an old checkpoint replayed": lambda root, night: shutil.copy(night.home / "checkpoint-1", root / "bitacora/checkpoint"),
        "log and tree as they were at corte 1; the reader kept a later checkpoint": _as_it_was,
        "a fork with the right key; witnesses do not sign it": _fork_alone,
        "a fork with every key; the reader kept a checkpoint": _fork_night,
        "an image dropped from the log, told again": _retell_log(_dropped_number),
        "a row's version dropped from the log": _drop_leaf("version", -1),
        "a row's version changed": _change_leaf("version", contenido="0" * 64),
        "a version told only after its corte": _retell_log(_tell_version_late),
        "a corte dropped from the log": _drop_leaf("corte", 1),
        "a corte's digest in the log": _change_leaf("corte", sha256sums="0" * 64),
        "the first leaf of the log dropped": _drop_leaf("inicio", 0),
        "a device's chain broken": _retell_log(_broken_chain),
        "a capture changed after it was opened": _change_leaf("captura", compromiso="0" * 64),
        "a simulacro shown as real: only its log says so": _change_leaf("inicio", simulacro=True),
        "the log of another declaration": _change_leaf("inicio", declaracion="0" * 64),
        "a log that lacks the declaration": _retell_log(lambda said: said[0].pop("declaracion")),
        "the log of another catalogue": _change_leaf("inicio", catalogo="0" * 64),
        "the proof of another corte": lambda root, _: shutil.copy(corte(root, 1) / layout.CORTE_PROOF, corte(root, 2) / layout.CORTE_PROOF),
        "the proofs of two images exchanged": _exchange_proofs,
        "an opening changed": _replace_raw_json("bitacora/aperturas/0001.jsonl", '"ronda":1', '"ronda":2'),
    },
    Hands.SEALS: {
        "the seal stripped": _remove_files("p7s"),
        "seal and sello stripped": _remove_files("p7s", "sello"),
        "the sello stripped": _remove_files("sello"),
        "the time stamp stripped": _remove_files("tsr"),
        "the seal of another corte": _of_another("p7s"),
        "the sello of another corte": _of_another("sello"),
        "the person's signature of another corte": _of_another("firma.p7s"),
        "the time stamp of another corte": _of_another("tsr"),
        "sealed by somebody under another authority of the same name": _sealed_by(_strange_party),
        "sealed with a certificate for web servers": _sealed_by(_tls_party),
        "sealed with a certificate that may not sign": _sealed_by(_enciphering_party),
        "sealed with a time stamper's certificate": _sealed_by(lambda night: night.who.time(night.who.root, key=rsa_key())),
        "sealed with an expired certificate": _seal_with_expired,
        "sealed with a certificate for development": _seal_with_development,
        "a seal backdated": _seal_at(later=-timedelta(hours=1)),
        "a sello backdated": _only_sello,
        "a time stamp before its seal": _seal_at(later=timedelta(minutes=30)),
        "the sello's page names somebody else": _page_says("Firma: Instituto Electoral", "Firma: Otra autoridad"),
        "stamped under another authority of the same name": _stamped_by(_strange_stamper),
        "stamped with a certificate that is not for it": _stamped_by(_no_stamper),
    },
}  # fmt: skip
_GROUPS |= {Hands.OPENINGS: insiders.FILES, Hands.DATABASE: insiders.DATABASE}
_GROUPS[Hands.FILES] |= impossible.PAGES | impossible.CONSTANTS | catalogues.FILES
_GROUPS[Hands.FILES] |= clean.FILES
_GROUPS[Hands.KEYS] |= clean.AGREED
_GROUPS[Hands.FILES] |= {"the catalogue is a link to another folder": catalogues.link}
_GROUPS[Hands.DIGESTS] |= catalogues.DIGESTS
_GROUPS[Hands.KEYS] |= impossible.CELLS | impossible.FIELDS | impossible.FILES | catalogues.KEYS
_REMEMBERED = {
    "log and tree as they were at corte 1; the reader kept a later checkpoint": 2,
    "a fork with every key; the reader kept a checkpoint": 1,
}

CHEATS: tuple[Cheat, ...] = tuple(
    Cheat(name, does, hands, remembers=_REMEMBERED.get(name))
    for hands, group in _GROUPS.items()
    for name, does in group.items()
)
