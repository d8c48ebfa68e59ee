"""The command `prep` by its module, as `prep serve` starts its parts: `python -m prep.operations worker`.

A process that a part spawns imports the main module of the part again, unless it is a `__main__` like this. So a
decoder does not load what only the command needs.
"""

from prep.operations.cli import main

if __name__ == "__main__":
    main()
