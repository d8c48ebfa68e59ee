"""The programs of a night: what they share, and the command `prep`."""

import os

# pydantic would ask every installed package at each start if it wants to see the values. No package may see them.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
