"""The tables of a service that people look after: limits of users, the control socket, the status page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from ..kit.networks import IpNetwork, read_network
from .fields import Address, FilePath, Table


class LimitsTable(Table):
    """`[limits]`: how many associations a user may have at a time."""

    per_user: int = Field(default=0, ge=0)
    per_user_group: dict[str, Annotated[int, Field(ge=1)]] = Field(default={})


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
    hosts: list[str] = Field(default=[])
    metrics_from: list[Annotated[IpNetwork, BeforeValidator(read_network)]] = Field(default=[])
    metrics_token_file: FilePath | None = None
    authenticators: list[str] = Field(default=[])
    viewers: list[str] = Field(default=[])
    operators: list[str] = Field(default=[])
