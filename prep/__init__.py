__version__ = "0.1.0"  # as in pyproject.toml; a container runs from the folder, and no package says its version there
