"""The cells of one acta in the official file: a blank is not a zero, illegible is not blank, no cell is a formula."""

import csv
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from prep.domain import row
from prep.domain.catalog import Ambito, Clase, Election, ElectionId, Nivel, Option, read_identity
from prep.domain.entry import Field, Mark, Values
from prep.domain.hours import CENTRAL

OPTIONS = tuple(
    Option(at, code, clase)
    for at, (code, clase) in enumerate(
        (
            ("PAN", Clase.PARTIDO),
            ("PRI", Clase.PARTIDO),
            ("NO_REGISTRADAS", Clase.NO_REGISTRADAS),
            ("NULOS", Clase.NULOS),
        )
    )
)


def election(nivel: Nivel = Nivel.ENTIDAD, ambito: Ambito = Ambito.FEDERAL) -> Election:
    return Election(ElectionId(1), "SEN", "Senaduría", 2023, ambito, nivel, "ine-2023", "3", OPTIONS)


def cells(text: str) -> list[str]:
    [read] = list(csv.reader([text], strict=True))
    return read


def values(*votes: Field, total: Field = 7) -> Values:
    return Values((1, 2, Mark.ILEGIBLE, Mark.SIN_DATO), votes, total)


def test_a_blank_is_not_a_zero_and_an_illegible_field_is_not_a_blank() -> None:
    printed = cells(row.quantities(values(0, Mark.SIN_DATO, Mark.ILEGIBLE, Mark.NO_EN_BOLETA, total=Mark.SIN_DATO), 0))
    assert printed == ["1", "2", "Ilegible", "Sin dato", "0", "Sin dato", "Ilegible", "-", "Sin dato", "0"]


def test_the_cells_of_a_sin_acta() -> None:
    assert cells(row.quantities_sin_acta(4, {0, 2, 3})) == [*["Sin acta"] * 5, "-", *["Sin acta"] * 3, "0"]


def test_the_cells_of_an_acta_without_a_version() -> None:
    assert cells(row.quantities_pending(4)) == ["-"] * 10
    assert cells(row.tail_pending()) == ["-"] * 11


def test_the_tail_is_in_central_time_and_quotes_commas() -> None:
    at = datetime(2023, 2, 20, 1, 13, 28, tzinfo=UTC)
    tail = row.tail(
        observations="Excede Lista Nominal, Sin dato", contabilizada=0, traslado="D", image="ab" * 32, acopio_at=at,
        captura_at=None, verificacion_at=None, origen="CASILLA", digitalizacion="movil", tipo_documento="Acta PREP",
        cotejada=1, zone=CENTRAL,
    )  # fmt: skip
    assert tail.startswith('"Excede Lista Nominal, Sin dato",0,D,')
    assert cells(tail) == [
        "Excede Lista Nominal, Sin dato", "0", "D", "ab" * 32, "19/02/2023 19:13:28", "-", "-", "CASILLA", "Móvil",
        "Acta PREP", "1",
    ]  # fmt: skip


def test_the_columns_are_those_of_ine_2023_and_local_elections_name_their_own_territory() -> None:
    federal = row.columns(election())
    assert federal[4:6] == ("ID_DISTRITO_FEDERAL", "DISTRITO_FEDERAL")
    assert federal[12:16] == row.HEADER
    assert federal[-1] == "COTEJADA"
    assert row.columns(election(Nivel.DISTRITO, Ambito.LOCAL))[4] == "ID_DISTRITO_LOCAL"
    assert row.columns(election(Nivel.MUNICIPIO, Ambito.LOCAL))[4:6] == ("ID_MUNICIPIO", "MUNICIPIO")
    assert cells(row.header(election())) == list(federal)


def test_an_acta_of_no_approved_casilla_shows_only_its_identity() -> None:
    read = read_identity("28|2|2|1124|2|C|0|3")
    assert read is not None
    printed = cells(
        row.fuera(election(), read[0], entidad="TAMAULIPAS", territorio="Reynosa", observations="Fuera de Catálogo", origen="CASILLA", digitalizacion="movil")
    )  # fmt: skip
    assert ",".join(printed[:12]) == "-,-,28,TAMAULIPAS,2,Reynosa,1124,2,C,0,3,2"
    assert set(printed[12:22]) == {"-"}
    assert printed[-11:] == ["Fuera de Catálogo", "2", "-", "-", "-", "-", "-", "CASILLA", "Móvil", "-", "-"]
    assert len(printed) == len(row.columns(election()))


@given(st.lists(st.text(), min_size=1, max_size=6))
def test_no_text_becomes_a_formula_a_second_line_or_another_cell(texts: list[str]) -> None:
    read = cells(row.line(["0", *texts]))
    assert len(read) == len(texts) + 1
    for text, printed in zip(texts, read[1:], strict=True):
        assert not printed.startswith(("=", "+", "@", "-")) or printed == "-"
        assert printed.removeprefix("'").split() == text.split() or printed.split() == text.split()


@given(
    st.lists(st.one_of(st.integers(0, 999), st.sampled_from(list(Mark))), min_size=4, max_size=4),
    st.integers(0, 5000),
)
def test_printed_quantities_can_be_read_back(votes: list[Field], calculado: int) -> None:
    words = {text: mark for mark, text in row.WORDS.items()}
    printed = cells(row.quantities(values(*votes), calculado))
    assert [words[text] if text in words else int(text) for text in printed[4:-2]] == votes
    assert printed[-1] == str(calculado)
