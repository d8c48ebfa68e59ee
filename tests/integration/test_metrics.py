"""Every process serves /metrics and /healthz."""

import asyncio

import httpx

from prep import observe


async def get(port: int, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.request(method, f"http://127.0.0.1:{port}{path}")


async def test_a_process_tells_its_metrics_and_its_health() -> None:
    wrong: list[str] = []
    server = await observe.serve_metrics("127.0.0.1", 0, lambda: wrong[0] if wrong else None)
    port = server.sockets[0].getsockname()[1]
    async with server:
        metrics = await get(port, "/metrics")
        assert metrics.status_code == 200
        assert "# HELP prep_bus_lag_messages Messages not yet acknowledged." in metrics.text
        assert metrics.headers["content-type"].startswith("text/plain")
        assert (await get(port, "/healthz")).text == "ok\n"
        wrong.append("la base de datos no responde")
        sick = await get(port, "/healthz?x=1")
        assert (sick.status_code, sick.text) == (503, "la base de datos no responde\n")
        assert (await get(port, "/")).status_code == 404
        assert (await get(port, "/metrics", "POST")).status_code == 405


async def test_what_is_no_request_does_no_harm() -> None:
    server = await observe.serve_metrics("127.0.0.1", 0, lambda: None)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for bad in (b"\r\n\r\n", b"\x00\xff", b"GET", b"G" * 100_000):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(bad)
            writer.close()
        assert (await get(port, "/healthz")).status_code == 200
