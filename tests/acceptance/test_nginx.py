"""The nginx files of deploy/ in a real nginx: the answers that readers, auditors and devices get."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from capture.auth import FREE_TRIES
from prep.rehearsal.installation import free_ports
from publisher import data
from publisher.web import PublishedTree
from tests.conftest import Night
from tests.makers.capture_room import furnished, jpeg
from tests.makers.programs import DEPLOY, program, running
from tests.makers.small_night import small_night
from tests.makers.waiting import PATIENCE
from tests.tamper.matrix import SOUND, judge


@pytest.fixture
def nginx() -> str:
    return program("nginx", "nginx")


@asynccontextmanager
async def serving(nginx: str, folder: Path, name: str, **places: str) -> AsyncIterator[tuple[int, int]]:
    """Serve a file of deploy/nginx, with the paths of the container replaced by ours.

    Gives its plain and its TLS port.
    """
    plain, secure = free_ports(2)
    work = folder / f"nginx-{name}"
    work.mkdir()
    certificate(work)
    text = (DEPLOY / "nginx" / f"{name}.conf").read_text()
    for theirs, ours in {
        "/tmp/": f"{work}/",
        "listen 8080;": f"listen 127.0.0.1:{plain};",
        "listen 8443 ssl;": f"listen 127.0.0.1:{secure} ssl;",
        f"/run/secrets/tls_{name}.crt": str(work / "tls.crt"),
        f"/run/secrets/tls_{name}.key": str(work / "tls.key"),
        "/dev/stdout": str(work / "access.log"),
        **places,
    }.items():
        assert theirs in text or (theirs == "listen 8080;" and name == "capture"), theirs
        text = text.replace(theirs, ours)
    conf = work / "nginx.conf"
    conf.write_text(
        ("user root;\n" if os.geteuid() == 0 else "") + text
    )  # only the owner can read the folder of a test

    async def ready() -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", secure)
            writer.close()
            await writer.wait_closed()
            return True
        return False

    command = [nginx, "-c", str(conf), "-e", "stderr", "-g", "daemon off;"]
    async with running(command, work / "log", ready):
        yield plain, secure


def certificate(folder: Path) -> None:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    (folder / "tls.crt").write_bytes(made.sign(key, None).public_bytes(Encoding.PEM))
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def trusting(folder: Path, name: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / f"nginx-{name}" / "tls.crt"))


async def test_the_published_tree_is_served_and_verifies(nginx: str, night: Night, tmp_path: Path) -> None:
    async with small_night(night, tmp_path, casillas=12) as tonight:
        await tonight.cut()
        await tonight.count(tonight.sheets)
        await tonight.cut()
        public = tonight.office.public
        assert await data.complete(public) == ""
        (public / ".corte-0002-a1").mkdir()
        (public / ".corte-0002-a1" / "totals.json").write_text("{}")
        async with serving(nginx, tmp_path, "published", **{"/srv/publico": str(public)}) as (plain, secure):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{plain}") as http:
                await the_headers_are_right(http)
                await nothing_else_is_shown(http)
            async with httpx.AsyncClient(verify=trusting(tmp_path, "published")) as https:
                assert (await https.get(f"https://localhost:{secure}/index.json")).json()["corte"] == 1
            verdict = await asyncio.to_thread(judge, f"http://127.0.0.1:{plain}", [], minimal=False)
            assert verdict == SOUND


async def the_headers_are_right(http: httpx.AsyncClient) -> None:
    index = await http.get("/index.json")
    assert index.headers["cache-control"] == "public, max-age=5, must-revalidate"
    again = await http.get("/index.json", headers={"If-None-Match": index.headers["etag"]})
    assert again.status_code == 304
    sums = await http.get("/cortes/0001/SHA256SUMS")
    assert sums.headers["content-type"] == "text/plain; charset=utf-8"
    image = sums.text and (await http.get("/cortes/0001/images.csv")).text.splitlines()[1].split(",")[1]
    for path in ("/cortes/0001/totals.json", f"/{image}"):
        kept = await http.get(path)
        assert (kept.status_code, kept.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert kept.headers["content-type"] == "image/jpeg"
    table = await http.get("/datos/0001/actas_GOB.parquet")
    assert table.headers["content-type"] == "application/vnd.apache.parquet"
    assert table.headers["cache-control"] == "public, max-age=31536000, immutable"
    book = await http.get("/datos/0001/libro_GOB.xlsx")
    assert book.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert (book.content[:2], book.headers["content-encoding"]) == (b"PK", "gzip")
    assert kept.headers["content-disposition"] == "inline"
    assert_nothing_runs(kept)
    page = await http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for answer in (index, sums, page):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
        assert "nginx/" not in answer.headers["server"]
    checker = await http.get("/verificar.html")
    assert checker.headers["content-security-policy"] == "frame-ancestors 'self'", "it brings its own, with its digests"
    csv = await http.get("/cortes/0001/images.csv")
    assert csv.headers["content-type"] == "text/csv; charset=utf-8"


def assert_nothing_runs(answer: httpx.Response) -> None:
    """No browser runs these bytes, also if they are a web page or a program."""
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("extension", "media_type", "disposition"),
    [
        ("png", "image/png", "inline"),
        ("avif", "image/avif", "inline"),
        ("tif", "image/tiff", "attachment"),
        ("pdf", "application/octet-stream", "attachment"),
        ("html", "application/octet-stream", "attachment"),
    ],
)
async def test_originals_are_served_so_that_no_browser_runs_them(
    nginx: str, tmp_path: Path, extension: str, media_type: str, disposition: str
) -> None:
    """By nginx and by the embedded server alike."""
    name = f"imagenes/00/{'0' * 64}.{extension}"
    (tmp_path / "publico" / "imagenes" / "00").mkdir(parents=True)
    (tmp_path / "publico" / name).write_bytes(b"<html><script>alert(1)</script></html>")
    tree = httpx.ASGITransport(PublishedTree(directory=tmp_path / "publico", html=True))
    async with (
        serving(nginx, tmp_path, "published", **{"/srv/publico": str(tmp_path / "publico")}) as (plain, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{plain}") as served,
        httpx.AsyncClient(base_url="http://tree", transport=tree) as embedded,
    ):
        for http in (served, embedded):
            answer = await http.get(f"/{name}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
            assert answer.headers["content-disposition"] == disposition
            assert_nothing_runs(answer)


async def nothing_else_is_shown(http: httpx.AsyncClient) -> None:
    for hidden in ("/cortes/", "/imagenes/", "/cortes/0009/totals.json", "/.corte-0002-a1/totals.json", "/..%2fblobs/"):
        answer = await http.get(hidden)
        assert answer.status_code in {400, 404}, hidden
        assert "cache-control" not in answer.headers
    assert (await http.post("/index.json")).status_code == 405
    assert (await http.request("DELETE", "/index.json")).status_code == 405


async def test_capture_can_be_reached_over_tls_and_only_its_public_addresses(
    nginx: str, night: Night, tmp_path: Path
) -> None:
    async with furnished(night, tmp_path / "sala") as room:
        theirs = "set $capture http://capture:8700;"
        async with (
            serving(nginx, tmp_path, "capture", **{theirs: f"set $capture {room.url};"}) as (_, port),
            httpx.AsyncClient(
                base_url=f"https://localhost:{port}", verify=trusting(tmp_path, "capture"), timeout=PATIENCE
            ) as https,
        ):
            content = jpeg(1)
            taken = await https.post("/v1/images", content=content, headers=room.device.headers(content))
            assert taken.status_code == 201, taken.text
            assert taken.headers["strict-transport-security"] == "max-age=31536000"
            assert taken.headers["x-content-type-options"] == "nosniff"
            for own in ("/metrics", "/healthz", "/", "/v1/../metrics"):
                assert (await https.get(own)).status_code == 404, own
            large = await https.post("/v1/images", content=bytes(15 * 1024 * 1024 + 1))
            assert (large.status_code, "error" in large.json()) == (413, True)
            guesses = [
                await https.post(
                    "/v1/session",
                    json={"usuario": "ana", "clave": "adivinanza"},
                    headers={"X-Forwarded-For": f"198.51.100.{number}"},
                )
                for number in range(FREE_TRIES + 1)
            ]
            assert [each.status_code for each in guesses] == [401] * FREE_TRIES + [429], "one address, whatever it says"
            told = [await https.post("/v1/session", json={"usuario": "ana", "clave": "no"}) for _ in range(70)]
            slowed = [each for each in told if "muchas peticiones" in each.text or "demasiadas peticiones" in each.text]
            assert slowed, "logins are limited before they cost anything"
            assert {each.status_code for each in slowed} == {429}


async def test_if_capture_is_stopped_nginx_answers_with_a_sentence_and_a_time_to_try_again(
    nginx: str, tmp_path: Path
) -> None:
    [nobody] = free_ports(1)
    theirs = "set $capture http://capture:8700;"
    async with (
        serving(nginx, tmp_path, "capture", **{theirs: f"set $capture http://127.0.0.1:{nobody};"}) as (_, port),
        httpx.AsyncClient(verify=trusting(tmp_path, "capture")) as https,
    ):
        away = await https.post(f"https://localhost:{port}/v1/images", content=b"x")
    assert (away.status_code, away.headers["retry-after"]) == (503, "5")
    assert away.json() == {"error": "la recepción no responde; intente de nuevo", "codigo": "no_disponible"}
