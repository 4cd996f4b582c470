"""Options that several commands have: the configuration file, and who logs in (PS3.7 D.3.3.7.1).

A passcode is typed on the terminal, hidden, or is the first line of standard input or of a file.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import wraps
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from pydantic import TypeAdapter, ValidationError

from ..config.fields import AeTitle
from ..contract import Identity, IdentityType
from ..errors import ConfigError
from ..kit.text import without_mark

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")]
DEFAULT_CONFIG = Path("dicomgate.toml")
CallingOption = Annotated[str, typer.Option("--calling", metavar="AE", help="The calling AE title.")]
CalledOption = Annotated[str, typer.Option("--called", metavar="AE", help="The called AE title.")]
DEFAULT_CALLING, DEFAULT_CALLED = "DICOMGATE", "ANY-SCP"
IDENTITY_PANEL = "Identity"
"""The heading of these options in a command's help."""

_LONGEST_LINE = 65_536
_Value = TypeVar("_Value")
_TITLE: TypeAdapter[str] = TypeAdapter(AeTitle)


def _option(*names: str, help: str, metavar: str | None = None) -> Any:  # noqa: A002 (as typer calls it)
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=IDENTITY_PANEL)


@dataclass(frozen=True)
class IdentityOptions:
    """The options that say who logs in, as they were given."""

    user: Annotated[str | None, _option("--user", "-u", metavar="NAME", help="A username and its passcode.")] = None
    passcode_file: Annotated[
        Path | None, _option("--passcode-file", help="The passcode is the first line of this file.")
    ] = None
    no_passcode: Annotated[bool, _option("--no-passcode", help="The username alone (type 1).")] = False
    kerberos_ticket: Annotated[Path | None, _option("--kerberos-ticket", help="A Kerberos ticket (type 3).")] = None
    saml: Annotated[Path | None, _option("--saml", help="A SAML assertion (type 4).")] = None
    jwt: Annotated[Path | None, _option("--jwt", help="A JSON Web Token (type 5).")] = None
    positive_response: Annotated[
        bool, _option("--positive-response", "-r", help="Ask for a response (sub-item 59H).")
    ] = False

    def given(self) -> bool:
        """An option says who logs in."""
        return any(value for name, value in asdict(self).items() if name != "positive_response")

    def identity(self) -> Identity | None:
        """The identity that the options mean; None without any. Raises ConfigError for options that contradict."""
        tickets = {
            IdentityType.KERBEROS: self.kerberos_ticket,
            IdentityType.SAML: self.saml,
            IdentityType.JWT: self.jwt,
        }
        files = [(kind, path) for kind, path in tickets.items() if path is not None]
        if (self.user is not None) + len(files) > 1:
            raise ConfigError("one identity at a time: --user, --kerberos-ticket, --saml or --jwt")
        if self.user is None and (self.no_passcode or self.passcode_file is not None):
            raise ConfigError("--passcode-file and --no-passcode need --user")
        if self.no_passcode and self.passcode_file is not None:
            raise ConfigError("either --passcode-file or --no-passcode")
        if self.user is not None:
            name = self.user.encode("utf-8", "surrogateescape")
            if self.no_passcode:
                return Identity(IdentityType.USERNAME, name, b"", self.positive_response)
            passcode = _passcode(self.user, self.passcode_file)
            return Identity(IdentityType.USERNAME_AND_PASSCODE, name, passcode, self.positive_response)
        for kind, path in files:
            # A file with a token usually ends with a newline, which is not part of the token.
            data = _read(path)
            value = data.rstrip(b"\r\n") if kind is IdentityType.JWT else data
            return Identity(kind, value, b"", self.positive_response)
        if self.positive_response:
            raise ConfigError("--positive-response is for an identity: --user, --kerberos-ticket, --saml or --jwt")
        return None


def with_identity_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer with all the options of `IdentityOptions`; `command` gets them as its keyword `who`."""
    hints = get_type_hints(IdentityOptions, include_extras=True)
    names = {field.name: field.default for field in fields(IdentityOptions)}
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "who"]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name, default in names.items()
    ]

    @wraps(command)
    def run(**values: Any) -> None:
        command(who=IdentityOptions(**{name: values.pop(name) for name in names}), **values)

    run.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *options)}
    return run


def ask_for_passcode(user: str, *, twice: bool = False) -> bytes:
    """The user's passcode: typed, hidden, again if `twice`; or the first line of standard input, without line end."""
    if sys.stdin.isatty():
        typed: str = typer.prompt(f"Passcode for {user}", hide_input=True, confirmation_prompt=twice, err=True)
        return typed.encode("utf-8", "surrogateescape")
    return _first_line(sys.stdin.buffer.readline(_LONGEST_LINE))


def _passcode(user: str, path: Path | None) -> bytes:
    passcode = ask_for_passcode(user) if path is None else _first_line(_read(path))
    if not passcode:
        raise ConfigError("the passcode is empty; --no-passcode sends the username alone")
    return passcode


def _first_line(data: bytes) -> bytes:
    return without_mark(data).split(b"\n", 1)[0].removesuffix(b"\r")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def ae_title(value: str) -> str:
    """The AE title, if it is one. Raises ConfigError."""
    return parsed(_TITLE, value)


def client_address(value: str) -> str:
    """The value of --address, if it is an IP address. Raises ConfigError."""
    try:
        ip_address(value)
    except ValueError:
        raise ConfigError(f"--address: {value!r} is not an IP address") from None
    return value


def parsed(adapter: TypeAdapter[_Value], value: str) -> _Value:
    """The value of an option as the configuration would read it. Raises ConfigError."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise ConfigError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
