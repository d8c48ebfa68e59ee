"""The JSON Schemas of the messages as files. `python -m tests.makers.message_schemas` writes them anew."""

import json
from pathlib import Path

from prep.messages import schemas
from tests.makers.programs import ROOT

SCHEMAS = ROOT / "docs" / "schemas"


def schema_files() -> dict[Path, str]:
    """The text of each file, by its place."""
    return {
        SCHEMAS / f"{type_}.json": json.dumps(schema, ensure_ascii=False, indent=2) + "\n"
        for type_, schema in schemas().items()
    }


if __name__ == "__main__":
    for path, text in schema_files().items():
        path.write_text(text, encoding="utf-8")
