"""What `[admin]` names, ready for use: who may log in to the page, and what they may do there.

Rule: nobody may see the page whom the table does not name, and nobody may act there who is not one of its operators.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from importlib.util import find_spec
from ipaddress import ip_address

from ..auth.chain import Chain
from ..auth.link import Link
from ..config.load import Configuration
from ..config.operation import AdminTable
from ..contract import IdentityType
from ..errors import ConfigError, Problem
from ..kit.files import read_private
from ..kit.networks import IpNetwork
from ..net.listener import Address
from ..net.tls import TlsContext
from .listener_tls import listener_tls
from .policies import decision_timeout

_EXTRA = ("jinja2", "prometheus-client", "starlette", "uvicorn")
_LARGEST_TOKEN, _SHORTEST_TOKEN = 4096, 16  # bytes
_LOGINS = (IdentityType.USERNAME_AND_PASSCODE, IdentityType.JWT)


class Right(IntEnum):
    """What somebody may do at the page."""

    NOTHING = 0
    SEE = 1
    ACT = 2


@dataclass(frozen=True, slots=True)
class Page:
    """The listener of `[admin]`, without its socket. `chain` is None where nobody may log in: there is no page then.

    `tls` is None on loopback alone. `metrics_token` is the SHA-256 of the token that /metrics takes.
    """

    bind: Address
    tls: TlsContext | None
    hosts: frozenset[str]
    metrics_from: tuple[IpNetwork, ...]
    metrics_token: bytes | None
    chain: Chain | None
    decision_timeout: float
    viewers: frozenset[str]
    operators: frozenset[str]
    audit_required: bool

    def right_of(self, authenticator: str, user: str, groups: frozenset[str]) -> Right:
        """What this principal may do; nothing if his authenticator is no longer asked."""
        if self.chain is None or authenticator not in {link.name for link in self.chain.links}:
            return Right.NOTHING
        names = {f"user:{authenticator}/{user}", *(f"group:{group}" for group in groups)}
        if names & self.operators:
            return Right.ACT
        return Right.SEE if names & self.viewers else Right.NOTHING


def missing_packages() -> list[str]:
    """The packages that the listener of `[admin]` needs, and that are not installed."""
    return [name for name in _EXTRA if find_spec(name.replace("-", "_")) is None]


def make_page(configuration: Configuration, links: dict[str, Link], problems: list[Problem]) -> Page | None:
    """What `[admin]` names; None without the table, or if something is wrong with it, which is added to `problems`."""
    table = configuration.tables.admin
    if table is None:
        return None
    try:
        return _made(configuration, table, links)
    except ConfigError as error:
        problems += configuration.located(error, "admin").problems
        return None


def _made(configuration: Configuration, table: AdminTable, links: dict[str, Link]) -> Page:
    if missing := missing_packages():
        message = f"needs {', '.join(missing)}. The bundle has them; otherwise: pip install {' '.join(missing)}"
        raise ConfigError(message)
    named = [links[name] for name in table.authenticators or links if name in links]
    chain = Chain([link for link in named if any(map(link.handles, _LOGINS))])
    if table.tls is None and not is_loopback(table.bind[0]):
        message = (
            f"{table.bind[0]} is not loopback, and passcodes would cross the network in the clear: add a tls table"
        )
        raise ConfigError([Problem(("tls",), message)])
    tls = listener_tls(configuration, table.tls)
    if tls is not None:
        tls.set_alpn_protocols(["http/1.1"])
    return Page(
        table.bind,
        tls,
        frozenset(map(str.lower, table.hosts)),
        tuple(table.metrics_from),
        _token(configuration, table),
        chain if table.viewers or table.operators else None,
        decision_timeout(chain),
        frozenset(table.viewers),
        frozenset(table.operators),
        configuration.tables.audit_required,
    )


def is_loopback(host: str) -> bool:
    """True for an address that other machines cannot reach."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(configuration: Configuration, table: AdminTable) -> bytes | None:
    if table.metrics_token_file is None:
        return None
    path = configuration.folder / table.metrics_token_file
    try:
        token = read_private(path, _LARGEST_TOKEN).strip()
    except ConfigError as error:
        raise error.under("metrics_token_file") from error
    if len(token) < _SHORTEST_TOKEN:
        message = f"{path}: shorter than {_SHORTEST_TOKEN} characters: make one with openssl rand -hex 32"
        raise ConfigError(message).under("metrics_token_file")
    return sha256(token).digest()
