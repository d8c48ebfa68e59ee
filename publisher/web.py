"""The publisher's HTTP: metrics, health, and the published tree for demos and for sites without another web server."""

import asyncio
import hashlib
import signal
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.exceptions import HTTPException

from prep import observe
from prep.processes import listening
from prep.settings import Settings
from prep.web import Server, config
from publisher.service import Publisher

GRACEFUL_SECONDS: Final = 3
"""How long requests that are being answered may take after the order to stop."""

OPEN: Final = {"Access-Control-Allow-Origin": "*"}
"""Programs of other sites may read all that is published: it needs no name and no key."""


class PublishedTree(StaticFiles):
    """The published tree. Browsers may keep files that are written once; they ask again for pages and index.json."""

    async def get_response(self, path: str, scope: MutableMapping[str, Any]) -> Response:
        if any(part.startswith(".") for part in Path(path).parts if part != "."):
            return Response(status_code=404, headers=OPEN)  # stages and half-written pages are not published
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            # A program of another site may see that a file is not there, too: deploy/nginx says so `always`.
            return Response(status_code=error.status_code, headers={**(error.headers or {}), **OPEN})
        once = path.startswith(("cortes/", "imagenes/", "zip/", "datos/", "bitacora/tile/", "bitacora/acuses/"))
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if once else "no-cache"
        response.headers.update(OPEN)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Content-Security-Policy"] = _policy(path)
        if path.endswith(".parquet"):
            response.headers["Content-Type"] = "application/vnd.apache.parquet"
        if path.endswith(".xlsx"):
            response.headers["Content-Type"] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        if path.endswith(".atom"):
            response.headers["Content-Type"] = "application/atom+xml; charset=utf-8"
        if Path(path).name in {"SHA256SUMS", "SHA256SUMS.sello", "LEEME.txt"}:
            response.headers["Content-Type"] = "text/plain; charset=utf-8"
        if path.startswith("imagenes/"):
            response.headers.update(_as_sent(Path(path).suffix[1:]))
        return response


POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Of the pages: no program and no style but those of the site, and nothing from another one."""
CHECKER: Final = "frame-ancestors 'self'"
"""verificar.html brings its own policy, with the digest of the one script that may run in it."""
CARD_POLICY: Final = POLICY.replace("frame-ancestors 'self'", "frame-ancestors *")
"""Of the cards, which other sites may show inside theirs."""


def _policy(path: str) -> str:
    if path.endswith("/tarjeta.html"):
        return CARD_POLICY
    return CHECKER if path.endswith("verificar.html") else POLICY


SHOWN: Final = {form: f"image/{form}" for form in ("png", "webp", "avif", "gif", "bmp")} | {"jpg": "image/jpeg"}
"""Media types of the images that browsers show."""


def _as_sent(extension: str) -> dict[str, str]:
    """Headers of an image as its sender sent it: no browser runs these bytes. As deploy/nginx/published.conf."""
    return {
        "Content-Type": SHOWN.get(extension, "image/tiff" if extension == "tif" else "application/octet-stream"),
        "Content-Disposition": "inline" if extension in SHOWN else "attachment",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'",
    }


def create_app(publisher: Publisher) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    def answer(wrong: str | None, well: str) -> Response:
        status, text = observe.probe_answer(wrong, well)
        return Response(text, status_code=status, media_type="text/plain")

    @app.get("/livez")
    async def livez() -> Response:
        return answer(None, observe.LIVE)

    @app.get("/readyz")
    async def readyz() -> Response:
        return answer(publisher.ready.sentence(), observe.READY)

    @app.get("/healthz")
    async def healthz() -> Response:
        return answer(publisher.health(), "ok")

    @app.get("/index.json")
    def index(request: Request) -> Response:
        """With an ETag of its content: a page that asks often costs little while the content is the same."""
        try:
            content = (publisher.office.public / "index.json").read_bytes()
        except FileNotFoundError:
            return Response(status_code=404, headers=OPEN)
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            "Cache-Control": "no-cache",
            **OPEN,
        }
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="application/json", headers=headers)

    app.mount("/", PublishedTree(directory=publisher.office.public, html=True))
    return app


async def serve(publisher: Publisher, settings: Settings) -> None:
    """Publish until SIGTERM or SIGINT."""
    door = listening(settings.host, settings.publisher_metrics_port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    served = config(create_app(publisher), proxies=settings.proxies, lifespan=False, graceful_seconds=GRACEFUL_SECONDS)
    server = Server(served, proxies=settings.proxies)
    serving = asyncio.create_task(server.serve([door]))
    try:
        await publisher.run(stop)
    finally:
        server.should_exit = True
        await serving
