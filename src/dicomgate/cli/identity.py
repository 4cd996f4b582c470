"""The options that say who one is, shared by `ask` and `echo` (PS3.7 D.3.3.7.1).

A passcode is asked for on the terminal, hidden, or is the first line of standard input or of a file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError

from ..config.schema import AeTitle
from ..contract import Identity, IdentityType
from ..errors import ConfigError

UserOption = Annotated[str | None, typer.Option("--user", "-u", metavar="NAME", help="A username and its passcode.")]
PasscodeFileOption = Annotated[
    Path | None, typer.Option("--passcode-file", help="The passcode is the first line of this file.")
]
NoPasscodeOption = Annotated[bool, typer.Option("--no-passcode", help="The username alone (type 1).")]
KerberosOption = Annotated[Path | None, typer.Option("--kerberos-ticket", help="A Kerberos ticket (type 3).")]
SamlOption = Annotated[Path | None, typer.Option("--saml", help="A SAML assertion (type 4).")]
JwtOption = Annotated[Path | None, typer.Option("--jwt", help="A JSON Web Token (type 5).")]
ResponseOption = Annotated[bool, typer.Option("--positive-response", "-r", help="Ask for a response (sub-item 59H).")]

_LONGEST_LINE = 65_536
_Value = TypeVar("_Value")
_TITLE: TypeAdapter[str] = TypeAdapter(AeTitle)


def read_identity(
    user: str | None,
    passcode_file: Path | None,
    no_passcode: bool,
    tickets: dict[IdentityType, Path | None],
    positive_response: bool,
) -> Identity | None:
    """The identity that the options mean; None without any. Raises ConfigError for options that contradict."""
    given = [(kind, path) for kind, path in tickets.items() if path is not None]
    if (user is not None) + len(given) > 1:
        raise ConfigError("one identity at a time: --user, --kerberos-ticket, --saml or --jwt")
    if user is None and (no_passcode or passcode_file is not None):
        raise ConfigError("a passcode is somebody's: --passcode-file and --no-passcode need --user")
    if no_passcode and passcode_file is not None:
        raise ConfigError("either --passcode-file or --no-passcode")
    if user is not None:
        name = user.encode("utf-8", "surrogateescape")
        if no_passcode:
            return Identity(IdentityType.USERNAME, name, b"", positive_response)
        passcode = _passcode(user, passcode_file)
        return Identity(IdentityType.USERNAME_AND_PASSCODE, name, passcode, positive_response)
    for kind, path in given:
        # A token file ends with a newline that is none of the token's.
        data = _read(path)
        value = data.rstrip(b"\r\n") if kind is IdentityType.JWT else data
        return Identity(kind, value, b"", positive_response)
    if positive_response:
        raise ConfigError("--positive-response is for an identity: --user, --kerberos-ticket, --saml or --jwt")
    return None


def _passcode(user: str, path: Path | None) -> bytes:
    if path is not None:
        passcode = _first_line(_read(path))
    elif sys.stdin.isatty():
        typed: str = typer.prompt(f"Passcode for {user}", hide_input=True, err=True)
        passcode = typed.encode("utf-8", "surrogateescape")
    else:
        passcode = _first_line(sys.stdin.buffer.readline(_LONGEST_LINE))
    if not passcode:
        raise ConfigError("the passcode is empty; --no-passcode sends the username alone")
    return passcode


def _first_line(data: bytes) -> bytes:
    return data.split(b"\n", 1)[0].removesuffix(b"\r")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def ae_title(value: str) -> str:
    """The AE title, if it is one. Raises ConfigError."""
    return parsed(_TITLE, value)


def parsed(adapter: TypeAdapter[_Value], value: str) -> _Value:
    """The value of an option as the configuration would read it. Raises ConfigError."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise ConfigError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
