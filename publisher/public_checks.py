"""The public checks over a staged corte: what `integrity verify` would refuse is a finding here, and does not go out.

The definitions are those of the public verifier, read from its own code; the program that wrote the files is another.
The gate calls this beside its own checks, which know in addition what only the database knows. So a finding of the gate
has either a name of the gate or the id of a public check (`docs/checks.md`).

A row that is the same as in the corte before was judged there. So only the rows that changed are judged, and the sums
come from the gate, which adds all rows up.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from integrity.layout import CATALOGUE, ZIPS, corte_folder
from integrity.report import CHECKS, Ledger
from integrity.source import Folder, Missing
from integrity.strict_json import Json
from integrity.sums import Malformed
from integrity.tree.catalogue import judge_candidacies, judge_manifest, judge_rows, read_catalogue
from integrity.tree.chain import judge_itself, judge_succession
from integrity.tree.companions import judge_people, judge_readme, people_of
from integrity.tree.documents import Manifest, PublishedElection, read_manifest, read_totals
from integrity.tree.images import read_images
from integrity.tree.parcels import judge_zip
from integrity.tree.rows import (
    FileInCorte,
    Judge,
    PublishedTable,
    Sum,
    VotingPlace,
    changes,
    judge_changes,
    judge_corrected,
    judge_line,
    read_preamble,
    read_table,
)
from integrity.tree.totals import judge_summary, judge_totals
from integrity.tree.tree import PublishedCorte, Seen

STAGED: Final = (
    *("COM-03", "COM-04", "COM-05", "INT-03", "INT-05", "INT-06"),
    *("CON-02", "CON-03", "CON-04", "CON-05", "CON-07", "CON-08", "CON-09", "CON-10", "CON-11", "CON-12", "CON-13"),
    *("CON-14", "CON-15", "CON-16", "CON-17", "CON-20"),
)
"""The public checks that this file makes."""
OF_THE_GATE: Final = ("COM-06", "INT-04", "CON-01", "EVI-12")
"""Those that the gate makes in its own way: as `imagen` and `cadena`, and from the statements in the stage."""
LATER: Final[Mapping[str, str]] = {
    **dict.fromkeys(("INT-01", "INT-02"), "SHA256SUMS is written over the files that passed, as the next step"),
    **dict.fromkeys(("COM-01", "COM-02", "COM-08", "CON-06"), "the corte is not in the tree; index.json comes last"),
    **dict.fromkeys(("COM-07", "INT-07", "CON-19"), "pages are written after the corte is in the tree"),
    "CON-21": "the clean data are made from a corte that is out; the manifest names the lists that it finds",
    **dict.fromkeys(
        ("AUT-01", "AUT-02", "AUT-03", "AUT-04", "AUT-05", "AUT-06"),
        "seals and time stamps are made over SHA256SUMS",
    ),
    **dict.fromkeys(("AUT-11", "AUT-12"), "the log signs on its own, second by second"),
    **dict.fromkeys(
        ("EVI-01", "EVI-02", "EVI-03", "EVI-04", "EVI-05", "EVI-06", "EVI-07", "EVI-08", "EVI-09", "EVI-10", "EVI-11"),
        "the leaf of a corte and its proof follow its record",
    ),
    "EVI-13": "the sequencer opens the statements of a corte after its record",
}
"""The public checks that cannot be made before the corte goes out, and why."""


class PublicFinding(NamedTuple):
    """One finding, in the words of the gate."""

    check: str
    file: str
    expected: str
    found: str


def staged_election(
    stage: Path, root: Path, code: str, sums: Mapping[tuple[int, int], Sequence[int]], *, fuera: int, rows: int
) -> list[PublicFinding]:
    """The findings in the files of one election. `sums` are the gate's, by entidad and territory, in the order of
    `rows.Sum`; `fuera` and `rows` count the rows outside the catalogue, and all rows.
    """
    ledger = Ledger()
    manifest = _manifest(stage, ledger)
    if manifest is not None:
        election = next(each for each in manifest.elections if each.code == code)
        file = stage / election.archivo
        sheet = FileInCorte(file, f"{corte_folder(manifest.corte)}/{election.archivo}", Judge(election), ledger)
        preamble = read_preamble(sheet, election, manifest.at)
        names = _judge_rows(sheet, root, manifest, election) if preamble.sound else {}
        held: dict[VotingPlace, Sum] = {VotingPlace(*place): [*amounts] for place, amounts in sums.items()}
        table = PublishedTable(file, held, fuera, rows, sound=True, names=names)
        if preamble.sound:
            told = preamble.summary
            judge_summary(sheet.name, told, manifest=manifest, election=election, table=table, ledger=ledger)
            _judge_expected_actas(sheet, stage, root, manifest)
        _judge_election_totals(stage, manifest, election, table, ledger)
    return _differences(ledger)


def _judge_rows(
    sheet: FileInCorte, root: Path, manifest: Manifest, election: PublishedElection
) -> Mapping[tuple[str, ...], str]:
    """Judge the rows that the corte before does not have; returns the names of the places in them."""
    before = root / corte_folder(manifest.corte - 1) / election.archivo
    corrected = frozenset(clave for code, clave in manifest.corrections if code == election.code)
    judge_corrected(sheet, corrected, manifest.corte)
    if not before.exists():
        return read_table(sheet, keep=False).names
    judge_changes(sheet, before, corrected)
    for change in changes(before, sheet.file):
        if change.new is not None:
            judge_line(sheet, change.number, change.new)
    return sheet.judge.names.of


def _judge_expected_actas(sheet: FileInCorte, stage: Path, root: Path, manifest: Manifest) -> None:
    """Compare the rows that the corte before does not have with the catalogue; `staged_folder` tells of its faults."""
    catalogue = read_catalogue(_source_of_catalogue(stage, root), Ledger(), only=sheet.judge.election.code)
    before = root / corte_folder(manifest.corte - 1) / sheet.judge.election.archivo
    if catalogue is not None:
        judge_rows(catalogue, sheet, before if before.exists() else None)


def _source_of_catalogue(stage: Path, root: Path) -> Folder:
    """The catalogue goes out with this corte, or is in the tree."""
    return Folder(stage.parent if (stage.parent / CATALOGUE).exists() else root)


def _judge_election_totals(
    stage: Path, manifest: Manifest, election: PublishedElection, table: PublishedTable, ledger: Ledger
) -> None:
    totals = _totals(stage, ledger)
    if totals is None or election.code not in totals["elecciones"]:
        return
    judge_totals(totals, manifest, {election.code: table}, ledger)
    file = stage / election.candidaturas
    content = file.read_bytes() if file.exists() else None
    judge_people(election, totals["elecciones"][election.code], content, corte_folder(manifest.corte), ledger)


def staged_folder(stage: Path, root: Path) -> list[PublicFinding]:
    """The findings that belong to no single election: manifest, chain, files, list of images."""
    ledger = Ledger()
    manifest = _manifest(stage, ledger)
    if manifest is None:
        return _differences(ledger)
    folder = corte_folder(manifest.corte)
    there = {path.name for path in stage.iterdir()}
    for name in sorted(there ^ manifest.files):
        ledger.wrong(
            "COM-03", f"{folder}/{name}", expected="los archivos que nombra el manifiesto", found="más o menos"
        )
    # A corte before that an older release made may have another form; its faults are not those of this corte.
    earlier_folder, aside = root / corte_folder(manifest.corte - 1), Ledger()
    before = _manifest(earlier_folder, aside) if manifest.corte else None
    where = f"{folder}/manifest.json"
    judge_itself(where, manifest, ledger)
    if before is not None:
        judge_succession(where, manifest, before, ledger)
    totals, earlier = (
        _totals(stage, ledger),
        _totals(earlier_folder, aside) if before else None,
    )
    catalogue = read_catalogue(_source_of_catalogue(stage, root), ledger)
    if catalogue is not None:
        judge_manifest(catalogue, where, manifest, ledger)
        if totals is not None:
            judge_candidacies(catalogue, f"{folder}/totals.json", totals, ledger)
    elif not ledger.findings.get("CON-20"):
        # In a tree without a log this is no fault for a reader, who may have an old tree; here it is one.
        ledger.wrong("CON-20", CATALOGUE, expected="el catálogo de la noche", found="nada")
    if totals is not None and earlier is not None and people_of(totals) != people_of(earlier):
        ledger.wrong("CON-17", f"{folder}/totals.json", expected="las candidaturas del corte anterior", found="otras")
    readme = stage / "LEEME.txt"
    judge_readme(manifest, readme.read_bytes() if readme.exists() else None, folder, ledger)
    corte = PublishedCorte(manifest.corte)
    corte.files["images.csv"] = Folder(stage).fetch("images.csv", _MOST)
    seen = Seen()
    read_images(corte, seen, ledger)
    _judge_claves(stage, manifest, seen, ledger)
    return _differences(ledger)


def staged_zip(stage: Path) -> list[PublicFinding]:
    """The findings in the ZIP beside the stage. Of a manifest that cannot be read `staged_folder` tells."""
    ledger = Ledger()
    manifest = _manifest(stage, Ledger())
    if manifest is not None:
        _judge_zip(stage, manifest, ledger)
    return _differences(ledger)


def _judge_claves(stage: Path, manifest: Manifest, seen: Seen, ledger: Ledger) -> None:
    """Each new image is of an acta of the catalogue, or of none."""
    missing = {clave for sha256 in seen.images for clave in seen.claves(sha256)} - {"-"}
    for election in manifest.elections if missing else ():
        with (stage / election.archivo).open("rb") as file:
            for line in file:
                cells = line.split(b",", 2)
                if len(cells) > 2:
                    missing.discard(cells[1].decode(errors="replace").strip("'"))
    for clave in sorted(missing):
        ledger.wrong("COM-06", "images.csv", expected="actas que están", found=clave)


_MOST: Final = 4 << 30


def _judge_zip(stage: Path, manifest: Manifest, ledger: Ledger) -> None:
    """The ZIP beside the stage holds the very files of the stage."""
    files = Folder(stage)
    wanted = [name for each in manifest.elections for name in (each.archivo, each.candidaturas)]
    try:
        sums = {name: files.digest(name, _MOST) for name in (*wanted, "LEEME.txt")}
        zipped = Folder(stage.parent).fetch(f"zip/{manifest.zip_name.removeprefix(f'{ZIPS}/')}", _MOST)
    except Missing as missing:
        ledger.wrong("INT-05", manifest.zip_name, expected="este archivo", found=missing.sentence)
        return
    judge_zip(zipped, manifest, sums, ledger)


def _manifest(folder: Path, ledger: Ledger) -> Manifest | None:
    try:
        return read_manifest((folder / "manifest.json").read_bytes())
    except Malformed as problem:
        ledger.wrong("INT-03", "manifest.json", expected=problem.expected, found=problem.found)
        return None


def _totals(folder: Path, ledger: Ledger) -> Json | None:
    try:
        return read_totals((folder / "totals.json").read_bytes())
    except Malformed as problem:
        ledger.wrong("INT-03", "totals.json", expected=problem.expected, found=problem.found)
        return None


def _differences(ledger: Ledger) -> list[PublicFinding]:
    return [
        PublicFinding(check, each.file, each.expected, f"{each.found} {each.position}".strip())
        for check in CHECKS
        for each in ledger.findings.get(check, ())
    ]
