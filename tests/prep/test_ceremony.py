"""The ceremonies: nothing begins unless everything is at zero, every difference is named, and the log tells of it."""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pypdfium2
import pytest

from integrity.__main__ import main as integrity
from integrity.evidence import LogBook, Shown, _judge_ceremonies
from integrity.log.note import trust_only
from integrity.report import EVIDENCE_CHECKS, Ledger, Result
from integrity.sums import read_sums
from integrity.tree.documents import read_manifest
from integrity.verify import verify
from prep.domain.corte import Phase
from prep.errors import Rejected
from prep.operations import ceremonies as ceremony
from prep.operations import software
from prep.settings import now, read_settings
from prep.store import ceremony as store
from tests.conftest import Night
from tests.makers.logged_night import LoggedNight, logged_night
from tests.makers.seal_maker import openssl


@pytest.fixture
async def tonight(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoggedNight]:
    for name, value in {"DATABASE": night.app, "DATA": tmp_path, "PUBLIC": tmp_path / "publico"}.items():
        monkeypatch.setenv(f"PREP_{name}", str(value))
    monkeypatch.setattr(software, "_other_files", lambda: iter(()))  # some thousand files more, of no interest here
    monkeypatch.setattr(software, "altered", lambda _: [])
    monkeypatch.setattr(software, "PACKAGES", ("prep",))
    async with logged_night(night, tmp_path, casillas=12) as made:
        yield made


async def held(*words: str | Path) -> int:
    return await ceremony.run(ceremony._ceremonies_parser().parse_args([*map(str, words)]))


async def records(tonight: LoggedNight) -> list[tuple[str, str]]:
    async with tonight.night.pool.acquire() as connection:
        return [tuple(row) for row in await connection.fetch("SELECT kind, momento FROM ceremony ORDER BY id")]


def text_of(pdf: Path) -> str:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


async def finished(tonight: LoggedNight) -> Path:
    """A whole night between its ceremonies; its published tree."""
    assert await held("software-digests") == 0
    assert await held("zero") == 0
    tonight.night.cut_so_far = 1
    await tonight.count(tonight.night.sheets)
    await tonight.log()
    await tonight.night.cut(Phase.FINAL)
    assert await held("close") == 0
    await tonight.log()
    async with tonight.scribe() as scribe:
        await scribe.turn()
    return tonight.office.public


async def test_a_night_between_its_ceremonies_is_told_by_the_log(tonight: LoggedNight, tmp_path: Path) -> None:
    public = await finished(tonight)
    said = [leaf for leaf in tonight.leaves() if leaf["tipo"] in {"software", "cero", "corte", "cierre", "acto"}]
    assert [(leaf["tipo"], leaf.get("momento")) for leaf in said] == [
        ("software", "inicio"), ("cero", None), ("corte", None), ("acto", "inicio"),
        ("software", "cierre"), ("corte", None), ("cierre", None), ("acto", "cierre"),
    ]  # fmt: skip
    assert said[0]["lista"] == said[1]["software"] == said[4]["lista"]
    report = verify(str(public), log=trust_only(tonight.office.signer.key))
    assert report.exit_code == 0, report.to_json()
    assert all(check.result is Result.OK for check in report.checks if check.id in EVIDENCE_CHECKS)
    assert (await tonight.compare()).pending == 0
    for name in ("cero", "cierre"):
        folder = tmp_path / "actos" / name
        sums = (folder / "SHA256SUMS").read_bytes()
        for file, digest in read_sums(sums).items():
            assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
        [act] = [
            leaf
            for leaf in said
            if leaf.get("momento") == {"cero": "inicio"}.get(name, name) and leaf["tipo"] == "acto"
        ]
        assert act["documentos"] == hashlib.sha256(sums).hexdigest()
    error = json.loads((tmp_path / "actos" / "cierre" / "calidad.json").read_text())
    assert error["capturas"] == 2 * sum(sheet.values is not None for sheet in tonight.night.sheets)
    assert error["error_por_campo"]["porcentaje"] == "0.0000"
    shown = re.sub(r"\s+", " ", text_of(tmp_path / "actos" / "cierre" / "acto.pdf"))
    assert f"0 de {error['campos']}: 0.000 % (intervalo de 95 %: de 0.000 a" in shown


async def test_the_act_is_a_table_of_every_file_and_its_code(tonight: LoggedNight, tmp_path: Path) -> None:
    assert await held("zero") == 0
    shown = text_of(tmp_path / "actos" / "cero" / "acto.pdf")
    corte = tmp_path / "publico" / "cortes" / "0000"
    compact = re.sub(r"\s", "", shown)
    for name, digest in read_sums((corte / "SHA256SUMS").read_bytes()).items():
        assert f"0000/{name}" in compact
        assert digest in compact
    assert hashlib.sha256((corte / "SHA256SUMS").read_bytes()).hexdigest() in compact
    assert "Nombre del archivo" in shown
    assert "Código de integridad" in shown
    assert "SIMULACRO: SIN VALIDEZ" in shown
    assert "renglonesdeentry0" in compact
    counted = json.loads((tmp_path / "actos" / "cero" / "conteos.json").read_text())
    assert counted["tablas"]["acta"] > 0
    assert counted["tablas"]["arrival"] == counted["almacen"]["objetos"] == counted["bus"]["images"] == 0


async def an_event(tonight: LoggedNight) -> None:
    await tonight.happen("recaptura", "090001B0100")


async def an_image(tonight: LoggedNight) -> None:
    await tonight.night.office.blobs.put(b"una imagen")


async def a_message(tonight: LoggedNight) -> None:
    await tonight.by_owner(
        "INSERT INTO bus_message (topic, partition, id, key, body, published_at) VALUES ('images', 0, 'x', 'k', '', now())"
    )


async def a_corte(tonight: LoggedNight) -> None:
    await tonight.night.cut()


async def a_table_that_nobody_knows(tonight: LoggedNight) -> None:
    await tonight.by_owner("CREATE TABLE votos_de_antes AS SELECT 7 AS votos")
    await tonight.by_owner("GRANT SELECT ON votos_de_antes TO prep_app")


NOT_ZERO = {
    "a row": (an_event, "la tabla event tiene 1 renglones"),
    "an image in the store": (an_image, "el almacén de imágenes tiene 1 objetos"),
    "a message on the bus": (a_message, "el bus tiene 1 mensajes en «images»"),
    "a corte": (a_corte, "la tabla corte tiene 1 renglones"),
    "a table of no migration": (a_table_that_nobody_knows, "la tabla votos_de_antes tiene 1 renglones"),
}


@pytest.mark.parametrize("name", NOT_ZERO)
async def test_any_row_from_before_the_start_stops_it_and_is_named(
    tonight: LoggedNight, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    left, sentence = NOT_ZERO[name]
    await left(tonight)
    assert await held("zero") == 1
    assert f"✗ {sentence}" in capsys.readouterr().out
    assert await records(tonight) == []
    assert not (tonight.office.public / "index.json").exists() or name == "a corte"


async def test_the_schema_has_a_digest_that_any_change_changes(tonight: LoggedNight) -> None:
    async with ceremony.hall(read_settings()) as opened:
        before = await ceremony.look(opened, "inicio")
        await tonight.by_owner("DROP INDEX ceremony_once")
        after = await ceremony.look(opened, "inicio")
    assert before[0]["esquema"] != after[0]["esquema"]


async def test_a_clock_that_is_apart_stops_the_zero(
    tonight: LoggedNight, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    then = now()
    monkeypatch.setattr("prep.operations.ceremonies.now", lambda: then.replace(year=then.year - 1))
    assert await held("zero") == 1
    assert "el reloj de la base de datos difiere 31536000 s" in capsys.readouterr().out.replace("31536001", "31536000")


@pytest.mark.parametrize("stopped", ["_publish_zero", "_make_documents", "store.add"])
async def test_stopped_anywhere_the_next_run_ends_it_and_does_no_step_twice(
    tonight: LoggedNight, monkeypatch: pytest.MonkeyPatch, stopped: str, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    module, name = (store, "add") if stopped == "store.add" else (ceremony, stopped)
    real: Callable[..., object] = getattr(module, name)

    def die(*given: object) -> object:
        if stopped == "store.add" and given[1] != "acto":
            return real(*given)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, name, die)
        with pytest.raises(Killed):
            await held("zero")
    made = tmp_path / "actos" / "cero" / "acto.pdf"
    before = made.read_bytes() if made.exists() else None
    assert await held("zero") == 0
    assert before in {None, made.read_bytes()}
    assert await held("zero") == 0
    assert await records(tonight) == [("cero", "inicio"), ("acto", "inicio")]
    assert sorted(path.name for path in (tonight.office.public / "cortes").iterdir()) == ["0000"]


async def test_the_close_waits_for_the_last_corte(tonight: LoggedNight) -> None:
    with pytest.raises(Rejected, match="va después del último corte"):
        await held("close")
    assert await held("zero") == 0
    with pytest.raises(Rejected, match="va después del último corte"):
        await held("close")


async def test_software_that_is_not_the_auditors_is_named_and_not_put_on_record(
    tonight: LoggedNight, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mia.txt"
    assert await held("software-digests", "--out", mine, "--no-record") == 0
    assert await records(tonight) == []
    lines = mine.read_text().splitlines(keepends=True)
    [place] = [n for n, line in enumerate(lines) if line.endswith("  prep/operations/ceremonies.py\n")]
    theirs = tmp_path / "auditor.txt"
    theirs.write_text(
        "".join([*lines[:place], "0" * 64 + "  prep/operations/ceremonies.py\n", *lines[place + 1 :]])
        + "1" * 64
        + "  prep/z.py\n"
    )
    assert await held("software-digests", "--compare", theirs) == 1
    shown = capsys.readouterr().out
    assert "✗ prep/operations/ceremonies.py: aquí es" in shown
    assert "✗ prep/z.py: está en la lista y no aquí" in shown
    assert await records(tonight) == []
    assert await held("software-digests", "--compare", mine) == 0
    assert await held("software-digests") == 0
    assert await records(tonight) == [("software", "inicio")]
    theirs.write_text("hola\n")
    with pytest.raises(Rejected, match="no se entiende en la línea 1"):
        await held("software-digests", "--compare", theirs)


async def test_software_changed_during_the_night_is_named_at_the_close(
    tonight: LoggedNight, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert await held("software-digests") == 0
    assert await held("zero") == 0
    tonight.night.cut_so_far = 1
    await tonight.night.cut(Phase.FINAL)
    changed = tmp_path / "puerta.py"
    changed.write_text("puerta = 1\n")
    monkeypatch.setattr(software, "_other_files", lambda: iter([("dependencias/puerta.py", changed)]))
    assert await held("close") == 1
    assert "✗ dependencias/puerta.py: está aquí y no en la lista" in capsys.readouterr().out
    assert "1 archivos no son los del inicio" in text_of(tmp_path / "actos" / "cierre" / "acto.pdf")
    assert await records(tonight) == [
        ("software", "inicio"), ("cero", "inicio"), ("acto", "inicio"), ("software", "cierre"), ("acto", "cierre")
    ]  # fmt: skip


async def test_a_person_signs_the_documents_and_corte_0_elsewhere(tonight: LoggedNight, tmp_path: Path) -> None:
    assert await held("zero") == 0
    assert integrity(["dev-ca", str(tmp_path / "ca")]) == 0
    for folder in (tmp_path / "actos" / "cero", tonight.office.public / "cortes" / "0000"):
        work = tmp_path / f"de {folder.name}"
        work.mkdir()
        assert integrity(["seal", "export", str(folder), "--out", str(work / "firmar")]) == 0
        words = "cms -sign -binary -cades -md sha256 -in firmar -outform DER -out firma.p7s"
        ca = tmp_path / "ca"
        done = openssl(*words.split(), "-signer", ca / "sello.pem", "-inkey", ca / "sello.llave", folder=work)
        assert done.returncode == 0, done.stderr
        brought = ["seal", "import", str(work / "firma.p7s"), "--sums", str(folder), "--ca", str(ca / "autoridad.pem")]
        assert integrity([*brought, "--simulacro"]) == 0
        assert (folder / "SHA256SUMS.firma.p7s").exists()


# --- the log's own order ----------------------------------------------------------------------------------------------

CORTES = {0: (2, "a" * 64), 1: (5, "b" * 64)}
LIST = "c" * 64
GOOD: dict[int, dict[str, object]] = {
    0: {"tipo": "software", "momento": "inicio", "lista": LIST},
    1: {"tipo": "cero", "conteos": "d" * 64, "software": LIST},
    3: {"tipo": "acto", "momento": "inicio", "corte": 0, "sha256sums": "a" * 64},
    6: {"tipo": "cierre", "corte": 1, "sha256sums": "b" * 64},
    7: {"tipo": "acto", "momento": "cierre", "corte": 1, "sha256sums": "b" * 64},
}


def judged(leaves: dict[int, dict[str, object]], last: Shown) -> set[str]:
    book = LogBook.__new__(LogBook)
    book.cortes, book.ceremonies = dict(CORTES), sorted(leaves.items())
    book.closed = any(leaf["tipo"] == "cierre" for leaf in leaves.values())
    ledger = Ledger(EVIDENCE_CHECKS)
    _judge_ceremonies(book, last, ledger)
    return {finding.found for finding in ledger.findings["EVI-10"]}


def without(index: int) -> dict[int, dict[str, object]]:
    return {place: leaf for place, leaf in GOOD.items() if place != index}


MISPLACED: dict[str, tuple[dict[int, dict[str, object]], str]] = {
    "the zero after the first corte": ({**without(1), 4: GOOD[1]}, "después del primer corte"),
    "two zeros": ({**GOOD, -1: GOOD[1]}, "otra vez"),
    "a list of software that nobody told": (without(0), "ninguna hoja anterior cuenta"),
    "an act of the zero without a zero": (without(1), "sin la puesta en ceros"),
    "an act of another corte 0": ({**GOOD, 3: {**GOOD[3], "sha256sums": "e" * 64}}, "el corte 0 con la huella"),
    "a close before the last corte": ({**without(6), 4: GOOD[6]}, "antes del último corte"),
    "a close of another corte": ({**GOOD, 6: {**GOOD[6], "corte": 0, "sha256sums": "a" * 64}}, "el corte 0"),
    "an act of the close before the close": ({**without(7), 5: GOOD[7]}, "antes del cierre"),
    "no close at all": ({place: GOOD[place] for place in (0, 1, 3)}, "ninguna"),
}


@pytest.fixture
def last(tmp_path: Path) -> Shown:
    from tests.makers.tree_maker import make_tree

    manifest = (make_tree(tmp_path / "arbol") / "cortes" / "0002" / "manifest.json").read_bytes()
    return Shown(1, "b" * 64, read_manifest(manifest).raw)


def test_ceremonies_in_their_places_are_good(last: Shown) -> None:
    assert judged(GOOD, last) == set()


@pytest.mark.parametrize("name", MISPLACED)
def test_a_ceremony_that_is_out_of_its_place_is_wrong(name: str, last: Shown) -> None:
    told, found = MISPLACED[name]
    assert any(found in each for each in judged(told, last))


async def test_who_edits_the_record_of_a_ceremony_is_found(tonight: LoggedNight) -> None:
    assert await held("zero") == 0
    await tonight.log()
    await tonight.by_owner("UPDATE ceremony SET content = content || ' ' WHERE kind = 'cero'")
    from publisher.log.comparison import Difference

    with pytest.raises(Difference, match="«conteos» es ahora"):
        await tonight.compare()


async def test_the_application_cannot_take_a_ceremony_back(tonight: LoggedNight) -> None:
    connection = await asyncpg.connect(tonight.office.url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("DELETE FROM ceremony")
    await connection.close()
