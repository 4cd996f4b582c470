"""`dicomgate plugins new NAME`: write a distribution with a working authenticator, to change."""

from __future__ import annotations

import builtins
import re
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path
from string import Template

import typer

from ..auth import loading as discovery
from ..errors import ConfigError, StartError

NEW = "new"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_AUTHENTICATOR = "authenticator.py.template"
_FILES = {
    "pyproject.toml": "pyproject.toml.template",
    "README.md": "README.md.template",
    "src/{module}/__init__.py": _AUTHENTICATOR,
    "src/{module}/py.typed": None,
    "tests/test_{name}.py": "test.py.template",
}
"""Where each template goes."""
_NEXT = """\
{folder} is written. It works as it is; change authenticate() in
  {folder}/src/{module}/__init__.py
Next, in {folder}:
  pytest                 runs the contract's tests, and a login through a gateway
  pip install -e .       then `dicomgate plugins {name}` prints its keys"""


def begin(name: str) -> None:
    """Write ./dicomgate-NAME. Raises ConfigError for a name that cannot be, StartError where nothing can be written."""
    kind = "".join(part.capitalize() for part in name.split("-"))
    _check_name(name, kind)
    folder, module = Path(f"dicomgate-{name}"), f"dicomgate_{name.replace('-', '_')}"
    words = {"name": name, "module": module, "Kind": kind}
    try:
        folder.mkdir()
        for place, template in _FILES.items():
            path = folder / place.format(name=name.replace("-", "_"), module=module)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Template(_read(template)).substitute(words) if template else "", "utf-8")
    except FileExistsError:
        raise ConfigError(f"{folder}: exists already, and stays as it is") from None
    except OSError as error:
        raise StartError(f"{folder}: cannot be written: {error.strerror}") from error
    typer.echo(_NEXT.format(folder=folder, module=module, name=name), err=True)


def _check_name(name: str, kind: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        what = f"at most {_LONGEST_NAME} of a to z, 0 to 9 and single hyphens, a letter first"
        raise ConfigError(f"{name!r} is not a name for an authenticator: {what}")
    # The class has a name of its own: not Python's, and none of those that stand beside it.
    taken = name == NEW or iskeyword(kind) or hasattr(builtins, kind)
    if taken or re.search(rf"\b{kind}\b", _read(_AUTHENTICATOR)):
        raise ConfigError(f"{name!r} is taken; choose another name")
    if name in discovery.installed():
        raise ConfigError(f"an authenticator {name!r} is installed already; choose another name")


def _read(template: str) -> str:
    return files(__package__).joinpath("templates", template).read_text("utf-8")
