"""The keys of the `[[authenticator]]` table, checked at the start.

Without `from __future__ import annotations`: `Ldap` inherits these fields, and their types are read in its module.
"""

import re
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import ldap
from ldap.dn import str2dn

from dicomgate import ConfigError
from dicomgate.kit.addresses import parse_address
from dicomgate.kit.authorities import client_context
from dicomgate.kit.files import read_secret_text

PORTS = {"ldap": 389, "ldaps": 636}
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


class Url(NamedTuple):
    """A server, as the operator writes it and taken apart; with `starttls` TLS begins once the server has agreed."""

    text: str
    host: str
    port: int
    tls: bool
    starttls: bool


@dataclass(kw_only=True, eq=False)
class Settings:
    """What the operator wrote, checked; the path of a secret, not the secret. Raises ConfigError."""

    servers: list[str]
    """ldaps://host or ldap://host, with :port if needed, in the order of asking. ldap:// changes to TLS by StartTLS."""

    base: str
    """The DN below which users are looked for."""

    bind_dn: str | None = None
    """The gateway's own account, which looks for users. None: the gateway looks for them anonymously."""

    bind_password_file: Path | None = None
    """The file with the secret of that account, on one line."""

    direct_bind: str | None = None
    """The name that users bind with, without a search: uid={name},ou=people,dc=example or {name}@hospital.example."""

    filter: str = "(uid={name})"
    """The filter that finds the entry of a user."""

    domain: str | None = None
    """The NetBIOS name of an Active Directory domain, which users may type: HOSPITAL\\alice is looked for as alice."""

    name_attribute: str = "uid"
    """The attribute with the user's canonical name."""

    groups: Literal["memberof", "nested", "search", "none"] = "memberof"
    """Where groups are found: in the entry, with groups of groups (Active Directory), by `group_filter`, nowhere."""

    group_base: str | None = None
    """The DN below which a group must be to count. None: `base`."""

    group_filter: str = "(|(member={dn})(uniqueMember={dn})(memberUid={name}))"
    """With `groups = "search"`: the filter that finds the groups of a user."""

    required_group: str | None = None
    """The group that a user must be in to be accepted."""

    ca: Path | None = None
    """The authorities (PEM) that the servers' certificates are verified against. None: those of the system."""

    cleartext: bool = False
    """True: ldap:// without TLS. Passcodes then cross the network in the clear."""

    deadline: timedelta = timedelta(seconds=1.5)
    """The time that all servers together have for an answer. Must be less than `timeout`."""

    connections: int = 4
    """The number of logins that are put to a server at a time."""

    remember: timedelta = timedelta(0)
    """How long a right passcode is accepted without asking again. Until then a disabled account can still log in."""

    def __post_init__(self) -> None:
        if not self.servers or not 0.1 <= self.deadline.total_seconds() <= 60 or not 1 <= self.connections <= 64:
            raise ConfigError("servers: at least one; deadline: 100ms to 60s; connections: 1 to 64")
        if self.cleartext and not any(server.startswith("ldap:") for server in self.servers):
            raise ConfigError("cleartext: no server is asked by ldap://")
        self.urls = [read_url(server, self.cleartext) for server in self.servers]
        for key, dn in (("base", self.base), ("group_base", self.group_base), ("bind_dn", self.bind_dn)):
            if dn is not None and not (key == "bind_dn" and re.fullmatch(r"[^=]+[@\\][^=]+", dn)):
                _check_dn(key, dn)
        _check_template("filter", self.filter, ("name",), is_filter=True)
        _check_template("group_filter", self.group_filter, ("dn", "name"), is_filter=True)
        if not re.fullmatch(r"[A-Za-z][\w-]*", self.name_attribute):
            raise ConfigError("name_attribute: is not the name of an attribute")
        if self.domain is not None and not re.fullmatch(r"[^\\@{}\s]{1,15}", self.domain):
            raise ConfigError('domain: is not a NetBIOS name such as "HOSPITAL", of at most 15 characters')
        if self.required_group is not None and (self.groups == "none" or not self.required_group):
            raise ConfigError('required_group: is empty, or groups = "none" finds no group')
        if (self.bind_dn is None) != (self.bind_password_file is None):
            raise ConfigError("bind_dn and bind_password_file: one of them without the other")
        if self.bind_password_file is not None:
            read_secret_text(self.bind_password_file)
        if self.direct_bind is not None:
            if self.bind_dn is not None:
                raise ConfigError(
                    "direct_bind and bind_dn: users bind directly, or the gateway's account looks for them"
                )
            _check_template("direct_bind", self.direct_bind, ("name",))
            if self.binds_a_dn:
                _check_dn("direct_bind", fill(self.direct_bind, name="x"))

    def without_domain(self, typed: str) -> str:
        """The name that the directory is asked for: what was typed, without the `domain` before it."""
        domain, backslash, name = typed.partition("\\")
        return name if backslash and self.domain and domain.casefold() == self.domain.casefold() else typed

    @property
    def binds_a_dn(self) -> bool:
        """True if `direct_bind` makes a DN, and not a name in one of Active Directory's own forms."""
        return self.direct_bind is not None and "=" in self.direct_bind

    @property
    def searches_for_groups(self) -> bool:
        """True if groups are found by a search, and not in the entry of the user."""
        return self.groups in ("nested", "search")


def read_url(server: str, cleartext: bool) -> Url:
    """Read "ldaps://host" or "ldap://host:port". Raises ConfigError."""
    scheme, _, address = server.partition("://")
    try:
        host, port = parse_address(address.removesuffix("/"), PORTS.get(scheme))
    except ValueError:
        port = 0
    if port == 0 or scheme not in PORTS:
        raise ConfigError(f'servers: {server!r} is not like "ldaps://host" or "ldap://host:389"')
    starttls = scheme == "ldap" and not cleartext
    return Url(server, host, port, tls=starttls or scheme == "ldaps", starttls=starttls)


def tls_context(ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, verified against these authorities or the system's. Raises ConfigError."""
    try:
        context = client_context(ca)
    except ConfigError as error:
        raise ConfigError(f"ca: {error}") from error.__cause__
    # RFC 9525 2: a name in the subject is not a name that a certificate is verified by.
    context.hostname_checks_common_name = False
    return context


def fill(template: str, **values: str) -> str:
    """The template with the values in place of `{name}` and `{dn}`. They must be escaped already."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def _check_template(key: str, template: str, allowed: Collection[str], *, is_filter: bool = False) -> None:
    used = set(_PLACEHOLDER.findall(template))
    if not used or not used <= set(allowed) or re.search("[{}]", _PLACEHOLDER.sub("", template)):
        raise ConfigError(f"{key}: must have {' or '.join(f'{{{name}}}' for name in allowed)}, and no other braces")
    if is_filter and not _in_parentheses(template):
        raise ConfigError(f"{key}: is not one filter in parentheses")


def _in_parentheses(template: str) -> bool:
    depth = 0
    for position, character in enumerate(template):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 1 and position < len(template) - 1:
            return False
    return depth == 0


def _check_dn(key: str, dn: str) -> None:
    try:
        read_dn(dn)
    except ValueError:
        raise ConfigError(f'{key}: is not a DN such as "ou=people,dc=hospital,dc=example"') from None


def read_dn(dn: str) -> list[tuple[str, str]]:
    """The RDNs of a DN (RFC 4514), the root's last: of each the first attribute, and its value. Raises ValueError."""
    try:
        rdns = str2dn(dn)
    except ldap.LDAPError:
        rdns = []
    if not rdns:
        raise ValueError("not a DN")
    return [rdn[0][:2] for rdn in rdns]
