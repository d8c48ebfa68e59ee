"""The terminal of the capturista in a real browser: keys, requests, and the time from an Enter to the next field.

One person types the actas of a practice night in strip mode, as fast as the program takes keys. The time of an Enter
runs from its event in the page until the frame that shows the next field has been painted.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page, async_playwright, expect

from load_tests.bench.bench import Figure
from load_tests.browser import chromium
from prep.errors import PrepError
from prep.rehearsal.commands import open_practice, practice_room
from prep.rehearsal.installation import NightPlace, installation, place_in

ACTAS: Final = 12
WATCH: Final = """
window.esperas = [];
addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const label = document.querySelector(".one label")?.textContent;
    requestAnimationFrame(() => {
        const painted = new MessageChannel();
        painted.port1.onmessage = () => {
            const next = document.querySelector(".one label")?.textContent;
            if (label && next && next !== label) esperas.push(performance.now() - event.timeStamp);
        };
        painted.port2.postMessage(0);
    });
}, true);
"""
"""The frame's callback runs before it is painted; a message that is posted in it arrives after that."""
KEYS_OF_OTHERS: Final = (
    "tally-ho: además tres números de identidad, cada uno dos veces; abacus: un Enter por campo y uno por sección"
)
REQUESTS_OF_OTHERS: Final = "tally-ho: 4 páginas y 3 envíos; abacus: 5 sin la imagen (tomar, tres secciones, terminar)"
"""Counted in their code: tally-ho `views/data_entry.py` and its forms; abacus `data_entry/hooks/useDataEntry.ts` and
`useFormKeyboardNavigation.ts`, for a form of one list. Neither shows the image of the form."""


def terminal() -> list[Figure]:
    """Keys and requests per acta, and the wait for the next field."""
    with tempfile.TemporaryDirectory() as folder:
        night = place_in(Path(folder), Path(folder) / "publico", {})
        room = practice_room(night, seed=7)
        return asyncio.run(_measured(room.place, open_practice(*room)))


async def _measured(place: NightPlace, opening: Any) -> list[Figure]:  # noqa: ANN401 - a coroutine
    program = chromium()
    if program is None:
        opening.close()
        raise PrepError("esta medida necesita Chromium")
    async with installation(place):
        await opening
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-gpu"], env={**os.environ}
            )
            page = await browser.new_page(viewport={"width": 1366, "height": 768})
            await page.add_init_script(WATCH)
            figures = await _typed(page, place)
            await browser.close()
            return figures


async def _typed(page: Page, place: NightPlace) -> list[Figure]:
    asked: list[str] = []
    page.on("request", lambda each: asked.append(each.url) if "/v1/" in each.url else None)
    await page.goto(f"{place.url}/terminal")
    await page.get_by_label("Usuario").fill("capturista00")
    await page.get_by_label("Clave").fill((place.data / "clave").read_text())
    await page.keyboard.press("Enter")
    await page.evaluate("localStorage.setItem('prep.tira', '1')")
    fields = keys = done = 0
    asked.clear()
    while done < ACTAS:
        await page.locator(".picture img:not(.hidden)").wait_for()
        if await page.locator(".find").count():  # no QR was read: this person cannot tell which acta it is
            await page.keyboard.press("*")
            await _send(page)
            asked.clear()
            fields = keys = done = 0
            continue
        while await page.locator(".one label").count():
            for key in ("1", "2", "Enter"):
                await page.keyboard.press(key)
            keys += 3
            fields += 1
        await _send(page)
        keys += 1
        done += 1
    waits = sorted(await page.evaluate("esperas"))
    more = keys - fields * 2
    return [
        _figure(
            "teclas por acta además de los dígitos",
            round(more / done, 2),
            "",
            round(fields / done + 1, 2),
            KEYS_OF_OTHERS,
        ),
        _figure("peticiones por acta", round(len(asked) / done, 2), "", 3, REQUESTS_OF_OTHERS),
        _figure(
            "de Enter al campo siguiente, percentil 95", round(_share(waits, 0.95), 1), "ms", 50, f"{len(waits)} campos"
        ),
    ]


async def _send(page: Page) -> None:
    """Send the answer and wait until the terminal has the next task.

    The count of saved answers tells it. The name of the place does not: the next acta can be of the same casilla.
    """
    saved = page.get_by_text("Guardadas en esta sesión:")
    before = await saved.text_content()
    await page.keyboard.press("Enter")
    await expect(saved).not_to_have_text(before or "", timeout=60_000)


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _figure(name: str, value: float, unit: str, most: float, peer: str) -> Figure:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "target": f"<= {most:g}",
        "met": value <= most,
        "limit": most,
        "peer": peer,
    }
