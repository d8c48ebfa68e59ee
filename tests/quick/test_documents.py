"""The documents are held to the code: their links, their figures, the commands, and each file of a published tree."""

import io
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import pytest

from capture import decisions, entries, findings, staffing
from integrity import __main__ as integrity
from integrity.layout import LISTS, ROOT_PAGES, SITE_PARTS
from load_tests.bench import table
from prep.domain.decision import DecisionKind
from prep.files.catalog_columns import COLUMNS
from prep.files.catalog_files import load_catalog
from prep.files.catalog_template import FORMAT_NAME, catalog_format, sample_catalog
from prep.operations import cli
from prep.operations.cli import PARTS, PROGRAMS
from prep.settings import Settings
from prep.store.desk import TaskKind
from prep.store.lists import Listing
from prep.store.people import Role
from tests.makers.waiting import PATIENCE
from tests.tamper.night import Night

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
CHANGES = ROOT / "CHANGELOG.md"
ROOMS = ("prep", "capture", "publisher", "integrity", "load_tests", "deploy")
DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("prep/**/*.md"), *ROOT.glob("tests/official/*.md")}
)
ELSEWHERE = {"docs/api.md", "docs/messages.md", "docs/rules.md"}
"""Documents that come with their own rooms."""


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def rows(document: str, title: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    under = re.split(r"^#+ ", document.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in under.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in [lines[0], *lines[2:]]]


def anchors(document: str) -> set[str]:
    """The names that a reader of Markdown gives to headings."""
    titles = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", document, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles)
    kept = (
        "".join(letter for letter in title if letter in " -_" or unicodedata.category(letter)[0] in "LN")
        for title in plain
    )
    return {title.strip().replace(" ", "-") for title in kept}


# --- what every document must be --------------------------------------------------------------------------------------


def broken(path: Path, document: str) -> list[str]:
    """The links of a document that lead to no file, or to no heading of it."""
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", document)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        aim = (path.parent / name).resolve() if name else path
        if str(aim.relative_to(ROOT)) in ELSEWHERE and not aim.exists():
            continue
        if not aim.exists() or (anchor and anchor not in anchors(document if aim == path else text(aim))):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_of_a_document_is_broken(path: Path) -> None:
    assert broken(path, text(path)) == []


def test_a_broken_link_or_anchor_is_found() -> None:
    assert broken(README, "[a](docs/nada.md) [b](README.md#nada) [c](README.md#commands)\n# Commands\n") == [
        "docs/nada.md",
        "README.md#nada",
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_and_tests_that_a_document_names_are_there(path: Path) -> None:
    quoted = set(
        re.findall(r"`((?:prep|capture|publisher|integrity|load_tests|deploy|tests|docs)/[\w./-]+\w)`", text(path))
    )
    assert (
        sorted(each for each in quoted - ELSEWHERE if not ((ROOT / each).exists() or (ROOT / f"{each}.py").exists()))
        == []
    )
    named = set(re.findall(r"`(test_\w+)`", text(path)))
    assert sorted(named - names_of_tests()) == []


@cache
def names_of_tests() -> frozenset[str]:
    return frozenset(
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", text(path), re.MULTILINE)
    )


OF_OTHERS = {"id_casilla", "tipo_casilla", "pg_dump", "pg_restore"}
"""Two fields of the QR, whose names are those of INE, and commands of PostgreSQL."""


@cache
def words_of_the_code() -> frozenset[str]:
    kinds = {".py", ".ts", ".tsx", ".sql", ".sh", ".yaml", ".yml", ".toml", ".json", ".conf", ""}
    files = [path for room in (*ROOMS, "docs") for path in (ROOT / room).rglob("*") if path.suffix in kinds]
    kept = [path for path in files if path.is_file() and not {"node_modules", "dist", "__pycache__"} & {*path.parts}]
    return frozenset(word for path in kept for word in re.findall(r"\w+", path.read_text("utf-8", "ignore")))


def unknown_words(document: str) -> set[str]:
    """The names in a document, with an underscore, that the code does not have; and settings that there are none of."""
    code = in_code(document)
    names = set(re.findall(r"(?<![\w.-])(?!test_)[a-z]+(?:_[a-z0-9]+)+(?![\w-])", code)) - OF_OTHERS
    settings = set(re.findall(r"(?<!\w)PREP_[A-Z0-9_]+(?!\w)", document)) - {"PREP_EDO"}
    return (names - words_of_the_code()) | (settings - {f"PREP_{name.upper()}" for name in Settings.model_fields})


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_code_has_the_names_and_the_settings_that_a_document_gives(path: Path) -> None:
    if path != CHANGES:
        assert unknown_words(text(path)) == set()


def test_a_name_that_the_code_does_not_have_is_found() -> None:
    assert unknown_words("409 `numero_salta` if `PREP_NUMBER_JUMP=5` and `MAX_JUMP`; `numero_adelantado`") == {
        "numero_salta",
        "PREP_NUMBER_JUMP",
    }


def test_the_files_with_which_a_reader_begins_a_room_are_there() -> None:
    rooms = rows(text(DOCS / "architecture.md"), "Rooms")[1:]
    missing = [
        f"{folder}{name}"
        for folder, _, first in rooms
        for name in re.findall(r"`([^`]+)`", first)
        if not (ROOT / ("" if "/" in name else folder.strip("`")) / name).is_file()
    ]
    assert (len(rooms) > 9, missing) == (True, [])


def test_the_readme_is_short_and_begins_with_both_commands() -> None:
    lines = text(README).splitlines()
    assert len(lines) <= 120
    assert [line.split("  ")[0] for line in lines[3:5]] == ["make demo", "make test"]


def test_each_document_is_linked_from_the_readme_or_from_the_page_for_institutes() -> None:
    linked = set(re.findall(r"\]\((docs/\w+\.md)", text(README) + text(ROOT / "LEEME.md")))
    assert {f"docs/{path.name}" for path in DOCS.glob("*.md")} - linked == set()


# --- figures ----------------------------------------------------------------------------------------------------------


def test_the_figures_are_the_stored_ones() -> None:
    figures = table.stored()
    assert table.written(text(table.DOCUMENT), figures) == text(table.DOCUMENT)
    full = {tuple(line.strip("| ").split(" | ")[:3]) for line in table.tables(figures).splitlines()}
    shown = {tuple(row) for row in rows(text(README), "Measured")}
    assert len(shown) > 4
    assert shown <= full


def test_a_commit_that_the_text_of_the_measurements_names_is_one_of_the_table() -> None:
    # So the text is read again if that figure is measured again.
    document = text(table.DOCUMENT)
    prose = re.sub(r"^\|.*$", "", document, flags=re.MULTILINE)
    assert set(re.findall(r"\b(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{7}\b", prose)) <= {
        each["commit"] for each in table.stored()
    }


# --- commands ---------------------------------------------------------------------------------------------------------


def given(*words: str) -> tuple[int, str, str]:
    """What a command of this process answers: its status, and both its outputs."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        {"prep": cli.main, "integrity": integrity.main}[words[0]](words[1:])
    said = []
    for stream in (out, err):
        stream.seek(0)
        said.append(stream.read())
    return int(ended.value.code or 0), said[0], said[1]


@cache
def helped(*words: str) -> str:
    """What a command says of itself."""
    status, said, _ = given(*words, "--help")
    assert status == 0
    return said


def options(said: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", said)) - {"--help"}


def in_the_readme(program: str) -> dict[str, set[str]]:
    """Each command of the README's table, and its options."""
    found = {}
    for cell, _ in rows(text(README), "Commands"):
        for span in re.findall(r"`([^`]+)`", cell):
            if span.startswith(f"{program} "):
                words = re.match(r"[a-z- ]+", span)
                assert words is not None
                parts = [word for word in words[0].split() if not word.startswith("-")]
                found[" ".join(parts[1:])] = options(span)
    return found


UNDER = {
    "device": ("enroll", "invite", "revoke", "rotate", "show", "lost"),
    "user": ("add", "disable", "enable", "password"),
    "parked": ("", "retry", "dismiss"),
    "night": ("init", "check", "show", "reset"),
    "decide": ("confirm", "reject", "undo"),
    "rules": ("list", "show", "check", "new"),
    "catd": ("enroll", "watch", "import"),
}
"""Commands that hold others."""


def prep_commands() -> Iterator[str]:
    """Every command of `prep` by its words, those under another included."""
    for name in re.findall(r"^    ([a-z-]+)\s", helped("prep"), re.MULTILINE):
        yield from (f"{name} {each}".strip() for each in UNDER.get(name, ("",)))


def test_no_command_under_another_is_left_out() -> None:
    for name, words in UNDER.items():
        told = helped("prep", name).partition("  ORDEN\n")[2].partition("\n\n")[0]
        assert set(re.findall(r"^    ([a-z-]+)", told, re.MULTILINE)) == set(words) - {""}, name


def test_the_table_of_commands_and_the_help_of_prep_name_the_same() -> None:
    there = {name: options(helped("prep", *name.split())) for name in prep_commands()}
    told = in_the_readme("prep").items()
    assert {name if name in there else name.split()[0]: each for name, each in told} == there


def test_what_a_command_does_first_is_in_the_table() -> None:
    table_of_commands = text(README).split("## Commands")[1].replace("\\|", "|")
    choices = {
        name: re.search(r"^  \{([a-z,-]+)\}", helped("prep", *name.split()), re.MULTILINE) for name in prep_commands()
    }
    said = [f"`prep {name} {found[1].replace(',', '|')}" for name, found in choices.items() if found]
    assert len(said) > 2
    assert [each for each in said if not re.search(rf"{re.escape(each)}[` ]", table_of_commands)] == []
    assert {*PARTS, *PROGRAMS} <= {name.split()[0] for name in in_the_readme("prep")}


def test_the_table_of_commands_and_the_help_of_integrity_name_the_same() -> None:
    there: dict[str, set[str]] = {}
    # A command is told in lines of two spaces; further lines of its usage stand under it, and its words deeper than six.
    for paragraph in helped("integrity").split("\n\n"):
        for usage in re.split(r"^  (?=integrity )", paragraph, flags=re.MULTILINE)[1:]:
            lines = usage.splitlines()
            first = re.match(r"integrity ([a-z- ]+)", lines[0])
            assert first is not None
            name = " ".join(word for word in first[1].split() if not word.startswith("-"))
            signature = [lines[0], *(line for line in lines[1:] if re.match(r" {10,}", line))]
            there[name] = options(" ".join(signature))
    assert in_the_readme("integrity") == there


def unknown_commands(document: str) -> list[str]:
    """The commands in a document that do not exist, and those with an option that they do not have."""
    names = {*prep_commands()}
    wrong = []
    for command in re.findall(r"(?:(?<=[` /(])|^)prep (?:[a-z][^`\n·#|;]*)", in_code(document), re.MULTILINE):
        words = re.findall(r"(?<=[ ])[a-z][a-z-]*(?=[ `]|$)", command.partition(" --")[0])
        name = next((each for each in (" ".join(words[:2]), " ".join(words[:1])) if each in names), None)
        if name is None or not options(command) <= options(helped("prep", *name.split())) | {"--help"}:
            wrong.append(command)
    return wrong


def in_code(document: str) -> str:
    """The code of a document, in blocks and in lines, each piece in a line of its own."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", document, flags=re.MULTILINE | re.DOTALL)
    return "\n".join((*blocks, *(" ".join(each.split()) for each in re.findall(r"`([^`]+)`", rest))))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_of_every_document_exist_with_their_options(path: Path) -> None:
    # The table of the README is compared above, in both directions; the list of changes names commands of before.
    if path not in (README, CHANGES):
        assert unknown_commands(text(path)) == []


def test_a_command_that_does_not_exist_is_found() -> None:
    assert unknown_commands(
        "Run `prep device invent ID`, `prep close`, then:\n```\n.venv/bin/prep zero --all\n```\n"
    ) == [
        "prep zero --all",
        "prep device invent ID",
    ]


def test_the_services_and_secrets_that_the_night_names_are_those_of_compose() -> None:
    night = text(DOCS / "night.md")
    services, secrets = text(ROOT / "deploy" / "compose.yaml").partition("\nservices:\n")[2].split("\nvolumes:\n")
    orders = r"docker compose (?:run --rm(?: -T)?|restart|exec|logs(?: --since \w+)?) ([a-z][a-z-]+)"
    named = set(re.findall(orders, in_code(night)))
    assert len(named) > 4
    assert named <= set(re.findall(r"^  ([a-z0-9-]+):", services, re.MULTILINE))
    named = set(re.findall(r"`(prep_(?:database|s3)\w*)`", night))
    assert named <= set(re.findall(r"^  (\w+): \{file: secrets", secrets, re.MULTILINE))


def blank(said: str) -> list[str]:
    """Options of a help that have no sentence, beside them or under them."""
    return re.findall(r"^  (--[a-z-]+(?: [^ \n]+)?)$(?!\n {6,})", said.partition("opciones:")[2], re.MULTILINE)


def test_every_option_has_its_sentence() -> None:
    silent = {name: blank(helped("prep", *name.split())) for name in prep_commands()}
    assert {name: found for name, found in silent.items() if found} == {}


def test_an_option_without_its_sentence_is_found() -> None:
    assert blank(
        "opciones:\n  -h, --help  esta ayuda\n  --seed N\n  --once      ahora\n  --larga OPCION\n              aquí"
    ) == ["--seed N"]


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_the_format_of_the_catalogue_is_what_the_command_writes(tmp_path: Path) -> None:
    folder = tmp_path / "mi eleccion"
    status, said, _ = given("prep", "catalog", "template", str(folder))
    assert (status, "catalog check" in said) == (0, True)
    assert text(folder / FORMAT_NAME) == text(DOCS / "catalogue.md") == catalog_format()
    status, said, _ = given("prep", "catalog", "check", str(folder))
    assert (status, "2 elecciones" in said) == (0, True)
    status, _, wrong = given("prep", "catalog", "template", str(folder))
    assert (status, "no está vacía" in wrong) == (2, True)


def test_the_sample_has_every_file_and_column_a_coalition_a_joint_candidacy_and_two_ballots() -> None:
    files = sample_catalog()
    assert set(files) == set(COLUMNS)
    for name, content in files.items():
        assert content.decode("utf-8-sig").splitlines()[0] == ",".join(COLUMNS[name])
        assert len(content.splitlines()) > 1
    catalog = load_catalog(files)
    assert {option.clase.value for election in catalog.elections for option in election.options} == {
        *("partido", "coalicion", "comun", "independiente", "no_registradas", "nulos"),
    }
    town_councils = [contest for contest in catalog.contests if contest.election == catalog.elections[1].id]
    assert len({contest.ballot for contest in town_councils}) == 2


# --- roles ------------------------------------------------------------------------------------------------------------


def test_the_roles_are_those_of_the_code() -> None:
    head, *actions = rows(text(DOCS / "roles.md"), "Personas")
    assert head[1:] == [role.value for role in Role]
    said = {
        action: {Role(role) for role, cell in zip(head[1:], cells, strict=True) if cell == "sí"}
        for action, *cells in actions
    }
    assert said == {
        "capturar un acta (primera, segunda, tercera)": entries.MAY_LEASE[TaskKind.CAPTURA],
        "elegir entre tres capturas": entries.MAY_LEASE[TaskKind.RESOLUCION],
        "decir de qué acta es una imagen": entries.MAY_LEASE[TaskKind.IDENTIFICACION],
        "mandar a capturar otra vez, con motivo": entries.SUPERVISES,
        "guardar el resultado del cotejo": entries.COMPARES,
        "ver cualquier imagen": entries.SEES_IMAGES,
        "ver en qué va un acta": entries.SEES_ACTAS,
        "ver cómo captura cada persona": entries.SEES_QUALITY,
        "ver el tablero": decisions.SEES_BOARD,
        "poner en pausa o cambiar de sitio a una persona": staffing.CHANGES_PEOPLE,
        "pedir al sitio otra imagen": findings.ASKS_IMAGES,
        "dar por revisado un hallazgo": findings.REVIEWS,
        "mandar otra vez un mensaje apartado": decisions.RETRIES,
    }
    assert set(entries.MAY_LEASE) == set(TaskKind)
    assert in_twos(head[1:], "Decisiones de dos personas") == {
        **{f"{kind}: proponer": allowed for kind, allowed in decisions.PROPOSES.items()},
        **{f"{kind}: confirmar": allowed for kind, allowed in decisions.CONFIRMS.items()},
    }
    assert set(decisions.PROPOSES) == set(decisions.CONFIRMS) == set(DecisionKind)
    assert in_twos(head[1:], "Listas") == {str(what): allowed for what, allowed in decisions.MAY_LIST.items()}
    assert set(decisions.MAY_LIST) == set(Listing)
    assert [row[0] for row in rows(text(DOCS / "roles.md"), "Para qué es cada rol")[1:]] == [
        role.value for role in Role
    ]


def in_twos(roles: list[str], title: str) -> dict[str, set[Role]]:
    """The table under a title of docs/roles.md: what may be done, and by which roles."""
    head, *lines = rows(text(DOCS / "roles.md"), title)
    assert head[1:] == roles
    return {
        what.strip("`"): {Role(role) for role, cell in zip(roles, cells, strict=True) if cell == "sí"}
        for what, *cells in lines
    }


# --- the published tree -----------------------------------------------------------------------------------------------

WORDS = {
    "NNNN": r"\d{4}",
    "HASH": r"[0-9a-f]{64}",
    "HH": r"[0-9a-f]{2}",
    "AAAAMMDD_HHMM": r"\d{8}_\d{4}",
    "AAAA": r"\d{4}",
    "CLAVE": r"\d{6}[A-Z]\w+",
    "ELECCION": r"[A-Z_]+?",
    "EDO": r"[A-Z]+",
    "NOMBRE": r"[a-z]+",
    "PALABRA": r"[a-z0-9]{2,12}",
    "NN": r"\d{2}",
    "N": r"\d+",
}
OF_THE_SITE = (
    *("sitio.js", *SITE_PARTS, "inicio.json", "cortes.atom", "cambios/NNNN.json", "esquemas/NOMBRE.json", *ROOT_PAGES),
    *(f"seccion/NN-{kind}.{form}" for kind in ("NNNN", "NNxx") for form in ("html", "json")),
    *(f"ELECCION/{name}.{form}" for name in (*LISTS, "tarjeta") for form in ("html", "json")),
    *("ELECCION/tarjeta.png", "lugares/indice.json", "lugares/NN-PALABRA.json"),
    *(f"ELECCION/{name}.json" for name in ("index", "lugar-N-N", "CLAVE")),
)
RARE = {
    "ELECCION/contienda-N.html": "only of an office that is elected in several places at once",
    "ELECCION/contienda-N.json": "only of an office that is elected in several places at once",
    **dict.fromkeys(
        OF_THE_SITE, "the publisher writes it, not the maker of this tree; tests/browser/test_site.py sees it"
    ),
    "cambios/NNNN.tar.gz": "the publisher writes it with the pages; tests/publisher/test_clean_data.py sees it",
    "verificar.html": "the publisher writes it, not the maker of this tree; the demo has it",
    "logo.svg": "only if the declaration has a logo; the night of tests/browser/conftest.py has one",
    "cortes/NNNN/SHA256SUMS.2.tsr": "only with a second authority of time",
    "bitacora/rotaciones/NNNN.tlog-proof": "only if the key of the log changed",
    "bitacora/tile/N/N": "only of a log of 256 leaves",
    "bitacora/tile/entries/N": "only of a log of 256 leaves",
}
"""What a small night need not have."""


def described() -> dict[str, re.Pattern[str]]:
    """Each name of docs/tree.md, as a pattern."""
    found = {}
    for name, *_ in rows(text(DOCS / "tree.md"), "Every file")[1:]:
        path = name.strip("`")
        pattern = re.sub(
            r"AAAAMMDD_HHMM|NOMBRE|PALABRA|NNNN|NN(?=[-x\\])|HASH|HH|AAAA|CLAVE|ELECCION|EDO|N(?=[-/\\\\]|$)",
            lambda word: WORDS[word[0]],
            re.escape(path).replace(r"\-", "-"),
        )
        if path.startswith("imagenes/"):
            pattern = pattern.replace(r"\.jpg", r"\.(jpg|png|webp|tif|pdf)")
        if path.startswith("zip/"):
            pattern = pattern.replace(r"\.zip", r"(_\d{4})?\.zip")
        found[path] = re.compile(pattern)
    return found


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published night with a log, seals and time stamps."""
    return Night(tmp_path_factory.mktemp("noche")).make().tree


def test_every_file_of_a_published_tree_is_described_and_every_described_file_is_there(night: Path) -> None:
    patterns = described()
    files = [str(path.relative_to(night)) for path in night.rglob("*") if path.is_file()]
    assert [file for file in files if not any(pattern.fullmatch(file) for pattern in patterns.values())] == []
    absent = {path for path, pattern in patterns.items() if not any(map(pattern.fullmatch, files))}
    assert absent <= RARE.keys()


def test_every_field_of_the_index_and_the_manifest_is_described(night: Path) -> None:
    tree = text(DOCS / "tree.md")
    said = set(re.findall(r"`([a-z_0-9]+)`", tree))
    index = json.loads((night / "index.json").read_bytes())
    folder = night / index["carpeta"]
    for document in (index, *(json.loads((folder / name).read_bytes()) for name in ("manifest.json", "totals.json"))):
        assert fields(document) - said == set()


def fields(value: object, *, under: str = "") -> set[str]:
    """The names of the fields, without those that the night chooses: elections, options, values of the summary."""
    if isinstance(value, list):
        return set().union(*(fields(each, under=under) for each in value))
    if not isinstance(value, dict):
        return set()
    chosen = under in {"resumen", "votos", "votos_por_partido", "texts", "reglas", "sitio"} or all(
        isinstance(each, dict) for each in value.values()
    )
    inside = set().union(*(fields(each, under=name) for name, each in value.items())) if value else set()
    return inside if chosen else inside | set(value)


# --- the example of an auditor ----------------------------------------------------------------------------------------

SUMMARY = DOCS / "examples" / "summary.py"


def summary(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The script alone: a Python that sees nothing of this project."""
    return subprocess.run(
        [sys.executable, "-I", str(SUMMARY), str(tree), *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_script_of_an_auditor_computes_the_thirteen_values_of_every_corte(night: Path) -> None:
    assert len([line for line in text(SUMMARY).splitlines() if line.strip()]) <= 50
    for folder in sorted((night / "cortes").iterdir()):
        done = summary(night, folder.name)
        assert (done.returncode, done.stdout.count(" =\n"), done.stderr) == (0, 26, "")
    assert summary(night).stdout == done.stdout


def test_the_script_of_a_newsroom_tells_who_leads_in_each_place(night: Path) -> None:
    script = DOCS / "examples" / "who_leads.py"
    assert len([line for line in text(script).splitlines() if line.strip()]) <= 25
    index = json.loads((night / "index.json").read_bytes())
    totals = json.loads((night / index["carpeta"] / "totals.json").read_bytes())["elecciones"]
    for code, told in totals.items():
        asked = [sys.executable, "-I", str(script), str(night), code]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE, check=True)
        head, *lines = done.stdout.splitlines()
        assert head.startswith(f"Corte {index['corte']}, ")
        assert len(lines) == len(told["contiendas"])
        for line, contest in zip(lines, told["contiendas"], strict=True):
            first, second, *_ = (*sorted((each["votos"] for each in contest["candidaturas"]), reverse=True), 0)
            assert line.startswith(f"{contest['nombre']}: ")
            assert f", por {first - second} votos; faltan " in line


def test_the_script_of_an_auditor_sees_one_vote(night: Path) -> None:
    folder = night / "cortes" / "0002"
    [file, *_] = [
        path for path in sorted(folder.glob("*.csv")) if "CANDIDATURAS" not in path.name and path.name != "images.csv"
    ]
    kept = file.read_bytes()
    lines = kept.decode().split("\r\n")
    values = lines[4].split(",")
    values[10] = str(int(values[10]) + 1)
    file.write_bytes("\r\n".join([*lines[:4], ",".join(values), *lines[5:]]).encode())
    try:
        done = summary(night, "0002")
    finally:
        file.write_bytes(kept)
    assert (done.returncode, done.stdout.count("≠")) == (1, 1)
