"""The configuration: one TOML file -> frozen values. Unknown keys are refused; all problems are told at once.

Each table is a class, each key a field with its default beside it; docs/configuration.md says the same in prose, and a
test holds the two together.
"""

from __future__ import annotations

import codecs
import re
import socket
import tomllib
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .admission import ANY_AE_TITLE
from .auth.calling import DEFAULT_DEADLINE, DEFAULT_WORKERS
from .auth.discovery import describe_problems
from .durations import parse_duration
from .errors import ConfigError, Problem
from .toml_lines import line_of

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^:\[\]\s]+)):([0-9]{1,5})")
_TOML_PLACE = re.compile(r"(.*) \(at line ([0-9]+), (column [0-9]+)\)", re.DOTALL)
_AE_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def _address(value: object) -> object:
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[3]) > 0xFFFF:
        raise ValueError('an address is "host:port", with IPv6 in brackets: "[::1]:11112"')
    try:
        (match[1] or match[2]).encode("idna")  # as the resolver will, where it would be too late to say so
    except UnicodeError:
        raise ValueError(f"{match[1] or match[2]!r} is not a host name") from None
    return match[1] or match[2], int(match[3])


def _ae_title(value: str) -> str:
    if _AE_TITLE.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not an AE title (1 to 16 characters, no backslash, no space at its ends)")
    return value


def _encoding(value: str) -> str:
    try:
        "a".encode(value)  # lookup alone would find codecs that are no text encodings: hex, rot13
    except LookupError:
        raise ValueError(f"{value!r} is not the name of a text encoding") from None
    return codecs.lookup(value).name


def _fingerprint(value: str) -> str:
    plain = value.replace(":", "").lower()
    if _FINGERPRINT.fullmatch(plain) is None:
        raise ValueError("a pin is the SHA-256 of the certificate: 64 hexadecimal digits, colons allowed")
    return plain


Address = Annotated[tuple[str, int], BeforeValidator(_address)]
AeTitle = Annotated[str, AfterValidator(_ae_title)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class GatewayTable(_Table):
    """`[gateway]`: what concerns all associations."""

    node: str = Field(default_factory=socket.gethostname)
    audit: Path | None = None
    max_associations: int = Field(default=500, ge=1)
    max_request_bytes: int = Field(default=131_072, ge=1024, le=4_194_304)
    artim: Duration = timedelta(seconds=30)
    idle_timeout: Duration = timedelta(minutes=30)
    drain_timeout: Duration = timedelta(seconds=30)


class ListenerTls(_Table):
    """`tls` of a listener."""

    certificate: Path
    key: Path | None = None
    client_ca: Path | None = None
    client_certificate: Literal["required", "optional"] = "required"


class ListenerTable(_Table):
    """`[[listener]]`: where clients come in."""

    name: Name
    bind: Annotated[list[Address], BeforeValidator(lambda value: value if isinstance(value, list) else [value])]
    identity: Literal["required", "optional"] = "required"
    cleartext_passcodes: bool = False
    fallback_encoding: Annotated[str, AfterValidator(_encoding)] | None = None
    authenticators: Annotated[list[str], Field(min_length=1)] | None = None
    tls: ListenerTls | None = None


class UpstreamTls(_Table):
    """`tls` of an upstream."""

    ca: Path | None = None
    server_name: str | None = None
    pin: Annotated[str, AfterValidator(_fingerprint)] | None = None
    certificate: Path | None = None
    key: Path | None = None


class UpstreamTable(_Table):
    """`[[upstream]]`: a PACS."""

    name: Name
    address: Address
    called_ae_titles: list[AeTitle] = Field(min_length=1)
    identity: Literal["strip", "forward"] = "strip"
    timeout: Duration = timedelta(seconds=10)
    tls: UpstreamTls | None = None


class AuthenticatorTable(BaseModel):
    """`[[authenticator]]`: the keys that every authenticator has; all others are its own."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    use: str
    name: Name | None = None
    timeout: Duration = DEFAULT_DEADLINE
    on_error: Literal["stop", "next"] = "stop"
    workers: int = Field(default=DEFAULT_WORKERS, ge=1, le=256)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Without the authenticator's own keys: one of them may be a secret."""
        return [(name, getattr(self, name)) for name in type(self).model_fields]

    @property
    def title(self) -> str:
        """The name in records: `name`, or the entry point's."""
        return self.name or self.use

    @property
    def options(self) -> dict[str, Any]:
        """The authenticator's own keys."""
        return dict(self.model_extra or {})


class Tables(_Table):
    """The whole file."""

    gateway: GatewayTable = Field(default_factory=GatewayTable)
    listener: list[ListenerTable] = Field(min_length=1)
    upstream: list[UpstreamTable] = Field(min_length=1)
    authenticator: list[AuthenticatorTable] = Field(min_length=1)


class Configuration:
    """A configuration file that was read: its tables, and where its relative paths begin."""

    def __init__(self, path: Path, text: str, tables: Tables) -> None:
        self.path = path
        self.folder = path.absolute().parent
        self.tables = tables
        self._text = text

    def located(self, error: ConfigError, *keys: str | int) -> ConfigError:
        """The same problems, found in the table at `keys`, with file, line and key in front of each."""
        return ConfigError([_located(self.path, self._text, (*keys, *found), why) for found, why in error.problems])


def load(path: Path) -> Configuration:
    """Read and check a configuration file. Raises ConfigError with all that is wrong in it."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}{_not_toml(error)}") from error
    try:
        tables = Tables.model_validate(data)
    except ValidationError as error:
        found = describe_problems(error, _known_keys)
        raise ConfigError([_located(path, text, keys, message) for keys, message in found]) from error
    problems = _contradictions(tables)
    if problems:
        raise ConfigError([_located(path, text, keys, message) for keys, message in problems])
    return Configuration(path, text, tables)


def _not_toml(error: Exception) -> str:
    place = _TOML_PLACE.fullmatch(str(error))
    return f":{place[2]}: not TOML: {place[1]} ({place[3]})" if place else f": not TOML: {error}"


def _located(path: Path, text: str, keys: tuple[str | int, ...], message: str) -> Problem:
    name = ".".join(f"[{key}]" if isinstance(key, int) else key for key in keys).replace(".[", "[")
    return Problem((), f"{path}:{line_of(text, keys)}: {name}: {message}" if keys else f"{path}: {message}")


_TABLES: dict[str, type[BaseModel]] = {
    "gateway": GatewayTable,
    "listener": ListenerTable,
    "upstream": UpstreamTable,
    "authenticator": AuthenticatorTable,
}
_TLS_TABLES: dict[str, type[BaseModel]] = {"listener": ListenerTls, "upstream": UpstreamTls}


def _known_keys(keys: tuple[str | int, ...]) -> Iterable[str]:
    """The keys that the table at this path may have."""
    tables = [key for key in keys[:-1] if isinstance(key, str)]
    if not tables:
        return _TABLES
    return (_TLS_TABLES if tables[1:] == ["tls"] else _TABLES)[tables[0]].model_fields


def _contradictions(tables: Tables) -> list[Problem]:
    """What is wrong although each key is right by itself."""
    problems = []
    named = {
        "listener": [listener.name for listener in tables.listener],
        "upstream": [upstream.name for upstream in tables.upstream],
        "authenticator": [authenticator.title for authenticator in tables.authenticator],
    }
    for table, names in named.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                problems.append(Problem((table, index, "name"), f"a second {table} is called {name!r}"))
    taken: dict[str, str] = {}
    for index, upstream in enumerate(tables.upstream):
        for title in upstream.called_ae_titles:
            if title in taken:
                what = "the rest" if title == ANY_AE_TITLE else f"called AE title {title!r}"
                message = f"{what} goes to upstream {taken[title]!r} already"
                problems.append(Problem(("upstream", index, "called_ae_titles"), message))
            taken.setdefault(title, upstream.name)
        if upstream.tls is not None and upstream.tls.pin is not None and upstream.tls.ca is not None:
            problems.append(Problem(("upstream", index, "tls", "ca"), "either ca or pin decides, not both"))
        if upstream.tls is not None and upstream.tls.key is not None and upstream.tls.certificate is None:
            problems.append(Problem(("upstream", index, "tls", "key"), "a key without a certificate"))
    bound: dict[tuple[str, int], str] = {}
    for index, listener in enumerate(tables.listener):
        for address in listener.bind:
            if address in bound:
                message = f"listener {bound[address]!r} has this address already"
                problems.append(Problem(("listener", index, "bind"), message))
            bound.setdefault(address, listener.name)
        for name in listener.authenticators or ():
            if name not in named["authenticator"]:
                known = ", ".join(named["authenticator"])
                message = f"no authenticator is called {name!r}; there are: {known}"
                problems.append(Problem(("listener", index, "authenticators"), message))
        tls = listener.tls
        if tls is not None and tls.client_ca is None and "client_certificate" in tls.model_fields_set:
            message = "client certificates are verified against client_ca, which is missing"
            problems.append(Problem(("listener", index, "tls", "client_certificate"), message))
    return problems
