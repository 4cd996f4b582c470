"""The tables of a service that people look after: limits of users, the control socket, the status page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ..kit.addresses import parse_address
from .fields import Address, FilePath, Network, Table

_WHO = re.compile(r"user:[^/]+/.+|group:.+")


def _who(value: str) -> str:
    if _WHO.fullmatch(value) is None:
        raise ValueError(f'{value!r} names nobody: write "user:AUTHENTICATOR/NAME" or "group:NAME"')
    return value


def _host(value: str) -> str:
    parse_address(value, 443)
    return value.lower()


Who = Annotated[str, AfterValidator(_who)]
Host = Annotated[str, AfterValidator(_host)]
"""As a browser sends it in the header Host: with the port, unless that is the scheme's own."""


class LimitsTable(Table):
    """`[limits]`: how many associations a user may have at a time."""

    per_user: int = Field(default=0, ge=0)
    per_user_group: dict[str, Annotated[int, Field(ge=1)]] = Field(default={})
    per_user_scope: Literal["node", "cluster"] = "node"
    on_unreachable: Literal["local", "refuse"] = "local"


class ControlTable(Table):
    """`[control]`: the socket that `dicomgate status`, `kick` and the like talk to."""

    path: FilePath = Path("control.sock")


class AdminTls(Table):
    """`tls` of `[admin]`."""

    certificate: FilePath
    key: FilePath | None = None
    client_ca: FilePath | None = None


class AdminTable(Table):
    """`[admin]`: the listener of the status page, of metrics and of health checks."""

    bind: Address
    tls: AdminTls | None = None
    hosts: list[Host] = Field(default=[])
    metrics_from: list[Network] = Field(default=["127.0.0.0/8", "::1"], validate_default=True)
    metrics_token_file: FilePath | None = None
    authenticators: Annotated[list[str], Field(min_length=1)] | None = None
    viewers: list[Who] = Field(default=[])
    operators: list[Who] = Field(default=[])
