"""Check what a PREP publishes, without trust in the people who publish it. Needs no other package of this project."""

VERSION = "0.2.0"
"""The version of the project. pyproject.toml reads it from this line."""
