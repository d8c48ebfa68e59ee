"""`verificar.html` in a real browser: published files pass; every other file is seen, named, and never passes."""

import base64
import csv
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, BrowserContext, Error

from capture.receipts import canonical
from integrity.layout import proof_path
from integrity.log.note import SignatureKind, Signer, read_proof
from integrity.verify import verify
from publisher.site_files import checker
from tests.browser.conftest import Site, Watched

LAST = "cortes/0002"
DONE = re.compile("good|bad|unable")
UNKNOWN = str(Signer.of("otra.example.mx", SignatureKind.LOG, Ed25519PrivateKey.from_private_bytes(b"7" * 32)).key)


class Checker:
    """The page as a person uses it."""

    def __init__(self, watched: Watched, site: Site) -> None:
        self.watched, self.page, self.site = watched, watched.page, site
        self.page.goto(f"{site.url}/verificar.html")

    def acta(self, text: str, key: str | None = None) -> str:
        self.page.get_by_label("Clave del acta").fill(text)
        self.page.locator("#acta-llave").fill(self.site.key if key is None else key)
        return self.press("acta", "Comprobar el acta")

    def file(self, *files: Path, code: str = "") -> str:
        self.page.get_by_label("La imagen de un acta, un CSV, un ZIP").set_input_files(files)
        self.page.locator("#codigo").fill(code)
        return self.press("archivo", "Comprobar el archivo")

    def proof(self, *files: Path, key: str | None = None, pem: str = "") -> str:
        self.page.locator("#pruebas").set_input_files(files)
        self.page.locator("#prueba-llave").fill(self.site.key if key is None else key)
        self.page.locator("#acuse-llave").evaluate("(held, text) => { held.value = text }", pem)
        return self.press("prueba", "Comprobar la prueba")

    def press(self, form: str, button: str) -> str:
        self.page.get_by_role("button", name=button).click()
        return self.outcome(form)

    def outcome(self, form: str) -> str:
        """good, bad or unable."""
        verdict = self.page.locator(f"#r-{form} .verdict")
        self.page.wait_for_function(
            "form => /good|bad|unable/.test(document.querySelector(`#r-${form} .verdict`).className)", arg=form
        )
        return (verdict.get_attribute("class") or "").removeprefix("verdict ")

    def said(self, form: str, kind: str) -> str:
        return "\n".join(self.page.locator(f"#r-{form} .steps > .{kind}").all_inner_texts())


@pytest.fixture
def checker_page(watched: Watched, site: Site) -> Checker:
    return Checker(watched, site)


def rows(root: Path) -> list[dict[str, str]]:
    found = []
    for path in sorted((root / LAST).glob("*_2027.csv")):
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
        header = next((at for at, cells in enumerate(lines) if cells[:1] == ["CLAVE_CASILLA"]), None)
        if header is not None:
            named = [dict(zip(lines[header], cells, strict=True)) for cells in lines[header + 1 :]]
            found += [row | {"file": path.name} for row in named]
    return found


def shown(root: Path) -> tuple[str, str]:
    """Clave and code of an acta whose image came out before the last corte."""
    listed = (root / "cortes" / "0001" / "images.csv").read_text()
    for row in rows(root):
        if row["CODIGO_INTEGRIDAD"] in listed and row["CODIGO_INTEGRIDAD"] != "-":
            return row["CLAVE_ACTA"].strip("'"), row["CODIGO_INTEGRIDAD"]
    raise AssertionError


def image(root: Path, code: str) -> Path:
    return root / "imagenes" / code[:2] / f"{code}.jpg"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def reseal(root: Path) -> None:
    """Correct the digests of the last corte, like a cheat who changed a file in it."""
    folder = root / LAST
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))
    index = json.loads((root / "index.json").read_text())
    index["sha256sums"] = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    text = json.dumps(index, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    (root / "index.json").write_text(text + "\n")


# --- as published -----------------------------------------------------------------------------------------------------


def test_the_tree_of_this_night_is_right_with_its_page_in_it(site: Site) -> None:
    report = verify(str(site.root))
    assert report.exit_code in {0, 2}, report.to_json()
    assert (site.root / "verificar.html").read_bytes() == checker()


def test_an_acta_passes_step_by_step_and_nothing_leaves_the_site(checker_page: Checker, site: Site) -> None:
    clave, code = shown(site.root)
    assert checker_page.acta(f" {clave.lower()} ") == "good"
    said = checker_page.said("acta", "good")
    for step in (
        "SHA256SUMS",
        "manifiesto",
        "sus votos suman",
        "Apareció en el corte 1; de ahí al 2",
        code,
        "firmó esa raíz",
    ):
        assert step in said
    assert (
        checker_page.page.locator("#r-acta img").evaluate("image => image.decode().then(() => image.naturalWidth)")
        == 430
    )
    assert checker_page.watched.errors == []
    assert checker_page.watched.others(site.url) == []


def test_the_page_of_an_acta_leads_to_its_check(watched: Watched, site: Site) -> None:
    clave, code = shown(site.root)
    [page] = site.root.glob(f"*/{clave}.html")
    watched.page.goto(f"{site.url}/{page.relative_to(site.root)}")
    watched.page.get_by_role("link", name="Comprobar también sus cantidades").click()
    watched.page.wait_for_selector("#r-acta .verdict.unable")  # without a key it says so
    assert code in watched.page.url
    assert watched.page.locator("#r-acta .steps > .bad").count() == 0
    assert "falta su llave" in watched.page.locator("#r-acta .steps > .unable").first.inner_text()
    assert watched.errors == []
    watched.page.goto(f"{site.url}/index.html")
    watched.page.get_by_role("link", name="Comprobar un acta o un archivo").click()
    assert watched.page.url.endswith("/verificar.html")


def test_an_acta_is_found_by_its_code_too_and_one_without_an_image_is_right(checker_page: Checker, site: Site) -> None:
    clave, code = shown(site.root)
    assert checker_page.acta(f"Código de integridad: {code[:32].upper()} {code[32:]}") == "good"
    assert clave in checker_page.said("acta", "good")
    without = [row for row in rows(site.root) if row["CODIGO_INTEGRIDAD"] == "-" and row["CLAVE_ACTA"] != "-"]
    for row in without[:1]:
        assert checker_page.acta(row["CLAVE_ACTA"]) == "good"


def test_files_pass_against_a_code_a_list_and_the_site(
    checker_page: Checker, site: Site, context: BrowserContext
) -> None:
    _, code = shown(site.root)
    table = next((site.root / LAST).glob("*_GOB_2027.csv"))
    package = site.root / json.loads((site.root / LAST / "manifest.json").read_text())["zip"]["archivo"]
    assert checker_page.file(table, package, image(site.root, code)) == "good"
    assert "es una imagen publicada en el corte 1" in checker_page.said("archivo", "good")
    assert checker_page.watched.errors == []
    context.set_offline(True)  # from here on only with the files at hand
    assert checker_page.file(table, site.root / LAST / "SHA256SUMS") == "good"
    assert checker_page.file(image(site.root, code), code=f"SHA-256: {code.upper()}") == "good"


def test_a_copy_in_a_folder_is_checked_without_the_site(
    checker_page: Checker, site: Site, context: BrowserContext
) -> None:
    context.set_offline(True)
    checker_page.page.get_by_text("Sin red: comprobar una copia").click()
    checker_page.page.locator("#carpeta").set_input_files(site.root)
    assert checker_page.acta(shown(site.root)[0]) == "good"


def test_the_page_itself_works_from_a_file(watched: Watched, site: Site) -> None:
    watched.page.goto((site.root / "verificar.html").as_uri())
    checker = Checker.__new__(Checker)
    checker.watched, checker.page, checker.site = watched, watched.page, site
    _, code = shown(site.root)
    assert checker.file(image(site.root, code), code=code) == "good"
    assert checker.acta(code) == "unable"
    assert "Esta página se abrió desde su equipo" in checker.said("acta", "unable")


def receipt(folder: Path, code: str) -> tuple[Path, str]:
    key = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
    acuse = {
        "formato": 1,
        "sha256": code,
        "bytes": 9,
        "recibido": "2027-06-07T01:00:00.000+00:00",
        "servidor": "México",
    }
    acuse |= {"simulacro": True, "prueba": proof_path(code), "clave": "00000000"}
    whole = {"acuse": acuse, "firma": base64.b64encode(key.sign(canonical(acuse))).decode()}
    path = folder / "acuse.json"
    path.write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
    der = bytes.fromhex("302a300506032b6570032100") + key.public_key().public_bytes_raw()
    return path, f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"


def test_receipts_and_proofs_pass(checker_page: Checker, site: Site, tmp_path: Path) -> None:
    _, code = shown(site.root)
    paper, pem = receipt(tmp_path, code)
    assert checker_page.proof(paper, image(site.root, code), pem=pem) == "good"
    assert checker_page.proof(site.root / proof_path(code), image(site.root, code)) == "good"
    assert checker_page.proof(site.root / LAST / "SHA256SUMS.tlog-proof", site.root / LAST / "SHA256SUMS") == "good"
    assert checker_page.proof(paper, pem="") == "unable", "a signature that nobody checked is no pass"
    assert checker_page.watched.errors == []


# --- not as published -------------------------------------------------------------------------------------------------


def tampered_image(root: Path, code: str) -> None:
    flip(image(root, code))


def tampered_row(root: Path, code: str) -> None:
    [path] = {root / LAST / row["file"] for row in rows(root) if row["CODIGO_INTEGRIDAD"] == code}
    path.write_bytes(path.read_bytes().replace(code.encode(), code[::-1].encode()))


def tampered_row_with_its_digests(root: Path, code: str) -> None:
    [row] = [row for row in rows(root) if row["CODIGO_INTEGRIDAD"] == code]
    path = root / LAST / row["file"]
    lines = path.read_bytes().split(b"\r\n")
    at = next(at for at, line in enumerate(lines) if code.encode() in line)
    asentado, total = row["TOTAL_VOTOS_ASENTADO"], int(row["TOTAL_VOTOS_CALCULADO"])
    lines[at] = lines[at].replace(f",{asentado},{total},".encode(), f",{asentado},{total + 100},".encode())
    path.write_bytes(b"\r\n".join(lines))
    reseal(root)


def rewritten_corte(root: Path, code: str) -> None:
    (root / LAST / "LEEME.txt").write_text("otra cosa")
    reseal(root)


def image_gone(root: Path, code: str) -> None:
    image(root, code).unlink()


def row_gone(root: Path, code: str) -> None:
    [row] = [row for row in rows(root) if row["CODIGO_INTEGRIDAD"] == code]
    path = root / LAST / row["file"]
    path.write_bytes(b"\r\n".join(line for line in path.read_bytes().split(b"\r\n") if code.encode() not in line))
    reseal(root)


def corte_before_replaced(root: Path, code: str) -> None:
    (root / "cortes" / "0001" / "SHA256SUMS").write_bytes((root / "cortes" / "0000" / "SHA256SUMS").read_bytes())


def proof_gone(root: Path, code: str) -> None:
    (root / proof_path(code)).unlink()


def log_gone(root: Path, code: str) -> None:
    (root / LAST / "SHA256SUMS.tlog-proof").unlink()
    (root / "bitacora" / "checkpoint").unlink()


def proof_of_another(root: Path, code: str) -> None:
    other = next(path for path in sorted((root / "bitacora" / "acuses").rglob("*.tlog-proof")) if code not in path.name)
    (root / proof_path(code)).write_bytes(other.read_bytes())


def forged_proof(root: Path, code: str) -> None:
    """The leaf of the image at another place than its own: no hashes lead from there to the root."""
    path = root / proof_path(code)
    lines = path.read_text().split("\n")
    lines[3] = base64.b64encode(hashlib.sha256(b"otro").digest()).decode()
    path.write_text("\n".join(lines))


def forged_root(root: Path, code: str) -> None:
    """A tree of this one leaf, under the signature of another root."""
    path = root / proof_path(code)
    proof = read_proof(path.read_bytes())
    leaf = json.loads(proof.extra or b"") | {"numero": 0}
    extra = json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode()
    fake = base64.b64encode(hashlib.sha256(b"\0" + extra).digest()).decode()
    text = f"{proof.checkpoint.origin}\n1\n{fake}\n\n" + "".join(each.line for each in proof.checkpoint.note.signatures)
    path.write_text(f"c2sp.org/tlog-proof@v1\nextra {base64.b64encode(extra).decode()}\nindex 0\n\n{text}")


def index_says_twice(root: Path, code: str) -> None:
    text = (root / "index.json").read_text()
    (root / "index.json").write_text(text.replace('{"carpeta"', '{"carpeta":"cortes/0001","carpeta"', 1))


def image_elsewhere(root: Path, code: str) -> None:
    """images.csv sends the reader out of the tree, and all digests agree."""
    [row] = [row for row in rows(root) if row["CODIGO_INTEGRIDAD"] == code]
    path = root / LAST / "images.csv"
    path.write_text(path.read_text() + f"{code},imagenes/../../{code}.jpg,{row['CLAVE_ACTA']}\n")
    reseal(root)


@pytest.mark.parametrize(
    ("tamper", "sentence"),
    [
        (tampered_image, "La imagen NO es la del código de integridad"),
        (tampered_row, "no es el archivo de la lista"),
        (tampered_row_with_its_digests, "el total calculado no es la suma de sus votos"),
        (rewritten_corte, "La prueba no habla del corte 2"),
        (image_gone, "Falta imagenes/"),
        (row_gone, "no tiene el acta"),
        (corte_before_replaced, "cortes/0001/SHA256SUMS no es el que se anunció"),
        (proof_gone, "Falta bitacora/acuses/"),
        (log_gone, "Falta bitacora/checkpoint"),
        (proof_of_another, "La prueba no habla de la imagen"),
        (forged_proof, "La prueba no lleva a la raíz que se firmó"),
        (forged_root, "no es válida"),
        (index_says_twice, "index.json no es JSON en su forma canónica"),
        (image_elsewhere, "una dirección que no es la suya"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_every_change_is_shown_as_a_failure(
    checker_page: Checker, site: Site, tamper: Callable[[Path, str], None], sentence: str
) -> None:
    clave, code = shown(site.root)
    tamper(site.root, code)
    assert checker_page.acta(clave) == "bad"
    assert sentence in checker_page.said("acta", "bad")
    assert "Algo está mal" in checker_page.page.locator("#r-acta .verdict").inner_text()
    assert [error for error in checker_page.watched.errors if "404" not in error] == []
    assert checker_page.watched.others(site.url) == []


def test_a_page_that_shows_another_code_than_the_file_is_seen(watched: Watched, site: Site) -> None:
    clave, _ = shown(site.root)
    watched.page.goto(f"{site.url}/verificar.html#acta={clave}&codigo={'0' * 64}")
    watched.page.wait_for_selector("#r-acta .verdict.bad")
    assert "no dan el mismo código" in watched.page.locator("#r-acta .steps > .bad").first.inner_text()


def test_another_file_is_never_taken_for_the_one_of_a_code(checker_page: Checker, site: Site, tmp_path: Path) -> None:
    _, code = shown(site.root)
    other = tmp_path / "otra.jpg"
    other.write_bytes(image(site.root, code).read_bytes() + b"x")
    assert checker_page.file(other, code=code) == "bad"
    assert "NO es el archivo de ese código" in checker_page.said("archivo", "bad")
    changed = tmp_path / "totals.json"
    changed.write_bytes((site.root / LAST / "totals.json").read_bytes() + b" ")
    assert checker_page.file(changed, site.root / LAST / "SHA256SUMS") == "bad"
    assert checker_page.file(other) == "bad"


def test_a_forged_proof_another_file_and_another_key_are_seen(
    checker_page: Checker, site: Site, tmp_path: Path
) -> None:
    _, code = shown(site.root)
    proof = tmp_path / "una.tlog-proof"
    proof.write_bytes((site.root / proof_path(code)).read_bytes())
    assert checker_page.proof(proof, image(site.root, code), key=UNKNOWN) == "bad"
    assert "no está firmada con la llave que usted dio" in checker_page.said("prueba", "bad")
    assert checker_page.proof(proof, site.root / "index.json") == "bad"
    paper, pem = receipt(tmp_path, code)
    paper.write_text(paper.read_text().replace("México", "Mexico"))
    assert checker_page.proof(paper, pem=pem) == "bad"
    assert "La firma del acuse no es válida" in checker_page.said("prueba", "bad")
    (tmp_path / "sin prueba").mkdir()
    paper, pem = receipt(tmp_path, "0" * 64)
    assert checker_page.proof(paper, pem=pem) == "bad"
    assert "no tiene la prueba que el acuse promete" in checker_page.said("prueba", "bad")
    text = proof.read_text()
    for cheat in (
        text.replace("\n\n", "\n", 1),
        text + "x",
        text.replace("— ", "— otra", 1),
        text[:-20],
        "c2sp.org/tlog-proof@v1",
    ):
        proof.write_text(cheat)
        assert checker_page.proof(proof, image(site.root, code)) == "bad", cheat


# --- could not be checked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "hola", "zz" * 32, "<img src=x onerror=alert(1)>", "28"])
def test_bad_input_gets_one_clear_sentence(checker_page: Checker, text: str) -> None:
    assert checker_page.acta(text) == "unable"
    assert checker_page.page.locator("#r-acta .steps > li").count() == 1
    assert checker_page.watched.errors == []


@pytest.mark.parametrize(
    "key", ["hola", "a+00000000+AAAA", "a+1234+x", "prep+00000000+" + base64.b64encode(b"\1" * 33).decode()]
)
def test_a_key_that_is_none_is_no_pass(checker_page: Checker, site: Site, key: str) -> None:
    assert checker_page.acta(shown(site.root)[0], key) == "unable"
    assert "llave" in checker_page.said("acta", "unable")


def test_a_browser_without_ed25519_says_so_and_does_not_pass(browser: Browser, site: Site) -> None:
    context = browser.new_context()
    context.add_init_script("crypto.subtle.importKey = () => Promise.reject(new DOMException('', 'NotSupportedError'))")
    checker = Checker(Watched.of(context.new_page()), site)
    assert checker.acta(shown(site.root)[0]) == "unable"
    assert "su navegador no sabe verificar Ed25519" in checker.said("acta", "unable")
    context.close()


def test_without_the_network_nothing_passes(checker_page: Checker, site: Site, context: BrowserContext) -> None:
    context.set_offline(True)
    assert checker_page.acta(shown(site.root)[0]) == "unable"
    assert "revise su conexión" in checker_page.said("acta", "unable")


def test_what_others_wrote_is_text_and_nothing_else(checker_page: Checker, site: Site, tmp_path: Path) -> None:
    evil = tmp_path / "SHA256SUMS"
    evil.write_text("<script>document.title='mal'</script><img src=x onerror=\"document.title='mal'\">\n")
    assert checker_page.file(evil, site.root / "index.json") == "bad"
    assert checker_page.page.title().startswith("Comprobar un acta")
    assert checker_page.page.locator(".result img, .result script").count() == 0
    assert checker_page.watched.errors == []


def test_without_javascript_the_page_says_what_else_can_be_done(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.url}/verificar.html")
    said = page.locator("noscript")
    assert said.is_visible()
    assert "Esta página necesita JavaScript" in said.inner_text()
    assert "VERIFICA.txt" in said.inner_text()
    context.close()


# --- the page ---------------------------------------------------------------------------------------------------------


def test_it_can_be_used_with_the_keyboard_and_read_aloud(checker_page: Checker, site: Site) -> None:
    page = checker_page.page
    page.locator("#acta").focus()
    page.keyboard.type(shown(site.root)[0])
    page.keyboard.press("Enter")
    assert checker_page.outcome("acta") == "unable"
    assert page.locator("#r-acta [role=status]").inner_text()
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input,textarea,button')].filter(e => e.tagName !== 'BUTTON' && !e.labels.length).length"
    )
    assert unnamed == 0
    first = page.locator("#r-acta .steps > li").first.inner_text()
    assert "Bien:" in first, "in words, not by colour alone"


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_runs_off_the_screen(checker_page: Checker, site: Site, width: int) -> None:
    checker_page.page.set_viewport_size({"width": width, "height": 800})
    checker_page.acta(shown(site.root)[0])
    assert checker_page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_its_policy_lets_no_other_script_run(checker_page: Checker) -> None:
    page = checker_page.page
    assert "unsafe" not in (page.locator("meta[http-equiv]").get_attribute("content") or "")
    tried = "() => { const it = document.createElement('script'); it.textContent = 'document.title = 1'; document.body.append(it) }"
    with pytest.raises(Error, match="TrustedScript"):
        page.evaluate(tried)
    assert page.title().startswith("Comprobar")
    assert not re.search(r"\son[a-z]+=", checker().decode().split("<script>")[0])
