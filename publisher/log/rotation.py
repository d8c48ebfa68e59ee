"""The log passes to another key: `prep log rotate` and, once all readers know the new key, `prep log rotate --end`.

1. `prep log rotate`, on the machine of the sequencer, makes the new key beside the old one, and puts on record that the
   log passes to it. Within a second the sequencer makes this a leaf. From that checkpoint on both keys sign, and
   `bitacora/rotaciones/` has the proof that leads from one key to the other.
2. Give the new public key to readers and to the witnesses. The witnesses start again with both keys (`--log` twice).
3. `prep log rotate --end`, and start the sequencer again: from then on the new key alone signs.

Each step can be repeated, and stopped anywhere: a key exists before it is on record, and is on record before it signs;
the old key is put aside only after the proof that both signed is published. `integrity.log.rotation` says how far this
protects a reader.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import uvloop

from integrity.layout import LOG, rotation_path
from integrity.log.note import NotSigned, Signer, VerifierKey, read_proof
from integrity.sums import Malformed
from prep.errors import PrepError, Rejected
from prep.settings import Part, Settings, now, read_settings
from prep.store import embedded
from prep.store import log as store
from prep.store.database import connect
from publisher.log.office import following_key, signing_key

HELP: Final = """\
prep log rotate          la bitácora pasa a una llave nueva; desde entonces firman las dos
prep log rotate --end    cuando todos tienen la nueva: la anterior deja de firmar

Se corre en la máquina del secuenciador. Después de --end hay que reiniciar el secuenciador.
"""


async def rotate(settings: Settings) -> VerifierKey:
    """Pass to the next key, which is made if there is none. Raises Rejected if there is no log yet."""
    async with embedded.database(settings) as urls, connect(urls.of(Part.SEQUENCER)) as connection:
        start = await store.start(connection)
        if start is None:
            raise Rejected("la bitácora todavía no empieza: no hay de qué llave pasar")
        _must_hold_the_key(settings, start, await store.handed_over(connection))
        signing_key(settings.log_key, start.origen)
        following = signing_key(following_key(settings.log_key), start.origen)
        # The key is on this disk. If we stop here, the next run puts this very key on record.
        await store.hand_over(connection, start.origen, following.key.public, now())
    return following.key


def _must_hold_the_key(settings: Settings, start: store.Start, passed_to: Sequence[tuple[bytes, int]]) -> None:
    """Raises Rejected if the log's key is not on this machine: a key made elsewhere would be in no sequencer."""
    paths = [path for path in (settings.log_key, following_key(settings.log_key)) if path.exists()]
    here = [signing_key(path, start.origen).key for path in paths]
    if not any(each.public == passed_to[-1][0] if passed_to else str(each) == start.clave for each in here):
        raise Rejected(f"la llave de la bitácora no está en {settings.log_key}: esto se corre donde el secuenciador")


async def end(settings: Settings) -> Path:
    """Put the old key aside; returns its new path. Raises Rejected until both keys have signed the rotation."""
    if not following_key(settings.log_key).exists():
        raise Rejected("no hay una rotación en curso: primero «prep log rotate»")
    async with embedded.database(settings) as urls, connect(urls.of(Part.SEQUENCER)) as connection:
        start, passed_to = await store.start(connection), await store.handed_over(connection)
    if start is None:
        raise Rejected("la bitácora todavía no empieza: no hay de qué llave pasar")
    old = signing_key(settings.log_key, start.origen)
    new = signing_key(following_key(settings.log_key), start.origen)
    # Without this proof, a reader with the old key could not follow, and would think that the log was replaced.
    proof = settings.public / LOG / rotation_path(len(passed_to))
    if not passed_to or passed_to[-1][0] != new.key.public or not _both_signed(proof, old, new):
        raise Rejected("la bitácora todavía no publica la prueba de su llave nueva: espere al secuenciador")
    aside = settings.log_key.with_name(f"{settings.log_key.name}.retirada-{old.key.id.hex()}")
    settings.log_key.rename(aside)
    # If we stop here, the next process that looks for the key finds the new one and puts it in its place.
    following_key(settings.log_key).rename(settings.log_key)
    return aside


def _both_signed(proof: Path, old: Signer, new: Signer) -> bool:
    try:
        note = read_proof(proof.read_bytes()).checkpoint.note
        return note.signed_by(old.key) and note.signed_by(new.key)
    except (OSError, Malformed, NotSigned):
        return False


class _Parser(argparse.ArgumentParser):
    """argparse with Spanish texts."""

    def format_help(self) -> str:
        return HELP

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 - argparse's own sentence is English
        sys.stderr.write("No se entiende la orden.\n\n" + HELP)
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0; 2, with one sentence, if it cannot be done."""
    parser = _Parser(prog="prep log")
    parser.add_argument("action", choices=("rotate",))
    parser.add_argument("--end", action="store_true")
    arguments = parser.parse_args(argv)
    try:
        settings = read_settings()
        if arguments.end:
            print(f"la llave anterior ya no firma; quedó en {uvloop.run(end(settings))}")
            print("reinicie el secuenciador")
        else:
            print(f"la bitácora pasa a la llave\n{uvloop.run(rotate(settings))}")
            print("repártala, también a los testigos; cuando la tengan: prep log rotate --end")
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
