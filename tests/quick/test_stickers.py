"""The stickers of a catalogue: printed sheets that every decoder reads, with the digest that the pipeline expects."""

from pathlib import Path

import pypdfium2
import pytest
import zxingcpp

from prep.errors import Rejected
from prep.files.catalog_files import files_in, review_catalog
from prep.files.catalog_template import sample_catalog
from prep.operations.cli import main
from prep.operations.stickers import QR_SIDE, QUIET, SHEETS, payload, stickers
from prep.pipeline import sticker
from prep.scan.labels import modules

KEY = b"una llave de prueba"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("catalogo")
    for name, content in sample_catalog().items():
        (made / name).write_bytes(content)
    return made


@pytest.mark.parametrize("sheet", SHEETS)
def test_every_sticker_of_a_sheet_is_read_and_is_its_acta(folder: Path, sheet: str) -> None:
    catalog, _ = review_catalog(files_in(folder))
    pdf, count = stickers(catalog, sheet, KEY)
    assert count == len(catalog.actas)
    read = []
    document = pypdfium2.PdfDocument(pdf)
    for page in list(document)[:2]:
        picture = page.render(scale=150 / 72).to_pil()
        read += [
            each.text
            for each in zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
        ]
    each_page = SHEETS[sheet].columns * SHEETS[sheet].rows
    assert len(set(read)) == min(count, 2 * each_page)
    expected = {acta.qr for acta in catalog.actas}
    for text in read:
        identity = sticker(text, KEY)
        assert identity is not None
        assert identity.text in expected
        assert text.isascii()
        assert sticker(text, b"otra llave") is None
    assert stickers(catalog, sheet, KEY)[0] == pdf, "the same bytes again"


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_a_code_and_its_margin_fit_on_the_label_and_the_labels_on_the_page(folder: Path, sheet: object) -> None:
    catalog, _ = review_catalog(files_in(folder))
    longest = max((payload(acta, KEY) for acta in catalog.actas), key=len)
    side = QR_SIDE * (1 + 2 * QUIET / len(modules(longest)))
    paper = next(each for each in SHEETS.values() if each is sheet)
    assert side <= min(paper.width, paper.height)
    assert paper.left + (paper.columns - 1) * paper.across + paper.width <= paper.page[0]
    assert paper.top + (paper.rows - 1) * paper.down + paper.height <= paper.page[1]


def test_the_command_writes_them_and_says_whether_they_are_signed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREP_DATA", str(tmp_path))
    out = tmp_path / "hojas.pdf"
    for key, said in (("", "sin huella: PREP_QR_KEY no está"), ("una llave", "con su huella")):
        if key:
            monkeypatch.setenv("PREP_QR_KEY", key)
        with pytest.raises(SystemExit) as ended:
            main(["catalog", "stickers", str(folder), "--out", str(out), "--sheet", "carta-12"])
        assert ended.value.code == 0
        assert said in capsys.readouterr().out
        assert out.read_bytes().startswith(b"%PDF")


def test_a_sheet_or_an_election_that_is_not_there_is_named(folder: Path) -> None:
    catalog, _ = review_catalog(files_in(folder))
    with pytest.raises(Rejected, match="no hay una hoja «a5»; hay: carta-10"):
        stickers(catalog, "a5", None)
    with pytest.raises(Rejected, match="no tiene una elección «X»"):
        stickers(catalog, "carta-10", None, election="X")
