"""Random small changes: a seed picks a file of the night, a change, and the means of the cheat."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tests.makers.tree_maker import list_catalogue, reseal
from tests.tamper.night import Night

_VALUES = ("", "-", "0", "1", "00", "9", "-1", "Sin acta", "Ilegible", "Sin dato", "2", "0" * 64, "á", "../x")
_OTHERS: tuple[Any, ...] = (None, True, False, 0, 1, 2, 99, -1, 1.5, "", "x", "cero", "final", [], {}, "0" * 64)


def mutate(root: Path, night: Night, seed: int) -> str:
    """Change the tree in one way; returns that way in words."""
    random = Random(seed)
    kinds: dict[str, list[Path]] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        kinds.setdefault(_kind_of_file(path.relative_to(root)), []).append(path)
    path = random.choice(kinds[random.choice(sorted(kinds))])
    name = str(path.relative_to(root))
    changes = [_flip_bit, _cut_file, _grow_file, _drop_file, _change_lines, _copy_file]
    if path.suffix in {".csv", ".json", ".jsonl"}:
        changes += [_change_field] * 8
    change = random.choice(changes)
    told = f"{seed}: {name}, {change.__name__.strip('_')} {change(path, random)}"
    signable = name.startswith(("cortes/", "catalogo/")) and change is _change_field
    hands = random.choice(("", "", "digests", "keys")) if signable else ""
    if hands:
        try:
            if name.startswith("catalogo/"):
                list_catalogue(root)
            reseal(root)
            if hands == "keys":
                night.vouch(root)
        except (ValueError, LookupError, TypeError, AttributeError):
            return f"{told}; what the tree says now cannot be signed"
    return f"{told} {hands}".strip()


def _kind_of_file(path: Path) -> str:
    top = path.parts[0]
    if top == "imagenes" or path.suffix == ".html":
        return path.suffix
    if top == "bitacora":
        return f"{top} {path.parts[1]}"
    return f"{top} {path.name if path.suffix != '.zip' else path.suffix}"


def _flip_bit(path: Path, random: Random) -> str:
    data = bytearray(path.read_bytes())
    place = random.randrange(len(data) or 1)
    data[place : place + 1] = bytes([random.choice([random.randrange(256), *b'0123456789,"\n\r {}'])])
    path.write_bytes(bytes(data))
    return f"byte {place}"


def _cut_file(path: Path, random: Random) -> str:
    place = random.randrange(path.stat().st_size or 1)
    path.write_bytes(path.read_bytes()[:place])
    return f"at {place}"


def _grow_file(path: Path, random: Random) -> str:
    more = random.choice([b"\n", b"\r\n", b"x", b"\0", b" ", b",\r\n"])
    path.write_bytes(path.read_bytes() + more)
    return f"by {more!r}"


def _drop_file(path: Path, _: Random) -> str:
    path.unlink()
    return ""


def _copy_file(path: Path, random: Random) -> str:
    """Copy a file to another name, or over a neighbour."""
    others = [each for each in sorted(path.parent.iterdir()) if each.is_file()]
    other = random.choice([path.with_name("x" + path.name), *others])
    other.write_bytes(path.read_bytes())
    return f"over {other.name}"


def _change_lines(path: Path, random: Random) -> str:
    lines = path.read_bytes().splitlines(keepends=True) or [b""]
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    how = random.choice(["exchanged", "twice", "gone"])
    if how == "exchanged":
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one : one + 1] = [lines[one]] * (2 if how == "twice" else 0)
    path.write_bytes(b"".join(lines))
    return f"{one} {how} {other}"


def _change_field(path: Path, random: Random) -> str:
    if path.suffix == ".csv":
        return _change_cell(path, random)
    lines = path.read_bytes().splitlines()
    number = random.randrange(len(lines))
    try:
        held = json.loads(lines[number])
    except ValueError:
        return "of no JSON"
    spot, key = random.choice([*_places_in_json(held)])
    was = spot[key]
    near = [was + 1, was - 1] if isinstance(was, int) else [f"{was}0"] if isinstance(was, str) else []
    spot[key] = random.choice([*near * 4, *_OTHERS])
    told = f"line {number}, {key} from {was!r:.40} to {spot[key]!r:.40}"
    if random.random() < 0.1:
        told, _ = f"line {number}, without {key}", spot.pop(key)
    lines[number] = json.dumps(held, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    path.write_bytes(b"\n".join(lines) + b"\n")
    return told


def _places_in_json(held: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value that holds another value."""
    places = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ()
    for key, inner in places:
        yield held, key
        yield from _places_in_json(inner)


def _change_cell(path: Path, random: Random) -> str:
    text = path.read_bytes().decode("utf-8-sig")
    rows = [*csv.reader(io.StringIO(text, newline=""))]
    full = [number for number, cells in enumerate(rows) if len(cells) > 2]
    if not full:
        return "of no row"
    number = random.choice(full)
    place = random.randrange(len(rows[number]))
    was = rows[number][place]
    column = [cells[place] for cells in rows if len(cells) > place]
    near = [str(int(was) + 1)] * 3 if was.isascii() and was.isdigit() else []
    rows[number][place] = random.choice([*near, *random.sample(column, min(3, len(column))), random.choice(_VALUES)])
    ends = "\r\n" if "\r\n" in text else "\n"
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=ends).writerows(rows)
    marked = path.read_bytes().startswith(b"\xef\xbb\xbf")
    path.write_bytes((b"\xef\xbb\xbf" if marked else b"") + out.getvalue().encode())
    return f"line {number + 1}, cell {place} from {was!r} to {rows[number][place]!r}"
