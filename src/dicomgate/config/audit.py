"""`[[audit]]`: where the records of associations go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from ..auth.table import Name
from ..errors import Problem
from ..kit.addresses import parse_address
from ..kit.files import credential_path
from ..kit.sizes import Size
from .fields import FilePath, Table

_SYSLOG, _TLS = 514, 6514  # RFC 5426 3.3, RFC 5425 4.1
_LEAST = 4_194_304
_FORMS = '"file:PATH", "stdout", "journald", "syslog+udp://HOST:PORT" or "syslog+tls://HOST:PORT"'


@dataclass(frozen=True, slots=True)
class Target:
    """Where records go: `way` is one of file, stdout, journald, udp, tls."""

    way: str
    path: Path | None = None
    address: tuple[str, int] = ("", 0)


def _target(value: object) -> Target:
    match value:
        case "stdout" | "journald":
            return Target(value)
        case str() if value.startswith("file:") and value != "file:":
            return Target("file", credential_path(Path(value.removeprefix("file:"))))
        case str() if value.startswith("syslog+udp://"):
            return Target("udp", address=parse_address(value.removeprefix("syslog+udp://"), _SYSLOG))
        case str() if value.startswith("syslog+tls://"):
            return Target("tls", address=parse_address(value.removeprefix("syslog+tls://"), _TLS))
    raise ValueError(f"must be {_FORMS}")


def _message_id(value: str) -> str:
    # RFC 5424 6: MSGID = 1*32PRINTUSASCII
    if not 1 <= len(value) <= 32 or not all("!" <= char <= "~" for char in value):
        raise ValueError("must be 1 to 32 printable ASCII characters, without a space")
    return value


def _spool_max(value: int) -> int:
    if value < _LEAST:
        raise ValueError('must be "4MiB" or more')
    return value


class AuditTls(Table):
    """`tls` of an audit."""

    ca: FilePath | None = None
    server_name: str | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None


class AuditTable(Table):
    """`[[audit]]`: one sink. The keys after `required` are those of kind "atna"."""

    kind: Literal["json", "atna"]
    to: Annotated[Target, BeforeValidator(_target), WithJsonSchema({"type": "string"})]
    name: Name | None = None
    required: bool = False
    tls: AuditTls | None = None
    site: str = ""
    spool: FilePath | None = None
    spool_max: Annotated[Size, AfterValidator(_spool_max)] = Field(default="1GiB", validate_default=True)
    spool_full: Literal["refuse", "drop_oldest"] = "refuse"
    message_id: Annotated[str, AfterValidator(_message_id)] = "DICOM+RFC3881"
    byte_order_mark: bool = True

    @property
    def title(self) -> str:
        """What it is called: its name, or its kind."""
        return self.name or self.kind


_OF_ATNA = ("tls", "site", "spool", "spool_max", "spool_full", "message_id", "byte_order_mark")
_JSON_KEY = "json"
"""What the audit of `[gateway]` is called."""


def audit_contradictions(audit: Path | None, required: bool, tables: list[AuditTable]) -> Iterator[Problem]:
    """What is wrong with these tables together; `audit` and `required` are the keys of `[gateway]`."""
    if required and audit is None and tables:
        message = "is about audit, which is missing: write required = true into an [[audit]] table"
        yield Problem(("gateway", "audit_required"), message)
    titles = [_JSON_KEY] if audit is not None else []
    files = [audit] if audit is not None else []
    spools: list[Path] = []
    for index, table in enumerate(tables):
        at = ("audit", index)
        if table.title in titles:
            yield Problem((*at, "name"), f"a second audit is called {table.title!r}: give each a name of its own")
        titles.append(table.title)
        if table.kind == "atna":
            yield from _of_atna(at, table)
            if table.spool is not None:
                if table.spool in spools:
                    yield Problem((*at, "spool"), "another audit has this spool: give each a folder of its own")
                spools.append(table.spool)
            continue
        if table.to.way == "tls":
            message = (
                'over TLS goes kind = "atna"; JSON goes to "file:PATH", "stdout", "journald" or "syslog+udp://HOST"'
            )
            yield Problem((*at, "to"), message)
        for key in _OF_ATNA:
            if key in table.model_fields_set:
                yield Problem((*at, key), 'is a key of kind = "atna": remove it')
        if table.to.path is not None:
            if table.to.path in files:
                yield Problem((*at, "to"), "another audit writes to this file: name another one")
            files.append(table.to.path)


def _of_atna(at: tuple[str, int], table: AuditTable) -> Iterator[Problem]:
    if table.to.way != "tls":
        yield Problem((*at, "to"), 'messages of kind = "atna" go over TLS: "syslog+tls://HOST:PORT"')
    if table.spool is None:
        message = "is missing: name a folder where messages wait while the collector is down"
        yield Problem((*at, "spool"), message)
    if table.tls is not None and table.tls.key is not None and table.tls.certificate is None:
        yield Problem((*at, "tls", "key"), "a key without its certificate: name that as well")
