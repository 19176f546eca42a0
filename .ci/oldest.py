"""Prints a constraints file: the oldest version that pyproject.toml allows of each package."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *extras["sklearn"], *extras["test"]]:
    if found := re.match(r"([\w-]+)>=([\d.]+)", requirement):
        print("{}=={}.*".format(*found.groups()))
