"""The keys that a reader met in a tree itself and remembers: `integrity verify --trust-on-first-use`.

The first time, the tree's own policy is believed and kept in a file of the reader, together with the checkpoint. From
then on the tree of that address must have this very log, continued: another key or another history is a finding. So a
citizen who has no key from anywhere else still sees a tree that was exchanged later. The first time itself proves
nothing, and the report says so. `minimal_verifier.py` reads and writes the same file.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from integrity import durable
from integrity.layout import LOG, POLICY
from integrity.log.tiles import CHECKPOINT
from integrity.source import SourceError, open_source
from integrity.strict_json import canonical_json
from integrity.sums import Malformed

_LIMIT: Final = 1 << 20
_FORMAT: Final = 1


class Remembered(NamedTuple):
    """What the reader kept of one tree: its policy, and its last checkpoint that was good."""

    policy: bytes
    checkpoint: bytes


def place() -> Path:
    """The file of this user."""
    above = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(above) / "prep" / "llaves.json"


def recall(source: str) -> Remembered | None:
    """The memory of the tree at this address; None the first time. Raises Malformed for a damaged file."""
    held = _read().get(_name(source))
    return None if held is None else Remembered(held["politica"].encode(), held["punto"].encode())


def remember(source: str, before: Remembered | None) -> bool:
    """Keep the policy of the first time and the checkpoint of now. False if the tree has no log to remember."""
    try:
        tree = open_source(source)
    except SourceError:
        return False
    try:
        policy = before.policy if before else tree.read(f"{LOG}/{POLICY}", _LIMIT)
        told = {"politica": policy.decode(), "punto": tree.read(f"{LOG}/{CHECKPOINT}", _LIMIT).decode()}
    except (SourceError, UnicodeDecodeError):
        return False
    finally:
        tree.close()
    kept = {"formato": _FORMAT, "arboles": {**_read(), _name(source): told}}
    place().parent.mkdir(parents=True, exist_ok=True)
    durable.replace(place(), canonical_json(kept) + b"\n", fresh=place().with_name(f".llaves-{os.getpid()}"))
    return True


def _name(source: str) -> str:
    """One name for an address or a folder, however it is written."""
    if "://" in source:
        return source.removesuffix("index.html").removesuffix("index.json").rstrip("/")
    return str(Path(source).resolve())


def _read() -> Mapping[str, Any]:
    try:
        held = json.loads(place().read_bytes())
        trees = {
            str(name): {"politica": str(told["politica"]), "punto": str(told["punto"])}
            for name, told in held["arboles"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise Malformed("un archivo de llaves recordadas", f"otra cosa en {place()}") from None
    return trees
