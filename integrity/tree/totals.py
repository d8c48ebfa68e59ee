"""The sums of a corte's rows: the thirteen summary values, and `totals.json` for every contest and territory.

The rules of `docs/rules.md` §4, written a second time on purpose: this file shares no code with the publisher.
Percentages are truncated in integers. Coalition votes are distributed contest by contest; a state's votes are the sum
of its contests.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from integrity.layout import corte_folder
from integrity.report import Ledger
from integrity.strict_json import Json
from integrity.tree.documents import SUMMARY_NAMES, Manifest, PublishedContest, PublishedElection, Rules
from integrity.tree.rows import (
    CON,
    CONTABILIZADAS,
    ESPERADAS,
    INCONSISTENTES,
    LISTA,
    NO_CONTABILIZADAS,
    SIN,
    SIN_ACTA,
    VOTES,
    Judge,
    PublishedTable,
    Sum,
    VotingPlace,
    add,
)

_MILLIONTHS: Final = 10**6


def percent(part: int, whole: int) -> str:
    """`part` of `whole` in per cent, with four truncated decimals (domain.md §4); "0.0000" if `whole` is zero."""
    units, decimals = divmod(part * _MILLIONTHS // whole if whole else 0, 10**4)
    return f"{units}.{decimals:04}"


def summary(amounts: Sum, fuera: int, rules: Rules, *, with_especiales: bool) -> dict[str, str]:
    """The thirteen values of a sum. `fuera` counts rows outside the catalogue, which no contest or territory has."""
    esperadas, contabilizadas, no_contabilizadas = (
        amounts[ESPERADAS],
        amounts[CONTABILIZADAS],
        amounts[NO_CONTABILIZADAS],
    )
    # Rows sin acta are captured and not counted (domain.md §4).
    capturadas = contabilizadas + no_contabilizadas
    values = (
        esperadas,
        capturadas + fuera,
        fuera,
        capturadas,
        percent(capturadas, esperadas),
        contabilizadas,
        percent(contabilizadas, esperadas),
        percent(amounts[INCONSISTENTES], esperadas),
        no_contabilizadas - (0 if rules.sin_acta_not_counted else amounts[SIN_ACTA]),
        amounts[LISTA],
        amounts[CON],
        amounts[SIN],
        percent(amounts[CON if with_especiales else SIN], amounts[LISTA]),
    )
    return dict(zip(SUMMARY_NAMES, map(str, values), strict=True))


def distribute(votes: Sum, election: PublishedElection) -> dict[str, int]:
    """One contest's votes by option, after the votes of each combination are shared out among its parties.

    Each party gets the same share. The remainder goes one by one to the parties, in descending order of their own votes
    in this contest; at equal votes, in the order of the ballot (domain.md §4).
    """
    shares = {option.position: votes[option.position] for option in election.options if option.clase != "coalicion"}
    for option in election.options:
        if option.clase != "coalicion":
            continue
        even, left = divmod(votes[option.position], len(option.parties))
        for rank, party in enumerate(sorted(option.parties, key=lambda party: (-votes[party], party))):
            shares[party] += even + (1 if rank < left else 0)
    return {election.options[position].code: amount for position, amount in shares.items()}


def whole(election: PublishedElection, table: PublishedTable) -> Sum:
    """The sum of all rows of the catalogue."""
    total = [0] * (VOTES + len(election.options))
    for amounts in table.sums.values():
        add(total, amounts)
    return total


def judge_summary(
    name: str,
    printed: Mapping[str, str],
    *,
    manifest: Manifest,
    election: PublishedElection,
    table: PublishedTable,
    ledger: Ledger,
) -> None:
    """The thirteen values in the file `name` and in the manifest, compared with the rows."""
    ours = summary(
        whole(election, table), table.fuera, election.rules, with_especiales=with_especiales(manifest, election)
    )
    for check in ("CON-11", "CON-12", "CON-13"):
        ledger.did(check)
    for file, theirs in ((name, printed), (f"{corte_folder(manifest.corte)}/manifest.json", election.resumen)):
        for key, value in ours.items():
            if theirs[key] != value:
                check = "CON-12" if key.startswith("PORCENTAJE") else "CON-11"
                ledger.wrong(check, file, expected=value, found=f"«{theirs[key]}»", position=f"{election.code} {key}")
        # Captured = counted + not counted must hold for the printed values too, even if each of them is wrong (CON-13).
        told = [
            int(theirs[key]) if theirs[key].isascii() and theirs[key].isdigit() else -1
            for key in ("ACTAS_CAPTURADAS", "ACTAS_CONTABILIZADAS", "ACTAS_NO_CONTABILIZADAS")
        ]
        if told[0] != told[1] + told[2] and election.rules.sin_acta_not_counted:
            ledger.wrong("CON-13", file, expected=told[1] + told[2], found=told[0], position="ACTAS_CAPTURADAS")


def with_especiales(manifest: Manifest, election: PublishedElection) -> bool:
    """Whether participation counts the especial casillas: in the final corte only, and if the rules say so."""
    return manifest.fase == "final" and election.rules.last_corte_with_especiales


def judge_totals(theirs: Json, manifest: Manifest, tables: Mapping[str, PublishedTable], ledger: Ledger) -> None:
    """`totals.json` compared with the rows. Territories that the rows do not name are reported as not checked."""
    name = f"{corte_folder(manifest.corte)}/totals.json"
    codes = {election.code for election in manifest.elections}
    if theirs["elecciones"].keys() != codes:
        ledger.wrong("CON-14", name, expected=", ".join(sorted(codes)), found=", ".join(theirs["elecciones"]))
    for election in manifest.elections:
        if election.code not in tables or election.code not in theirs["elecciones"]:
            continue
        told = theirs["elecciones"][election.code]
        especiales = with_especiales(manifest, election)
        ours = _election_totals(election, tables[election.code], told, with_especiales=especiales)
        # Lists become objects by key, so that a difference is told by its contest and not by its place in the list.
        actual = {
            **told,
            "contiendas": {str(held["id"]): held for held in told["contiendas"]},
            "territorios": {_territory_key(held): held for held in told["territorios"]},
        }
        ledger.did("CON-14")
        for path, expected, found in differences(ours, actual, f"elecciones.{election.code}"):
            ledger.wrong("CON-14", name, expected=expected, found=found, position=path)
        # Two entries of one key would hide each other in such an object.
        for part in ("contiendas", "territorios"):
            if len(actual[part]) < len(told[part]):
                ledger.wrong("CON-14", name, expected=f"{part} sin repetir", found="una repetida")
        # Only the entidad and the file's own territory stand in the rows.
        unknown = {held["tipo"] for held in told["territorios"]} - {"entidad", election.territory}
        if unknown:
            ledger.unable(["CON-14"], f"{name}: las filas de {election.code} no dicen su {', '.join(sorted(unknown))}")


def _territory_key(held: Json) -> str:
    return f"{held['tipo']} {held['entidad']}-{held['id']}"


def _election_totals(election: PublishedElection, table: PublishedTable, told: Json, *, with_especiales: bool) -> Json:
    """The same object, from the rows. From `told` come only names, and the options that form each candidacy."""
    judge = Judge(election)
    by_contest: dict[tuple[int, int], Sum] = {key: [0] * (VOTES + len(election.options)) for key in election.contests}
    for place, amounts in table.sums.items():
        if judge.contest(place) in by_contest:
            add(by_contest[judge.contest(place)], amounts)
    state = whole(election, table)
    told_contests = {held["id"]: held for held in told["contiendas"]}
    contests = {
        str(contest.id): _contest_totals(
            election, contest, by_contest[key], told_contests.get(contest.id, {}), with_especiales=with_especiales
        )
        for key, contest in election.contests.items()
    }
    # The state's votes by party are the sum of the contests: to distribute them once more would give others (domain.md
    # §4).
    by_party: dict[str, int] = {}
    for contest in contests.values():
        for code, amount in contest["votos_por_partido"].items():
            by_party[code] = by_party.get(code, 0) + amount
    return {
        "resumen": summary(state, table.fuera, election.rules, with_especiales=with_especiales),
        "actas": {
            "esperadas": state[ESPERADAS],
            "capturadas": state[CONTABILIZADAS] + state[NO_CONTABILIZADAS],
            "contabilizadas": state[CONTABILIZADAS],
            "no_contabilizadas": state[NO_CONTABILIZADAS],
            "sin_acta": state[SIN_ACTA],
            "fuera_de_catalogo": table.fuera,
        },
        "votos": _by_code(election, state),
        "votos_por_partido": by_party,
        "contiendas": contests,
        "territorios": _territory_totals(election, table, told, with_especiales=with_especiales),
    }


def _by_code(election: PublishedElection, amounts: Sum) -> dict[str, int]:
    return {option.code: amounts[VOTES + option.position] for option in election.options}


def _contest_totals(
    election: PublishedElection, contest: PublishedContest, amounts: Sum, told: Json, *, with_especiales: bool
) -> Json:
    # Votes per candidacy: its party and all of its combinations, undistributed (domain.md §4).
    votes = _by_code(election, amounts)
    on_ballot = {option.code for option in election.options if option.position in contest.ballot}
    candidacies: list[Json] = []
    used: set[tuple[str, ...]] = set()
    for held in told.get("candidaturas", []):
        # An option may stand for one candidacy or one list of them: two that share only a part would win votes twice.
        options = tuple(sorted(set(held["opciones"])))
        known = all(code in on_ballot for code in options) and len(options) == len(held["opciones"])
        apart = options in used or not any(set(options) & set(other) for other in used)
        used.add(options)
        won = sum(votes[code] for code in options) if known and apart else "opciones de su boleta, cada una en una sola"
        share = percent(won, amounts[CON]) if isinstance(won, int) else held["porcentaje"]
        candidacies.append({**held, "votos": won, "porcentaje": share})
    return {
        "id": contest.id,
        "entidad": contest.entidad,
        "territorio": contest.territorio,
        "nombre": contest.name,
        "resumen": summary(amounts, 0, election.rules, with_especiales=with_especiales),
        "votos": _off_ballot_dropped(votes, on_ballot, told.get("votos", {})),
        "votos_por_partido": _off_ballot_dropped(
            distribute(amounts[VOTES:], election), on_ballot, told.get("votos_por_partido", {})
        ),
        "candidaturas": candidacies,
    }


def _off_ballot_dropped(votes: Mapping[str, int], on_ballot: set[str], told: Mapping[str, int]) -> dict[str, int]:
    """Drop options that are not on the contest's ballot: a file may show them with zero votes, or leave them out."""
    return {code: amount for code, amount in votes.items() if code in on_ballot or code in told or amount}


def _territory_totals(election: PublishedElection, table: PublishedTable, told: Json, *, with_especiales: bool) -> Json:
    sums: dict[tuple[str, int, int], Sum] = {}
    for place, amounts in table.sums.items():
        for territory in _territories_of(election, place):
            add(sums.setdefault(territory, [0] * (VOTES + len(election.options))), amounts)
    held_by_key = {_territory_key(held): held for held in told["territorios"]}
    names = _names_in_rows(table)
    ours: Json = {}
    for (tipo, entidad, ident), amounts in sums.items():
        named = f"{tipo} {entidad}-{ident}"
        ours[named] = {
            "tipo": tipo,
            "entidad": entidad,
            "id": ident,
            "nombre": _as_in_rows(
                held_by_key.get(named, {}).get("nombre", ""), names.get((entidad, 0 if tipo == "entidad" else ident))
            ),
            "resumen": summary(amounts, 0, election.rules, with_especiales=with_especiales),
            "votos": _by_code(election, amounts),
        }
    # A territory in which no casilla votes has zeros; of a kind that the rows do not name, the file is believed, and
    # `judge_totals` reports it as not checked.
    known = {"entidad", election.territory}
    nothing = [0] * (VOTES + len(election.options))
    for key, held in held_by_key.items():
        if held["tipo"] not in known:
            ours[key] = held
        elif key not in ours:
            empty = {
                "resumen": summary(nothing, 0, election.rules, with_especiales=with_especiales),
                "votos": _by_code(election, nothing),
            }
            ours[key] = {**held, **empty}
    return ours


def _names_in_rows(table: PublishedTable) -> dict[tuple[int, int], str]:
    """The name of each entidad (with 0) and of each territory, as the rows write it."""
    numbers = {number: tuple(int(one) for one in number if one.isdigit()) for number in table.names}
    return {
        (found[0], found[1] if len(found) > 1 else 0): table.names[number]
        for number, found in numbers.items()
        if found and len(found) == len(number)
    }


def _as_in_rows(told: str, name: str | None) -> str:
    """The name of the rows; as it is told, if a cell of the rows writes that very name."""
    return told if name is None or cell(told) == name else name


def cell(text: str) -> str:
    """A text as a cell of a published CSV holds it: on one line, and no formula for a spreadsheet."""
    text = " ".join(text.split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) and text != "-" else text


def _territories_of(election: PublishedElection, place: VotingPlace) -> Iterator[tuple[str, int, int]]:
    yield ("entidad", place.entidad, place.entidad)
    if place.territory:
        yield (election.territory, place.entidad, place.territory)


def differences(ours: Any, theirs: Any, path: str) -> Iterator[tuple[str, object, object]]:  # noqa: ANN401 - any JSON
    """The places in which two JSON values differ: path, value from the rows, value in the file."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            if key not in theirs:
                yield f"{path}.{key}", "este campo", "nada"
            elif key not in ours:
                yield f"{path}.{key}", "nada", "un campo de más"
            else:
                yield from differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{path}[{place}]")
    elif ours != theirs:
        yield path, ours, theirs
