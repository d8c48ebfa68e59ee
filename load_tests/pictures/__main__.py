"""`python -m load_tests.pictures [--count N] [--seed N] | --hostile`."""

import argparse
import sys

from load_tests.pictures.differential import browser_page, compare
from prep.scan.bounded import MIB, bound_memory


def main() -> None:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hostile", action="store_true", help="send the hostile corpus to a whole night instead")
    arguments = parser.parse_args()
    if arguments.hostile:
        from load_tests.pictures.hostile import run  # noqa: PLC0415  # starts a night of its own

        sys.exit(run())
    with browser_page() as page:
        bound_memory(4096 * MIB)  # a damaged picture can make the bare libraries ask for all memory
        rate = compare(range(arguments.seed, arguments.seed + arguments.count), page)
    print(*rate.lost, sep="\n")
    print(f"{rate.made} made, {rate.shown} shown whole by all, {rate.percent:.2f} % of those taken and shown the same")
    sys.exit(bool(rate.lost))


main()
