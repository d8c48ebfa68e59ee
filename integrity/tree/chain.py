"""A manifest by itself, and after the one before it: what a night may not change."""

from integrity.report import Ledger
from integrity.tree.documents import Manifest, rules_digest


def judge_itself(path: str, ours: Manifest, ledger: Ledger) -> None:
    """Phase, next corte, declaration of the night and digest of the rules, without any other corte."""
    if (ours.fase == "cero") != (ours.corte == 0):
        phase = "cero" if ours.corte == 0 else "en curso o final"
        ledger.wrong("CON-02", path, expected=phase, found=ours.fase, position="fase")
    if ours.siguiente is not None and ours.siguiente < ours.at:
        ledger.wrong("CON-03", path, expected=f"{ours.at} o después", found=ours.siguiente, position="siguiente")
    _judge_declaration(path, ours, ledger)
    # The rules that decide which actas count are in the manifest, with their digest (domain.md §5).
    for election in ours.raw["elecciones"]:
        rules = ours.raw["reglas"][election["codigo"]]
        if rules_digest(rules["contenido"]) != rules["sha256"]:
            digest = rules_digest(rules["contenido"])
            where = f"reglas.{election['codigo']}.sha256"
            ledger.wrong("CON-05", path, expected=digest, found=rules["sha256"], position=where)


def _judge_declaration(path: str, ours: Manifest, ledger: Ledger) -> None:
    """The declaration of the night is that of its digest, and the manifest says the same. A tree may lack one."""
    declared = ours.raw.get("declaracion")
    if declared is None:
        return
    content = declared["contenido"]
    if rules_digest(content) != declared["sha256"]:
        where = "declaracion.sha256"
        ledger.wrong("CON-05", path, expected=rules_digest(content), found=declared["sha256"], position=where)
    if content["siglas"] != ours.edo:
        ledger.wrong("CON-05", path, expected=ours.edo, found=content["siglas"], position="declaracion.siglas")
    if content["simulacro"] != ours.simulacro:
        said = {True: "un simulacro", False: "una elección"}
        expected, found = said[ours.simulacro], said[content["simulacro"]]
        ledger.wrong("CON-04", path, expected=expected, found=found, position="declaracion.simulacro")


def judge_succession(path: str, ours: Manifest, theirs: Manifest, ledger: Ledger) -> None:
    """What `ours` may not change of `theirs`, the manifest of the corte before."""
    if ours.at < theirs.at:
        ledger.wrong("CON-03", path, expected=f"{theirs.at} o después", found=ours.at, position="fecha_hora")
    # After the final corte the night is closed (domain.md §8).
    if theirs.fase == "final":
        ledger.wrong("CON-02", path, expected="ningún corte después del final", found=f"el corte {ours.corte}")
    if ours.simulacro != theirs.simulacro:
        said = {True: "un simulacro", False: "una elección"}
        expected = f"{said[theirs.simulacro]}, como el corte anterior"
        ledger.wrong("CON-04", path, expected=expected, found=said[ours.simulacro], position="simulacro")
    # Catalogue, declaration, rules and elections are fixed by corte 0.
    if ours.fixed != theirs.fixed:
        expected = "el catálogo, la declaración, las reglas y las elecciones del corte anterior"
        ledger.wrong("CON-05", path, expected=expected, found="otros")
