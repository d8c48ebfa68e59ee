"""The files of a corte for machines: totals.json, manifest.json, images.csv and index.json.

JSON that is hashed holds only integers, strings, booleans and null, in sorted order (RFC 8785). totals.json is a pure
function of the facts: it names neither corte nor time, so that equal facts give equal bytes on every machine.
"""

import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any, Final, TypeVar

from integrity.layout import corte_folder
from integrity.strict_json import canonical_json
from prep.domain.catalog import Candidacy, Clase, Contest, Election, TerritoryKind
from prep.domain.corte import Corte, Fresh, Group, ToldDecision, ToldIncident
from prep.domain.decision import DecisionKind, reason_text
from prep.domain.row import territory
from prep.domain.tally import Counts, candidacy_votes, distribute, percent, summary
from prep.files.catalog_published import contest_entry, election_entry, option_entry
from publisher.official import CatalogBook

FORMAT: Final = 1
_EXTENSIONS: Final[Mapping[str, str]] = {
    "jpeg": "jpg",
    "png": "png",
    "webp": "webp",
    "tiff": "tif",
    "pdf": "pdf",
    "avif": "avif",
    "gif": "gif",
    "bmp": "bmp",
}
Key = TypeVar("Key", bound=Hashable)


def canonical(value: object) -> bytes:
    """Canonical JSON with one newline at its end, as every hashed file has it."""
    return canonical_json(value) + b"\n"


def moment(at: datetime, zone: tzinfo) -> str:
    """ISO 8601 in the zone of the night, with its offset, whole seconds."""
    return at.astimezone(zone).isoformat(timespec="seconds")


def extension(image_format: str) -> str:
    """The file extension for an image format of the decoders."""
    return _EXTENSIONS[image_format]


@dataclass(frozen=True, slots=True)
class Sum:
    """Counts, and undistributed votes by option position, of a set of actas."""

    counts: Counts
    votes: Mapping[int, int]

    @staticmethod
    def of(groups: Iterable[Group], options: int) -> "Sum":
        """The sum of these groups; `options` is the length of the ballot."""
        counts, votes = Counts(), [0] * options
        for group in groups:
            counts += group.counts
            votes = [one + other for one, other in zip(votes, group.votes, strict=True)]
        return Sum(counts, dict(enumerate(votes)))


class Figures:
    """All numbers of one election, by contest and by territory."""

    def __init__(
        self, election: Election, book: CatalogBook, groups: Sequence[Group], *, fuera: int, final: bool
    ) -> None:
        self.election = election
        self.groups = groups
        self._book = book
        self._with_especiales = final and book.rules(election).last_corte_with_especiales
        options = len(election.options)
        # Rows fuera de catálogo belong to no contest and no territory: they count in the whole only.
        whole = Sum.of(groups, options)
        self.whole = replace(whole, counts=replace(whole.counts, fuera_catalogo=fuera))
        # The database gives one group for each contest and territory; every figure is a sum of groups.
        by_contest = _gather_by(groups, lambda group: group.contest)
        self.contests = [
            (contest, Sum.of(by_contest.get(contest.id, ()), options)) for contest in book.contests_of(election)
        ]
        own, _, _ = territory(election)
        by_entidad = _gather_by(groups, lambda group: (TerritoryKind.ENTIDAD, group.entidad, group.entidad))
        by_place = _gather_by(groups, lambda group: (own, group.entidad, group.territory))
        self.places = {key[1:]: Sum.of(of, options) for key, of in sorted(by_place.items())}
        """By entidad and territory of the rows; territory 0 for casillas that belong to none."""
        self.places_of = {
            contest: sorted({(group.entidad, group.territory) for group in of}) for contest, of in by_contest.items()
        }
        self.territories = [
            (place, Sum.of(of, options))
            for place, of in (*sorted(by_entidad.items()), *sorted(by_place.items()))
            if place[2]
        ]

    def summary(self, counts: Counts | None = None) -> dict[str, str]:
        """The thirteen values, of the whole election or of a part of it."""
        return summary(
            counts or self.whole.counts,
            with_especiales=self._with_especiales,
            sin_acta_not_counted=self._book.rules(self.election).sin_acta_not_counted,
        )

    def distributed(self, contest: Contest, votes: Mapping[int, int]) -> dict[str, int]:
        """One contest's votes by party, with each combination shared among its parties (`docs/rules.md` §4)."""
        # A party on the ballot is shown with zero votes; an option of another contest is not shown.
        on_ballot = {option for option in contest.ballot if self.election.options[option].clase is not Clase.COALICION}
        shares = distribute(votes, self.election.options)
        return {self.election.codes[at]: share for at, share in shares.items() if share or at in on_ballot}

    def candidacies(self, contest: Contest, votes: Mapping[int, int]) -> list[tuple[int, Candidacy, int]]:
        """Every candidacy of the contest with its votes, in the order of the catalogue."""
        return [
            (number, candidacy, candidacy_votes(votes, candidacy))
            for number, candidacy in self._book.candidacies.get(contest.id, ())
        ]

    def totals(self) -> dict[str, Any]:
        """The entry of this election in totals.json."""
        # The state's votes by party are the sum of its contests; to distribute the state's votes would give others
        # (§4).
        contests = [self._contest_totals(contest, total) for contest, total in self.contests]
        parties: dict[str, int] = defaultdict(int)
        for contest in contests:
            for code, votes in contest["votos_por_partido"].items():
                parties[code] += votes
        counts = self.whole.counts
        return {
            "resumen": self.summary(),
            "actas": {
                "esperadas": counts.esperadas,
                "capturadas": counts.capturadas,
                "contabilizadas": counts.contabilizadas,
                "no_contabilizadas": counts.no_contabilizadas,
                "sin_acta": counts.sin_acta,
                "fuera_de_catalogo": counts.fuera_catalogo,
            },
            "votos": self._by_code(self.whole.votes),
            "votos_por_partido": dict(parties),
            "contiendas": contests,
            "territorios": [
                {
                    "tipo": kind,
                    "entidad": entidad,
                    "id": number,
                    "nombre": self._book.names.get((kind, entidad, number), "-"),
                    "resumen": self.summary(total.counts),
                    "votos": self._by_code(total.votes),
                }
                for (kind, entidad, number), total in self.territories
            ],
        }

    def _by_code(self, votes: Mapping[int, int]) -> dict[str, int]:
        return {self.election.codes[position]: count for position, count in votes.items()}

    def _contest_totals(self, contest: Contest, total: Sum) -> dict[str, Any]:
        return {
            "id": contest.id,
            "entidad": contest.entidad,
            "territorio": contest.territory,
            "nombre": contest.name,
            "resumen": self.summary(total.counts),
            "votos": self._by_code({position: total.votes[position] for position in contest.ballot}),
            # Undistributed votes above, distributed ones here: readers need both (domain.md §4).
            "votos_por_partido": self.distributed(contest, total.votes),
            "candidaturas": [
                {
                    "id": number,
                    "propietaria": candidacy.propietario,
                    "suplente": candidacy.suplente,
                    "opciones": [self.election.codes[option] for option in candidacy.options],
                    "votos": votes,
                    "porcentaje": percent(votes, total.counts.votos_con_especiales),
                }
                for number, candidacy, votes in self.candidacies(contest, total.votes)
            ],
        }


def _gather_by(groups: Iterable[Group], key: Callable[[Group], Key]) -> dict[Key, list[Group]]:
    gathered: dict[Key, list[Group]] = {}
    for group in groups:
        gathered.setdefault(key(group), []).append(group)
    return gathered


def totals(figures: Sequence[Figures]) -> bytes:
    """totals.json, for all elections."""
    return canonical({"formato": FORMAT, "elecciones": {each.election.code: each.totals() for each in figures}})


def manifest(
    corte: Corte,
    *,
    book: CatalogBook,
    figures: Sequence[Figures],
    before: Corte | None,
    fresh: Sequence[Fresh],
    decided: Sequence[ToldDecision],
    data: Mapping[int, str],
    packed: object,
    site: Mapping[str, bytes],
) -> bytes:
    """The manifest: number, phase, declaration, rules, the corte before, corrected actas, decisions of two people.

    `data` holds the digests of the lists of clean data that came since the manifest before; `site` the files that are
    constants of this release.
    """
    codes = {election.id: election.code for election in book.elections}
    return canonical(
        {
            "formato": FORMAT,
            "corte": corte.number,
            "fase": corte.phase.value,
            "fecha_hora": moment(corte.at, book.zone),
            "siguiente": moment(corte.due, book.zone) if corte.due else None,
            "simulacro": corte.simulacro,
            "anterior": {"corte": before.number, "sha256sums": before.sums} if before else None,
            "catalogo": book.digest,
            "declaracion": {"sha256": book.night.digest, "contenido": book.night.content},
            "reglas": {election.code: _rules_of(election, book) for election in book.elections},
            "elecciones": [_election_entry(each, book) for each in figures],
            "correcciones": [
                {"acta": each.clave, "eleccion": codes[each.election], "motivo": each.reason}
                for each in fresh
                if each.correction
            ],
            # Left out if there are none, so that the manifests of before stay the same.
            **({"decisiones": [_decision_entry(each, book.zone) for each in decided]} if decided else {}),
            **({"datos": [{"corte": of, "sha256sums": sums} for of, sums in data.items()]} if data else {}),
            "zip": packed,
            "sitio": {name: hashlib.sha256(content).hexdigest() for name, content in site.items()},
        }
    )


def _decision_entry(told: ToldDecision, zone: tzinfo) -> dict[str, Any]:
    kind, undo = DecisionKind(told.kind), told.undoes is not None
    match kind:
        case DecisionKind.SIN_ACTA:
            subject = f"{told.election} {told.clave}"
        case DecisionKind.MENSAJE_DESCARTADO:
            subject = str(told.message)
        case DecisionKind.NUMERO_PERDIDO:
            subject = f"{told.device} {told.sequence}"
        case _:
            subject = str(told.image)
    return {
        "numero": told.number,
        "clase": kind.value,
        "deshace": told.undoes,
        "asunto": subject,
        "motivo": told.reason,
        "razon": reason_text(kind, told.reason, undo=undo),
        "texto": told.words,
        "fecha_hora": moment(told.at, zone),
    }


def _rules_of(election: Election, book: CatalogBook) -> dict[str, Any]:
    rules = book.rules(election)
    # The digest is of these very values: a reader can compute it from the manifest.
    content = json.loads(rules.canonical())
    return {"nombre": rules.name, "version": rules.version, "sha256": rules.digest, "contenido": content}


def _election_entry(figures: Figures, book: CatalogBook) -> dict[str, Any]:
    election = figures.election
    return {
        **election_entry(election),
        "archivo": book.file(election),
        "candidaturas": book.candidates_file(election),
        "resumen": figures.summary(),
        "opciones": [option_entry(option) for option in election.options],
        "contiendas": [contest_entry(contest) for contest in book.contests_of(election)],
    }


def images_csv(rows: Iterable[tuple[str, str, str]]) -> bytes:
    """SHA256,ARCHIVO,CLAVE_ACTA of every image that this corte brings out."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("SHA256", "ARCHIVO", "CLAVE_ACTA"))
    # In the order of digests, so that the same images give the same bytes.
    writer.writerows(sorted(rows))
    return out.getvalue().encode()


def incident_entries(told: Sequence[ToldIncident], zone: tzinfo) -> dict[str, Any]:
    """The part of index.json that tells the incidents; empty if there are none."""
    entries = [{"numero": each.number, "texto": each.text, "fecha_hora": moment(each.at, zone)} for each in told]
    return {"incidentes": entries} if entries else {}


def index(corte: Corte, book: CatalogBook, incidents: Sequence[ToldIncident] = ()) -> bytes:
    """The only file besides the pages that changes: it points at the last corte, and tells the incidents that stand."""
    return canonical(
        {
            "formato": FORMAT,
            "simulacro": corte.simulacro,
            "fase": corte.phase.value,
            "corte": corte.number,
            "fecha_hora": moment(corte.at, book.zone),
            "siguiente": moment(corte.due, book.zone) if corte.due else None,
            "carpeta": corte_folder(corte.number),
            "sha256sums": corte.sums,
            "elecciones": [
                {"codigo": each.code, "titulo": each.title, "pagina": f"{each.code}/index.html"}
                for each in book.elections
            ],
            **incident_entries(incidents, book.zone),
        }
    )
