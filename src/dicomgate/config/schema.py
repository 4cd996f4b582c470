"""The tables of the configuration file: each table a class, each key a field with its default.

Unknown keys are errors. docs/configuration.md explains every key; a test compares the two.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from ..association.route import PositiveResponse
from ..auth.table import AuthenticatorTable, Name
from ..credentials.table import CredentialTable
from ..kit.durations import Deadline, Duration
from ..net.pool import Balance
from ..rights.table import RuleTable, Texts
from .audit import AuditTable, AuditTls
from .fields import (
    SEVERAL,
    Address,
    Addresses,
    AddressesOrDevices,
    AeTitle,
    Encoding,
    FilePath,
    Fingerprint,
    Keepalive,
    Network,
    Table,
)
from .operation import AdminTable, AdminTls, ControlTable, LimitsTable


class GatewayTable(Table):
    """`[gateway]`: settings for all associations."""

    node: str = Field(default_factory=socket.gethostname)
    audit: FilePath | None = None
    audit_required: bool = False
    max_associations: int = Field(default=500, ge=1)
    max_associations_per_source: int = Field(default=100, ge=1)
    max_unauthenticated: int = Field(default=200, ge=1)
    max_unauthenticated_per_source: int = Field(default=50, ge=1)
    max_request_bytes: int = Field(default=262_144, ge=1024, le=4_194_304)
    artim: Deadline = timedelta(seconds=30)
    idle_timeout: Deadline = timedelta(minutes=30)
    keepalive: Keepalive = timedelta(seconds=60)
    reload_on_change: Duration = timedelta(0)
    drain_delay: Duration = timedelta(0)
    drain_timeout: Duration = timedelta(seconds=30)


class ListenerTls(Table):
    """`tls` of a listener."""

    certificate: FilePath
    key: FilePath | None = None
    client_ca: FilePath | None = None
    client_certificate: Literal["required", "optional"] = "required"


class ListenerProxyProtocol(Table):
    """`proxy_protocol` of a listener: the load balancers in front of it."""

    from_: Annotated[list[Network], Field(min_length=1)] = Field(alias="from")
    tls: Literal["ignore", "trust"] = "ignore"
    others: Literal["accept", "refuse"] = "accept"


class ListenerTable(Table):
    """`[[listener]]`: an address that clients connect to."""

    name: Name
    bind: Addresses
    identity: Literal["required", "optional"] = "required"
    cleartext_passcodes: bool = False
    fallback_encoding: Encoding | None = None
    end_with_credential: bool = True
    authenticators: Annotated[list[str], Field(min_length=1)] | None = None
    rules: Literal["enforce", "report"] | None = None
    tls: ListenerTls | None = None
    proxy_protocol: ListenerProxyProtocol | None = None


class UpstreamTls(Table):
    """`tls` of an upstream."""

    ca: FilePath | None = None
    server_name: str | None = None
    pin: Fingerprint | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None


class PresentTable(Table):
    """`[[upstream.present]]`: as whom the upstream sees some of those who go to it."""

    authenticators: Texts | None = None
    users: Texts | None = None
    groups: Texts | None = None
    credential: Name | None = None
    calling_ae_title: AeTitle | None = None
    called_ae_title: AeTitle | None = None


class UpstreamTable(Table):
    """`[[upstream]]`: a PACS, or devices each of which has an address of its own."""

    name: Name
    addresses: Annotated[AddressesOrDevices, Field(min_length=1)] | None = None
    address: Address | None = Field(default=None, validate_default=True)
    called_ae_titles: Annotated[list[AeTitle], Field(min_length=1)] | None = Field(default=None, validate_default=True)
    identity: Literal["strip", "forward"] = "strip"
    credential: Name | None = None
    positive_response: PositiveResponse = "asked"
    calling_ae_title: AeTitle | None = None
    called_ae_title: AeTitle | None = None
    present: Annotated[list[PresentTable], SEVERAL] = Field(default=[])
    timeout: Deadline = timedelta(seconds=4)
    balance: Balance = "first"
    connect_timeout: Deadline = timedelta(seconds=1)
    check: Literal["none", "tcp", "echo"] = "none"
    check_interval: Deadline = timedelta(seconds=10)
    check_calling_ae_title: AeTitle | None = None
    fall: int = Field(default=3, ge=1)
    rise: int = Field(default=2, ge=1)
    refresh: Deadline = timedelta(seconds=60)
    proxy_protocol: Literal["none", "v1", "v2"] = "none"
    tls: UpstreamTls | None = None

    @field_validator("address")
    @classmethod
    def _or_addresses(cls, value: object, info: ValidationInfo) -> object:
        if "addresses" in info.data and (value is None) is (info.data["addresses"] is None):
            what = "each title and its address" if isinstance(info.data["addresses"], dict) else "all of them"
            raise ValueError("is missing" if value is None else f"addresses has {what}: remove this")
        return value

    @field_validator("called_ae_titles")
    @classmethod
    def _or_devices(cls, value: object, info: ValidationInfo) -> object:
        if "addresses" in info.data and (value is None) is not isinstance(info.data["addresses"], dict):
            raise ValueError("is missing" if value is None else "addresses has each title and its address: remove this")
        return value

    @property
    def pool(self) -> list[tuple[str, int]] | None:
        """The addresses of which one is chosen for each association; None without a choice."""
        return self.addresses if isinstance(self.addresses, list) else None

    @property
    def targets(self) -> dict[str, list[tuple[str, int]]]:
        """The addresses that each called AE title leads to."""
        if isinstance(self.addresses, dict):
            return {title: [address] for title, address in self.addresses.items()}
        return dict.fromkeys(self.called_ae_titles or (), self.pool or ([self.address] if self.address else []))

    @property
    def every_address(self) -> list[tuple[str, int]]:
        """All addresses, each once."""
        return list(dict.fromkeys(address for addresses in self.targets.values() for address in addresses))


class StateTable(Table):
    """`[state]`: where gateways keep the state that they share."""

    path: FilePath = Path("dicomgate-state.sqlite")
    url: str | None = Field(default=None, repr=False)  # it may contain a passcode


class ThrottleTable(Table):
    """`[throttle]`: limits on failed login attempts."""

    enabled: bool = True
    free: int = Field(default=5, ge=1)
    first_wait: Deadline = timedelta(seconds=30)
    longest_wait: Deadline = timedelta(hours=1)
    # For each of an account's two counters; NIST SP 800-63B 5.2.2 allows 100 in all.
    most: int = Field(default=25, ge=1, le=50)
    source_free: int = Field(default=50, ge=1)
    repeat: Duration = timedelta(seconds=10)
    on_unreachable: Literal["local", "refuse"] = "local"
    domains: list[Annotated[str, Field(min_length=1, max_length=255)]] = Field(default=[])


class Tables(Table):
    """The whole file."""

    gateway: GatewayTable = Field(default_factory=GatewayTable)
    state: StateTable = Field(default_factory=StateTable)
    throttle: ThrottleTable = Field(default_factory=ThrottleTable)
    limits: LimitsTable = Field(default_factory=LimitsTable)
    control: ControlTable | None = None
    admin: AdminTable | None = None
    audit: Annotated[list[AuditTable], SEVERAL] = Field(default_factory=list)
    listener: Annotated[list[ListenerTable], SEVERAL] = Field(min_length=1)
    upstream: Annotated[list[UpstreamTable], SEVERAL] = Field(min_length=1)
    authenticator: Annotated[list[AuthenticatorTable], SEVERAL] = Field(min_length=1)
    credential: Annotated[list[CredentialTable], SEVERAL] = Field(default_factory=list)
    rule: Annotated[list[RuleTable], SEVERAL] = Field(default_factory=list)

    @property
    def audit_required(self) -> bool:
        """True if nobody is let in without an audit record."""
        return self.gateway.audit_required or any(table.required for table in self.audit)


class EmbeddedTables(Tables):
    """The file of a program that embeds dicomgate: like a gateway's, but it may lack listeners and upstreams."""

    listener: Annotated[list[ListenerTable], SEVERAL] = Field(default_factory=list)
    upstream: Annotated[list[UpstreamTable], SEVERAL] = Field(default_factory=list)


_TABLES: dict[str, type[BaseModel]] = {
    "gateway": GatewayTable,
    "state": StateTable,
    "throttle": ThrottleTable,
    "limits": LimitsTable,
    "control": ControlTable,
    "admin": AdminTable,
    "audit": AuditTable,
    "listener": ListenerTable,
    "upstream": UpstreamTable,
    "authenticator": AuthenticatorTable,
    "credential": CredentialTable,
    "rule": RuleTable,
}
_INNER_TABLES: dict[tuple[str, ...], type[BaseModel]] = {
    ("admin", "tls"): AdminTls,
    ("audit", "tls"): AuditTls,
    ("listener", "tls"): ListenerTls,
    ("listener", "proxy_protocol"): ListenerProxyProtocol,
    ("upstream", "tls"): UpstreamTls,
    ("upstream", "present"): PresentTable,
}


def known_keys(keys: tuple[str | int, ...]) -> Iterable[str]:
    """The keys that the table at this path may have."""
    tables = [key for key in keys[:-1] if isinstance(key, str)]
    if not tables:
        return _TABLES
    fields = _INNER_TABLES.get(tuple(tables), _TABLES[tables[0]]).model_fields
    return [field.alias or name for name, field in fields.items()]
