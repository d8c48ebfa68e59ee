"""A valid tree passes whole; every way of tampering is caught by the check for it."""

import contextlib
import csv
import functools
import http.server
import io
import json
import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrity.report import CHECKS, NOT_REACHED, SEAL_CHECKS, Ledger, Result
from integrity.source import Fetched, Folder, Missing, Refused, Unreadable
from integrity.strict_json import read_json
from integrity.sums import Malformed, read_code, read_sums
from integrity.tree.totals import distribute, percent
from integrity.verify import verify, verify_tree
from tests.makers import tree_maker
from tests.makers.official_files import Official
from tests.makers.tree_maker import Json, canonical, make_tree, make_zip, reseal, seal, sha

Tamper = Callable[[Path], object]

GOB, DIP = "TAMPS_GOB_2023.csv", "TAMPS_DIP_2023.csv"


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("pristine") / "public")


@pytest.fixture
def tree(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "public"))


# --- ways to tamper ---------------------------------------------------------------------------------------------------


def corte(root: Path, number: int = 2) -> Path:
    return root / "cortes" / f"{number:04}"


def replace(path: Path, old: str, new: str, times: int = 1) -> None:
    text = path.read_bytes().decode()
    assert old in text, f"nothing to change in {path}"
    path.write_bytes(text.replace(old, new, times).encode())


def edit(path: Path, change: Callable[[Json], object]) -> None:
    held = json.loads(path.read_bytes())
    change(held)
    path.write_bytes(canonical(held))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cells(root: Path, name: str, acta: str, changed: dict[str, str], number: int = 2) -> None:
    """Change cells of one row of one corte, by column."""
    path = corte(root, number) / name
    lines = path.read_bytes().decode().split("\r\n")
    at = next(i for i, line in enumerate(lines) if acta in line)
    held = dict(zip(tree_maker.HEADER, next(csv.reader([lines[at]])), strict=True))
    assert changed.keys() <= held.keys()
    held |= changed
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(held.values())
    lines[at] = out.getvalue()
    path.write_bytes("\r\n".join(lines).encode())


def sealed(change: Tamper) -> Tamper:
    """The same change by an able cheat: every digest, ZIP and chain agrees again."""

    def tamper(root: Path) -> None:
        change(root)
        reseal(root)

    return tamper


def relisted(change: Tamper) -> Tamper:
    """The last corte's own list agrees again, and no other file."""

    def tamper(root: Path) -> None:
        change(root)
        seal(corte(root))

    return tamper


def everywhere(name: str, old: str, new: str, number: int = 2) -> Tamper:
    """A summary value changed in the CSV and in the manifest."""

    def change(root: Path) -> None:
        replace(corte(root, number) / name, old, new)

    return change


def in_manifest(change: Callable[[Json], object], number: int = 2) -> Tamper:
    return sealed(lambda root: edit(corte(root, number) / "manifest.json", change))


def in_totals(change: Callable[[Json], object], number: int = 2) -> Tamper:
    return sealed(lambda root: edit(corte(root, number) / "totals.json", change))


def in_row(name: str, acta: str, number: int = 2, **changed: str) -> Tamper:
    return sealed(lambda root: cells(root, name, acta, changed, number))


def in_sums(old: str, new: str) -> Tamper:
    return lambda root: replace(corte(root) / "SHA256SUMS", old, new)


def an_image(root: Path, number: int = 0) -> Path:
    return sorted(root.glob("imagenes/*/*.png"))[number]


def swap_images(root: Path) -> None:
    one, other = an_image(root), an_image(root, 1)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def swap_codes(root: Path) -> None:
    """Two actas of the same corte show each other's image and digest."""
    one, other = (sha(tree_maker.image_of(tree_maker.CASILLAS[place], "GOB")) for place in (3, 4))
    path = corte(root) / GOB
    text = path.read_bytes().decode()
    path.write_bytes(text.replace(one, "otra").replace(other, one).replace("otra", other).encode())
    reseal(root)


def change_vote_everywhere(root: Path) -> None:
    """One vote less in a published acta, and every sum corrected that the cheat thinks of."""
    cells(root, GOB, "'280749B01001'", {"PAN": "99", "TOTAL_VOTOS_CALCULADO": "164"})
    reseal(root)


def replay_index(root: Path) -> None:
    """An index of the corte before hides the last corte."""
    manifest = json.loads((corte(root, 1) / "manifest.json").read_bytes())
    index = json.loads((root / "index.json").read_bytes())
    index |= {key: manifest[key] for key in ("fase", "corte", "fecha_hora", "siguiente")}
    index |= {"carpeta": "cortes/0001", "sha256sums": sha((corte(root, 1) / "SHA256SUMS").read_bytes())}
    (root / "index.json").write_bytes(canonical(index))


def two_candidacies(root: Path) -> None:
    """PAN's votes counted for a second candidacy: but an option belongs to one candidacy."""
    votes = tree_maker.votes_of(tree_maker.CASILLAS, "GOB", 2)
    again = {"id": 2, "propietaria": "X", "suplente": "", "opciones": ["PAN"], "votos": votes["PAN"]}
    again["porcentaje"] = tree_maker.truncated(votes["PAN"], sum(votes.values()))

    def change(held: Json) -> None:
        held["elecciones"]["GOB"]["contiendas"][0]["candidaturas"].append(again)

    edit(corte(root) / "totals.json", change)
    reseal(root)


def other_rules_digest(root: Path) -> None:
    """From the first corte on, the digest of the rules is that of other rules."""
    for number in range(3):
        edit(corte(root, number) / "manifest.json", lambda held: held["reglas"]["GOB"].update(sha256="0" * 64))
    reseal(root)


def early_image(root: Path) -> None:
    """Corte 0 already lists an image."""
    lines = (corte(root, 1) / "images.csv").read_bytes().splitlines(keepends=True)
    (corte(root, 0) / "images.csv").write_bytes(lines[0] + lines[1])
    (corte(root, 1) / "images.csv").write_bytes(lines[0] + b"".join(lines[2:]))
    reseal(root)


def drop_middle_corte(root: Path) -> None:
    shutil.rmtree(corte(root, 1))


def link_image(root: Path) -> None:
    image = an_image(root)
    image.rename(root.parent / "elsewhere.png")
    image.symlink_to(root.parent / "elsewhere.png")


def link_corte(root: Path) -> None:
    corte(root, 1).rename(root.parent / "elsewhere")
    corte(root, 1).symlink_to(root.parent / "elsewhere")


def rezip(root: Path, pack: Callable[[zipfile.ZipFile, list[tuple[str, bytes]]], None]) -> None:
    """The last corte's ZIP packed in another way, with all digests right."""
    manifest = json.loads((corte(root) / "manifest.json").read_bytes())
    path = root / manifest["zip"]["archivo"]
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        pack(archive, members)
    reseal(root, zips=False)


def pack_twice(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
    for name, data in [*members, members[0]]:
        with pytest.warns(UserWarning, match="Duplicate") if name in archive.namelist() else contextlib.nullcontext():
            archive.writestr(name, data)


def pack_outside(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
    for name, data in [*members, ("../../etc/passwd", b"x")]:
        archive.writestr(name, data)


def pack_absolute(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
    for name, data in members:
        archive.writestr(f"/{name}", data)


def zip_of_other_bytes(root: Path) -> None:
    """The ZIP holds a CSV with another vote; the folder holds the right one."""
    path = corte(root) / GOB
    right = path.read_bytes()
    cells(root, GOB, "'280749B01001'", {"PAN": "999"})
    manifest = json.loads((corte(root) / "manifest.json").read_bytes())
    make_zip(root, 2, manifest)
    path.write_bytes(right)
    reseal(root, zips=False)


def hidden_in_zip(root: Path) -> None:
    """Bytes before the first member, which the directory does not name."""
    manifest = json.loads((corte(root) / "manifest.json").read_bytes())
    path = root / manifest["zip"]["archivo"]
    path.write_bytes(b"oculto" + path.read_bytes())
    reseal(root, zips=False)


def overlapping_zip(root: Path) -> None:
    """Two names in the directory share the bytes of one member."""
    manifest = json.loads((corte(root) / "manifest.json").read_bytes())
    path = root / manifest["zip"]["archivo"]
    with zipfile.ZipFile(path, "a") as archive:
        first, second = archive.infolist()
        second.header_offset = first.header_offset
        setattr(archive, "_didModify", True)  # noqa: B010 - zipfile then writes its directory again
    reseal(root, zips=False)


def round_percentage(root: Path) -> None:
    """88.8888 becomes 88.8889, in the CSV, the manifest and the totals."""
    for name in (GOB, "manifest.json", "totals.json"):
        replace(corte(root) / name, "88.8888", "88.8889", times=99)
    reseal(root)


def count_fuera(root: Path) -> None:
    """An acta fuera de catálogo is counted as captured."""
    path = corte(root) / DIP
    replace(path, "\r\n9,9,1,8,", "\r\n9,9,0,9,")
    reseal(root)


ZEROS = dict.fromkeys(["PAN", "PRI", "PVEM", "PAN-PRI", "NO_REGISTRADAS", "NULOS"], "0")


def blank_as_zero(root: Path) -> None:
    """Blanks become zeros and the observation goes: the row agrees with itself, the count of inconsistencies does not."""
    cells(root, GOB, "'280752B01001'", ZEROS | {"OBSERVACIONES": ""})
    reseal(root)


def as_simulacro(root: Path) -> None:
    edit(corte(root) / "manifest.json", lambda held: held.update(simulacro=True))
    reseal(root)


def other_lista_nominal(root: Path) -> None:
    """A larger lista nominal in the last corte, so that an acta over the limit would count."""
    cells(root, GOB, "'280750B01001'", {"LISTA_NOMINAL": "200", "OBSERVACIONES": "", "CONTABILIZADA": "1"})
    reseal(root)


def remove_row(root: Path) -> None:
    """An expected acta is missing from the file."""
    path = corte(root) / GOB
    lines = path.read_bytes().split(b"\r\n")
    path.write_bytes(b"\r\n".join(line for line in lines if b"280902B01001" not in line))
    reseal(root)


def repeat_row(root: Path) -> None:
    path = corte(root, 0) / GOB
    lines = path.read_bytes().split(b"\r\n")
    path.write_bytes(b"\r\n".join([*lines[:-1], lines[-2], b""]))
    reseal(root)


def unlist_image(root: Path) -> None:
    path = corte(root) / "images.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if b"280751B01001" not in line))
    reseal(root)


def fork_chain(root: Path) -> None:
    """A past corte is written again with its own list; the cortes after it stay."""
    cells(root, GOB, "'280749B01001'", {"PAN": "99"}, number=1)
    seal(corte(root, 1))


def no_zip(root: Path) -> None:
    next(root.glob("zip/*2020*")).write_bytes(b"PK")
    reseal(root, zips=False)


def oversized_list(root: Path) -> None:
    (corte(root) / "SHA256SUMS").write_bytes(b"0" * (2 << 20))


def vote_in_clean_data(root: Path) -> None:
    folder = root / "datos/0002"
    table = folder / "actas_GOB.csv"
    table.write_bytes(table.read_bytes().replace(b",100,50,", b",100,51,", 1))
    seal(folder)


TAMPERINGS: dict[str, tuple[Tamper, str]] = {
    # files
    "a byte of the CSV": (lambda root: flip(corte(root) / GOB), "INT-02"),
    "a byte of the candidaturas": (lambda root: flip(corte(root) / "TAMPS_GOB_CANDIDATURAS_2023.csv"), "INT-02"),
    "a byte of LEEME": (lambda root: flip(corte(root) / "LEEME.txt"), "INT-02"),
    "a byte of the manifest": (lambda root: flip(corte(root) / "manifest.json"), "INT-02"),
    "a byte of the totals": (lambda root: flip(corte(root) / "totals.json"), "INT-02"),
    "a byte of images.csv": (lambda root: flip(corte(root) / "images.csv"), "INT-02"),
    "a byte of an image": (lambda root: flip(an_image(root)), "INT-04"),
    "a byte of a ZIP": (lambda root: flip(next(root.glob("zip/*2020*"))), "INT-05"),
    "a file more in a corte": (lambda root: (corte(root) / "nota.txt").write_text("x"), "COM-03"),
    "a listed file gone": (lambda root: (corte(root) / "LEEME.txt").unlink(), "COM-03"),
    "a file unlisted and gone": (
        relisted(lambda root: (corte(root) / "LEEME.txt").unlink()),
        "COM-03",
    ),
    "a file listed that nobody announced": (
        relisted(lambda root: (corte(root) / "nota.txt").write_text("x")),
        "COM-03",
    ),
    "a file renamed": (lambda root: (corte(root) / GOB).rename(corte(root) / "otro.csv"), "COM-03"),
    "a folder in a corte": (lambda root: (corte(root) / "mas").mkdir(), "COM-03"),
    "a file more in the root": (lambda root: (root / "resultados.csv").write_text("x"), "COM-08"),
    "a hidden file": (lambda root: (root / ".oculto").write_text("x"), "COM-08"),
    "a folder more in the root": (lambda root: (root / "PRES").mkdir(), "COM-08"),
    "a ZIP more": (lambda root: (root / "zip" / "20230219_2040_PREP_TAMPS.zip").write_text("x"), "COM-08"),
    "a ZIP gone": (lambda root: next(root.glob("zip/*2020*")).unlink(), "INT-05"),
    "a page more": (lambda root: (root / "GOB" / "280903E01001.html").write_text("x"), "COM-08"),
    "a page gone": (lambda root: (root / "GOB" / "280749B01001.html").unlink(), "COM-07"),
    "a page of an image that is in the catalogue": (
        lambda root: (root / "DIP" / "fuera" / f"{an_image(root).stem}.html").write_text("x"),
        "COM-08",
    ),
    "something beside the cortes": (lambda root: (root / "cortes" / "0003.tmp").mkdir(), "COM-08"),
    # links
    "an image is a link": (link_image, "COM-02"),
    "a corte is a link": (link_corte, "COM-02"),
    "a page is a link": (lambda root: (root / "GOB" / "x.html").symlink_to("index.html"), "COM-02"),
    "a pipe": (lambda root: os.mkfifo(root / "GOB" / "280903E01001.html"), "COM-02"),
    # SHA256SUMS
    "a path in SHA256SUMS": (in_sums("LEEME.txt", "../0001/LEEME.txt"), "INT-01"),
    "an absolute path": (in_sums("LEEME.txt", "/etc/passwd"), "INT-01"),
    "a backslash": (in_sums("LEEME.txt", "..\\LEEME.txt"), "INT-01"),
    "capital digits": (lambda root: replace(corte(root) / "SHA256SUMS", "a", "A"), "INT-01"),
    "a short digest": (lambda root: replace(corte(root) / "SHA256SUMS", "  LEEME", " LEEME"), "INT-01"),
    "binary mark": (in_sums("  LEEME.txt", " *LEEME.txt"), "INT-01"),
    "a name twice": (
        lambda root: (corte(root) / "SHA256SUMS").write_text(
            "".join(line * 2 for line in (corte(root) / "SHA256SUMS").read_text().splitlines(keepends=True))
        ),
        "INT-01",
    ),
    "no last line end": (
        lambda root: (corte(root) / "SHA256SUMS").write_bytes((corte(root) / "SHA256SUMS").read_bytes()[:-1]),
        "INT-01",
    ),
    "SHA256SUMS gone": (lambda root: (corte(root) / "SHA256SUMS").unlink(), "INT-01"),
    "a huge SHA256SUMS": (oversized_list, "INT-01"),
    # JSON
    "duplicate keys": (
        sealed(lambda root: replace(corte(root) / "totals.json", '{"', '{"formato":1,"')),
        "INT-03",
    ),
    "NaN": (sealed(lambda root: replace(corte(root) / "totals.json", '"PAN":280', '"PAN":NaN')), "INT-03"),
    "a float": (sealed(lambda root: replace(corte(root) / "totals.json", '"PAN":280', '"PAN":280.0')), "INT-03"),
    "a space": (sealed(lambda root: replace(corte(root) / "totals.json", ":", ": ")), "INT-03"),
    "an endless integer": (
        sealed(lambda root: replace(corte(root) / "totals.json", '"PAN":280', f'"PAN":{"9" * 5000}')),
        "INT-03",
    ),
    "deep nesting": (
        sealed(lambda root: (corte(root) / "totals.json").write_text("[" * 100_000 + "]" * 100_000)),
        "INT-03",
    ),
    "a field more": (in_totals(lambda held: held.update(nota="x")), "INT-03"),
    "a negative total": (
        in_totals(lambda held: held["elecciones"]["GOB"]["votos"].update(PAN=-1)),
        "INT-03",
    ),
    "a lone surrogate": (
        sealed(lambda root: replace(corte(root) / "totals.json", "Una persona", "\\ud800")),
        "INT-03",
    ),
    "another format": (in_totals(lambda held: held.update(formato=2)), "INT-03"),
    "a name with a path in the manifest": (
        lambda root: edit(
            corte(root) / "manifest.json", lambda held: held["elecciones"][0].update(archivo="../../x.csv")
        ),
        "INT-03",
    ),
    "a list where the index is": (lambda root: (root / "index.json").write_text("[]\n"), "INT-03"),
    # chain
    "an old index put back": (replay_index, "CON-06"),
    "the index names another digest": (
        lambda root: edit(root / "index.json", lambda held: held.update(sha256sums="0" * 64)),
        "CON-06",
    ),
    "index.json gone": (lambda root: (root / "index.json").unlink(), "COM-01"),
    "a corte gone": (drop_middle_corte, "COM-01"),
    "the last corte gone": (lambda root: shutil.rmtree(corte(root)), "COM-01"),
    "the first corte gone": (lambda root: shutil.rmtree(corte(root, 0)), "COM-01"),
    "a past corte rewritten": (fork_chain, "CON-01"),
    "a corte without its predecessor": (
        relisted(lambda root: edit(corte(root) / "manifest.json", lambda held: held.update(anterior=None))),
        "CON-01",
    ),
    "another number in the manifest": (
        relisted(lambda root: edit(corte(root) / "manifest.json", lambda held: held.update(corte=7))),
        "CON-02",
    ),
    "a corte after the final one": (in_manifest(lambda held: held.update(fase="final"), 1), "CON-02"),
    "corte 0 in course": (in_manifest(lambda held: held.update(fase="en curso"), 0), "CON-02"),
    "a clock that goes back": (
        in_manifest(lambda held: held.update(fecha_hora="2023-02-19T19:00:00-06:00")),
        "CON-03",
    ),
    "the next corte before this one": (
        in_manifest(lambda held: held.update(siguiente="2023-02-19T10:00:00-06:00"), 1),
        "CON-03",
    ),
    "a day that does not exist": (
        relisted(
            lambda root: edit(
                corte(root) / "manifest.json", lambda held: held.update(fecha_hora="2023-02-30T20:20:00-06:00")
            )
        ),
        "INT-03",
    ),
    "a simulacro in between": (as_simulacro, "CON-04"),
    "a simulacro shown as real": (
        lambda root: edit(root / "index.json", lambda held: held.update(simulacro=True)),
        "CON-04",
    ),
    "other rules in the last corte": (
        in_manifest(lambda held: held["reglas"]["GOB"]["contenido"].update(excede_applies=False)),
        "CON-05",
    ),
    "rules that are not those of their digest": (other_rules_digest, "CON-05"),
    "an image before the night began": (early_image, "CON-02"),
    "another catalogue": (in_manifest(lambda held: held.update(catalogo="0" * 64)), "CON-05"),
    # rows
    "a vote changed": (in_row(GOB, "'280749B01001'", PAN="101"), "CON-09"),
    "a vote changed and its row's sum put right": (change_vote_everywhere, "CON-11"),
    "a vote moved between parties": (in_row(GOB, "'280749B01001'", PAN="99", PRI="51"), "CON-14"),
    "a published acta changed without a correction": (in_row(GOB, "'280749B01001'", PAN="99", PRI="51"), "CON-15"),
    "a published image replaced without a correction": (
        in_row(GOB, "'280749B01001'", CODIGO_INTEGRIDAD="0" * 64),
        "CON-15",
    ),
    "an illegible vote becomes zero": (in_row(GOB, "'280749C01001'", PVEM="0"), "CON-10"),
    "blank as zero": (sealed(lambda root: cells(root, GOB, "'280752B01001'", ZEROS)), "CON-10"),
    "blank as zero, without its observation": (blank_as_zero, "CON-12"),
    "an observation gone": (in_row(GOB, "'280751B01001'", OBSERVACIONES=""), "CON-10"),
    "an acta over the limit is counted": (in_row(GOB, "'280750B01001'", CONTABILIZADA="1", OBSERVACIONES=""), "CON-10"),
    "an acta all illegible is counted": (in_row(GOB, "'280751B01001'", CONTABILIZADA="1"), "CON-10"),
    "a counted acta is left out": (in_row(GOB, "'280749B01001'", CONTABILIZADA="0"), "CON-10"),
    "an acta without paper has votes": (in_row(GOB, "'280902B01001'", PAN="5"), "CON-09"),
    "an acta without paper has a total": (in_row(GOB, "'280902B01001'", TOTAL_VOTOS_CALCULADO="5"), "CON-09"),
    "an acta not captured has votes": (in_row(GOB, "'280903E01001'", PAN="5"), "CON-10"),
    "votes for a party that is not on the ballot": (in_row(DIP, "'280901B01003'", PVEM="5"), "CON-09"),
    "a dash where a vote should be": (in_row(GOB, "'280749B01001'", PAN="-"), "CON-09"),
    "thousands separators": (in_row(GOB, "'280749B01001'", PAN="1,00"), "CON-09"),
    "a leading zero": (in_row(GOB, "'280749B01001'", PAN="0100"), "CON-09"),
    "a negative vote": (in_row(GOB, "'280749B01001'", PAN="-100"), "CON-09"),
    "digits of another alphabet": (in_row(GOB, "'280749B01001'", PAN="١٠٠"), "CON-09"),
    "a fuera de catálogo acta is counted": (count_fuera, "CON-11"),
    "a fuera de catálogo acta has votes": (in_row(DIP, "Fuera de", PAN="5"), "CON-10"),
    "lista nominal changed": (other_lista_nominal, "COM-04"),
    "a row gone": (remove_row, "COM-04"),
    "a row twice": (repeat_row, "CON-08"),
    "a key of another sección": (in_row(GOB, "'280749B01001'", SECCION="0750"), "CON-08"),
    "a district that has no contest": (in_row(DIP, "'280749B01003'", ID_DISTRITO_LOCAL="009"), "CON-08"),
    # form of the CSV
    "no BOM": (sealed(lambda root: replace(corte(root) / GOB, "\ufeff", "")), "CON-07"),
    "BOM twice": (sealed(lambda root: replace(corte(root) / GOB, "\ufeff", "\ufeff\ufeff")), "CON-07"),
    "bare line feeds": (sealed(lambda root: replace(corte(root) / GOB, "\r\n", "\n", 99)), "CON-07"),
    "another title": (sealed(lambda root: replace(corte(root) / GOB, "Gubernatura", "Presidencia")), "CON-07"),
    "another hour": (sealed(lambda root: replace(corte(root) / GOB, "20:20", "20:40")), "CON-07"),
    "a column renamed": (sealed(lambda root: replace(corte(root) / GOB, ",PAN,", ",PAM,")), "CON-07"),
    "a bare CR in a row": (sealed(lambda root: replace(corte(root) / GOB, "Acta PREP,1", "Acta\rPREP,1")), "CON-07"),
    "a column more in a row": (
        sealed(lambda root: replace(corte(root) / GOB, "Acta PREP,1", "Acta PREP,1,1")),
        "CON-07",
    ),
    "bytes that are no UTF-8": (
        sealed(
            lambda root: (corte(root) / GOB).write_bytes(
                (corte(root) / GOB).read_bytes().replace(b"\xc3\xb3", b"\xf3", 1)
            )
        ),
        "CON-07",
    ),
    # sums
    "a percentage rounded": (round_percentage, "CON-12"),
    "a summary value": (sealed(everywhere(GOB, "\r\n9,8,0,8,", "\r\n9,9,0,9,")), "CON-11"),
    "captured is not counted and not counted": (sealed(everywhere(GOB, "\r\n9,8,0,8,", "\r\n9,9,0,9,")), "CON-13"),
    "a total": (in_totals(lambda held: held["elecciones"]["GOB"]["votos"].update(PAN=301)), "CON-14"),
    "a distributed vote moved": (
        in_totals(lambda held: held["elecciones"]["DIP"]["contiendas"][1]["votos_por_partido"].update(PAN=74, PRI=74)),
        "CON-14",
    ),
    "a candidacy's votes": (
        in_totals(lambda held: held["elecciones"]["GOB"]["contiendas"][0]["candidaturas"][0].update(votos=1)),
        "CON-14",
    ),
    "one option for two candidacies": (two_candidacies, "CON-14"),
    "a contest gone from the totals": (
        in_totals(lambda held: held["elecciones"]["DIP"]["contiendas"].pop()),
        "CON-14",
    ),
    "a territory's votes": (
        in_totals(lambda held: held["elecciones"]["DIP"]["territorios"][1]["votos"].update(PRI=9)),
        "CON-14",
    ),
    "an election gone from the totals": (in_totals(lambda held: held["elecciones"].pop("DIP")), "CON-14"),
    "actas without paper shown as captured with it": (
        in_totals(lambda held: held["elecciones"]["GOB"]["actas"].update(sin_acta=0)),
        "CON-14",
    ),
    # images
    "two images swapped": (swap_images, "INT-04"),
    "an image gone": (lambda root: an_image(root).unlink(), "COM-05"),
    "an image more": (lambda root: (an_image(root).parent / f"{an_image(root).stem}.tif").write_bytes(b"x"), "COM-05"),
    "an image in another folder": (
        lambda root: an_image(root).rename(an_image(root, 1).parent / an_image(root).name),
        "COM-05",
    ),
    "two actas show each other's image": (swap_codes, "COM-06"),
    "an image that no corte lists": (unlist_image, "COM-06"),
    "images out of order": (
        sealed(
            lambda root: (corte(root) / "images.csv").write_text(
                "".join(
                    (lines := (corte(root) / "images.csv").read_text().splitlines(keepends=True))[:1] + lines[:0:-1]
                )
            )
        ),
        "COM-05",
    ),
    "an image listed at another address": (
        sealed(lambda root: replace(corte(root) / "images.csv", ",imagenes/", ",../imagenes/")),
        "COM-05",
    ),
    # cells, companions, pages, constants
    "verified before it was captured": (
        sealed(lambda root: cells(root, GOB, "'280749B01001'", {"FECHA_HORA_VERIFICACION": "19/02/2023 19:13:27"})),
        "CON-16",
    ),
    "an empty LEEME.txt": (sealed(lambda root: (corte(root) / "LEEME.txt").write_bytes(b"")), "CON-17"),
    "votes on the home page": (lambda root: replace(root / "index.html", ">288<", ">999<"), "CON-19"),
    "an acta of another lista nominal in the catalogue": (
        lambda root: replace(root / "catalogo" / "actas_GOB.csv", ",500,10,", ",900,10,"),
        "CON-20",
    ),
    "a vote in the clean data, and in their list": (vote_in_clean_data, "CON-21"),
    "another style": (lambda root: (root / "estilo.css").write_text("x"), "INT-07"),
    # ZIP
    "a ZIP with other bytes": (zip_of_other_bytes, "INT-06"),
    "a ZIP member twice": (lambda root: rezip(root, pack_twice), "INT-06"),
    "a ZIP member outside": (lambda root: rezip(root, pack_outside), "INT-06"),
    "absolute ZIP members": (lambda root: rezip(root, pack_absolute), "INT-06"),
    "overlapping ZIP members": (overlapping_zip, "INT-06"),
    "bytes hidden in a ZIP": (hidden_in_zip, "INT-06"),
    "a ZIP that is none": (
        no_zip,
        "INT-06",
    ),
    "a ZIP's length": (
        relisted(lambda root: edit(corte(root) / "manifest.json", lambda held: held["zip"].update(bytes=1))),
        "INT-05",
    ),
}


def test_a_valid_tree_passes_every_check(pristine: Path) -> None:
    report = verify(str(pristine))
    assert {check.id for check in report.checks if check.result is not Result.OK} == set(SEAL_CHECKS)
    assert all(check.result is Result.NOT_APPLICABLE for check in report.checks if check.id in SEAL_CHECKS)
    assert report.exit_code == 0


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_caught_by_the_check_that_names_it(tree: Path, name: str) -> None:
    tamper, check = TAMPERINGS[name]
    tamper(tree)
    report = verify(str(tree))
    assert check in report.wrong(), sorted(report.wrong())
    assert report.exit_code == 1
    for found in (finding for one in report.checks for finding in one.findings):
        assert found.file
        assert found.expected
        assert found.found
        assert "Error" not in found.sentence


def test_every_check_is_seen_to_fail() -> None:
    """The table above reaches every check: each can fail."""
    assert {check for _, check in TAMPERINGS.values()} == set(CHECKS)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_of_a_covered_file_is_caught(pristine: Path, data: st.DataObject) -> None:
    """Every file is covered, except HTML and CSS, which no digest names."""
    files = sorted(path for path in pristine.rglob("*") if path.is_file() and path.suffix not in {".html", ".css"})
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    bit = data.draw(st.integers(0, 7))
    try:
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        assert verify(str(pristine)).exit_code == 1
    finally:
        path.write_bytes(content)


def test_with_a_correction_a_published_acta_may_change(tree: Path) -> None:
    """With its reason in the manifest, only the sums that were not corrected are wrong."""
    cells(tree, GOB, "'280749B01001'", {"COTEJADA": "2"})
    held = [{"acta": "280749B01001", "eleccion": "GOB", "motivo": "cotejo"}]
    edit(corte(tree) / "manifest.json", lambda manifest: manifest.update(correcciones=held))
    reseal(tree)
    assert verify(str(tree)).exit_code == 0


def test_an_identification_by_another_procedure_may_stand_beside_the_rest(tree: Path) -> None:
    text = "Ilegible, Identificación por proceso técnico operativo"
    cells(tree, GOB, "'280749C01001'", {"OBSERVACIONES": text}, number=1)
    cells(tree, GOB, "'280749C01001'", {"OBSERVACIONES": text})
    reseal(tree)
    assert verify(str(tree)).exit_code == 0


def test_a_middle_corte_is_read_by_its_changes_and_its_faults_are_found_in_it(tree: Path) -> None:
    """Of middle cortes only the changed lines are read; these lines are judged like all others."""
    cells(tree, GOB, "'280749B01001'", {"PAN": "101"}, number=1)
    reseal(tree)
    positions = [
        finding.file
        for check in verify(str(tree)).checks
        for finding in check.findings
        if check.id == "CON-09" and "CALCULADO" in finding.position
    ]
    assert positions == [f"cortes/0001/{GOB}"]


def test_a_file_that_cannot_be_read_is_no_pass(tree: Path) -> None:
    """A disk that gives every file but one: no check is wrong, and yet the tree does not pass."""

    class Failing(Folder):
        def fetch(self, path: str, limit: int) -> Fetched:
            if path.endswith("0002/LEEME.txt"):
                raise Unreadable(f"no se pudo leer {path}")
            return super().fetch(path, limit)

    report = verify_tree(Failing(tree), Ledger(), lambda _: None)
    assert report.exit_code == 2
    assert [check.id for check in report.checks if check.result is Result.UNCHECKED] == ["INT-02", "CON-17"]


def test_a_check_that_no_step_reached_is_no_pass() -> None:
    report = Ledger().report("x", "")
    assert report.exit_code == 2
    assert {check.result for check in report.checks} == {Result.UNCHECKED}
    assert report.checks[0].reasons == (NOT_REACHED,)


@pytest.mark.parametrize("where", ["no-hay", "ftp://example.org/", "http://", "https://example.org/?a=1"])
def test_without_a_tree_no_check_could_be_made(where: str, tmp_path: Path) -> None:
    report = verify(where if "://" in where else str(tmp_path / where))
    assert report.exit_code == 2
    assert report.wrong() == frozenset()


def test_an_empty_folder_is_no_tree(tmp_path: Path) -> None:
    report = verify(str(tmp_path))
    assert report.exit_code == 2
    assert "no hay un PREP publicado" in report.checks[0].reasons[0]


def test_control_characters_of_file_names_do_not_reach_the_terminal(tree: Path) -> None:
    (tree / "\x1b[2Jborra").write_text("x")
    sentences = [finding.sentence for check in verify(str(tree)).checks for finding in check.findings]
    assert any("borra" in sentence for sentence in sentences)
    assert all(sentence.isprintable() for sentence in sentences)


# --- over HTTP --------------------------------------------------------------------------------------------------------


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write no access log."""


class _Elsewhere(_Quiet):
    def do_GET(self) -> None:
        if self.path.endswith("LEEME.txt"):
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.2:1/LEEME.txt")
            self.end_headers()
        else:
            super().do_GET()


class _Broken(_Quiet):
    def do_GET(self) -> None:
        if self.path.endswith(".png"):
            self.send_error(503)
        else:
            super().do_GET()


@contextlib.contextmanager
def served(root: Path, handler: type[_Quiet] = _Quiet) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1,127.0.0.2")


@pytest.mark.parametrize("suffix", ["", "/", "/index.html"])
def test_a_tree_behind_a_plain_web_server_passes_and_the_rest_does_not_apply(pristine: Path, suffix: str) -> None:
    with served(pristine) as url:
        report = verify(url + suffix)
    assert report.exit_code == 0
    others = {check.id for check in report.checks if check.result is not Result.OK}
    assert others == {"COM-02", "COM-08", *SEAL_CHECKS}
    assert {check.result for check in report.checks if check.id in others} == {Result.NOT_APPLICABLE}


@pytest.mark.parametrize(
    "name",
    [
        "a byte of the CSV",
        "a byte of an image",
        "an old index put back",
        "a corte gone",
        "a page gone",
        "a vote changed",
    ],
)
def test_tampering_is_caught_over_http_too(tree: Path, name: str) -> None:
    tamper, check = TAMPERINGS[name]
    tamper(tree)
    with served(tree) as url:
        report = verify(url)
    assert check in report.wrong()
    assert report.exit_code == 1


def test_a_redirection_to_another_origin_is_not_followed(pristine: Path) -> None:
    with served(pristine, _Elsewhere) as url:
        report = verify(url)
    found = next(check for check in report.checks if check.id == "INT-02").findings[0]
    assert "otro sitio" in found.found


def test_images_that_the_server_cannot_give_now_are_not_checked(pristine: Path) -> None:
    with served(pristine, _Broken) as url:
        report = verify(url)
    assert report.exit_code == 2
    check = next(check for check in report.checks if check.id == "INT-04")
    assert "503" in check.reasons[0]


def test_a_server_that_is_away_leaves_everything_unchecked() -> None:
    report = verify("http://127.0.0.1:9/")
    assert report.exit_code == 2
    assert report.wrong() == frozenset()


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_a_folder_gives_no_file_that_is_reached_through_a_link(pristine: Path, tmp_path: Path) -> None:
    (tmp_path / "secreto").write_text("x")
    root = tmp_path / "public"
    root.mkdir()
    (root / "enlace").symlink_to(tmp_path)
    (root / "otro").symlink_to(tmp_path / "secreto")
    folder = Folder(root)
    with pytest.raises(Refused):
        folder.fetch("enlace/secreto", 10)
    with pytest.raises(Refused):
        folder.fetch("otro", 10)
    with pytest.raises(Missing):
        folder.fetch("nada", 10)
    (root / "largo").write_text("12345")
    with pytest.raises(Refused, match="5 bytes"):
        folder.fetch("largo", 4)


@pytest.mark.parametrize("name", ["a.txt\nb", "../a", "a/b", "a\\b", ".a", "SHA256SUMS", "", "a\x00"])
def test_a_list_of_digests_names_only_files_of_its_own_folder(name: str) -> None:
    with pytest.raises(Malformed):
        read_sums(f"{'0' * 64}  {name}\n".encode())


def test_names_that_some_file_systems_take_for_one_are_refused() -> None:
    with pytest.raises(Malformed, match="sin repetir"):
        read_sums(f"{'0' * 64}  A.csv\n{'0' * 64}  a.csv\n".encode())


def test_a_list_of_digests_is_in_order() -> None:
    with pytest.raises(Malformed, match="en orden"):
        read_sums(f"{'0' * 64}  b.csv\n{'0' * 64}  a.csv\n".encode())


def test_a_repeated_key_is_named() -> None:
    with pytest.raises(Malformed, match="dos veces «a»"):
        read_json(b'{"a":1,"a":1}\n')


@given(st.binary(max_size=200))
def test_a_list_of_digests_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        read_sums(data)


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: json.dumps(text).encode()))
def test_json_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        read_json(data)


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_percentages_are_truncated(part: int, whole: int) -> None:
    units, decimals = percent(part, whole).split(".")
    scaled = int(units) * 10**4 + int(decimals)
    assert len(decimals) == 4
    assert scaled * whole <= part * 10**6 < (scaled + 1) * whole


CODE = sha(b"acta")


@pytest.mark.parametrize(
    "copied",
    [
        CODE,
        CODE.upper(),
        f"  sha256:{CODE}\n",
        f"SHA-256: {CODE}",
        f"SHA256 = {CODE}",
        f"sha256\u200b:{CODE}",
        f"Código de integridad: {CODE}",
        f"CODIGO_INTEGRIDAD\n{CODE}",
        f"'{CODE}'",
        f"«{CODE}».",
        " ".join(CODE[i : i + 4] for i in range(0, 64, 4)),
        "\r\n".join(CODE[i : i + 16] for i in range(0, 64, 16)),
        "\u2011".join(CODE[i : i + 8] for i in range(0, 64, 8)),
        "\u00ad".join(CODE),
        "\u200b".join(CODE),
        f"\ufeff{CODE}\u2060",
        f"\u2019{CODE}\u2019",
        f"{CODE[:30]}-\n{CODE[30:]}",
        "".join(chr(ord(char) + 0xFEE0) for char in CODE),
    ],
)
def test_a_code_copied_by_a_person_is_understood(copied: str) -> None:
    assert read_code(copied) == CODE


@pytest.mark.parametrize(
    ("copied", "found"),
    [
        (CODE[:-1], "63"),
        (f"{CODE}0", "65"),
        ("", "0"),
        (f"{CODE[:-1]}O", "«o»"),
        (f"{CODE[:-1]}ñ", "«ñ»"),
        ("hola", "«h»"),
    ],
)
def test_an_invalid_code_is_refused_with_its_fault(copied: str, found: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_code(copied)
    assert refused.value.found == found


def test_coalition_votes_are_shared_by_the_parties_own_votes() -> None:
    """Five votes for two parties: two each, and the odd vote to the party with more votes of its own."""
    from integrity.tree.documents import PublishedElection, PublishedOption, Rules

    options = (
        PublishedOption(0, "A", "partido", ()),
        PublishedOption(1, "B", "partido", ()),
        PublishedOption(2, "A-B", "coalicion", (0, 1)),
    )
    rules = Rules(
        mixed_without_number_counts=True,
        excede_applies=True,
        partial_beside_all=False,
        last_corte_with_especiales=True,
        texts={},
    )
    election = PublishedElection("X", "X", "local", "entidad", "", "", {}, options, {}, rules)
    assert distribute([3, 8, 5], election) == {"A": 5, "B": 11}
    assert distribute([8, 8, 5], election) == {"A": 11, "B": 10}


def test_the_rules_written_here_agree_with_a_real_election(official: Official) -> None:
    """All rows of Tamaulipas 2023 and its thirteen values, judged by the rules as `integrity` reads them."""
    from integrity.tree import rows as reading
    from integrity.tree import totals
    from integrity.tree.documents import PublishedContest, PublishedElection, PublishedOption, Rules

    codes = ["PAN", "PRI", "PRD", "PVEM", "PT", "MORENA", "PAN-PRI-PRD", "PAN-PRI", "PAN-PRD", "PRI-PRD", "PT-MORENA"]
    options = tuple(PublishedOption(i, code, "", ()) for i, code in enumerate([*codes, "NO_REGISTRADAS", "NULOS"]))
    contest = PublishedContest(1, 28, 0, "", frozenset(range(len(options))))
    rules = Rules(
        mixed_without_number_counts=True,
        excede_applies=True,
        partial_beside_all=False,
        last_corte_with_especiales=True,
        texts=tree_maker.TEXTS,
    )
    election = PublishedElection("SEN", "", "federal", "entidad", "", "", {}, options, {(28, 0): contest}, rules)
    judge = reading.Judge(election)
    text = official("tamaulipas-2023/TAMPS_SEN_FED_ext_2023.csv").read_text(encoding="utf-8-sig")
    lines = list(csv.reader(io.StringIO(text)))
    at = next(number for number, line in enumerate(lines) if line[:1] == ["CLAVE_CASILLA"])
    assert tuple(lines[at]) == judge.columns.names

    differing: list[tuple[str, str]] = []
    state = [0] * (reading.VOTES + len(options))
    fuera = 0
    for line in lines[at + 1 :]:
        cell = judge.columns.tail["OBSERVACIONES"]
        line[cell] = line[cell].strip(" []").replace("'", "")
        row = judge.row(line, lambda check, column, **_: differing.append((check, column)))
        if row.amounts is None:
            fuera += 1
        else:
            reading.add(state, row.amounts)
    assert set(differing) == {("CON-10", "CODIGO_INTEGRIDAD")}, "one image of that night has a SHA-1"
    assert len(differing) == 1
    assert len(lines) - at - 1 == 4782
    assert list(totals.summary(state, fuera, rules, with_especiales=True).items()) == [
        *zip(lines[at - 3], lines[at - 2], strict=True)
    ]
