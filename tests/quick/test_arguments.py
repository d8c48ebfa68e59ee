"""Every kind of wrong command gets one Spanish sentence."""

import pytest

from prep.arguments import Parser
from prep.errors import Rejected
from prep.operations.accounts import plain_numbers


def parser() -> Parser:
    made = Parser(prog="prep prueba")
    commands = made.add_subparsers(required=True, metavar="ORDEN")
    dismiss = commands.add_parser("descarta")
    dismiss.add_argument("ids", nargs="+", type=int, metavar="NÚMERO")
    dismiss.add_argument("--reason", required=True)
    dismiss.add_argument("--fase", choices=("cero", "final"))
    return made


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "prep prueba: falta: ORDEN"),
        (["otra"], "prep prueba: ORDEN: no hay 'otra'; hay: 'descarta'"),
        (["descarta", "1"], "prep prueba descarta: falta: --reason"),
        (["descarta", "uno", "--reason", "x"], "prep prueba descarta: NÚMERO: 'uno' no es un número"),
        (["descarta", "1", "--reason"], "prep prueba descarta: --reason: falta su valor"),
        (
            ["descarta", "1", "--reason", "x", "--fase", "media"],
            "prep prueba descarta: --fase: no hay 'media'; hay: 'cero', 'final'",
        ),
        (["descarta", "1", "--reason", "x", "--nada"], "prep prueba: no se entiende: --nada"),
    ],
)
def test_a_wrong_command_gets_a_spanish_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == sentence
    assert said[1].startswith("uso: ")


def test_help_is_in_spanish(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["descarta", "-h"])
    said = capsys.readouterr().out
    assert said.startswith("uso: prep prueba descarta")
    assert "opciones:" in said
    assert "argumentos:" in said
    assert "esta ayuda" in said
    assert "positional" not in said


@pytest.mark.parametrize(
    ("text", "plain"), [("5-9,12", "5-9,12"), (" 1 , 2 ", "1-2"), ("3 - 4,1", "1,3-4"), ("1 2", "")]
)
def test_a_space_joins_no_numbers_of_a_device(text: str, plain: str) -> None:
    """1 2 declared the number 12 as lost."""
    if plain:
        assert plain_numbers(text) == plain
        return
    with pytest.raises(Rejected, match="los números se escriben como 5-9,12"):
        plain_numbers(text)
