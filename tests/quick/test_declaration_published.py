"""The declaration in the manifests: both verifiers check it if it is there, and accept trees from before there were any."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prep.domain.night import read_night
from tests.makers.declared import REAL, REHEARSAL
from tests.makers.tree_maker import DECLARED, Json, canonical, make_tree, reseal, sha
from tests.quick.test_integrity_verify import corte, edit
from tests.tamper.matrix import judge


def declared(**fields: Any) -> Callable[[Json], object]:
    """Another declaration, with the digest that it has; a field that is `...` is missing."""
    content = {name: value for name, value in (DECLARED | fields).items() if value is not ...}
    return lambda held: held.update(declaracion={"sha256": sha(canonical(content)[:-1]), "contenido": content})


HONEST = {
    "as the maker writes it": lambda _: None,
    "before there were declarations": lambda held: held.pop("declaracion"),
    "a test without hours": declared(ensayo=True, inicio=None, fin=None),
    "another zone": declared(inicio="2023-02-19T18:00:00.250-07:00"),
}
WRONG = {
    "null": (lambda held: held.update(declaracion=None), "INT-03"),
    "without its content": (lambda held: held["declaracion"].pop("contenido"), "INT-03"),
    "with a field more": (declared(otra=1), "INT-03"),
    "with a field less": (declared(zona=...), "INT-03"),
    "a start without offset": (declared(inicio="2023-02-19T18:00:00"), "INT-03"),
    "a digest of another": (lambda held: held["declaracion"].update(sha256="0" * 64), "CON-05"),
    "of another state": (declared(siglas="COL"), "CON-05"),
    "of a simulacro": (declared(simulacro=True), "CON-04"),
}  # fmt: skip


def verdicts(
    tmp_path: Path, change: Callable[[Json], object], cortes: range = range(3)
) -> tuple[set[int], list[set[str]]]:
    tree = make_tree(tmp_path / "public")
    for number in cortes:
        edit(corte(tree, number) / "manifest.json", change)
    reseal(tree)
    found = [judge(tree, [], minimal=minimal) for minimal in (False, True)]
    return {each.exit_code for each in found}, [set(each.wrong) for each in found]


@pytest.mark.parametrize("how", HONEST)
def test_both_verifiers_accept_it(tmp_path: Path, how: str) -> None:
    exits, wrong = verdicts(tmp_path, HONEST[how])
    assert exits <= {0, 2}
    assert wrong == [set(), set()]


@pytest.mark.parametrize("how", WRONG)
def test_both_verifiers_refuse_it_with_the_same_checks(tmp_path: Path, how: str) -> None:
    change, check = WRONG[how]
    exits, [ours, minimal] = verdicts(tmp_path, change)
    assert exits == {1}
    assert ours == minimal
    assert check in ours


@pytest.mark.parametrize("change", [declared(zona="America/Cancun"), HONEST["before there were declarations"]])
def test_no_corte_changes_it(tmp_path: Path, change: Callable[[Json], object]) -> None:
    exits, wrong = verdicts(tmp_path, change, range(2, 3))
    assert (exits, wrong) == ({1}, [{"CON-05"}, {"CON-05"}])


@pytest.mark.parametrize("night", [REAL, REHEARSAL], ids=lambda night: night.log_name)
def test_the_program_publishes_the_form_that_the_verifiers_know(tmp_path: Path, night: Any) -> None:
    assert night.content.keys() == DECLARED.keys()
    assert canonical(night.content)[:-1].decode() == night.text
    assert read_night(canonical(DECLARED)[:-1].decode(), None).content == DECLARED
