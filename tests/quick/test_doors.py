"""A value that a door accepts is accepted by every later reader: gate, both verifiers, and the reader of official files.

The values are the edges of each field's definition, and some beyond, which the door must refuse.
"""

import csv
import io
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from integrity import minimal_verifier
from integrity.leaves import cells, leaf, read_leaf
from integrity.tree import forms
from prep.domain import row
from prep.domain.catalog import Ambito, Clase, Election, ElectionId, Nivel, Option, read_identity
from prep.domain.entry import Field, Values, read_field
from prep.domain.hours import CENTRAL, zone_of_night
from prep.domain.night import ZONES
from prep.errors import Rejected
from prep.files.official import read_official
from prep.messages import ImageReceived, read_body
from prep.pipeline import COTEJO
from prep.upload import (
    FIRST_MOMENT,
    LAST_MOMENT,
    MAX_SEQUENCE,
    Digitalizacion,
    Origen,
    TipoDocumento,
    Upload,
    read_headers,
)
from publisher.gate import Expected, check_chain, check_election, check_images
from tests.makers import tree_maker
from tests.makers.tree_maker import make_tree, reseal, sha
from tests.tamper.matrix import Verdict, judge
from tests.tamper.night import Night

EXPECTED = {"GOB": Expected(9, 0, [1]), "DIP": Expected(9, 1, [1, 2])}
RECEIVED = datetime(2023, 2, 20, 1, 13, 28, tzinfo=UTC)
CAPTURED = [
    (code, casilla) for code in tree_maker.ELECTIONS for casilla in tree_maker.CASILLAS if casilla[5] and casilla[6]
]
"""The actas of the tree that have an image: each takes the values of one upload."""
MOST_DIGITS = 7
"""The most boxes for one quantity that a catalogue may say."""
Headers = dict[str, str]


@dataclass(frozen=True)
class Sent:
    """What people and a device sent of one acta."""

    headers: Headers
    numbers: Sequence[object]
    """The four quantities before the votes, and the written total, as a body of JSON holds them."""
    cotejo: str


def accepted(headers: Headers) -> Upload | None:
    """The upload as the door reads it; None if it is refused."""
    try:
        return read_headers(headers).upload
    except Rejected:
        return None


PLAIN: Headers = {
    "x-prep-device": "d",
    "x-prep-sequence": "1",
    "x-prep-sha256": "a" * 64,
    "x-prep-origin": "CATD",
    "x-prep-kind": "movil",
    "x-prep-acopio": "2023-02-19T19:00:00-06:00",
    "x-prep-signature": "AAAA",
}
OFFSETS = [timedelta(), timedelta(hours=-6), timedelta(hours=14), timedelta(hours=-23, minutes=-59)]
TIMES = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(999, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2023, 2, 19, 19, 0, 0, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    *(edge + step for edge in (FIRST_MOMENT, LAST_MOMENT) for step in (-timedelta.resolution, timedelta())),
]
NUMBERS = [0, 1, 7, MAX_SEQUENCE, MAX_SEQUENCE + 1, 10**12, 10**18 - 1, 10**18, 2**63 - 1]


def moment_text(at: datetime, offset: timedelta) -> str:
    try:
        return at.astimezone(timezone(offset)).isoformat()
    except OverflowError:
        return at.isoformat()


def taken(name: str, texts: Iterable[str]) -> st.SearchStrategy[str]:
    """Those of the texts that the door accepts in that header."""
    return st.sampled_from([text for text in texts if accepted(PLAIN | {name: text})])


IDENTITY = st.lists(st.sampled_from(["0", "7", "028", str(10**18), "S", "b", "ZZ9"]), min_size=7, max_size=7)
HEADERS = st.fixed_dictionaries(
    {name: st.just(text) for name, text in PLAIN.items()}
    | {
        "x-prep-device": st.from_regex("[A-Za-z0-9_-]{1,40}", fullmatch=True),
        "x-prep-sequence": taken("x-prep-sequence", map(str, NUMBERS)),
        "x-prep-origin": st.sampled_from(Origen),
        "x-prep-kind": st.sampled_from(Digitalizacion),
        "x-prep-acopio": taken("x-prep-acopio", (moment_text(at, offset) for at in TIMES for offset in OFFSETS)),
        "x-prep-acta": IDENTITY.map(lambda parts: "|".join(["28", *parts])),
        "x-prep-traslado": taken("x-prep-traslado", ["", "D", "FI", "DFI", "IFD", "DD"]),
        "x-prep-document": st.sampled_from(TipoDocumento),
    }
)
QUANTITY = st.sampled_from([0, 9, 10**MOST_DIGITS - 1, "ilegible", "Sin dato"])
SENT = st.builds(
    Sent,
    HEADERS,
    st.lists(QUANTITY, min_size=5, max_size=5),
    st.sampled_from([*COTEJO]),
)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Night:
    night = Night(tmp_path_factory.mktemp("noche"))
    make_tree(night.tree)
    (night.home / "politica.txt").write_text(night.policy)
    return night


# A failing tree takes seconds, so the search for a smaller one is left out.
@settings(max_examples=10, deadline=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
@given(
    st.lists(SENT, min_size=len(CAPTURED), max_size=len(CAPTURED), unique_by=lambda sent: sent.headers["x-prep-device"])
)
def test_what_the_door_accepts_every_reader_accepts(pristine: Night, sent: list[Sent]) -> None:
    messages = [through_the_bus(accepted(each.headers)) for each in sent]
    tree = pristine.copy(pristine.home / "copia")
    try:
        for (code, casilla), message, each in zip(CAPTURED, messages, sent, strict=True):
            publish(tree, code, casilla, message, each)
        hints = [message.acta_hint for message in messages if message.acta_hint]
        for hint in hints[:1]:
            publish_fuera(tree, hint, messages[0])
        reseal(tree)
        told = pristine.told(tree)
        images = [held for held in told if held["tipo"] == "imagen"]
        for held, message in zip(images, messages, strict=False):
            held |= {"dispositivo": message.device, "secuencia": message.sequence}
        pristine.write_log(tree, told)

        for number in (1, 2):
            stage = tree / "cortes" / f"{number:04}"
            assert [*check_chain(stage, tree), *check_images(stage, tree)] == []
            assert [finding for code in EXPECTED for finding in check_election(stage, tree, code, EXPECTED[code])] == []
        options = ["--log-policy", str(pristine.home / "politica.txt")]
        for minimal in (False, True):
            assert judge(tree, options, minimal=minimal) == Verdict(0, (), ())
        read_again(tree, messages)
    finally:
        shutil.rmtree(tree)


def through_the_bus(upload: Upload | None) -> ImageReceived:
    """The message as a worker reads it, and its leaf as the verifiers read it."""
    assert upload is not None
    received = ImageReceived.of(upload, size=1, format_="jpeg", at=RECEIVED)
    assert read_body(received.message(), ImageReceived) == received
    return received


def publish(tree: Path, code: str, casilla: tree_maker.Casilla, message: ImageReceived, sent: Sent) -> None:
    """The row of the acta, as the pipeline writes it, in every corte that shows it."""
    read = [read_field("X", number, digits=MOST_DIGITS) for number in sent.numbers]
    clave = f"'{tree_maker.clave(casilla, code)}'"
    for path, rows in files(tree, code, since=casilla[5]):
        held = next(held for held in rows if held[1:2] == [clave])
        votes = tuple(field_of(cell) for cell in held[16:22])
        values = Values(header=tuple(read[:4]), votes=votes, total=read[4])
        quantities = row.quantities(values, sum(vote for vote in votes if isinstance(vote, int)))
        tail = row.tail(
            observations=held[26],
            contabilizada=int(held[27]),
            traslado=message.traslado,
            image=sha(tree_maker.image_of(casilla, code)),
            acopio_at=message.acopio_at,
            captura_at=RECEIVED,
            verificacion_at=RECEIVED,
            origen=message.origen,
            digitalizacion=message.digitalizacion,
            tipo_documento=message.tipo_documento,
            cotejada=COTEJO[sent.cotejo],
            zone=CENTRAL,
        )
        held[12:24], held[26:] = cells(quantities), cells(tail)
        path.write_bytes(tree_maker.csv_bytes(rows))


def publish_fuera(tree: Path, hint: str, message: ImageReceived) -> None:
    """The identity that the device read, as that of an acta that no casilla has."""
    options = tuple(
        Option(position, code, Clase(clase)) for position, (code, clase, _) in enumerate(tree_maker.OPTIONS)
    )
    election = Election(
        ElectionId(1), "DIP", "Diputaciones locales", 2023, Ambito.LOCAL, Nivel.DISTRITO, "ine-2023", "3", options
    )
    identity = read_identity(hint)
    assert identity is not None
    made = row.fuera(
        election, identity[0], entidad="TAMAULIPAS", territorio="-", observations="Fuera de Catálogo",
        origen=message.origen, digitalizacion=message.digitalizacion,
    )  # fmt: skip
    for path, rows in files(tree, "DIP", since=1):
        rows[-1] = cells(made)
        path.write_bytes(tree_maker.csv_bytes(rows))


def files(tree: Path, code: str, *, since: int) -> Iterator[tuple[Path, list[list[str]]]]:
    for number in range(since, 3):
        path = tree / "cortes" / f"{number:04}" / f"TAMPS_{code}_2023.csv"
        yield path, list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def field_of(cell: str) -> Field:
    words = {word: mark for mark, word in row.WORDS.items()}
    return words[cell] if cell in words else int(cell)


def read_again(tree: Path, messages: Sequence[ImageReceived]) -> None:
    """The reader of official files finds the values that were sent."""
    folder = tree / "cortes" / "0002"
    rows = {
        (code, held.clave_acta): held
        for code in tree_maker.ELECTIONS
        for held in read_official((folder / f"TAMPS_{code}_2023.csv").read_bytes()).rows
    }
    for (code, casilla), message in zip(CAPTURED, messages, strict=True):
        held = rows[code, tree_maker.clave(casilla, code)]
        assert held.acopio == message.acopio_at.replace(microsecond=0)
        assert (held.origen, held.tipo_documento) == (message.origen, message.tipo_documento)
        assert held.traslado == message.traslado
        assert held.digitalizacion == row.DIGITALIZACION[message.digitalizacion]


@pytest.mark.parametrize("number", [1, MAX_SEQUENCE])
def test_the_numbers_at_the_edges_have_a_leaf_that_both_verifiers_read(number: int) -> None:
    said = {"sha256": "a" * 64, "bytes": 1, "dispositivo": "d", "secuencia": number, "anterior": None}
    made = leaf("imagen", 1, {**said, "recibida": "2023-02-20T01:13:28.000000+00:00"})
    assert read_leaf(made)["secuencia"] == minimal_verifier.read_leaf(made, "hoja 1")["secuencia"] == number


def test_two_huge_numbers_end_at_once_and_both_verifiers_say_the_same(pristine: Night, tmp_path: Path) -> None:
    """A search that counted from the first number to the second would not end in this night."""
    tree = pristine.copy(tmp_path / "publico")
    told = pristine.told(tree)
    images = [held for held in told if held["tipo"] == "imagen"]
    for held, number in zip(images, (3, 4, 10**17, 10**18 - 1), strict=False):
        held |= {"dispositivo": "reloj", "secuencia": number}
    aside = {"clase": "mensaje_apartado", "asunto": f"image:reloj:5:{'a' * 64}", "detalle": "a" * 64}
    told[-1:-1] = [{"tipo": "incidente", **aside, "fecha_hora": "2023-02-20T03:00:00.000000+00:00"}]
    pristine.write_log(tree, told)
    options = ["--log-policy", str(pristine.home / "politica.txt")]
    verdicts = [judge(tree, options, minimal=minimal) for minimal in (False, True)]
    assert verdicts[0] == verdicts[1]
    assert verdicts[0].wrong == ("EVI-06",)


ODD = "0123456789ABCDFISabz-_:+.,TZ| ñé\u0661\uff11\u00b2\u200b\u202e\u2212\t\n\0%\u00a0"
"""Letters of every header, and letters that look like them, are drawn as nothing, or end a line."""
ANY = st.text(ODD, max_size=30)
MOMENTS = st.builds(moment_text, st.sampled_from(TIMES), st.sampled_from(OFFSETS)) | st.sampled_from(
    ["20230219T190000-0600", "2023-W07-7T19:00:00-06:00", "2023-02-19T19:00:00,5-06:00", "2023-02-19 19:00-06:00:30.25"]
)
ANY_HEADERS = st.fixed_dictionaries(
    {
        "x-prep-device": st.from_regex("[A-Za-z0-9_-]{1,40}", fullmatch=True) | ANY,
        "x-prep-sequence": st.sampled_from([*map(str, NUMBERS), "007", "1e3", "１", "+1", "1_0"]) | ANY,
        "x-prep-sha256": st.sampled_from(["a" * 64, "A" * 64, "a" * 63]) | ANY,
        "x-prep-origin": st.sampled_from([*Origen, "catd", "CCV"]) | ANY,
        "x-prep-kind": st.sampled_from([*Digitalizacion, "Móvil"]) | ANY,
        "x-prep-acopio": MOMENTS | ANY,
        "x-prep-acta": IDENTITY.map(lambda parts: "|".join(["28", *parts])) | ANY,
        "x-prep-traslado": st.sampled_from(["", "D", "FI", "DFI", "DD", "d"]) | ANY,
        "x-prep-document": st.sampled_from([*TipoDocumento, "acta prep"]) | ANY,
        "x-prep-signature": st.just("AAAA"),
    }
)


@settings(max_examples=400, deadline=None, suppress_health_check=[*HealthCheck])
@given(ANY_HEADERS, st.sets(st.sampled_from([*PLAIN]), min_size=5), st.sampled_from(sorted(ZONES)))
def test_any_header_that_is_accepted_has_a_leaf_and_cells_that_both_verifiers_accept(
    headers: Headers, plain: set[str], zone: str
) -> None:
    said = {name: quote(text) for name, text in headers.items()} | {name: PLAIN[name] for name in plain}
    upload = accepted(said)
    if upload is None:
        return
    message = through_the_bus(upload)
    told = {"sha256": message.sha256, "bytes": 1, "dispositivo": message.device, "secuencia": message.sequence}
    made = leaf("imagen", 1, {**told, "anterior": None, "recibida": "2023-02-20T01:13:28.000000+00:00"})
    assert read_leaf(made) == minimal_verifier.read_leaf(made, "hoja 1")
    tail = cells(row.tail(
        observations="", contabilizada=1, traslado=message.traslado, image=message.sha256, acopio_at=message.acopio_at,
        captura_at=RECEIVED, verificacion_at=RECEIVED, origen=message.origen, digitalizacion=message.digitalizacion,
        tipo_documento=message.tipo_documento, cotejada=0, zone=zone_of_night(zone),
    ))  # fmt: skip
    published = dict(zip(minimal_verifier.TAIL[-len(tail) :], tail, strict=True))
    assert forms.wrong_provenance(tuple(published[name] for name in forms.PROVENANCE), arrived=True) == ()
    assert list(forms.wrong_moments(*(published[name] for name in forms.MOMENTS))) == []
    assert minimal_verifier.provenance_is_possible(published)
    assert list(minimal_verifier.impossible_times(published)) == []


JSON: st.SearchStrategy[object] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.lists(st.integers(), max_size=2),
    st.sampled_from(["ILEGIBLE", " sin dato ", "Sin acta", "-", "12", 10**7 - 1, 10**7, 10**4000, 0, -1]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(JSON, st.integers(1, MOST_DIGITS))
def test_any_value_that_a_field_accepts_is_a_cell_that_both_verifiers_read(value: object, digits: int) -> None:
    try:
        read = read_field("PAN", value, digits=digits)
    except Rejected:
        return
    quantities = row.quantities(Values((read,) * 4, (read,), read), 0)
    for cell in {text for text in cells(quantities)[:5] if text not in {*row.WORDS.values()}}:
        assert minimal_verifier.whole(cell) == read
        assert str(read) == cell


def test_a_huge_number_is_refused_without_being_repeated() -> None:
    with pytest.raises(Rejected, match=r"^PAN: el número no cabe en las 3 casillas del acta$"):
        read_field("PAN", 10**4000, digits=3)
