"""Writes a small published tree from the description of the format alone; it shares no code with the publisher, but
for the clean data.

One night in Tamaulipas with two elections (GOB, one contest; DIP, two districts with different ballots), nine casillas,
three cortes: zeros, half, final. The observations and CONTABILIZADA of each acta are written here by hand. `reseal` is
the able cheat: after any change it makes every digest, ZIP and chain agree again.
"""

import contextlib
import csv
import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from integrity.sums import Malformed

Json = dict[str, Any]
Casilla = tuple[Any, ...]

EDO, YEAR = "TAMPS", 2023
TIMES = ["2023-02-19T17:30:00-06:00", "2023-02-19T20:00:00-06:00", "2023-02-19T20:20:00-06:00"]
FASES = ["cero", "en curso", "final"]
TEXTS = {
    "excede_lista_nominal": "Excede Lista Nominal",
    "todos_ilegibles": "Todos los campos ilegibles",
    "todos_vacios": "Todos los campos vacíos",
    "ilegible": "Ilegible",
    "sin_dato": "Sin dato",
    "sin_acta_1": "Sin acta(1)",
    "sin_acta_2": "Sin acta(2)",
    "sin_acta_3": "Sin acta(3)",
    "sin_acta_4": "Sin acta(4)",
    "proceso_tecnico_operativo": "Identificación por proceso técnico operativo",
    "fuera_de_catalogo": "Fuera de Catálogo",
}
RULES = {
    "name": "ine-2023",
    "version": 1,
    "mixed_without_number_counts": True,
    "excede_applies": True,
    "partial_beside_all": False,
    "last_corte_with_especiales": True,
    "texts": TEXTS,
}
OPTIONS: list[tuple[str, str, list[int]]] = [
    ("PAN", "partido", []),
    ("PRI", "partido", []),
    ("PVEM", "partido", []),
    ("PAN-PRI", "coalicion", [0, 1]),
    ("NO_REGISTRADAS", "no_registradas", []),
    ("NULOS", "nulos", []),
]


def _names_in(line: str) -> list[str]:
    return line.split(",")


SUMMARY = _names_in(
    "ACTAS_ESPERADAS,ACTAS_REGISTRADAS,ACTAS_FUERA_CATALOGO,ACTAS_CAPTURADAS,PORCENTAJE_ACTAS_CAPTURADAS,"
    "ACTAS_CONTABILIZADAS,PORCENTAJE_ACTAS_CONTABILIZADAS,PORCENTAJE_ACTAS_INCONSISTENCIAS,ACTAS_NO_CONTABILIZADAS,"
    "LISTA_NOMINAL_ACTAS_CONTABILIZADAS,TOTAL_VOTOS_C_CS,TOTAL_VOTOS_S_CS,PORCENTAJE_PARTICIPACION_CIUDADANA"
)
BEFORE = _names_in(
    "CLAVE_CASILLA,CLAVE_ACTA,ID_ENTIDAD,ENTIDAD,ID_DISTRITO_LOCAL,DISTRITO_LOCAL,SECCION,ID_CASILLA,TIPO_CASILLA,"
    "EXT_CONTIGUA,UBICACION_CASILLA,TIPO_ACTA,TOTAL_BOLETAS_SOBRANTES,TOTAL_PERSONAS_VOTARON,"
    "TOTAL_REP_PARTIDO_CI_VOTARON,TOTAL_VOTOS_SACADOS"
)
AFTER = _names_in(
    "TOTAL_VOTOS_ASENTADO,TOTAL_VOTOS_CALCULADO,LISTA_NOMINAL,REPRESENTANTES_PP_CI,OBSERVACIONES,CONTABILIZADA,"
    "MECANISMOS_TRASLADO,CODIGO_INTEGRIDAD,FECHA_HORA_ACOPIO,FECHA_HORA_CAPTURA,FECHA_HORA_VERIFICACION,ORIGEN,"
    "DIGITALIZACION,TIPO_DOCUMENTO,COTEJADA"
)
HEADER = [*BEFORE, *(code for code, _, _ in OPTIONS), *AFTER]

SITE = {
    "VERIFICA.txt": b"instrucciones",
    "estilo.css": b"estilo",
    "verificar.html": b"una pagina que comprueba",
    "esquemas/index.json": b"un esquema",
}
"""Constants of a release."""

X, S = "Ilegible", "Sin dato"
# district, sección, tipo, id, lista nominal, corte of first publication, votes in each election, observations, counted.
# The first is exactly at its limit (155 + 10 representatives); the especial one is published in the middle of the
# night.
CASILLAS: list[Casilla] = [
    (1, 749, "B", 1, 155, 1, [100, 50, 7, 5, 0, 3], "", 1),
    (1, 749, "C", 1, 500, 1, [80, 90, X, 2, 1, 0], "Ilegible", 1),
    (1, 750, "B", 1, 100, 1, [90, 20, 5, 0, 0, 0], "Excede Lista Nominal", 0),
    (1, 751, "B", 1, 400, 2, [X, X, X, X, X, X], "Todos los campos ilegibles", 0),
    (1, 752, "B", 1, 400, 2, [S, S, X, S, S, S], "Ilegible, Sin dato", 1),
    (1, 753, "S", 1, 0, 1, [30, 10, 2, 1, 0, 1], "", 1),
    (2, 901, "B", 1, 600, 1, [70, 71, 9, 7, 0, 4], "", 1),
    (2, 902, "B", 1, 600, 2, None, "Sin acta(3)", 0),
    (2, 903, "E", 1, 600, None, None, "", None),
]
ELECTIONS = {"DIP": ("Diputaciones locales", "distrito", "3"), "GOB": ("Gubernatura", "entidad", "1")}
OFF_BALLOT = {("DIP", 2): {2}}  # PVEM is not on the ballot of district 2
CORRECTED: dict[tuple[str, int, int], list[Any]] = {}
"""Other votes of an acta from a corte on, by election, sección and corte; for trees with corrections."""
BALLOTS = 750
"""The maximum of an especial casilla."""
COTEJOS: dict[tuple[str, int], tuple[int, str]] = {}
"""By election and sección: the corte from which an acta has another COTEJADA than 1, and that; before, it has 0."""
WITHDRAWN: dict[tuple[str, int], range] = {}
"""By election and sección: the cortes in which an acta is expected again, because two people took back what it was."""
FUERA_FROM: dict[str, int] = {"DIP": 1}
"""By election: the corte that brings out its row fuera de catálogo."""


def clave(casilla: Casilla, code: str) -> str:
    _, seccion, tipo, number, *_ = casilla
    return f"28{seccion:04}{tipo}{number:02}00{ELECTIONS[code][2]}"


def image_of(casilla: Casilla, code: str, kind: str = "acta") -> bytes:
    return f"{kind} {clave(casilla, code)}".encode() * 40


def is_shown(casilla: Casilla, code: str, corte: int) -> bool:
    """Whether that corte has the acta as captured."""
    since = casilla[5]
    return since is not None and corte >= since and corte not in WITHDRAWN.get((code, casilla[1]), ())


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def canonical(value: object) -> bytes:
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def truncated(part: int, whole: int) -> str:
    scaled = part * 1000000 // whole if whole else 0
    return f"{scaled // 10000}.{scaled % 10000:04}"


# --- rows -------------------------------------------------------------------------------------------------------------


def row(casilla: Casilla, code: str, corte: int) -> tuple[list[str], list[int]]:
    """One line of the CSV, and the numbers behind it if it counts."""
    district, seccion, tipo, number, lista, _, votes, observations, counted = casilla
    votes = _last_of([CORRECTED.get((code, seccion, n)) for n in range(corte + 1)]) or votes
    key = f"28{seccion:04}{tipo}{number:02}00"
    identity = [f"'{key}'", f"'{clave(casilla, code)}'", "28", "TAMAULIPAS", f"{district:03}", f"Distrito {district}"]
    identity += [f"{seccion:04}", f"{number:02}", tipo, "00", "1", "2"]
    off = OFF_BALLOT.get((code, district), set())
    # Not captured yet: only the fields of the catalogue.
    if not is_shown(casilla, code, corte):
        return [*identity, *["-"] * 4, *["-"] * len(OPTIONS), "-", "-", str(lista), "10", *["-"] * 11], []
    if votes is None:
        # Sin acta: captured, not counted (domain.md §4).
        cells = ["-" if position in off else "Sin acta" for position in range(len(OPTIONS))]
        tail = [
            "Sin acta",
            "0",
            str(lista),
            "10",
            observations,
            "0",
            "I",
            "-",
            "-",
            "-",
            "-",
            "CATD",
            "Escáner",
            "-",
            "0",
        ]
        return [*identity, *["Sin acta"] * 4, *cells, *tail], []
    cells = ["-" if position in off else str(vote) for position, vote in enumerate(votes)]
    total = sum(int(cell) for cell in cells if cell.isdigit())
    moment = "19/02/2023 19:13:28"
    tail = [str(total), str(total), str(lista), "10", observations, str(counted), "D", sha(image_of(casilla, code))]
    at, cotejada = COTEJOS.get((code, seccion), (0, "1"))
    tail += [moment, moment, moment, "CASILLA", "Móvil", "Acta PREP", cotejada if corte >= at else "0"]
    numbers = [int(cell) if cell.isdigit() else 0 for cell in cells]
    return [*identity, "300", str(total), "3", str(total), *cells, *tail], numbers


def _last_of(found: list[Any]) -> Any:
    return next((each for each in reversed(found) if each is not None), None)


def fuera_row() -> list[str]:
    """A row fuera de catálogo: identification as read, everything else `-` (domain.md §5)."""
    identity = ["-", "-", "28", "TAMAULIPAS", "2", "Distrito 2", "1124", "2", "C", "0", "3", "2"]
    tail = ["-", "-", "-", "-", "Fuera de Catálogo", "2", "-", "-", "-", "-", "-", "CASILLA", "Móvil", "-", "-"]
    return [*identity, *["-"] * 4, *["-"] * len(OPTIONS), *tail]


def has_fuera(code: str, corte: int) -> bool:
    """Whether that file has the row."""
    return corte >= FUERA_FROM.get(code, len(TIMES))


# --- sums -------------------------------------------------------------------------------------------------------------


def resumen(casillas: list[Casilla], code: str, corte: int, fuera: int = 0) -> dict[str, str]:
    """The thirteen values of some casillas."""
    captured = [c for c in casillas if is_shown(c, code, corte)]
    counted = [c for c in captured if c[8] == 1]
    # domain.md §4: observations count as inconsistencies, sin acta does not.
    inconsistent = [c for c in captured if c[7] and not c[7].startswith("Sin acta")]
    votes = [(c[2], sum(row(c, code, corte)[1])) for c in counted]
    lista = sum(c[4] for c in counted)
    con = sum(total for _, total in votes)
    sin = sum(total for tipo, total in votes if tipo != "S")
    expected = len(casillas)
    values = [expected, len(captured) + fuera, fuera, len(captured), truncated(len(captured), expected)]
    values += [len(counted), truncated(len(counted), expected), truncated(len(inconsistent), expected)]
    # Participation counts the especial casillas in the last corte only (domain.md §4).
    out = len(captured) - len(counted)
    # Some rule sets leave the actas sin acta out of those that do not count.
    out -= 0 if RULES.get("sin_acta_not_counted", True) else sum(c[6] is None for c in captured)
    values += [out, lista, con, sin, truncated(con if FASES[corte] == "final" else sin, lista)]
    return dict(zip(SUMMARY, map(str, values), strict=True))


def votes_of(casillas: list[Casilla], code: str, corte: int) -> dict[str, int]:
    sums = [0] * len(OPTIONS)
    for casilla in casillas:
        if casilla[8] == 1 and is_shown(casilla, code, corte):
            for position, vote in enumerate(row(casilla, code, corte)[1]):
                sums[position] += vote
    return {name: amount for (name, _, _), amount in zip(OPTIONS, sums, strict=True)}


def distributed(votes: dict[str, int]) -> dict[str, int]:
    """The one combination, PAN-PRI: half each; an odd vote to the party with more votes of its own, at a tie to PAN."""
    shared = {name: amount for name, amount in votes.items() if name != "PAN-PRI"}
    joint = votes["PAN-PRI"]
    shared["PAN"] += joint // 2
    shared["PRI"] += joint // 2
    shared["PRI" if votes["PRI"] > votes["PAN"] else "PAN"] += joint % 2
    return shared


def contests(code: str) -> list[tuple[int, int, int, str, list[Casilla]]]:
    """Number, entidad, territory, name and casillas of each contest of an election."""
    if code == "GOB":
        return [(1, 28, 0, "Tamaulipas", CASILLAS)]
    return [(n, 28, n, f"Distrito {n}", [c for c in CASILLAS if c[0] == n]) for n in (1, 2)]


def totals_of(code: str, corte: int) -> Json:
    """The entry of one election in totals.json."""
    held = []
    by_party = dict.fromkeys([name for name, _, _ in OPTIONS if name != "PAN-PRI"], 0)
    for ident, entidad, territory, name, casillas in contests(code):
        votes = votes_of(casillas, code, corte)
        shared = distributed(votes)
        for option, amount in shared.items():
            by_party[option] += amount
        total = sum(votes.values())
        joint = sum(votes[option] for option in ("PAN", "PRI", "PAN-PRI"))
        people = [
            {"id": ident, "propietaria": "Una persona", "suplente": "Otra", "opciones": ["PAN", "PRI", "PAN-PRI"]}
            | {"votos": joint, "porcentaje": truncated(joint, total)}
        ]
        held.append(
            {"id": ident, "entidad": entidad, "territorio": territory, "nombre": name, "candidaturas": people}
            | {"resumen": resumen(casillas, code, corte), "votos": votes, "votos_por_partido": shared}
        )
    territories = [
        {"tipo": tipo, "entidad": 28, "id": ident, "nombre": name}
        | {"resumen": resumen(some, code, corte), "votos": votes_of(some, code, corte)}
        for tipo, ident, name, some in [
            ("entidad", 28, "TAMAULIPAS", CASILLAS),
            *(("distrito_local", n, f"Distrito {n}", [c for c in CASILLAS if c[0] == n]) for n in (1, 2)),
        ]
    ]
    state = resumen(CASILLAS, code, corte, fuera=int(has_fuera(code, corte)))
    sin_acta = sum(1 for c in CASILLAS if c[7].startswith("Sin acta") and is_shown(c, code, corte))
    actas = {"esperadas": len(CASILLAS), "capturadas": int(state["ACTAS_CAPTURADAS"]), "sin_acta": sin_acta}
    actas |= {"contabilizadas": int(state["ACTAS_CONTABILIZADAS"]), "fuera_de_catalogo": int(has_fuera(code, corte))}
    actas |= {"no_contabilizadas": actas["capturadas"] - actas["contabilizadas"]}
    votes = votes_of(CASILLAS, code, corte)
    return {"resumen": state, "actas": actas, "votos": votes, "votos_por_partido": by_party} | {
        "contiendas": held,
        "territorios": territories,
    }


# --- files ------------------------------------------------------------------------------------------------------------


def csv_bytes(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for cells in rows:
        writer.writerow(cells) if cells else out.write("\r\n")
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def official(code: str, corte: int) -> bytes:
    day, hour = TIMES[corte][:10].split("-"), TIMES[corte][11:16]
    state = resumen(CASILLAS, code, corte, fuera=int(has_fuera(code, corte)))
    rows = [[ELECTIONS[code][0]], [f"{day[2]}/{day[1]}/{day[0]} {hour} (UTC-6)"], [], SUMMARY, [*state.values()], []]
    rows += [HEADER, *(row(casilla, code, corte)[0] for casilla in CASILLAS)]
    rows += [fuera_row()] if has_fuera(code, corte) else []
    return csv_bytes(rows)


DECLARED: Json = {
    "formato": 1,
    "simulacro": False,
    "ensayo": False,
    "siglas": EDO,
    "instituto": {"nombre": "Instituto Electoral", "logo": None, "colores": ["#1A7F37"]},
    "zona": "America/Monterrey",
    "inicio": "2023-02-19T18:00:00-06:00",
    "fin": "2023-02-20T18:00:00-06:00",
    "intervalo_ms": 300_000,
    "cierra_al_completar": True,
    "puesta_en_ceros": True,
    "bitacora": {"origen": "prep.example.mx/bitacora", "politica": None},
}


def manifest_of(corte: int) -> Json:
    digest = sha(canonical(RULES)[:-1])
    rules = {"nombre": "ine-2023", "version": 1, "sha256": digest, "contenido": RULES}
    options = [
        {"posicion": position, "codigo": name, "clase": clase, "partidos": parties, "nombre": name}
        for position, (name, clase, parties) in enumerate(OPTIONS)
    ]
    elections = [
        {"codigo": code, "titulo": title, "anio": YEAR, "ambito": "local", "nivel": nivel, "opciones": options}
        | {"archivo": f"{EDO}_{code}_{YEAR}.csv", "candidaturas": f"{EDO}_{code}_CANDIDATURAS_{YEAR}.csv"}
        | {"resumen": resumen(CASILLAS, code, corte, fuera=int(has_fuera(code, corte)))}
        | {
            "contiendas": [
                {"id": ident, "entidad": entidad, "territorio": territory, "nombre": name}
                | {"boleta": [p for p in range(len(OPTIONS)) if p not in OFF_BALLOT.get((code, territory), set())]}
                for ident, entidad, territory, name, _ in contests(code)
            ]
        }
        for code, (title, nivel, _) in ELECTIONS.items()
    ]
    following = TIMES[corte + 1] if corte + 1 < len(TIMES) else None
    return {"formato": 1, "corte": corte, "fase": FASES[corte], "fecha_hora": TIMES[corte], "siguiente": following} | {
        "simulacro": False,
        "anterior": None,
        "catalogo": "",
        "declaracion": {"sha256": sha(canonical(DECLARED)[:-1]), "contenido": DECLARED},
        "reglas": dict.fromkeys(ELECTIONS, rules),
        "elecciones": elections,
        "correcciones": [
            {"acta": clave(casilla, code), "eleccion": code, "motivo": "Cotejo con el acta en papel"}
            for casilla in CASILLAS
            for code in ELECTIONS
            if (code, casilla[1], corte) in CORRECTED
            or COTEJOS.get((code, casilla[1]), (0,))[0] == corte > (casilla[5] or 0)
        ]
        + [
            {"acta": clave(casilla, code), "eleccion": code, "motivo": motive}
            for casilla in CASILLAS
            for code in ELECTIONS
            for motive, when in _withdrawn(code, casilla[1]).items()
            if when == corte
        ],
        "zip": {},
        "sitio": {name: sha(content) for name, content in SITE.items()},
    }


def _withdrawn(code: str, seccion: int) -> dict[str, int]:
    """The cortes that tell of the undoing, and that it was done again."""
    cortes = WITHDRAWN.get((code, seccion), range(0))
    return {"retiro": cortes.start, "sin_acta": cortes.stop} if cortes else {}


def people_of(code: str) -> list[list[str]]:
    """The lines of CANDIDATURAS: one for each option of the candidacy of each contest."""
    own = [] if code == "GOB" else ["ID_DISTRITO_LOCAL"]
    rows = [["ID_ENTIDAD", *own, "PARTIDO_CI", "CANDIDATURA_PROPIETARIA", "CANDIDATURA_SUPLENTE"]]
    for _, entidad, territory, _, _ in contests(code):
        place = [str(entidad), *([str(territory)] if territory else [])]
        rows += [[*place, option, "Una persona", "Otra"] for option in ("PAN", "PRI", "PAN-PRI")]
    return rows


def readme() -> str:
    lines = ["Léame"]
    for code, (title, *_) in ELECTIONS.items():
        lines += [f"{EDO}_{code}_{YEAR}.csv — {title}", f"{EDO}_{code}_CANDIDATURAS_{YEAR}.csv — candidaturas"]
        lines += [f"  {place}. {name}: una columna" for place, name in enumerate(HEADER, 1)]
        lines += [f"  {text}: un criterio" for text in TEXTS.values()]
    return "".join(f"{line}\r\n" for line in lines)


def images_of(root: Path, corte: int) -> str:
    """Write the images that appear with a corte; returns images.csv."""
    lines: list[str] = []

    def keep(data: bytes, extension: str, acta: str) -> None:
        name = f"imagenes/{sha(data)[:2]}/{sha(data)}.{extension}"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
        lines.append(f"{sha(data)},{name},{acta}\r\n")

    for code in ELECTIONS:
        for casilla in CASILLAS:
            if casilla[5] == corte and casilla[6] is not None:
                keep(image_of(casilla, code), "png", clave(casilla, code))
                keep(image_of(casilla, code, "web"), "jpg", clave(casilla, code))
    if corte in FUERA_FROM.values():
        keep(b"fuera" * 30, "jpg", "-")
    return "SHA256,ARCHIVO,CLAVE_ACTA\r\n" + "".join(sorted(lines))


def make_tree(root: Path) -> Path:
    """A whole, valid published tree of three cortes in `root`."""
    for corte in range(len(TIMES)):
        folder = root / "cortes" / f"{corte:04}"
        folder.mkdir(parents=True)
        for code in ELECTIONS:
            (folder / f"{EDO}_{code}_{YEAR}.csv").write_bytes(official(code, corte))
            (folder / f"{EDO}_{code}_CANDIDATURAS_{YEAR}.csv").write_bytes(csv_bytes(people_of(code)))
        (folder / "LEEME.txt").write_bytes(readme().encode())
        (folder / "images.csv").write_bytes(images_of(root, corte).encode())
        totals = {"formato": 1, "elecciones": {code: totals_of(code, corte) for code in ELECTIONS}}
        (folder / "totals.json").write_bytes(canonical(totals))
        (folder / "manifest.json").write_bytes(canonical(manifest_of(corte)))
    write_catalogue(root)
    for name, content in SITE.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    for code in ELECTIONS:
        (root / code / "fuera").mkdir(parents=True)
    for code in FUERA_FROM:
        (root / code / "fuera" / f"{sha(b'fuera' * 30)}.html").write_text("un acta fuera de catálogo")
    reseal(root)
    return root


def write_catalogue(root: Path) -> None:
    """The catalogue that expects what the first corte shows, and its digest in every manifest; the caller reseals."""
    folder, first = root / "catalogo", root / "cortes" / "0000"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    manifest = json.loads((first / "manifest.json").read_bytes())
    totals = json.loads((first / "totals.json").read_bytes())["elecciones"]
    elections = []
    for held in manifest["elecciones"]:
        code = held["codigo"]
        people = {
            contest["id"]: [
                {name: each[name] for name in ("id", "propietaria", "suplente", "opciones")}
                for each in contest["candidaturas"]
            ]
            for contest in totals[code]["contiendas"]
        }
        elections.append(
            {name: held[name] for name in ("codigo", "titulo", "anio", "ambito", "nivel", "opciones")}
            | {"reglas": manifest["reglas"][code]["sha256"]}
            | {"contiendas": [contest | {"candidaturas": people[contest["id"]]} for contest in held["contiendas"]]}
        )
        text = (first / held["archivo"]).read_bytes().decode("utf-8-sig")
        head, *rows = list(csv.reader(io.StringIO(text, newline="")))[6:]
        places = [*range(12), head.index("LISTA_NOMINAL"), head.index("REPRESENTANTES_PP_CI")]
        lines = [[*(head[place] for place in places), "BOLETAS_MAXIMAS"]]
        for cells in rows:
            most = BALLOTS if cells[8] == "S" else ""
            lines += [[*(cells[place] for place in places), str(most)]] if cells[0] != "-" else []
        (folder / f"actas_{code}.csv").write_bytes(csv_bytes(lines))
    told = {"formato": 1, "fuente": {"casillas.csv": sha(b"casillas")}, "elecciones": elections}
    (folder / "catalogo.json").write_bytes(canonical(told))
    list_catalogue(root)


def list_catalogue(root: Path) -> None:
    """List the present files of the catalogue again, and name that list in every manifest."""
    seal(root / "catalogo")
    name_catalogue(root)


def name_catalogue(root: Path) -> None:
    """Put the digest of the list that is there into every manifest."""
    digest = sha((root / "catalogo" / "SHA256SUMS").read_bytes())
    for path in sorted((root / "cortes").glob("*/manifest.json")):
        path.write_bytes(canonical(json.loads(path.read_bytes()) | {"catalogo": digest}))


def make_zip(root: Path, number: int, manifest: Json) -> str:
    folder = root / "cortes" / f"{number:04}"
    stamp = manifest["fecha_hora"][:10].replace("-", "") + "_" + manifest["fecha_hora"][11:16].replace(":", "")
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        for election in manifest["elecciones"]:
            inner = io.BytesIO()
            with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as packed:
                for name in (election["archivo"], election["candidaturas"], "LEEME.txt"):
                    packed.writestr(name, (folder / name).read_bytes())
            archive.writestr(f"{stamp}_PREP_{election['codigo']}_{EDO}.zip", inner.getvalue())
    name = f"zip/{stamp}_PREP_{EDO}.zip"
    (root / "zip").mkdir(exist_ok=True)
    (root / name).write_bytes(outer.getvalue())
    return name


def reseal(root: Path, *, zips: bool = True, sums: bool = True, pages: bool = True, data: bool = True) -> None:
    """Make digests, ZIPs, the chain of cortes, the index and the pages agree with the present files."""
    from tests.makers.page_maker import write_pages  # it needs the names of this file

    # Files that a cheat broke have no pages to agree with.
    with contextlib.suppress(LookupError, ValueError, TypeError, OSError, RecursionError):
        if pages:
            write_pages(root)
    if zips:
        shutil.rmtree(root / "zip", ignore_errors=True)
    before = None
    named: list[Json] = []
    if data:
        shutil.rmtree(root / "datos", ignore_errors=True)
    for folder in sorted((root / "cortes").iterdir()):
        path = folder / "manifest.json"
        manifest = json.loads(path.read_bytes())
        manifest["anterior"] = before
        manifest.pop("datos", None)
        if named:
            manifest["datos"] = named
        if zips:
            manifest["zip"] = {"archivo": make_zip(root, manifest["corte"], manifest)}
        archive = (root / manifest["zip"]["archivo"]).read_bytes()
        manifest["zip"] |= {"sha256": sha(archive), "bytes": len(archive)}
        path.write_bytes(canonical(manifest))
        if sums:
            seal(folder)
        before = {"corte": manifest["corte"], "sha256sums": sha((folder / "SHA256SUMS").read_bytes())}
        named = (
            [{"corte": manifest["corte"], "sha256sums": digest}] if (digest := data_of(root, folder, make=data)) else []
        )
        listed = [
            {"codigo": election["codigo"], "titulo": election["titulo"], "pagina": f"{election['codigo']}/index.html"}
            for election in manifest["elecciones"]
        ]
        index = {key: manifest[key] for key in ("formato", "simulacro", "fase", "corte", "fecha_hora", "siguiente")}
        index |= {"carpeta": f"cortes/{folder.name}", "sha256sums": before["sha256sums"], "elecciones": listed}
        (root / "index.json").write_bytes(canonical(index))


def data_of(root: Path, folder: Path, *, make: bool) -> str:
    """Make the clean data of a corte, as everybody can who has it; the digest of their list, "" if there is none."""
    from publisher import data  # the only part of this tree that the publisher's own program makes

    # A corte that a cheat broke gives no clean data.
    with contextlib.suppress(LookupError, ValueError, TypeError, OSError, RecursionError, Malformed):
        return data.make(root, int(folder.name)) if make else data.data_lists(root, below=10_000)[int(folder.name)]
    return ""


def seal(folder: Path) -> None:
    names = sorted(file.name for file in folder.iterdir() if not file.name.startswith("SHA256SUMS"))
    lines = [f"{sha((folder / name).read_bytes())}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))
