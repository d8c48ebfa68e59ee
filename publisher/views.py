"""The values on the pages: which figure stands where, under which name, and the words around it.

A figure is a tuple of its value and its name for verifiers (`docs/tree.md`, Pages). All sums come from
`figures`; this file computes none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

from markupsafe import Markup

from integrity.layout import image_path, section_block, section_page
from prep.domain import row as official_row
from prep.domain.acta import Estado
from prep.domain.catalog import Candidacy, Clase, Contest, Election, ElectionId, Option, TipoCasilla, read_identity
from prep.domain.corte import Before, Fuera
from prep.domain.entry import NUMBER, Mark
from prep.domain.row import WORDS
from prep.domain.rules import SIN_ACTA, Observation, RuleSet
from publisher import charts
from publisher import figures as out
from publisher.figures import Figures, Sum
from publisher.places import as_words

Place = tuple[int, int]
CASILLAS: Final[Mapping[str, str]] = MappingProxyType(
    {
        TipoCasilla.BASICA: "básica",
        TipoCasilla.CONTIGUA: "contigua",
        TipoCasilla.EXTRAORDINARIA: "extraordinaria",
        TipoCasilla.ESPECIAL: "especial",
        TipoCasilla.EXTRANJERO: "voto en el extranjero",
        TipoCasilla.PRISION_PREVENTIVA: "prisión preventiva",
        TipoCasilla.PRISION_VOTO: "prisión preventiva",
        TipoCasilla.VOTO_ANTICIPADO: "voto anticipado",
        TipoCasilla.URNA_ELECTRONICA: "urna electrónica",
    }
)
_HEADER: Final = ("Boletas sobrantes", "Personas que votaron", "Representantes que votaron", "Votos sacados de la urna")
_WORDS: Final = MappingProxyType({Clase.NO_REGISTRADAS: "Candidaturas no registradas", Clase.NULOS: "Votos nulos"})
_NEUTRAL: Final = MappingProxyType({Clase.NO_REGISTRADAS: "#8d949c", Clase.NULOS: "#62696f"})
_COTEJADA: Final = ("no", "aceptada", "aceptada después de un cambio", "en corrección")
_SIN_ACTA_CODES: Final = frozenset(code.value for code in SIN_ACTA)
REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Observation.EXCEDE: "Los votos pasan de la lista nominal más los representantes: no se contabiliza.",
        Observation.TODOS_ILEGIBLES: "Ningún voto se puede leer: no se contabiliza.",
        Observation.TODOS_VACIOS: "Todos los espacios de votos están en blanco: no se contabiliza.",
        Observation.TODOS_SIN_NUMERO: "Ningún espacio de votos tiene un número: no se contabiliza.",
        Observation.ILEGIBLE: "Una o más cantidades están escritas y no se pueden leer; suman cero.",
        Observation.SIN_DATO: "Uno o más espacios están en blanco; suman cero, y no es lo mismo que un cero escrito.",
        Observation.SIN_ACTA_1: "El paquete electoral no se entregó.",
        Observation.SIN_ACTA_2: "La casilla no se instaló.",
        Observation.SIN_ACTA_3: "El paquete llegó sin el sobre del PREP.",
        Observation.SIN_ACTA_4: "Hubo una contingencia con la urna electrónica.",
        Observation.PROCESO_TECNICO: "Dos personas la identificaron por otro procedimiento válido.",
        Observation.FUERA_DE_CATALOGO: "No se puede asociar a una casilla aprobada: no se contabiliza.",
    }
)
CHANGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "captura": "se capturó",
        "recaptura": "se capturó otra vez, de una imagen mejor o para corregirla",
        "sin_acta": "se registró que no hay acta",
        "cotejo": "se comparó con el acta en papel",
        "retiro": "dos personas retiraron lo publicado: el acta vuelve a esperarse",
    }
)
WAITING: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        Estado.ESPERADA: (
            "Todavía no llega",
            (
                "El PREP no ha recibido ninguna imagen de esta acta; o recibió una cuyo código no se lee, y dos "
                "personas la están identificando."
            ),
        ),
        Estado.ACOPIADA: ("Recibida", "Su imagen llegó y está segura; se prepara para que la capturen."),
        Estado.DIGITALIZADA: ("En espera de captura", "Su imagen se ve bien; espera a la primera de dos personas."),
        Estado.CAPTURADA: (
            "En captura y verificación",
            "Una persona la capturó; otra la captura sin ver lo que puso la primera, y deben coincidir.",
        ),
        Estado.VERIFICADA: ("Verificada", "Dos personas coincidieron; sale en el siguiente corte."),
        Estado.PUBLICADA: ("En revisión", "Se publicó, y se está capturando otra vez."),
        Estado.COTEJADA: ("En revisión", "Se publicó, y se está revisando."),
    }
)
"""Why an acta is not out yet, by its state: a few words, and a sentence."""


def thousands(number: int) -> str:
    """The number with commas, as Mexican readers write it."""
    return f"{number:,}"


# Elections and contests


@dataclass(frozen=True, slots=True)
class VoteLine:
    """A row of a table of votes."""

    name: str
    detail: str
    votes: int
    figure: str
    colour: str


def colours(election: Election) -> dict[int, str]:
    """The colour of each option: the catalogue's, else one of ours; a combination has that of its first party."""
    found: dict[int, str] = {}
    own = (each for each in charts.FALLBACK * (1 + len(election.options) // len(charts.FALLBACK)))
    for option in election.options:
        if option.colour or option.clase in _NEUTRAL or option.code in charts.KNOWN:
            found[option.position] = option.colour or _NEUTRAL.get(option.clase) or charts.KNOWN[option.code]
        elif option.clase is Clase.COALICION and option.parties[0] in found:
            found[option.position] = found[option.parties[0]]
        else:
            found[option.position] = next(own)
    return found


def option_name(option: Option) -> str:
    return _WORDS.get(option.clase, option.code)


def by_candidacy(figures: Figures, contest: Contest, total: Sum) -> list[VoteLine]:
    """Candidacies, most votes first; then everything that counts for none of them, so that the table adds up."""
    election, painted = figures.election, colours(figures.election)
    counted: set[int] = set()
    lines = []
    for number, candidacy, votes in figures.candidacies(contest, total.votes):
        counted |= {*candidacy.options}
        names = " · ".join(_own_options(election, candidacy))
        lines.append(
            VoteLine(candidacy.propietario, names, votes, f"candidatura/{number}", painted[candidacy.options[0]])
        )
    lines.sort(key=lambda line: -line.votes)  # stable: with equal votes the order of the ballot stays
    rest = [election.options[at] for at in contest.ballot if at not in counted]
    return [
        *lines,
        *(
            VoteLine(option_name(each), "", total.votes[each.position], f"opcion/{each.code}", painted[each.position])
            for each in rest
        ),
    ]


def _own_options(election: Election, candidacy: Candidacy) -> list[str]:
    """The parties of a candidacy; that their combinations count for it too is said once, under the table."""
    own = [at for at in candidacy.options if election.options[at].clase is not Clase.COALICION]
    return [election.codes[at] for at in own or candidacy.options]


def by_party(election: Election, shares: Mapping[str, int]) -> list[VoteLine]:
    """Coalition votes distributed; in the order of the ballot, as the official files have it."""
    painted = colours(election)
    return [
        VoteLine(
            option_name(option),
            "" if option.name in {"", option.code} else option.name,
            shares[option.code],
            f"partido/{option.code}",
            painted[option.position],
        )
        for option in election.options
        if option.code in shares
    ]


def by_option(election: Election, total: Sum, ballot: Iterable[int]) -> list[VoteLine]:
    """Every row of the ballot, combinations by themselves, as the actas have them."""
    painted, shown = colours(election), {*ballot}
    return [
        VoteLine(option_name(each), "", total.votes[each.position], f"opcion/{each.code}", painted[each.position])
        for each in election.options
        if each.position in shown
    ]


def standing(figures: Figures, contest: Contest, total: Sum) -> dict[str, Any]:
    """Who is ahead in a contest, who follows, by how much, and how much is missing there."""
    painted = colours(figures.election)
    ranked = sorted(figures.candidacies(contest, total.votes), key=lambda each: -each[2])
    most, second = [*(each[2] for each in ranked[:2]), 0, 0][:2]
    ahead = most > second
    alone = ahead and second > 0 and sum(each[2] == second for each in ranked) == 1

    def named(each: tuple[int, Candidacy, int] | None, votes: int) -> dict[str, Any]:
        if each is None:
            return {"id": 0, "name": "Empate" if votes else "Sin votos aún", "colour": "", "options": ""}
        codes = " · ".join(_own_options(figures.election, each[1]))
        colour = painted[each[1].options[0]]
        return {"id": each[0], "name": each[1].propietario, "colour": colour, "options": codes}

    return {
        "first": named(ranked[0] if ahead else None, most),
        "second": named(ranked[1] if alone else None, second),
        "most": most,
        "next": second,
        "difference": most - second,
    }


def patterns(figures: Figures) -> dict[str, int]:
    """The pattern of each force on maps, by the options that count for it; the same in every corte of a night."""
    election = figures.election
    forces = {
        tuple(candidacy.options): " · ".join(_own_options(election, candidacy))
        for contest, total in figures.contests
        for _, candidacy, _ in figures.candidacies(contest, total.votes)
    }
    found: dict[str, int] = {}
    for options in sorted(forces):
        found.setdefault(forces[options], len(found))
    return found


def on_map(line: Mapping[str, Any]) -> charts.PlaceOnMap:
    """What a map shows of a line of `ElectionPages`."""
    first, counts = line["standing"]["first"], line["counts"]
    said = f"{first['options']} lleva la delantera" if first["id"] else first["name"].lower()
    early = bool(first["id"]) and 2 * counts.capturadas < counts.esperadas
    return charts.PlaceOnMap(line["page"], f"{line['name']}: {said}", first["colour"], line["pattern"], early)


def contest_view(figures: Figures, contest: Contest, total: Sum) -> dict[str, Any]:
    """Votes of one contest: by candidacy, by party, by combination."""
    election = figures.election
    combined = any(election.options[at].clase is Clase.COALICION for at in contest.ballot)
    return {
        "name": contest.name,
        "of": f"{election.code}/contienda/{contest.id}",
        "counts": total.counts,
        "total": total.counts.votos_con_especiales,
        "standing": standing(figures, contest, total),
        "candidacies": by_candidacy(figures, contest, total) if figures.candidacies(contest, total.votes) else [],
        "parties": by_party(election, figures.distributed(contest, total.votes)),
        "combinations": by_option(election, total, contest.ballot) if combined else [],
    }


def election_view(figures: Figures, *, file: str, candidates_file: str) -> dict[str, Any]:
    """The values for a whole election."""
    election = figures.election
    # Votes by party of the whole election: the sum over its contests (domain.md §4).
    shares: dict[str, int] = {}
    for contest, total in figures.contests:
        for code, votes in figures.distributed(contest, total.votes).items():
            shares[code] = shares.get(code, 0) + votes
    single = len(figures.contests) == 1
    return {
        "election": election,
        "counts": figures.whole.counts,
        "summary": figures.summary(),
        "total": figures.whole.counts.votos_con_especiales,
        "parties": by_party(election, shares),
        "combinations": by_option(election, figures.whole, range(len(election.options)))
        if any(option.clase is Clase.COALICION for option in election.options)
        else [],
        # An election with one contest shows it on its own page.
        "single": contest_view(figures, *figures.contests[0]) if single else None,
        "contests": len(figures.contests),
        "file": file,
        "candidates_file": candidates_file,
    }


def leads(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """In how many places each force is ahead, most first: forces are told apart by the options that count for them."""
    of = Counter(
        (line["standing"]["first"]["options"], line["standing"]["first"]["colour"], line["pattern"]) for line in lines
    )
    undecided = sum(number for (options, _, _), number in of.items() if not options)
    found = [
        {"name": options, "colour": colour, "pattern": pattern, "places": number}
        for (options, colour, pattern), number in of.most_common()
        if options
    ]
    nobody = {"name": "Empate, o sin votos aún", "colour": charts.NOBODY, "pattern": 0, "places": undecided}
    return found + ([nobody] if undecided else [])


def history_view(code: str, history: Sequence[Before]) -> dict[str, Any]:
    """The advance of an election, corte by corte: a drawing and its table."""
    told = [each for each in history if code in each.counts]
    captured = [int(each.counts[code]["ACTAS_CAPTURADAS"]) for each in told]
    counted = [int(each.counts[code]["ACTAS_CONTABILIZADAS"]) for each in told]
    expected = int(told[-1].counts[code]["ACTAS_ESPERADAS"]) if told else 0
    moments = [int(each.at.timestamp()) for each in told]
    # A long night has hundreds of cortes: the drawing has all, the table about forty and always the last.
    step = 1 + len(told) // 40
    chosen = [each for at, each in enumerate(reversed(told)) if at % step == 0]
    series = (("capturadas", captured), ("contabilizadas", counted))
    last = told[-1] if told else None
    before = told[-2] if len(told) > 1 else None
    moved = {}
    if last and before:
        moved = {
            name: int(last.counts[code][name]) - int(before.counts[code][name])
            for name in ("ACTAS_CAPTURADAS", "ACTAS_CONTABILIZADAS", "TOTAL_VOTOS_C_CS")
        }
    return {
        "drawing": charts.lines(series, moments, expected) if len(told) > 1 else Markup(),
        "rows": [
            {"number": each.number, "at": each.at, "counts": each.counts[code], "of": f"{code}/corte/{each.number}"}
            for each in chosen
        ],
        "first": told[0].at if told else None,
        "moved": moved,
        "before": before.number if before else None,
        "of": f"{code}/corte/{last.number}" if last else "",
        "left_out": step > 1,
    }


# Actas


def casilla_name(record: Mapping[str, Any]) -> str:
    """«Sección 0749, casilla básica 1»."""
    name = own_name(record)
    return f"Sección {record['seccion']:04}, {name[:1].lower()}{name[1:]}" if record["seccion"] else name


def own_name(record: Mapping[str, Any]) -> str:
    """«Casilla básica 1»."""
    name = f"Casilla {CASILLAS[record['tipo']]} {record['numero']}"
    if record["ext_contigua"]:
        name += f" contigua {record['ext_contigua']}"
    return name


def acta_state(record: Mapping[str, Any]) -> tuple[str, str]:
    """A class of the style sheet, and the words for it."""
    if record["contabilizada"] is None:
        return "missing", "Por capturar"
    if record["contabilizada"]:
        return "counted", "Contabilizada"
    # Sin acta is a kind of its own: captured, not counted, and no paper to read (domain.md §10, Michoacán 2024).
    absent = _SIN_ACTA_CODES & {*record["observations"]}
    return ("absent", "Sin acta") if absent else ("refused", "No contabilizada")


def shown_observations(rules: RuleSet, codes: Sequence[str] | None) -> str:
    return rules.published(tuple(map(Observation, codes))) if codes else ""


def at_casilla(clave: str, root: str = "../") -> str:
    """The address of a casilla on the page of its sección, from any clave of it."""
    return f"{root}{section_page(int(clave[:2]), int(clave[2:6]))}#c{clave[:11]}"


class ActaViews:
    """The values of the pages of actas of one election."""

    def __init__(self, figures: Figures, rules: RuleSet, zone: tzinfo) -> None:
        self._election, self._rules, self._zone = figures.election, rules, zone
        self._code = figures.election.code
        self._ballots = {contest.id: contest.votes_per_ballot for contest, _ in figures.contests}
        painted = colours(figures.election)
        self._votes = [
            (_WORDS.get(each.clase, each.name or each.code), each.code, painted[each.position])
            for each in figures.election.options
        ]
        # As they stand on a page: made once, for half a million actas.
        self._labels = {code: charts.swatch(colour) + name for name, code, colour in self._votes}

    def view(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """`record` is a row of `cortes.pages`, with its `captures` and the versions `before` it."""
        fields = _texts(record)
        codes = self._election.codes
        columns = (*official_row.HEADER, *codes, official_row.TOTALS[0])
        # Options that are not on this ballot are left out of the page.
        on_ballot = [letter != Mark.NO_EN_BOLETA for letter in record["marks"][4:-1]]
        votes = [each[1] for each, there in zip(self._votes, on_ballot, strict=False) if there] if fields else []
        image = record["image"]
        kind, state = acta_state(record)
        cells = dict(zip(columns, fields, strict=False)) | _shown_cells(record, self._zone)
        return {
            "name": casilla_name(record),
            "clave": record["clave"],
            "of": f"{self._code}/acta/{record['clave']}",
            "cells": cells,
            "kind": kind,
            "state": state,
            "observations": shown_observations(self._rules, record["observations"]),
            "reasons": list(self._reasons(record, fields)),
            "excede": self._excede(record),
            "votes": [(self._labels[code], code) for code in votes],
            "header": list(zip(_HEADER, official_row.HEADER, strict=True)) if fields else [],
            "sha256": image.hex() if image else "",
            "original": image_path(image.hex(), out.extension(record["format"])) if image else "",
            "image": image_path(record["web"].hex(), "jpg") if record["web"] else "",
            "size": (record["width"], record["height"]) if record["web"] and record["width"] else None,
            "facts": list(_facts(record, cells)),
            "way": list(_way(record)),
            "at_section": at_casilla(record["clave"]),
            "previous": at_casilla(record["previous"]) if record["previous"] else "",
            "next": at_casilla(record["next"]) if record["next"] else "",
            "captures": record["captures"],
            "change": CHANGES.get(record["reason"], ""),
            "versions": [self._version(each, record) for each in record["before"]],
        }

    def _reasons(self, record: Mapping[str, Any], fields: Sequence[str]) -> Iterable[str]:
        """Each observation in words, with the fields that it is about."""
        for code in record["observations"]:
            sentence = REASONS.get(code, "")
            word = {Observation.ILEGIBLE: "Ilegible", Observation.SIN_DATO: "Sin dato"}.get(code)
            if word:
                which = [each[0] for each, text in zip(self._votes, fields[4:-1], strict=False) if text == word]
                sentence += f" Son: {', '.join(which)}." if which else ""
            if sentence:
                yield sentence

    def _excede(self, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the rule of the lista nominal compares, if the acta is over it."""
        if Observation.EXCEDE not in record["observations"]:
            return None
        listed = record["lista_nominal"] > 0 or record["tipo"] in {"B", "C", "E"}
        return {"listed": listed, "ballots": self._ballots.get(record["contest"], 1)}

    def _version(self, old: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
        """An earlier version, and the values in which it differs from what counts now."""
        names = (*_HEADER, *(name for name, _, _ in self._votes), "Total asentado")
        was, is_now = _texts(old), _texts(now)
        differ = [(name, one, other) for name, one, other in zip(names, was, is_now, strict=False) if one != other]
        image = old["image"]
        return {
            "corte": old["corte"],
            "state": acta_state(old)[1],
            "reason": CHANGES.get(old["reason"], ""),
            "observations": shown_observations(self._rules, old["observations"]),
            "differ": differ if was and is_now else [],
            "whole": [] if was and is_now else list(zip(names, was, strict=False)),
            "image": image_path(image.hex(), out.extension(old["format"])) if image and image != now["image"] else "",
        }


def _texts(record: Mapping[str, Any]) -> list[str]:
    return [
        str(number) if letter == NUMBER else WORDS[Mark(letter)]
        for number, letter in zip(record["numbers"], record["marks"], strict=True)
    ]


def _shown_cells(record: Mapping[str, Any], zone: tzinfo) -> dict[str, str]:
    """The cells of a row that its page shows, besides the quantities."""
    image = record["image"]
    return {
        "CONTABILIZADA": str(record["contabilizada"]),
        "TOTAL_VOTOS_CALCULADO": str(record["calculado"]),
        "LISTA_NOMINAL": str(record["lista_nominal"]),
        "REPRESENTANTES_PP_CI": str(record["representantes"]),
        "CODIGO_INTEGRIDAD": image.hex() if image else official_row.NOTHING,
        "FECHA_HORA_ACOPIO": official_row.moment(record["acopio_at"], zone),
        "FECHA_HORA_CAPTURA": official_row.moment(record["captura_at"], zone),
        "FECHA_HORA_VERIFICACION": official_row.moment(record["verificacion_at"], zone),
        "ORIGEN": record["origen"],
        "DIGITALIZACION": official_row.DIGITALIZACION.get(record["digitalizacion"], record["digitalizacion"]),
        "TIPO_DOCUMENTO": record["tipo_documento"],
        "COTEJADA": str(record["cotejada"]),
    }


_CAME: Final = (("Origen", "ORIGEN"), ("Digitalización", "DIGITALIZACION"), ("Documento", "TIPO_DOCUMENTO"))
_STAGES: Final = (
    ("Acopio", "FECHA_HORA_ACOPIO", "acopio_at"),
    ("Primera captura", "FECHA_HORA_CAPTURA", "captura_at"),
    ("Verificación", "FECHA_HORA_VERIFICACION", "verificacion_at"),
)


def _facts(record: Mapping[str, Any], cells: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    """The name of each fact, its column, its text."""
    # Without an image the acta did not arrive, and its way has no stages.
    if record["image"] is None:
        return
    for name, column in _CAME:
        yield name, column, cells[column]
    yield "Cotejo con el papel", "COTEJADA", _COTEJADA[record["cotejada"]]


def _way(record: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """The stages of the acta: name, column of its time, and how long after the stage before."""
    if record["image"] is None:
        return
    before: datetime | None = None
    for name, column, key in _STAGES:
        at = record[key]
        yield name, column, _after(before, at)
        before = at or before


def _after(before: datetime | None, at: datetime | None) -> str:
    """«37 min después»; empty if it cannot be told. A correction may be older than what it corrects (domain.md §2)."""
    if before is None or at is None or at < before:
        return ""
    seconds = int((at - before).total_seconds())
    if seconds < 60:
        return f"{seconds} s después"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02} min después" if hours else f"{minutes} min después"


# Secciones


def section_view(
    records: Sequence[Mapping[str, Any]], elections: Mapping[ElectionId, tuple[Election, RuleSet]]
) -> dict[str, Any]:
    """One sección: its casillas, and the acta of each in every election, or why it is not there yet."""
    casillas = []
    for clave, group in groupby(records, key=lambda record: record["clave"][:11]):
        own = list(group)
        actas = [_acta_of_section(each, *elections[each["election"]]) for each in own]
        where = {name: as_words(own[0][name]) for name in ("lugar", "direccion") if own[0][name]}
        casillas.append({"clave": clave, "name": own_name(own[0]), "actas": actas, "where": where})
    entidad, seccion = records[0]["entidad"], records[0]["seccion"]
    return {
        "entidad": entidad,
        "seccion": seccion,
        "name": f"Sección {seccion:04}" if seccion else "Casillas que no pertenecen a ninguna sección",
        "casillas": casillas,
        "block": section_block(entidad, seccion).partition("/")[2],
        "waiting": any(not acta["page"] for each in casillas for acta in each["actas"]),
    }


def _acta_of_section(record: Mapping[str, Any], election: Election, rules: RuleSet) -> dict[str, Any]:
    if record["captured"]:
        kind, state = acta_state(record)
        return {
            "election": election,
            "clave": record["clave"],
            "kind": kind,
            "state": state,
            "why": shown_observations(rules, record["observations"]),
            "since": None,
            "page": f"{election.code}/{record['clave']}.html",
        }
    state, why = WAITING[record["estado"] or Estado.ESPERADA]
    moved = record["changed_at"] if record["estado"] not in {None, Estado.ESPERADA} else None
    return {
        "election": election,
        "clave": record["clave"],
        "kind": "missing",
        "state": state,
        "why": why,
        "since": moved,
        "page": "",
    }


# Lists


def reasons_lists(records: Iterable[Mapping[str, Any]], rules: RuleSet) -> dict[str, list[dict[str, Any]]]:
    """The actas of each list, with the reason in words."""
    lists: dict[str, list[dict[str, Any]]] = {"sin-acta": [], "observadas": [], "corregidas": []}
    for record in records:
        line = {
            "name": casilla_name(record),
            "clave": record["clave"],
            "state": acta_state(record)[1],
            "observations": shown_observations(rules, record["observations"]),
            "why": " ".join(REASONS.get(code, "") for code in record["observations"]),
            "corte": record["corte"],
        }
        withdrawn = record["reason"] == "retiro"
        if record["corrected"]:
            lists["corregidas"].append(line | {"why": CHANGES.get(record["reason"], ""), "gone": withdrawn})
        if withdrawn:
            continue
        if record["absent"]:
            lists["sin-acta"].append(line)
        elif record["observations"]:
            lists["observadas"].append(line)
    return lists


def fuera_view(fuera: Fuera) -> dict[str, str]:
    """A line of the list of actas fuera de catálogo."""
    read = read_identity(fuera.identity)
    identity = read[0] if read else None
    name = f"Sección {identity.seccion}, casilla {identity.tipo} {identity.numero}" if identity else "Sin identificar"
    return {
        "name": name,
        "path": image_path(fuera.image.hex(), out.extension(fuera.format)),
        "sha256": fuera.image.hex(),
        "why": REASONS[Observation.FUERA_DE_CATALOGO],
    }
