"""`python -m load_tests.pictures [--count N] [--seed N] | --hostile | --crops [--count N]`."""

import argparse
import sys
from pathlib import Path

from load_tests.pictures.differential import browser_page, compare
from prep.scan.bounded import MIB, bound_memory


def main() -> None:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}")
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hostile", action="store_true", help="send the hostile corpus to a whole night instead")
    parser.add_argument("--crops", action="store_true", help="measure the strips of drawn and official actas instead")
    blank = Path("../shared/data/formatos/acta-presidencia-2024-en-blanco.png")
    parser.add_argument("--blank", type=Path, default=blank, help="the blank official form (only with --crops)")
    arguments = parser.parse_args()
    if arguments.crops:
        from load_tests.pictures.crops import run as measure  # noqa: PLC0415  # needs no browser

        if not arguments.blank.is_file():
            parser.error(f"no está {arguments.blank}: diga con --blank dónde está el formato oficial en blanco")
        sys.exit(measure(arguments.blank, arguments.count or 200))
    if arguments.hostile:
        from load_tests.pictures.hostile import run  # noqa: PLC0415  # starts a night of its own

        sys.exit(run())
    with browser_page() as page:
        bound_memory(4096 * MIB)  # a damaged picture can make the bare libraries ask for all memory
        rate = compare(range(arguments.seed, arguments.seed + (arguments.count or 2000)), page)
    print(*rate.lost, sep="\n")
    print(f"{rate.made} made, {rate.shown} shown whole by all, {rate.percent:.2f} % of those taken and shown the same")
    sys.exit(bool(rate.lost))


main()
