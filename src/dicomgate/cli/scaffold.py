"""`dicomgate plugins new NAME`: write a distribution with a working plugin, to change."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path
from string import Template
from typing import NamedTuple

import typer

from ..auth import loading as discovery
from ..auth.kind import AUTHENTICATORS, Kind
from ..credentials.table import CREDENTIALS
from ..errors import ConfigError, StartError

NEW = "new"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40


class _New(NamedTuple):
    """What is written for a plugin of a kind: what it is for, its method, and three of its files."""

    what: str
    method: str
    module: str
    test: str
    readme: str

    def files(self) -> Mapping[str, str | None]:
        """Where each template goes."""
        return {
            "pyproject.toml": "pyproject.toml.template",
            "README.md": self.readme,
            "src/{module}/__init__.py": self.module,
            "src/{module}/py.typed": None,
            "tests/test_{name}.py": self.test,
        }


_NEW: Mapping[Kind, _New] = {
    AUTHENTICATORS: _New(
        "Logins", "authenticate", "authenticator.py.template", "test.py.template", "README.md.template"
    ),
    CREDENTIALS: _New(
        "Credentials",
        "present",
        "credential.py.template",
        "credential_test.py.template",
        "credential_README.md.template",
    ),
}
_NEXT = """\
{folder} is written. It works as it is; change {method}() in
  {folder}/src/{module}/__init__.py
Next, in {folder}:
  pytest                 runs its tests, those of the contract among them
  pip install -e .       then `dicomgate plugins {name}` prints its keys"""


def begin(name: str, kind: Kind = AUTHENTICATORS) -> None:
    """Write ./dicomgate-NAME. Raises ConfigError for a name that cannot be, StartError where nothing can be written."""
    new, title = _NEW[kind], "".join(part.capitalize() for part in name.split("-"))
    _check_name(name, title, kind)
    folder, module = Path(f"dicomgate-{name}"), f"dicomgate_{name.replace('-', '_')}"
    words = {"name": name, "module": module, "Kind": title, "What": new.what, "group": kind.group}
    try:
        folder.mkdir()
        for place, template in new.files().items():
            path = folder / place.format(name=name.replace("-", "_"), module=module)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Template(_read(template)).substitute(words) if template else "", "utf-8")
    except FileExistsError:
        raise ConfigError(f"{folder}: exists already, and stays as it is") from None
    except OSError as error:
        raise StartError(f"{folder}: cannot be written: {error.strerror}") from error
    typer.echo(_NEXT.format(folder=folder, module=module, name=name, method=new.method), err=True)


def _check_name(name: str, title: str, kind: Kind) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        what = f"at most {_LONGEST_NAME} of a to z, 0 to 9 and single hyphens, a letter first"
        raise ConfigError(f"{name!r} is not a name for a plugin: {what}")
    # The class has a name of its own: not Python's, and none of those that stand beside it.
    taken = name == NEW or iskeyword(title) or hasattr(builtins, title)
    if taken or re.search(rf"\b{title}\b", _read(_NEW[kind].module)):
        raise ConfigError(f"{name!r} is taken; choose another name")
    if name in discovery.installed(kind):
        raise ConfigError(f"{name!r} is installed already, as {kind.word}; choose another name")


def _read(template: str) -> str:
    return files(__package__).joinpath("templates", template).read_text("utf-8")
