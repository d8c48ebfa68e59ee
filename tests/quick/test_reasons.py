"""Why the system refused a file: the usual reasons are told in Spanish, by one function."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from prep.errors import reason_of
from tests.makers.programs import ROOT


def _loop(folder: Path) -> None:
    (folder / "uno").symlink_to(folder / "dos")
    (folder / "dos").symlink_to(folder / "uno")
    (folder / "uno").read_bytes()


REFUSED: dict[str, Callable[[Path], object]] = {
    "no existe": lambda folder: (folder / "nada").read_bytes(),
    "es una carpeta": lambda folder: folder.read_bytes(),
    "una parte de la ruta no es una carpeta": lambda folder: (Path(__file__) / "nada").read_bytes(),
    "ya existe": lambda folder: folder.mkdir(),
    "el nombre es demasiado largo": lambda folder: (folder / ("x" * 300)).read_bytes(),
    "sus enlaces dan vueltas": _loop,
    "el disco está lleno": lambda folder: Path("/dev/full").write_bytes(b"x"),
}


@pytest.mark.parametrize("told", REFUSED)
def test_the_reason_of_a_refusal_by_the_system_is_spanish(tmp_path: Path, told: str) -> None:
    with pytest.raises(OSError, match=r"\[Errno") as refused:
        REFUSED[told](tmp_path)
    assert reason_of(refused.value) == told


def test_no_sentence_for_people_has_the_words_of_the_system() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for package in ("prep", "capture", "publisher")
        for path in sorted((ROOT / package).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"f\".*\{\w+\.strerror\}", line)
    ]
    assert found == []
