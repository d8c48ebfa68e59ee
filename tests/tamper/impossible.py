"""More ways of cheating: cells, fields and files that cannot be, or that contradict each other; pages; instructions.

Every digest, seal and proof of these trees is right. The fault is in the files themselves. `CELLS`, `FIELDS`
and `FILES` are what a publisher's own gate must stop too (`tests/quick/test_gate.py`).
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.makers.tree_maker import Json
from tests.quick.test_integrity_verify import DIP, GOB, cells, corte, edit, replace

Does = Callable[[Path, Any], object]
ACTA, SIN_ACTA, PLAIN = "'280749B01001'", "'280902B01001'", "'280749C01001'"
PEOPLE = "TAMPS_GOB_CANDIDATURAS_2023.csv"
ALL, SHOWN = (0, 1, 2), (1, 2)


def _cells(acta: str, cortes: tuple[int, ...] = SHOWN, file: str = GOB, **changed: str) -> Does:
    """The same cells in every corte that shows them: no change from one corte to the next gives the cheat away."""

    def act(root: Path, _: Any) -> None:
        for number in cortes:
            cells(root, file, acta, changed, number=number)

    return act


def _in_line(file: str, old: str, new: str, cortes: tuple[int, ...] = SHOWN) -> Does:
    def act(root: Path, _: Any) -> None:
        for number in cortes:
            replace(corte(root, number) / file, old, new)

    return act


def _fields(name: str, change: Callable[[Json], object], cortes: tuple[int, ...] = ALL) -> Does:
    def act(root: Path, _: Any) -> None:
        for number in cortes:
            edit(corte(root, number) / name, change)

    return act


def _election(change: Callable[[Json], object]) -> Does:
    """In the manifests of all cortes: the entry of GOB."""
    return _fields("manifest.json", lambda held: change(next(e for e in held["elecciones"] if e["codigo"] == "GOB")))


def _contest(**changed: Any) -> Does:
    return _election(lambda election: election["contiendas"][0].update(changed))


def _candidacy(change: Callable[[Json], object], cortes: tuple[int, ...] = ALL) -> Does:
    """In totals.json: the candidacy of GOB."""
    return _fields(
        "totals.json", lambda held: change(held["elecciones"]["GOB"]["contiendas"][0]["candidaturas"][0]), cortes
    )


def _correct(acta: str, number: int, reason: str = "Cotejo") -> Does:
    held = {"acta": acta, "eleccion": "GOB", "motivo": reason}
    return _fields("manifest.json", lambda manifest: manifest["correcciones"].append(held), (number,))


def _write(name: str, change: Callable[[bytes], bytes], cortes: tuple[int, ...] = ALL) -> Does:
    def act(root: Path, _: Any) -> None:
        for number in cortes:
            path = corte(root, number) / name
            before = path.read_bytes()
            path.write_bytes(change(before))
            assert path.read_bytes() != before

    return act


def _page(path: str, old: str, new: str, times: int = 1) -> Does:
    return lambda root, _: replace(root / path, old, new, times)


def _page_line(path: str, told: str, change: Callable[[str], str]) -> Does:
    """The line of a page with that figure."""

    def act(root: Path, _: Any) -> None:
        text = (root / path).read_text()
        found = next(line for line in text.splitlines(keepends=True) if f'{told}"' in line)
        (root / path).write_text(text.replace(found, change(found)))

    return act


def _other_image(root: Path, _: Any) -> None:
    """The page of one acta shows the image of another."""
    one, other = root / "GOB/280749B01001.html", root / "GOB/280749C01001.html"
    shown = [re.search(r"imagenes/[^\"]*", path.read_text()) for path in (one, other)]
    assert shown[0] is not None
    assert shown[1] is not None
    replace(one, shown[0][0], shown[1][0])


def _old_pages(root: Path, _: Any) -> None:
    """The numbers of an earlier hour: no acta is captured yet."""
    text = (root / "index.html").read_text()
    (root / "index.html").write_text(re.sub(r'value="\d+"( data-de="GOB:[^"]*")>[\d,]*<', r'value="0"\1>0<', text))


def _extra_candidacy(held: Json) -> None:
    contest = held["elecciones"]["GOB"]["contiendas"][0]
    contest["candidaturas"].append({**contest["candidaturas"][0], "propietaria": "Alguien más"})


def _stranger_image(root: Path, _: Any) -> None:
    """An image listed for an acta that no row shows."""
    path = corte(root, 1) / "images.csv"
    lines = path.read_bytes().split(b"\n")
    at = next(number for number, line in enumerate(lines) if re.search(rb",28\d{4}[A-Z]\d{5}\r?$", line))
    lines.insert(at + 1, re.sub(rb",28\d{4}[A-Z]\d{5}(\r?)$", rb",289999B01001\1", lines[at]))
    path.write_bytes(b"\n".join(lines))


CELLS: dict[str, Does] = {
    "a casilla básica without lista nominal, and 925 votes": _cells(
        ACTA, LISTA_NOMINAL="0", PAN="860", TOTAL_VOTOS_CALCULADO="925"
    ),
    "a lista nominal of eight digits": _cells(ACTA, ALL, LISTA_NOMINAL="12345678"),
    "representatives of eight digits": _cells(ACTA, ALL, REPRESENTANTES_PP_CI="12345678"),
    "an acopio on day 99 of month 99": _cells(ACTA, FECHA_HORA_ACOPIO="99/99/9999 99:99:99"),
    "a capture on 30 February": _cells(ACTA, FECHA_HORA_CAPTURA="30/02/2023 19:13:28"),
    "a verification at 24 hours": _cells(ACTA, FECHA_HORA_VERIFICACION="19/02/2023 24:00:00"),
    "an acopio in another century": _cells(ACTA, FECHA_HORA_ACOPIO="19/02/1923 19:13:28"),
    "verified before it was captured": _cells(ACTA, FECHA_HORA_VERIFICACION="19/02/2023 19:13:27"),
    "verified a year before it was captured": _cells(ACTA, FECHA_HORA_VERIFICACION="19/12/2022 23:00:00"),
    "an image that never came in": _cells(ACTA, FECHA_HORA_ACOPIO="-"),
    "captured by nobody at no hour": _cells(ACTA, FECHA_HORA_CAPTURA="-", FECHA_HORA_VERIFICACION="-"),
    "brought twice in one way": _cells(ACTA, MECANISMOS_TRASLADO="DD"),
    "brought in a way that there is not": _cells(ACTA, MECANISMOS_TRASLADO="X"),
    "an image from nowhere": _cells(ACTA, ORIGEN="-"),
    "an image taken with nothing": _cells(ACTA, DIGITALIZACION="-"),
    "an image taken by fax": _cells(ACTA, DIGITALIZACION="Fax"),
    "a document that there is not": _cells(ACTA, TIPO_DOCUMENTO="Acta de otra elección"),
    "a document without a name": _cells(ACTA, TIPO_DOCUMENTO=""),
    "a cotejo of another kind": _cells(ACTA, COTEJADA="7"),
    "boletas sobrantes of eight digits": _cells(ACTA, TOTAL_BOLETAS_SOBRANTES="12345678"),
    "a written total in words": _cells(ACTA, TOTAL_VOTOS_ASENTADO="ciento sesenta y cinco"),
    "an acta of no type": _cells(ACTA, ALL, TIPO_ACTA=""),
    "a casilla of a type that there is not": _cells(ACTA, ALL, TIPO_CASILLA="Z"),
    "a casilla básica of no sección": _cells(ACTA, ALL, SECCION="N/A"),
    "two names for one district": _cells(ACTA, ALL, DISTRITO_LOCAL="Distrito del norte"),
    "two names for one entidad": _cells(ACTA, ALL, ENTIDAD="TAMAULIPAS DEL NORTE"),
    "an acta that never came, with a document of its own": _cells(SIN_ACTA, (2,), TIPO_DOCUMENTO="Recado"),
    "an acta that never came, brought twice": _cells(SIN_ACTA, (2,), MECANISMOS_TRASLADO="II"),
    "an acta fuera de catálogo of a sección in words": _in_line(DIP, ",1124,2,C,", ",sección 1124,2,C,"),
    "an acta fuera de catálogo from nowhere": _in_line(DIP, ",CASILLA,Móvil,-,-", ",-,Móvil,-,-"),
}
FIELDS: dict[str, Does] = {
    "a ballot that holds no vote": _contest(votos_por_boleta=0),
    "a ballot that holds a thousand votes": _contest(votos_por_boleta=1000),
    "a ballot without null votes": _contest(boleta=[0, 1, 2, 3, 4]),
    "a ballot with a coalition without its party": _contest(boleta=[0, 2, 3, 4, 5]),
    "an office of the entidad that a district elects": _contest(territorio=1),
    "a contest without a name": _contest(nombre=""),
    "two columns of null votes": _election(lambda election: election["opciones"][4].update(clase="nulos")),
    "a party that joins another": _election(lambda election: election["opciones"][2].update(partidos=[0])),
    "an option whose code is no code": _election(lambda election: election["opciones"][2].update(codigo="P V E M")),
    "an election of the year 1": _election(lambda election: election.update(anio=1)),
    "a title of two lines": _election(lambda election: election.update(titulo="Gubernatura\nde verdad")),
    "a text for a criterion that there is not": _fields(
        "manifest.json", lambda held: held["reglas"]["GOB"]["contenido"]["texts"].update(otro="Otro motivo")
    ),
    "an acta corrected that is in no row": _correct("280999B01001", 2),
    "an acta corrected in corte 0": _correct("280749B01001", 0),
    "an acta corrected for no reason": _correct("280749B01001", 2, ""),
    "one acta corrected twice": lambda root, night: [_correct("280749C01001", 2)(root, night) for _ in range(2)],
    "a territory of another name in totals.json": _fields(
        "totals.json", lambda held: held["elecciones"]["GOB"]["territorios"][1].update(nombre="Distrito del norte")
    ),
    "a candidacy without a name": _candidacy(lambda held: held.update(propietaria="")),
    "a candidacy without an option": _candidacy(lambda held: held.update(opciones=[], votos=0, porcentaje="0.0000")),
    "another candidate in the last corte": _candidacy(lambda held: held.update(propietaria="Otra persona"), (2,)),
    "two candidacies of one number": _fields("totals.json", _extra_candidacy),
}  # fmt: skip
FILES: dict[str, Does] = {
    "an empty CANDIDATURAS": _write(PEOPLE, lambda _: b""),
    "a CANDIDATURAS of columns alone": _write(PEOPLE, lambda held: held.split(b"\r\n")[0] + b"\r\n"),
    "another person in CANDIDATURAS": _write(
        PEOPLE, lambda held: held.replace(b"Una persona", b"Un extra\xc3\xb1o", 1)
    ),
    "an option of another candidacy in CANDIDATURAS": _write(PEOPLE, lambda held: held.replace(b",PRI,", b",PVEM,", 1)),
    "two lines of CANDIDATURAS in another order": _write(
        PEOPLE, lambda held: b"\r\n".join([(lines := held.split(b"\r\n"))[0], lines[2], lines[1], *lines[3:]])
    ),
    "CANDIDATURAS with other line ends": _write(PEOPLE, lambda held: held.replace(b"\r\n", b"\n")),
    "an empty LEEME.txt": _write("LEEME.txt", lambda _: b""),
    "a LEEME.txt that leaves a column out": _write(
        "LEEME.txt", lambda held: held.replace(b"  28. CONTABILIZADA: una columna\r\n", b"")
    ),
    "a LEEME.txt that is no text": _write("LEEME.txt", lambda held: held.replace("Léame".encode(), b"\xff\xfe")),
    "an image of an acta that no row shows": _stranger_image,
}

PAGES: dict[str, Does] = {
    "votes on the home page": _page_line("index.html", "GOB:partido/PAN", lambda line: re.sub(r"\d+", "9", line)),
    "votes on the home page for eyes only": _page_line(
        "index.html", "GOB:partido/PAN", lambda line: re.sub(r">[\d,]+<", ">9,999<", line)
    ),
    "the names of two parties exchanged on the home page": _page_line(
        "index.html", "GOB:partido/PAN", lambda line: line.replace(">PAN<", ">PRI<")
    ),
    "a party left out of the home page": _page_line("index.html", "GOB:partido/PVEM", lambda _: ""),
    "the home page of an hour ago": _old_pages,
    "a percentage on an election's page": _page_line(
        "GOB/index.html", "GOB:contabilizadas%esperadas", lambda line: re.sub(r"\d+\.\d{4}", "99.9999", line)
    ),
    "the name of a candidate on an election's page": _page("GOB/index.html", "Una persona", "Otra persona"),
    "votes of a candidacy that there is not": _page_line(
        "GOB/index.html", "GOB/contienda/1:candidatura/1", lambda line: line.replace("candidatura/1", "candidatura/7")
    ),
    "votes on a district's page": _page_line(
        "GOB/lugar-28-1.html", "GOB/lugar/28-1:opcion/PRI", lambda line: re.sub(r"\d+,?\d*(?=<)", "1", line)
    ),
    "an acta left out of the list of its district": _page_line(
        "GOB/lugar-28-1.html", "GOB/acta/280749B01001:CONTABILIZADA", lambda _: ""
    ),
    "votes on an acta's page": _page_line(
        "GOB/280749B01001.html", "GOB/acta/280749B01001:PAN", lambda line: line.replace("100", "900")
    ),
    "an acta's page that says that it does not count": _page_line(
        "GOB/280749B01001.html", "GOB/acta/280749B01001:CONTABILIZADA", lambda line: line.replace(">Cont", ">No cont")
    ),
    "an acta's page with the image of another acta": _other_image,
    "the page of another acta in its place": lambda root, _: shutil.copy(
        root / "GOB/280749C01001.html", root / "GOB/280749B01001.html"
    ),
    "a page that runs a program": _page("index.html", "</body>", "<script>document.title='x'</script></body>"),
    "a page that acts when it is touched": _page("index.html", "<body>", '<body onclick="x()">'),
    "a page with a style of its own": _page("index.html", "</head>", "<style>td{display:none}</style></head>"),
    "a page with the style of another site": _page("index.html", 'href="estilo.css"', 'href="//otro.mx/estilo.css"'),
    "a figure of nothing added to a page": _page("index.html", "</body>", "<p>Ventaja: 45,000 votos</p></body>"),
    "a page of an election that says that it is a simulacro": _page(
        "index.html", "<body>", '<body><p class="simulacro" role="note"><strong>Simulacro.</strong></p>'
    ),
}  # fmt: skip
CONSTANTS: dict[str, Does] = {
    "other instructions in VERIFICA.txt": lambda root, _: replace(root / "VERIFICA.txt", "sha256sum", "true #"),
    "a verificar.html that approves everything": lambda root, _: (root / "verificar.html").write_text("<p>Todo bien</p>"),
    "a schema that gives a field another meaning": lambda root, _: (root / "esquemas" / "index.json").write_text("{}"),
    "a style that hides a row": lambda root, _: (root / "estilo.css").write_text("tr:first-child{display:none}"),
    "VERIFICA.txt dropped": lambda root, _: (root / "VERIFICA.txt").unlink(),
}  # fmt: skip
