"""`python -m load_tests.chaos`."""

import sys

from load_tests.chaos.chaos import main

sys.exit(main(sys.argv[1:]))
