"""Ways of cheating with the clean data, and with the manifests that name them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.makers.tree_maker import canonical, data_of, reseal, seal, sha
from tests.tamper.night import Night

Does = Callable[[Path, Night], object]
CSV, PARQUET, NIST, EVIDENCE = "actas_GOB.csv", "actas_GOB.parquet", "nist_GOB.json", "evidencia_GOB.csv"
BOOK = "libro_GOB.xlsx"
SUMS = "SHA256SUMS"


def data(root: Path, number: int = 2) -> Path:
    return root / f"datos/{number:04}"


def _replace(name: str, old: bytes, new: bytes, number: int = 2) -> Does:
    """Change the first of these bytes."""

    def act(root: Path, _: Night) -> None:
        path = data(root, number) / name
        held = path.read_bytes()
        assert old in held, (name, old)
        path.write_bytes(held.replace(old, new, 1))

    return act


def _without(pattern: str) -> Does:
    def act(root: Path, _: Night) -> None:
        for path in data(root).glob(pattern):
            path.unlink()

    return act


def _of_the_corte_before(root: Path, _: Night) -> None:
    shutil.rmtree(data(root))
    shutil.copytree(data(root, 1), data(root))


def _listed(change: Does, number: int = 2) -> Does:
    """The change, and the list of these files made to agree with it."""

    def act(root: Path, night: Night) -> None:
        change(root, night)
        seal(data(root, number))

    return act


def _agreed(change: Does) -> Does:
    """The change in the clean data of corte 1, which the manifest of corte 2 names: everything agrees again."""

    def act(root: Path, night: Night) -> None:
        _listed(change, 1)(root, night)
        reseal(root, data=False)

    return act


def _names(change: Callable[[list[dict[str, Any]]], object]) -> Does:
    """The last manifest names other clean data; its list and the index agree with it."""

    def act(root: Path, _: Night) -> None:
        folder = root / "cortes/0002"
        manifest = json.loads((folder / "manifest.json").read_bytes())
        change(manifest["datos"])
        (folder / "manifest.json").write_bytes(canonical(manifest))
        seal(folder)
        index = json.loads((root / "index.json").read_bytes())
        index["sha256sums"] = sha((folder / SUMS).read_bytes())
        (root / "index.json").write_bytes(canonical(index))
        # The clean data of this corte tell no part of the manifest that was changed: they stay.
        assert data_of(root, folder, make=False)

    return act


def _write(path: str, content: bytes) -> Does:
    def act(root: Path, _: Night) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)

    return act


def _link(root: Path, _: Night) -> None:
    path = data(root) / CSV
    path.rename(root.parent / "fuera.csv")
    path.symlink_to(root.parent / "fuera.csv")


FILES: dict[str, Does] = {
    "the clean data: a vote in the CSV": _replace(CSV, b",100,50,", b",100,51,"),
    "the clean data: a vote in the Parquet file": _replace(PARQUET, (100).to_bytes(8, "little"), (101).to_bytes(8, "little")),
    "the clean data: a file removed": lambda root, _: (data(root) / PARQUET).unlink(),
    "the clean data: a file more": _write("datos/0002/otro.csv", b"ACTA\r\n"),
    "the clean data: a file that is a link": _link,
    "the clean data: those of a named corte removed": lambda root, _: shutil.rmtree(data(root, 1)),
    "the clean data: the list removed, its files stay": lambda root, _: (data(root) / SUMS).unlink(),
    "the clean data: a list with another end": lambda root, _: (data(root) / SUMS).write_bytes((data(root) / SUMS).read_bytes()[:-1]),
    "the clean data: of a corte that is not": lambda root, _: shutil.copytree(data(root), data(root, 7)),
    "the clean data: a file beside the folders": _write("datos/actas.csv", b"ACTA\r\n"),
    "the clean data: a vote in the CSV, and in the list": _listed(_replace(CSV, b",100,50,", b",100,51,")),
    "the clean data: a vote in the Parquet file, and in the list": _listed(_replace(PARQUET, (100).to_bytes(8, "little"), (101).to_bytes(8, "little"))),
    "the clean data: a vote in the workbook, and in the list": _listed(_replace(BOOK, b"<v>100</v></c><c><v>50</v>", b"<v>100</v></c><c><v>51</v>")),
    "the clean data: a workbook left out, and of the list": _listed(_without(BOOK)),
    "the clean data: a status, and in the list": _listed(_replace(CSV, b",no_contabilizada,", b",contabilizada,")),
    "the clean data: a sum of NIST, and in the list": _listed(_replace(NIST, b'"Count":', b'"Count":9')),
    "the clean data: another image, and in the list": _listed(_replace(EVIDENCE, b".png,", b".jpg,")),
    "the clean data: an election left out, and of the list": _listed(_without("*_GOB.*")),
    "the clean data: those of the corte before": _of_the_corte_before,
}  # fmt: skip
"""By a person who can write to the server."""

AGREED: dict[str, Does] = {
    "the clean data: a vote of an earlier corte": _agreed(_replace(CSV, b",100,50,", b",100,51,", 1)),
    "the clean data: a manifest names other ones": _names(lambda told: told[0].update(sha256sums="0" * 64)),
    "the clean data: a manifest names those of its own corte": _names(lambda told: told[0].update(corte=2)),
    "the clean data: a manifest names some again": _names(lambda told: told.append(told[0])),
    "the clean data: a manifest names those of corte 0 again": _names(lambda told: told[0].update(corte=0)),
}
"""Digests and chain agree; the log too, if the cheat has its key."""
