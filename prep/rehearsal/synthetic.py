"""An invented state of any size, and the actas that its officers filled in: for demos, load tests and chaos tests.

The night has two elections. The governorship is one contest, with a coalition. The local deputies have one contest in
each district, with a candidatura común and, in some districts, an independent. All places and people are invented.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Final

from prep.domain.catalog import Acta, Catalog, Clase, Election
from prep.domain.entry import HEADER, TOTAL, Field, Mark
from prep.files.catalog_files import load_catalog, write_catalog
from prep.rehearsal.replay import Sheet

ENTIDAD: Final = 33
START: Final = datetime(2027, 6, 6, 18, 30, tzinfo=timezone(timedelta(hours=-6)))
PARTIES: Final = ("ABETO", "CEDRO", "ENCINO", "FRESNO", "NOGAL")
CASILLAS_PER_SECCION: Final = 3
SECCIONES_PER_DISTRITO: Final = 20
SHARE: Final = {Clase.COALICION: 0.05, Clase.COMUN: 0.1, Clase.NO_REGISTRADAS: 0.002, Clase.NULOS: 0.05}
"""Votes of a row of this kind, as a share of the votes of a party with the same favour."""
ARRIVALS: Final = (4.36, 0.85)
"""The arrival curve, as μ and σ of a lognormal in minutes after `START`: 45 % in the peak hour, 0.9 % in the worst
minute, as the files of real nights have it (37–45 %, 1 %)."""


def synthetic(casillas: int, *, seed: int) -> tuple[dict[str, bytes], list[Sheet]]:
    """The catalogue's files and all sheets of the night, in order of acopio. The same arguments give the same night."""
    rng = random.Random(seed)
    folder = _catalog_files(casillas, rng)
    catalog = load_catalog(folder)
    return folder, _by_acopio(_invented_sheets(catalog, rng))


def written_on(catalog: Catalog, *, seed: int) -> list[Sheet]:
    """Invented sheets for every acta of a given catalogue, in order of acopio."""
    return _by_acopio(_invented_sheets(catalog, random.Random(seed)))


def _by_acopio(sheets: Iterable[Sheet]) -> list[Sheet]:
    return sorted(sheets, key=lambda sheet: (sheet.acopio, sheet.key))


def _catalog_files(casillas: int, rng: random.Random) -> dict[str, bytes]:
    rows = list(_casilla_rows(casillas, rng))
    distritos = sorted({int(str(row[2])) for row in rows})
    return write_catalog(
        {
            "elecciones.csv": [
                ("GOB", "Gubernatura", 2027, "local", "entidad", "ine-2023", "1", "1", None, None, None, None, None),
                ("DIP_LOC", "Diputaciones locales", 2027, "local", "distrito", "ine-2023", "1", "2", *[None] * 5),
            ],
            "territorios.csv": [
                ("entidad", ENTIDAD, ENTIDAD, "SINTÉTICA"),
                *(("distrito_local", ENTIDAD, number, f"Distrito {number}") for number in distritos),
                *(("municipio", ENTIDAD, number, f"Municipio {number}") for number in distritos),
            ],
            "casillas.csv": rows,
            "opciones.csv": [*_option_rows("GOB"), *_option_rows("DIP_LOC")],
            "contiendas.csv": [
                ("GOB", ENTIDAD, None, "Sintética", " ".join(_ballot_codes("GOB", everywhere=True)), None),
                *(
                    (
                        "DIP_LOC",
                        ENTIDAD,
                        n,
                        f"Distrito {n}",
                        " ".join(_ballot_codes("DIP_LOC", everywhere=n % 2 == 1)),
                        None,
                    )
                    for n in distritos
                ),
            ],
            "candidaturas.csv": [
                *_candidacy_rows("GOB", 0),
                *(row for number in distritos for row in _candidacy_rows("DIP_LOC", number)),
            ],
        }
    )


def _casilla_rows(casillas: int, rng: random.Random) -> Iterator[tuple[object, ...]]:
    for place in range(casillas):
        seccion, nth = divmod(place, CASILLAS_PER_SECCION)
        distrito = seccion // SECCIONES_PER_DISTRITO + 1
        # One of 150 casillas is especial: it has no lista nominal, but a maximum of ballots.
        especial = place % 150 == 140
        tipo, numero = ("S", 1) if especial else ("B", 1) if nth == 0 else ("C", nth)
        where = (ENTIDAD, 0, distrito, distrito, seccion + 1, tipo, numero, 0, rng.choice((1, 1, 1, 2)))
        people = (0, 12, 1000, 4, None) if especial else (rng.randrange(350, 751), rng.randrange(2, 21), None, 3, None)
        yield (*where, *people, *_invented_place(seccion))


def _invented_place(seccion: int) -> tuple[str, str]:
    """Name and address of the place in which the casillas of a sección stand."""
    kind = ("Escuela Primaria", "Jardín de Niños", "Casa de la Cultura", "Secundaria General")[seccion % 4]
    tree, street = ("Ahuehuete", "Jacaranda", "Mezquite", "Oyamel", "Sauce")[seccion % 5], 1 + seccion * 7 % 90
    return f"{kind} {tree} {seccion + 1}", f"Calle {street} número {10 + seccion % 80}, Colonia {tree}"


def _ballot_codes(election: str, *, everywhere: bool) -> list[str]:
    codes = [str(row[2]) for row in _option_rows(election)]
    return codes if everywhere else [code for code in codes if code != "CAND_IND_1"]


def _option_rows(election: str, code: str = "") -> list[tuple[object, ...]]:
    rows: list[tuple[str, Clase, str]] = [(party, Clase.PARTIDO, "") for party in PARTIES]
    if election == "GOB":
        alliance = PARTIES[:3]
        combinations = [alliance, alliance[:2], (alliance[0], alliance[2]), alliance[1:]]
        rows += [("-".join(each), Clase.COALICION, " ".join(each)) for each in combinations]
    else:
        rows += [("FRESNO-NOGAL", Clase.COMUN, "FRESNO NOGAL"), ("CAND_IND_1", Clase.INDEPENDIENTE, "")]
    rows += [("NO_REGISTRADAS", Clase.NO_REGISTRADAS, ""), ("NULOS", Clase.NULOS, "")]
    return [(code or election, place, *row, "") for place, row in enumerate(rows, 1)]


def _candidacy_rows(election: str, distrito: int) -> Iterator[tuple[object, ...]]:
    """The candidacies of one contest. Two of them have the same names on purpose: only their options differ."""
    codes = _ballot_codes(election, everywhere=election == "GOB" or distrito % 2 == 1)
    alliance = PARTIES[:3] if election == "GOB" else ("FRESNO", "NOGAL", "FRESNO-NOGAL")
    # The first candidacy has its parties and all their combinations; each other option has a candidacy of its own.
    groups = [[code for code in codes if code in alliance or set(code.split("-")) <= set(alliance)]]
    groups += [[code] for code in codes if code not in groups[0] and code not in {"NO_REGISTRADAS", "NULOS"}]
    for number, group in enumerate(groups):
        name = f"Candidatura {'A' if number < 2 else chr(64 + number)}"
        yield (election, ENTIDAD, distrito or None, " ".join(group), name, f"Suplencia {number + 1}")


def _invented_sheets(catalog: Catalog, rng: random.Random) -> Iterator[Sheet]:
    elections = {election.id: election for election in catalog.elections}
    contests = {contest.id: contest for contest in catalog.contests}
    favour = {contest.id: [0.1 + rng.random() ** 2 for _ in range(40)] for contest in catalog.contests}
    for acta in catalog.actas:
        election = elections[acta.election]
        ballot = contests[acta.contest].ballot
        gone = rng.random() < 0.01
        values = _invented_values(election, acta, ballot, favour[acta.contest], rng)
        yield _invented_sheet(acta, None if gone else values, rng.randrange(1, 4) if gone else None, rng)
    # One image in a thousand casillas has a sticker of no approved casilla. It must end as fuera de catálogo.
    for lost in range(max(1, len(catalog.casillas) // 1000)):
        acta = catalog.actas[lost]
        fields = acta.qr.split("|")
        fields[4] = str(90 + lost % 10)  # the catalogue has no casilla with this number
        fuera = _invented_sheet(acta, None, None, rng)
        yield replace(fuera, key=f"fuera {lost}", qr="|".join(fields), clave="")


def _invented_values(
    election: Election, acta: Acta, ballot: tuple[int, ...], favour: list[float], rng: random.Random
) -> Mapping[str, Field]:
    room = acta.lista_nominal or (acta.boletas_maximas or 0)
    voted = int(room * rng.uniform(0.35, 0.75))
    weights = [favour[position] * SHARE.get(election.options[position].clase, 1.0) for position in ballot]
    votes: dict[int, Field] = dict.fromkeys(ballot, 0)
    for position in rng.choices(ballot, weights=weights, k=voted):
        # Each person votes alone; so the sum of the votes is the number of voters.
        votes[position] = int(votes[position]) + 1
    # Some actas are special, about as often as on real nights: all blank, all illegible, over the limit, or some fields
    # without a number. The rules of `docs/rules.md` §4 decide each of these cases in a different way.
    luck = rng.random()
    if luck < 0.004:
        votes = dict.fromkeys(ballot, Mark.SIN_DATO)
    elif luck < 0.008:
        votes = dict.fromkeys(ballot, Mark.ILEGIBLE)
    elif luck < 0.02:
        votes[ballot[0]] = room + 50 if room + 50 < 10**acta.digitos else 10**acta.digitos - 1
    elif luck < 0.15:
        for position in rng.sample(ballot, k=rng.randrange(1, 4)):
            votes[position] = rng.choice((Mark.SIN_DATO, Mark.SIN_DATO, Mark.ILEGIBLE))
    present = rng.randrange(0, acta.representantes + 1)
    total = min(sum(said for said in votes.values() if not isinstance(said, Mark)), 10**acta.digitos - 1)
    header = (max(0, room - voted), max(0, voted - present), present, voted)
    return {
        **dict(zip(HEADER, header, strict=True)),
        **{election.options[position].code: said for position, said in votes.items()},
        TOTAL: Mark.SIN_DATO if rng.random() < 0.05 else total,
    }


def _invented_sheet(acta: Acta, values: Mapping[str, Field] | None, sin_acta: int | None, rng: random.Random) -> Sheet:
    phone = rng.random() < 0.6
    return Sheet(
        key=acta.clave,
        clave=acta.clave,
        qr=acta.qr,
        values=values,
        sin_acta=sin_acta,
        acopio=START + timedelta(minutes=rng.lognormvariate(*ARRIVALS)),
        origen="CASILLA" if phone else "CATD",
        kind="movil" if phone else "escaner",
        traslado="" if phone else rng.choice(("D", "F", "I")),
        documento="Acta PREP",
    )


# A national night of the size of 2024: 170,648 casillas in 32 entidades and 300 federal districts, three elections.

ENTIDADES: Final = 32
DISTRITOS: Final = 300
NATIONAL: Final = 170_000


def national_night(casillas: int, *, seed: int) -> tuple[dict[str, bytes], list[Sheet]]:
    """The catalogue's files and all sheets of a federal night with this number of casillas, in order of acopio."""
    rng = random.Random(seed)
    folder = national(casillas)
    return folder, sorted(_invented_sheets(load_catalog(folder), rng), key=lambda sheet: (sheet.acopio, sheet.key))


def national(casillas: int) -> dict[str, bytes]:
    """The catalogue's files of a federal night with this number of casillas."""
    rng = random.Random(casillas)
    per_distrito = -(-casillas // DISTRITOS)
    rows: list[tuple[object, ...]] = []
    for place in range(casillas):
        distrito, within = divmod(place, per_distrito)
        # Spread 300 districts evenly over 32 entidades; district numbers do not repeat between them.
        entidad, number = distrito * ENTIDADES // DISTRITOS + 1, distrito + 1
        seccion, nth = divmod(within, CASILLAS_PER_SECCION)
        seccion += (distrito - -(-(entidad - 1) * DISTRITOS // ENTIDADES)) * (per_distrito // CASILLAS_PER_SECCION + 1)
        tipo, numero = ("B", 1) if nth == 0 else ("C", nth)
        where = (entidad, number, 0, number, seccion + 1, tipo, numero, 0, 1 + (place % 4 == 0))
        rows.append((*where, rng.randrange(350, 751), rng.randrange(2, 21), None, 3, None))
    distritos = sorted({(row[0], row[1]) for row in rows})
    elections = (
        ("PRES", "Presidencia", "pais", "1"),
        ("SEN", "Senadurías", "entidad", "2"),
        ("DIP", "Diputaciones", "distrito", "3"),
    )
    return write_catalog(
        {
            "elecciones.csv": [
                (code, title, 2024, "federal", nivel, "ine-2023", "1", tipo, *[None] * 5)
                for code, title, nivel, tipo in elections
            ],
            "territorios.csv": [
                *(("entidad", n, n, f"Entidad {n}") for n in range(1, ENTIDADES + 1)),
                *(("distrito_federal", e, d, f"Distrito {d}") for e, d in distritos),
                *(("municipio", e, d, f"Municipio {d}") for e, d in distritos),
            ],
            "casillas.csv": rows,
            "opciones.csv": [row for code, *_ in elections for row in _option_rows("GOB", code)],
            "candidaturas.csv": [("PRES", None, None, " ".join(PARTIES[:3]), "Candidatura A", "")],
        }
    )
