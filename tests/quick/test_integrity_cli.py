"""The commands as their users run them: their output and their exit codes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from integrity.__main__ import main
from integrity.report import CHECKS, SEAL_CHECKS
from tests.makers.tree_maker import make_tree, sha


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("pristine") / "public")


@pytest.fixture
def tree(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "public"))


def test_a_good_tree_that_nobody_vouches_for_ends_with_2_and_a_table_of_all_checks(
    pristine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All is well, but the reader brought no key: one sentence names the missing key, and the place to get it."""
    assert main(["verify", str(pristine)]) == 2
    shown = capsys.readouterr().out
    assert all(f"✓ {check}" in shown for check in CHECKS)
    assert "✗" not in shown
    assert "corte 2 (final), 19/02/2023 20:20 (UTC-6)" in shown
    assert "falta la llave de su bitácora (--log-key)" in " ".join(shown.split())
    assert "que el instituto publica en su página" in " ".join(shown.split())
    assert shown.splitlines()[-1] == "? No se pudo comprobar todo: esto no es una aprobación."


def test_a_changed_image_ends_with_1_and_says_which_expected_and_found(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = min(tree.glob("imagenes/*/*.png"))
    image.write_bytes(b"otra imagen")
    assert main(["verify", str(tree)]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    name = image.relative_to(tree)
    assert f"✗ INT-04 {name}: se esperaba {image.stem}; se encontró {sha(b'otra imagen')}." in shown
    assert "Algo está mal" in shown


def test_a_wrong_address_ends_with_2_and_does_not_approve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path / "no-hay")]) == 2
    shown = capsys.readouterr().out
    assert "no hay una carpeta en" in shown
    assert "✓" not in shown
    assert shown.splitlines()[-1] == "? No se pudo comprobar todo: esto no es una aprobación."


def test_many_differences_are_counted_and_not_all_printed(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(30):
        (tree / f"{number}.txt").write_text("x")
    assert main(["verify", str(tree)]) == 1
    shown = capsys.readouterr().out
    assert shown.count("✗ COM-08") == 1 + 20 + 1
    assert "y 10 diferencias más" in shown


def test_json_holds_every_check_and_every_finding(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "cortes" / "0001" / "LEEME.txt").write_text("otro")
    assert main(["verify", str(tree), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["resultado"] == 1
    checks = {check["id"]: check for check in report["comprobaciones"]}
    assert checks.keys() == {**CHECKS, **SEAL_CHECKS}.keys() | {"AUT-12"}
    assert checks["INT-02"]["resultado"] == "mal"
    assert checks["INT-02"]["hallazgos"][0]["archivo"] == "cortes/0001/LEEME.txt"
    assert checks["INT-02"]["hallazgos"][0]["encontrado"] == sha(b"otro")
    assert checks["COM-01"]["resultado"] == "bien"
    assert checks["COM-01"]["familia"] == "Completitud"


def test_the_right_file_for_a_code_copied_with_spaces_and_capitals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "acta.jpg").write_bytes(b"acta")
    code = sha(b"acta").upper()
    assert main(["check", str(tmp_path / "acta.jpg"), f"sha256: {code[:20]}", code[20:41] + "-\n", code[41:]]) == 0
    assert "✓" in capsys.readouterr().out


def test_another_file_for_a_code_ends_with_1_and_both_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "acta.jpg").write_bytes(b"acta retocada")
    assert main(["check", str(tmp_path / "acta.jpg"), sha(b"acta")]) == 1
    shown = capsys.readouterr().out
    assert sha(b"acta") in shown
    assert sha(b"acta retocada") in shown


@pytest.mark.parametrize(
    ("code", "said"), [("abc", "se esperaba 64 caracteres; se encontró 3"), ("z" * 64, "se encontró «z»")]
)
def test_an_invalid_code_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, said: str) -> None:
    (tmp_path / "acta.jpg").write_bytes(b"acta")
    assert main(["check", str(tmp_path / "acta.jpg"), code]) == 2
    assert said in capsys.readouterr().out


def test_a_missing_file_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "nada.jpg"), "0" * 64]) == 2
    assert "No se pudo leer" in capsys.readouterr().out


@pytest.mark.parametrize("asked", [[], ["verifica"], ["verify"], ["verify", "a", "b"], ["check", "a"]])
def test_an_unknown_order_is_answered_in_spanish(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(asked)
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert "No se entiende la orden" in shown
    assert "usage" not in shown


def test_help_is_in_spanish(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "Termina con 0 si todo está bien" in capsys.readouterr().out


def test_it_needs_nothing_but_python_and_a_terminal_of_any_alphabet(pristine: Path) -> None:
    """Without site-packages, and on a screen that cannot show a check mark."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-S", "-E", "-X", "utf8=0", "-m", "integrity", "verify", str(pristine)]
    environment = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr == b""
    assert b"COM-01" in done.stdout


def test_the_commands_about_logs_say_what_they_need() -> None:
    """Without site-packages there is no `cryptography`, so no signature can be checked."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-S", "-E", "-m", "integrity", "audit-log", ".", "--key", "x"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "necesita el paquete «cryptography»" in done.stdout
    assert done.stderr == ""
