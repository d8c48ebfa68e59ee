__version__ = "0.1.0"  # as in pyproject.toml; a container runs from the folder, where no package says its version
