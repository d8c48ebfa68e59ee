"""Makes honest nights from a seed: elections, partial ballots, observations, corrections, keys, devices, moments.

`tests.makers.tree_maker` writes the tree and `tests.tamper.night` its log, both from the description of the format. This
file only chooses what happened. The observations of each acta are derived here once more, from `docs/rules.md` alone.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

from integrity import layout
from integrity.log.note import Proof, SignatureKind, Signer, read_checkpoint
from integrity.log.writer import FileState, Sequencer
from tests.makers import tree_maker
from tests.makers.log_maker import signer
from tests.makers.page_maker import write_pages
from tests.makers.tree_maker import Casilla, canonical, sha
from tests.tamper.night import (
    IDENTIFIED,
    ORIGIN,
    Authorities,
    Night,
    Said,
    entries_of,
    write_openings,
    write_proofs,
)

CENTRAL = timezone(timedelta(hours=-6))
X, S = tree_maker.X, tree_maker.S
_VARIED = (
    "CASILLAS",
    "ELECTIONS",
    "OFF_BALLOT",
    "TIMES",
    "FASES",
    "RULES",
    "CORRECTED",
    "COTEJOS",
    "FUERA_FROM",
    "WITHDRAWN",
)
_DEVICES = ("catd-01", "movil-07")


@dataclass
class HonestNight(Night):
    """A night without witnesses and seals, whose log may pass to another key."""

    who: Authorities = field(default=None)  # type: ignore[assignment]  # nobody seals
    told_of: list[str] = field(default_factory=list)
    """Its shapes, in words."""
    next_key: Signer | None = None
    closed: bool = True

    @property
    def policy(self) -> str:
        return f"log {self.log.key}\nquorum none\n"

    def told(self, root: Path, **start: Any) -> Said:
        said = super().told(root, **start)
        return said if self.closed else said[:-1]

    def write(self, root: Path, said: Said) -> None:
        """The log of those leaves. From a leaf `rotacion` of the log on, both keys sign."""
        folder, entries = root / "bitacora", entries_of(said)
        cuts = [
            number + 1 for number, leaf in enumerate(said) if leaf["tipo"] == "corte" or leaf.get("de") == "bitacora"
        ]
        with Sequencer(folder, self.log, FileState(self.home / "cabeza")) as log:
            for first, end in zip([0, *cuts], [*cuts, len(said)], strict=True):
                if self.next_key is not None and any(leaf.get("de") == "bitacora" for leaf in said[first:end]):
                    log.sign_with(self.next_key, [self.log])
                log.append(entries[first:end])
                if end > first:
                    write_proofs(root, log, range(first, end), said, entries)
                if end > first and said[end - 1].get("de") == "bitacora":
                    checkpoint = read_checkpoint(log.checkpoint())
                    proof = Proof(end - 1, tuple(log.tiles().inclusion(end - 1)), checkpoint, entries[end - 1])
                    path = folder / layout.rotation_path(1)
                    path.parent.mkdir(exist_ok=True)
                    path.write_bytes(proof.to_bytes())
        (folder / "politica.txt").write_text(self.policy)
        for path in folder.rglob(".*"):
            shutil.rmtree(path)
        write_openings(root, said)


def make(home: Path, seed: int, *, now: datetime) -> HonestNight:
    """The night of that seed, in `home`. `now` is the reader's clock: a corte that is coming out has an hour near it."""
    random = Random(seed)
    night = HonestNight(home, log=signer(ORIGIN), witnesses=())
    with _chosen(random, night, now):
        tree_maker.make_tree(night.tree)
        said = night.told(night.tree)
        for _ in range(random.randint(0, 2)):  # what one person proposed and another refused is opened never
            leaf = {"tipo": random.choice(("sin_acta", "identidad")), "compromiso": f"{random.getrandbits(256):064x}"}
            said.insert(random.randrange(3, len(said) - 1), leaf)
        _devices(said, random, night)
        if random.random() < 0.3:
            night.next_key = Signer.generate(ORIGIN, SignatureKind.LOG)
            leaf = {"tipo": "rotacion", "de": "bitacora", "nombre": ORIGIN, "clave": night.next_key.key.public.hex()}
            said.insert(random.randrange(3, len(said) - 1), leaf | {"fecha_hora": said[0]["fecha_hora"]})
            night.told_of.append("the log passes to another key")
        night.write(night.tree, said)
        if night.told_of and night.told_of[0] == "a corte comes out":
            _go_back(night, random)
    return night


# --- what happened ----------------------------------------------------------------------------------------------------


@contextmanager
def _chosen(random: Random, night: HonestNight, now: datetime) -> Iterator[None]:
    """`tree_maker` with other casillas, rules and hours, inside this context."""
    before = {name: getattr(tree_maker, name) for name in _VARIED}
    coming = random.random() < 0.25
    cortes = random.randint(2, 5)
    last = now - timedelta(minutes=random.randint(0, 9)) if coming else now - timedelta(days=9)
    hours = [(last - timedelta(minutes=20 * (cortes - 1 - number))).astimezone(CENTRAL) for number in range(cortes)]
    night.closed = random.random() < 0.6
    if coming:
        night.told_of.append("a corte comes out")
    rules = {**tree_maker.RULES, "excede_applies": random.random() < 0.8, "partial_beside_all": random.random() < 0.3}
    rules["mixed_without_number_counts"] = random.random() < 0.6
    for name, usual in (("excede_alone", False), ("sin_acta_not_counted", True)):
        if random.random() < 0.3:
            rules[name] = not usual
    codes = random.sample(sorted(_ELECTIONS), random.randint(1, 3))
    made: dict[str, Any] = {
        "TIMES": [f"{hour:%Y-%m-%dT%H:%M:%S}-06:00" for hour in hours],
        "FASES": ["cero", *["en curso"] * (cortes - 2), "final" if night.closed else "en curso"],
        "RULES": rules,
        "ELECTIONS": {code: _ELECTIONS[code] for code in sorted(codes)},
        "FUERA_FROM": {random.choice(codes): random.randint(1, cortes - 1)} if random.random() < 0.5 else {},
        # Every election may leave options off the ballot of district 2.
        "OFF_BALLOT": {
            (code, 2): set(random.sample([2, 4], random.randint(1, 2))) for code in codes if random.random() < 0.6
        },
    }
    if any(code == "GOB" for code, _ in made["OFF_BALLOT"]):
        del made["OFF_BALLOT"]["GOB", 2]  # one contest, one ballot
    partial = bool(made["OFF_BALLOT"])
    made["CASILLAS"] = [
        _casilla(random, number, cortes, rules, partial=partial) for number in range(random.randint(4, 12))
    ]
    made["CASILLAS"][:2] = [(place, *each[1:]) for place, each in enumerate(made["CASILLAS"][:2], 1)]
    plain = [each for each in made["CASILLAS"] if each[7] == "" and each[6] and each[5] and each[5] < cortes - 1]
    made["CORRECTED"], made["COTEJOS"] = {}, {}
    for casilla in plain:
        code, since = random.choice(codes), casilla[5]
        if random.random() < 0.3:
            corrected = [vote + (place == 0) for place, vote in enumerate(casilla[6])]
            made["CORRECTED"][code, casilla[1], random.randint(since + 1, cortes - 1)] = corrected
        elif random.random() < 0.5:
            made["COTEJOS"][code, casilla[1]] = random.randint(since, cortes - 1), random.choice("123")
    made["WITHDRAWN"] = _withdrawn(random, codes, made["CASILLAS"], cortes)
    identified = [
        (casilla, code)
        for casilla in made["CASILLAS"]
        for code in codes
        if casilla[5] and casilla[6] and random.random() < 0.2
    ]
    off = {place for (_, place), options in made["OFF_BALLOT"].items() if options}
    absent = {casilla[0] for casilla in made["CASILLAS"] if casilla[5] and casilla[6] is None}
    night.told_of += ["a sin acta beside an option off its ballot"] if off & absent else []
    night.told_of += ["a correction"] if made["CORRECTED"] else []
    night.told_of += ["a cotejo"] if made["COTEJOS"] else []
    night.told_of += ["fuera de catálogo"] if made["FUERA_FROM"] else []
    night.told_of += ["a sin acta undone"] if made["WITHDRAWN"] else []
    night.told_of += ["… and done again"] if any(each.stop < cortes for each in made["WITHDRAWN"].values()) else []
    night.told_of += ["an image that two people identified"] if identified else []
    night.told_of += [] if night.closed else ["the night goes on"]
    before_identified = frozenset(IDENTIFIED)
    try:
        for name, value in made.items():
            setattr(tree_maker, name, value)
        IDENTIFIED.clear()
        IDENTIFIED.update(tree_maker.clave(casilla, code) for casilla, code in identified)
        yield
    finally:
        IDENTIFIED.clear()
        IDENTIFIED.update(before_identified)
        for name, value in before.items():
            setattr(tree_maker, name, value)


def _withdrawn(random: Random, codes: list[str], casillas: list[Casilla], cortes: int) -> dict[tuple[str, int], range]:
    """Some actas sin acta are expected again, and some of these are sin acta again later, for the same reason."""
    found = {}
    for casilla in casillas:
        since = casilla[5]
        if since and casilla[6] is None and since + 1 < cortes:
            start = random.randint(since + 1, max(since + 1, cortes - 2))
            found[random.choice(codes), casilla[1]] = range(start, random.randint(start + 1, cortes))
    return found


_ELECTIONS = {
    "DIP": ("Diputaciones locales", "distrito", "3"),
    "GOB": ("Gubernatura", "entidad", "1"),
    "AYU": ("Ayuntamientos", "distrito", "4"),
}


def _casilla(random: Random, number: int, cortes: int, rules: dict[str, Any], *, partial: bool) -> Casilla:
    """A casilla as `tree_maker.CASILLAS` has it. Of a partial ballot, no option that may be off it decides anything."""
    since = random.choice([None, *range(1, cortes)])
    tipo, lista = random.choice("BBCES"), random.randint(400, 700)
    votes: list[Any] = [random.randint(0, 60) for _ in range(6)]
    votes[2], votes[4] = random.randint(0, 9), random.randint(0, 9)
    kinds = ["plain", "plain", "sin_acta", "ilegible", "sin_dato"]
    kinds += [] if partial else ["all_ilegible", "all_blank", "mixed", "excede", "excede_ilegible"]
    kind = random.choice(kinds)
    if kind in {"ilegible", "excede_ilegible"}:
        votes[random.choice((0, 3, 5))] = X
    elif kind == "sin_dato":
        votes[random.choice((0, 3, 5))] = S
    elif kind in {"all_ilegible", "all_blank"}:
        votes = [X if kind == "all_ilegible" else S] * 6
    elif kind == "mixed":
        votes = [random.choice((X, S)) for _ in range(4)] + [X, S]
    if kind.startswith("excede"):
        lista = 1
        votes = [vote if isinstance(vote, str) else vote + 20 for vote in votes]
    if tipo == "S" and (kind.startswith("excede") or random.random() < 0.5):
        tipo = "B"
    lista = 0 if tipo == "S" else lista
    typed = None if kind == "sin_acta" else votes
    said, counted = _observed(typed, lista, rules, random)
    return (
        random.choice((1, 2)),
        100 + number,
        tipo,
        1,
        lista,
        since,
        typed,
        said if since else "",
        counted if since else None,
    )


def _observed(votes: list[Any] | None, lista: int, rules: dict[str, Any], random: Random) -> tuple[str, int]:
    """OBSERVACIONES and CONTABILIZADA (docs/rules.md §4 and §5)."""
    texts = rules["texts"]
    if votes is None:
        return texts[f"sin_acta_{random.randint(1, 4)}"], 0
    numbers = [vote for vote in votes if isinstance(vote, int)]
    partial = [text for mark, text in ((X, texts["ilegible"]), (S, texts["sin_dato"])) if mark in votes]
    over = rules["excede_applies"] and lista > 0 and sum(numbers) > lista + 10
    counted = int(bool(numbers) and not over)
    said = partial
    if not numbers:
        if len(partial) > 1:
            counted = int(rules["mixed_without_number_counts"])  # this rule set has no text for all of them mixed
        else:
            every = texts["todos_ilegibles" if X in votes else "todos_vacios"]
            said = [every, *partial] if rules["partial_beside_all"] else [every]
    if over:
        said = [texts["excede_lista_nominal"], *(() if rules.get("excede_alone") else said)]
    return ", ".join(said), counted


# --- devices ----------------------------------------------------------------------------------------------------------


def _devices(said: Said, random: Random, night: HonestNight) -> None:
    """A device may lose numbers, get another key, or send an image twice; an image may be set aside."""
    when = {"fecha_hora": said[0]["fecha_hora"]}
    for device in _DEVICES:
        images = [leaf for leaf in said if leaf["tipo"] == "imagen" and leaf["dispositivo"] == device]
        if len(images) > 1 and random.random() < 0.4:
            first = random.randrange(1, len(images))
            lost, start = random.randint(1, 7), images[first]["secuencia"]
            for leaf in images[first:]:
                leaf["secuencia"] += lost
            way = random.choice(("lost", "incident", "nothing", "nothing"))
            if way == "nothing" and night.closed:
                way = "lost"
            if way == "lost":
                numbers = f"{start}-{start + lost - 1}" if lost > 1 else str(start)
                leaf = {"tipo": "perdida", "dispositivo": device, "numeros": numbers, "motivo": "robado", **when}
                said.insert(random.choice((len(said), random.randrange(3, len(said)))), leaf)
                night.told_of.append("numbers of a device are lost")
            elif way == "incident":
                for number in range(start, start + lost):
                    about = f"image:{device}:{number}:{'0' * 64}"
                    detail = {"clase": "mensaje_apartado", "asunto": about, "detalle": "0" * 64}
                    said.insert(random.randrange(3, len(said)), {"tipo": "incidente", **detail, **when})
            else:
                night.told_of.append("a number is missing")
        if random.random() < 0.3:
            leaf = {
                "tipo": "rotacion",
                "de": "dispositivo",
                "nombre": device,
                "clave": f"{random.getrandbits(256):064x}",
            }
            said.insert(random.randrange(3, len(said)), leaf | when)


# --- a corte that comes out -------------------------------------------------------------------------------------------


def _go_back(night: HonestNight, random: Random) -> None:
    """The tree as it is while its last corte comes out: index.json names the one before."""
    root = night.tree
    folders = sorted((root / "cortes").iterdir())
    last, earlier = folders[-1], folders[-2]
    manifest = json.loads((earlier / "manifest.json").read_bytes())
    index = json.loads((root / "index.json").read_bytes())
    index |= {key: manifest[key] for key in ("fase", "corte", "fecha_hora", "siguiente")}
    index |= {"carpeta": f"cortes/{earlier.name}", "sha256sums": sha((earlier / "SHA256SUMS").read_bytes())}
    (root / "index.json").write_bytes(canonical(index))
    _write_earlier_pages(root, earlier)
    stage = root / f".corte-{last.name}-0a1b2c3d"
    stage.mkdir()
    opened = root / layout.opening_path(int(last.name))
    if random.random() < 0.5:
        # Its images and its ZIP are in their places, and its folder is not.
        (last / "SHA256SUMS.tlog-proof").unlink()
        last.rename(stage / "corte")
        opened.unlink(missing_ok=True)
        if random.random() < 0.5:
            (root / json.loads((stage / "corte" / "manifest.json").read_bytes())["zip"]["archivo"]).unlink()
        night.told_of.append("it is in its stage")
        return
    if random.random() < 0.5:
        opened.unlink(missing_ok=True)
    if random.random() < 0.5:
        write_pages(root, last)
        night.told_of.append(PAGES_FIRST)


PAGES_FIRST = "its pages are there already"
"""Until index.json names their corte, nobody can say if these pages are right (CON-19)."""


def _write_earlier_pages(root: Path, earlier: Path) -> None:
    """The pages of the corte before the last, in the place of all others but those of images fuera de catálogo."""
    for path in root.glob("*/*.html"):
        path.unlink()
    write_pages(root, earlier)
