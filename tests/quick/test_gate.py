"""The gate lets a true corte pass, and stops each false one that real nights have published.

`tree_maker` writes the tree from the description of the format alone.
"""

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrity.checks import BOTH, TABLE, titles
from publisher import columns
from publisher.gate import Expected, check_chain, check_election, check_images
from publisher.gate_rows import GateFinding, GateRows
from publisher.public_checks import LATER, OF_THE_GATE, STAGED, staged_folder, staged_zip
from tests.makers.tree_maker import canonical, make_tree, reseal
from tests.tamper import catalogues
from tests.tamper.impossible import CELLS, FIELDS, FILES

EXPECTED = {"GOB": Expected(9, 0, [1]), "DIP": Expected(9, 1, [1, 2])}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("noche") / "publico")


@pytest.fixture
def tree(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "publico"))


def findings(tree: Path, code: str = "GOB", corte: int = 1, expected: Expected | None = None) -> list[GateFinding]:
    """The verdict of the engine that reads row by row; that of the other one must be the same."""
    given = (tree / "cortes" / f"{corte:04}", tree, code, expected or EXPECTED[code])
    found = check_election(*given, columnar=False)
    assert check_election(*given, columnar=True) == found
    return found


def checks(tree: Path, code: str = "GOB", corte: int = 1) -> set[str]:
    return {finding.check for finding in findings(tree, code, corte)}


def staged(tree: Path, corte: int = 1) -> Path:
    """The corte as the publisher stages it: without its list, its ZIP beside it, the corte before in the tree."""
    stage = tree / ".corte"
    (stage / "zip").mkdir(parents=True)
    shutil.copytree(tree / "cortes" / f"{corte:04}", stage / "corte")
    (stage / "corte" / "SHA256SUMS").unlink()
    zipped = json.loads((stage / "corte" / "manifest.json").read_bytes())["zip"]["archivo"]
    shutil.copy(tree / zipped, stage / zipped)
    shutil.rmtree(tree / "cortes" / f"{corte:04}")
    return stage / "corte"


def public_checks(tree: Path, corte: int = 1) -> set[str]:
    """The findings of the whole gate that have the id of a public check, with CON-01 and images under the gate's own."""
    stage = staged(tree, corte)
    found = [each.check for each in (*staged_folder(stage, tree), *staged_zip(stage))]
    for code, size in EXPECTED.items():
        told = check_election(stage, tree, code, size, public=True, columnar=False)
        assert check_election(stage, tree, code, size, public=True, columnar=True) == told
        found += [each.check for each in told]
    return {check for check in found if check in TABLE}


def edit_rows(tree: Path, change: Callable[[list[list[str]]], None], *, code: str = "GOB", corte: int = 1) -> None:
    path = tree / "cortes" / f"{corte:04}" / f"TAMPS_{code}_2023.csv"
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    change(rows)
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    path.write_bytes(b"\xef\xbb\xbf" + out.getvalue().encode())


def edit_json(tree: Path, name: str, change: Callable[[Any], None], *, corte: int = 1) -> None:
    path = tree / "cortes" / f"{corte:04}" / name
    content = json.loads(path.read_bytes())
    change(content)
    path.write_bytes(canonical(content))


def edit_totals(tree: Path, change: Callable[[Any], None], *, code: str = "GOB", corte: int = 1) -> None:
    edit_json(tree, "totals.json", lambda totals: change(totals["elecciones"][code]), corte=corte)


def everywhere(tree: Path, name: str, change: Callable[[str], str]) -> None:
    """Print one of the thirteen values differently, in all three files: the mistake of a wrong program."""

    def in_rows(rows: list[list[str]]) -> None:
        rows[4][rows[3].index(name)] = change(rows[4][rows[3].index(name)])

    def in_resumen(holder: Any) -> None:
        holder["resumen"][name] = change(holder["resumen"][name])

    edit_rows(tree, in_rows)
    edit_totals(tree, in_resumen)
    edit_json(
        tree,
        "manifest.json",
        lambda manifest: in_resumen(manifest["elecciones"][[e["codigo"] for e in manifest["elecciones"]].index("GOB")]),
    )


def row_of(rows: list[list[str]], clave: str) -> list[str]:
    return next(row for row in rows if len(row) > 1 and row[1] == f"'{clave}'")


@pytest.mark.parametrize("corte", [0, 1, 2])
@pytest.mark.parametrize("code", ["GOB", "DIP"])
def test_a_true_corte_passes(tree: Path, code: str, corte: int) -> None:
    fuera = EXPECTED[code].fuera if corte else 0
    assert findings(tree, code, corte, Expected(9, fuera, EXPECTED[code].contests)) == []
    folder = tree / "cortes" / f"{corte:04}"
    assert [*check_chain(folder, tree), *check_images(folder, tree)] == []


def test_rounding_instead_of_truncating(tree: Path) -> None:
    """5 of 9 is 55.5555, not 55.5556."""
    rounded = {"55.5555": "55.5556"}
    everywhere(
        tree, "PORCENTAJE_ACTAS_CAPTURADAS", lambda value: rounded.get(value, f"{round(float(value) + 0.00004, 4):.4f}")
    )
    assert checks(tree) == {"trece_valores"}


@pytest.mark.parametrize(
    "name", ["ACTAS_CONTABILIZADAS", "ACTAS_NO_CONTABILIZADAS", "TOTAL_VOTOS_S_CS", "ACTAS_ESPERADAS"]
)
@pytest.mark.parametrize("off", [-1, 1])
def test_a_value_off_by_one(tree: Path, name: str, off: int) -> None:
    everywhere(tree, name, lambda value: str(int(value) + off))
    assert checks(tree) == {"trece_valores"}


def test_a_summary_field_that_holds_another_sum(tree: Path) -> None:
    everywhere(tree, "TOTAL_VOTOS_S_CS", lambda _: "463")
    assert "trece_valores" in checks(tree)


def test_participation_counts_the_especial_casillas_at_the_end_only(tree: Path) -> None:
    edit_json(tree, "manifest.json", lambda manifest: manifest.update(fase="final"))
    assert "trece_valores" in checks(tree)


def test_a_contest_that_is_missing(tree: Path) -> None:
    edit_totals(tree, lambda election: election["contiendas"].pop(), code="DIP")
    assert "contiendas" in checks(tree, "DIP")


def test_a_territory_that_is_missing(tree: Path) -> None:
    edit_totals(tree, lambda election: election["territorios"].pop())
    assert "territorios" in checks(tree)


def test_a_row_that_is_missing(tree: Path) -> None:
    edit_rows(tree, lambda rows: rows.remove(row_of(rows, "280903E01001")))
    assert "renglones" in checks(tree)


def test_the_same_acta_twice(tree: Path) -> None:
    edit_rows(tree, lambda rows: row_of(rows, "280903E01001").__setitem__(1, "'280902B01001'"))
    assert "clave_unica" in checks(tree)


def test_a_blank_printed_as_a_zero(tree: Path) -> None:
    """No sum changes, but OBSERVACIONES says that a field was illegible, and no field shows it."""

    def blank(rows: list[list[str]]) -> None:
        row = row_of(rows, "280749C01001")
        row[row.index("Ilegible")] = "0"

    edit_rows(tree, blank)
    assert "observaciones" in checks(tree)


def test_an_acta_of_blanks_counted_with_zeros(tree: Path) -> None:
    """Yucatán 2018: every field was blank, was printed as zero, and the acta counted."""

    def zeros(rows: list[list[str]]) -> None:
        row = row_of(rows, "280751B01001")
        row[16:22] = ["0"] * 6
        row[27] = "1"

    edit_rows(tree, zeros, corte=2)
    assert checks(tree, corte=2) >= {"observaciones", "trece_valores"}


def test_a_counted_acta_over_its_limit(tree: Path) -> None:
    edit_rows(tree, lambda rows: row_of(rows, "280750B01001").__setitem__(27, "1"))
    assert "contabilizada" in checks(tree)


def test_an_acta_at_its_limit_is_not_over_it(tree: Path) -> None:
    """Lista nominal 155, 10 representatives, 165 votes: with one representative less, it is over."""
    edit_rows(tree, lambda rows: row_of(rows, "280749B01001").__setitem__(25, "9"))
    assert checks(tree) >= {"observaciones", "contabilizada"}


def test_a_total_that_is_not_the_sum_of_its_row(tree: Path) -> None:
    edit_rows(tree, lambda rows: row_of(rows, "280749B01001").__setitem__(23, "166"))
    assert checks(tree) == {"total_calculado"}


def test_a_vote_more_in_the_totals(tree: Path) -> None:
    edit_totals(tree, lambda election: election["votos"].update(PAN=election["votos"]["PAN"] + 1))
    assert checks(tree) == {"votos"}


def test_coalition_votes_distributed_over_the_state_instead_of_by_contest(tree: Path) -> None:
    """The remainders of the contests go to another party than the remainder of their sum."""

    def over_the_state(election: Any) -> None:
        votes = election["votos"]
        joint, first = votes["PAN-PRI"], "PAN" if votes["PAN"] >= votes["PRI"] else "PRI"
        shares = {code: count for code, count in votes.items() if code != "PAN-PRI"}
        for party in ("PAN", "PRI"):
            shares[party] += joint // 2 + (joint % 2 if party == first else 0)
        assert shares != election["votos_por_partido"]
        election["votos_por_partido"] = shares

    edit_totals(tree, over_the_state, code="DIP")
    assert checks(tree, "DIP") == {"votos_por_partido"}


def test_a_candidacy_whose_percentage_is_rounded(tree: Path) -> None:
    def rounded(election: Any) -> None:
        own = election["contiendas"][0]["candidaturas"][0]
        own["porcentaje"] = f"{float(own['porcentaje']) + 0.0001:.4f}"

    edit_totals(tree, rounded)
    assert checks(tree) == {"candidatura"}


def test_votes_for_an_option_that_is_not_on_the_ballot(tree: Path) -> None:
    def vote_of_fuera(rows: list[list[str]]) -> None:
        row = row_of(rows, "280901B01003")
        row[18], row[23] = "9", str(int(row[23]) + 9)

    edit_rows(tree, vote_of_fuera, code="DIP")
    assert "votos_fuera_de_boleta" in checks(tree, "DIP")


def raise_before(election: Any) -> None:
    for part in (*election["contiendas"], *election["territorios"]):
        part["votos"]["PAN"] += 500


def test_a_total_that_shrinks_for_no_recorded_reason(tree: Path) -> None:
    edit_totals(tree, raise_before, corte=0)
    assert checks(tree) == {"disminuye"}


def test_a_total_may_shrink_only_at_the_place_of_a_corrected_acta(tree: Path) -> None:
    edit_totals(tree, raise_before, corte=0, code="DIP")
    correction = {"acta": "280749B01003", "eleccion": "DIP", "motivo": "recaptura"}
    edit_json(tree, "manifest.json", lambda manifest: manifest["correcciones"].append(correction))
    where = {finding.file for finding in findings(tree, "DIP") if finding.check == "disminuye"}
    assert where == {"totals.json, Distrito 2 (2)"}


def test_an_acta_not_captured_that_shows_something(tree: Path) -> None:
    edit_rows(tree, lambda rows: row_of(rows, "280903E01001").__setitem__(16, "0"))
    assert checks(tree) == {"no_capturada"}


def test_an_acta_without_its_image(tree: Path) -> None:
    victim = next(path for path in (tree / "imagenes").rglob("*.png"))
    victim.unlink()
    codes = [{finding.check for finding in findings(tree, code)} for code in ("GOB", "DIP")]
    assert {"imagen"} in codes
    assert [finding.check for finding in check_images(tree / "cortes" / "0001", tree)] == ["imagen"]


def test_an_image_whose_bytes_are_not_those_of_its_name(tree: Path) -> None:
    next(path for path in (tree / "imagenes").rglob("*.jpg")).write_bytes(b"otra")
    assert [finding.check for finding in check_images(tree / "cortes" / "0001", tree)] == ["imagen"]


def test_an_image_that_is_listed_twice(tree: Path) -> None:
    path = tree / "cortes" / "0001" / "images.csv"
    *_, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(path.read_bytes() + last)
    digest = last.decode().split(",")[0]
    assert check_images(path.parent, tree) == [GateFinding("imagen", "images.csv", "una vez", digest)]


def test_a_corte_that_does_not_follow_the_one_before(tree: Path) -> None:
    (tree / "cortes" / "0000" / "SHA256SUMS").write_bytes(b"otro\n")
    assert [finding.check for finding in check_chain(tree / "cortes" / "0001", tree)] == ["cadena"]


def test_a_cell_that_is_no_number(tree: Path) -> None:
    edit_rows(tree, lambda rows: row_of(rows, "280749B01001").__setitem__(21, "tres"))
    assert "celda" in checks(tree)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("FECHA_HORA_ACOPIO", "01/01/1 18:00:00"),
        ("ORIGEN", "casa"),
        ("COTEJADA", "4"),
        ("TOTAL_BOLETAS_SOBRANTES", "007"),
        ("TOTAL_VOTOS_ASENTADO", ""),
        ("PVEM", "05"),
        ("UBICACION_CASILLA", "3"),
        ("LISTA_NOMINAL", "0155"),
    ],
)
def test_a_cell_that_the_public_verifiers_refuse(tree: Path, name: str, text: str) -> None:
    edit_rows(tree, lambda rows: row_of(rows, "280749B01001").__setitem__(rows[6].index(name), text))
    assert public_checks(tree) & {"CON-08", "CON-09", "CON-10"}


@pytest.mark.parametrize("corte", [0, 1, 2])
def test_a_true_corte_passes_the_public_checks(tree: Path, corte: int) -> None:
    assert public_checks(tree, corte) == set()


STAGEABLE = {**CELLS, **FIELDS, **FILES, **catalogues.KEYS}


@pytest.mark.parametrize("name", STAGEABLE)
def test_the_gate_stops_what_the_public_verifiers_refuse(pristine: Path, name: str, tmp_path: Path) -> None:
    """All ways of cheating with every key that can be staged: one of the cortes would not go out."""
    tree = Path(shutil.copytree(pristine, tmp_path / "publico"))
    STAGEABLE[name](tree, None)
    reseal(tree)
    found: set[str] = set()
    for number in (2, 1, 0):
        copy = Path(shutil.copytree(tree, tmp_path / f"copia-{number}"))
        found |= public_checks(copy, number) if not found else set()
    assert found


def test_every_public_check_is_made_before_or_is_named() -> None:
    """A check that must come after the corte stands in a list with its reason; no check stands in two lists."""
    made = [*STAGED, *OF_THE_GATE, *LATER]
    assert sorted(made) == sorted(titles(*BOTH))


def test_a_line_that_ends_in_another_way(tree: Path) -> None:
    path = tree / "cortes" / "0001" / "TAMPS_GOB_2023.csv"
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
    assert "línea" in checks(tree)


# --- the two engines --------------------------------------------------------------------------------------------------


def columns_of(tree: Path, code: str, corte: int) -> tuple[object, object]:
    """The sums of the columnar engine, and of the plain one; the first is None if it leaves the file to the other."""
    stage = tree / "cortes" / f"{corte:04}"
    manifest = json.loads((stage / "manifest.json").read_bytes())
    election = next(each for each in manifest["elecciones"] if each["codigo"] == code)
    rules = manifest["reglas"][code]["contenido"]
    found = []
    for engine in (True, False):
        rows = GateRows(election, rules, (tree, stage.parent))
        path = stage / election["archivo"]
        if engine:
            above = columns.read(rows, path, corrected=frozenset())
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                above = rows.read(file, corrected=frozenset())
        sums = {place: (asdict(part), votes) for place, (part, votes) in rows.by_contest_place.items()}
        found.append(None if above is None else (above, sums, asdict(rows.whole), rows.votes, rows.rows))
    return found[0], found[1]


@pytest.mark.parametrize("corte", [0, 1, 2])
@pytest.mark.parametrize("code", ["GOB", "DIP"])
def test_the_columns_of_a_true_corte_give_the_sums_of_its_rows(tree: Path, code: str, corte: int) -> None:
    by_columns, by_rows = columns_of(tree, code, corte)
    assert by_columns == by_rows


@pytest.mark.parametrize("block", [1, 300, 1 << 20])
def test_the_sums_do_not_depend_on_the_ends_of_the_blocks(
    tree: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(columns, "_BLOCK", block)
    by_columns, by_rows = columns_of(tree, "GOB", 1)
    assert by_columns == (by_rows if block > 1 else None)  # a line that no block holds is left to the other engine


CELLS_OF_ROWS = ("", "-", "0", "00", "1", "7", "07", "9999999", "10000000", "-1", "+1", " 1", "1_0", "١", "Ilegible",
    "Sin dato", "Sin acta", "N/A", "a,b", 'a"b', "2", "S", "B", "\r", "\0", "ñ")  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_both_engines_say_the_same_of_any_change(pristine: Path, tmp_path: Path, data: st.DataObject) -> None:
    """A cell, a whole row or a byte is another one: the same findings in the same words, and never a crash of one."""
    tree = tmp_path / "publico"
    if not tree.exists():
        shutil.copytree(pristine, tree)
    code, corte = data.draw(st.sampled_from(["GOB", "DIP"])), data.draw(st.sampled_from([1, 2]))
    path = tree / "cortes" / f"{corte:04}" / f"TAMPS_{code}_2023.csv"
    right = path.read_bytes()
    lines = right.split(b"\r\n")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(7, len(lines) - 2))
        match data.draw(st.sampled_from(["cell", "cell", "cell", "twice", "lost", "byte"])):
            case "cell":
                cells = lines[place].split(b",")
                at = data.draw(st.integers(0, len(cells) - 1))
                cells[at] = data.draw(st.sampled_from(CELLS_OF_ROWS)).encode()
                lines[place] = b",".join(cells)
            case "twice":
                lines.insert(place, lines[data.draw(st.integers(7, len(lines) - 2))])
            case "lost":
                lines.pop(place)
            case _:
                line = bytearray(lines[place])
                line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
                lines[place] = bytes(line)
        if len(lines) < 10:
            break
    path.write_bytes(b"\r\n".join(lines))
    try:
        said = [_verdict(tree, code, corte, columnar=columnar) for columnar in (False, True)]
        assert said[0] == said[1]
    finally:
        path.write_bytes(right)


def _verdict(tree: Path, code: str, corte: int, *, columnar: bool) -> object:
    """The findings; or the kind of error with which the process of the gate would end, which also stops the corte."""
    try:
        return check_election(tree / "cortes" / f"{corte:04}", tree, code, EXPECTED[code], columnar=columnar)
    except (ValueError, IndexError, csv.Error) as error:
        return type(error)
