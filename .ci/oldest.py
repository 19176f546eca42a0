"""Prints a constraints file: the oldest version that pyproject.toml allows of each package."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *extras["sklearn"], *extras["test"]]:
    if requirement.startswith(project["name"]):
        continue  # its own extras
    if (found := re.match(r"([\w-]+) *>= *([\d.]+)", requirement)) is None:
        sys.exit(f"pyproject.toml: {requirement!r} does not begin with a name and >= a version")
    print("{}=={}.*".format(*found.groups()))
