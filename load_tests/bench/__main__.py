"""`python -m load_tests.bench`."""

from load_tests.bench.bench import main

main()
