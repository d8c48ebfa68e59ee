"""«Encuentra tu casilla»: its page, the lists of secciones that it leads to, and the index of places beside them."""

from collections import defaultdict
from typing import Final

from integrity.layout import PLACES_INDEX, section_block, section_page
from prep.store import cortes
from prep.store.cortes import Snapshot
from publisher.page_writer import SiteWriter
from publisher.places import KnownPlace, as_words, index_files

_BLOCK: Final = 100
"""Secciones on one page."""


async def write_index(site: SiteWriter, shown: Snapshot) -> None:
    """The index of places, with the first corte or if the tree has lost it; its list comes last."""
    listed = site.public / PLACES_INDEX
    if not site.book.places or (listed.exists() and listed.read_bytes() == site.book.places):
        return
    listed.parent.mkdir(exist_ok=True)
    for name, content in index_files(KnownPlace(*each) for each in await cortes.known_places(shown)).items():
        site.put(site.public / name, content)


async def write_finder(site: SiteWriter, shown: Snapshot) -> None:
    """casilla.html: the lists of secciones, in their order and by municipio."""
    blocks: defaultdict[int, dict[int, str]] = defaultdict(dict)
    for entidad, seccion in await cortes.seccion_numbers(shown):
        if seccion:
            blocks[entidad][seccion // _BLOCK] = section_block(entidad, seccion)
        else:
            blocks[entidad].setdefault(-1, section_page(entidad, 0))
    municipios: defaultdict[int, dict[str, list[tuple[int, str]]]] = defaultdict(dict)
    for entidad, name, block in await cortes.municipio_blocks(shown):
        municipios[entidad].setdefault(as_words(name), []).append((block, section_block(entidad, block * _BLOCK)))
    places = [
        (entidad, site.book.entidad(entidad), sorted(found.items()), municipios[entidad])
        for entidad, found in sorted(blocks.items())
    ]
    site.write("casilla.html", "casilla.html", same=True, places=places, by_words=bool(site.book.places))


async def write_blocks(site: SiteWriter, shown: Snapshot) -> None:
    """The lists of secciones, with the places of their casillas if the catalogue states them."""
    at: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    of: dict[tuple[int, int], str] = {}
    for entidad, seccion, municipio, lugar, direccion in await cortes.known_places(shown):
        at[entidad, seccion].add(as_words(lugar or direccion))
        of[entidad, seccion] = min(as_words(municipio), of.get((entidad, seccion), "\uffff"))
    blocks: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for entidad, seccion in await cortes.seccion_numbers(shown):
        blocks[section_block(entidad, seccion)].append((entidad, seccion))
    for name, own in blocks.items():
        secciones = [
            (key[1], section_page(*key).partition("/")[2], of.get(key, ""), sorted(at.get(key, ()))) for key in own
        ]
        site.write(name, "secciones.html", same=True, entidad=site.book.entidad(own[0][0]), secciones=secciones)
