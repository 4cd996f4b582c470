"""What the operator wrote about a directory, checked; and what of it a worker is told."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dicomgate import ConfigError
from dicomgate.kit.files import read_secret_text

from .names import filter_problem, read_dn, template_problem

_URL = re.compile(r"ldaps?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?/?")

DECOY = "dicomgate-decoy"
"""The name that is asked for where there is none to ask for; below `base`, as a `cn`, the entry that a bind is tried
with where none was found. It need not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One server, and how it is asked. No secret is in here. The keys are those of `Ldap`."""

    server: str
    cleartext: bool
    ca: str | None
    bind_dn: str | None
    bind_password_file: str | None
    direct_bind: str | None
    base: str
    filter: str
    name_attribute: str
    groups: str
    group_base: str
    group_filter: str
    required_group: str | None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""
        parts = urlsplit(self.server)
        return parts.hostname or "", parts.port or (636 if parts.scheme == "ldaps" else 389)

    @property
    def starttls(self) -> bool:
        """True if a connection begins in the clear and changes to TLS before anything is told."""
        return self.server.startswith("ldap://") and not self.cleartext

    @property
    def binds_a_dn(self) -> bool:
        """True if `direct_bind` makes a DN, and not a name that Active Directory knows besides."""
        return self.direct_bind is not None and "=" in self.direct_bind


def check(settings: Settings) -> None:
    """Raises ConfigError for what is wrong by itself, for what does not go together, and for files."""
    _check_server(settings)
    for key, dn in (("base", settings.base), ("group_base", settings.group_base), ("bind_dn", settings.bind_dn)):
        if dn is not None and not (key == "bind_dn" and re.fullmatch(r"[^=]+[@\\][^=]+", dn)):
            _check_dn(key, dn)
    for key, template, allowed in (
        ("filter", settings.filter, ("name",)),
        ("group_filter", settings.group_filter, ("dn", "name")),
    ):
        if problem := template_problem(template, allowed) or filter_problem(template):
            raise ConfigError(f"{key}: {problem}")
    if not re.fullmatch(r"[A-Za-z][\w-]*", settings.name_attribute):
        raise ConfigError("name_attribute: is not the name of an attribute")
    if settings.required_group is not None and (settings.groups == "none" or not settings.required_group):
        raise ConfigError('required_group: names no group, or groups = "none" looks for none')
    _check_bind(settings)


def _check_server(settings: Settings) -> None:
    match = _URL.fullmatch(settings.server)
    if match is None or not 0 < int(match[1] or 1) <= 0xFFFF:
        raise ConfigError(f'servers: {settings.server!r} is not like "ldaps://host" or "ldap://host:389"')
    if settings.ca is not None:
        try:
            ssl.create_default_context(cafile=settings.ca)
        except ssl.SSLError:
            raise ConfigError(f"ca: {settings.ca}: no certificates in PEM") from None
        except OSError as error:
            raise ConfigError(f"ca: {settings.ca}: {error.strerror or error}") from None


def _check_bind(settings: Settings) -> None:
    if (settings.bind_dn is None) != (settings.bind_password_file is None):
        raise ConfigError("bind_dn and bind_password_file: one of them without the other")
    if settings.direct_bind is not None:
        if settings.bind_dn is not None:
            raise ConfigError(
                "direct_bind and bind_dn: users bind directly, or an account of the gateway's looks for them"
            )
        if problem := template_problem(settings.direct_bind, ("name",)):
            raise ConfigError(f"direct_bind: {problem}")
        if settings.binds_a_dn:
            _check_dn("direct_bind", settings.direct_bind.replace("{name}", "x"))
    if settings.bind_password_file is not None:
        read_secret_text(Path(settings.bind_password_file))


def _check_dn(key: str, dn: str) -> None:
    try:
        read_dn(dn)
    except ValueError:
        raise ConfigError(f'{key}: is not a DN such as "ou=people,dc=hospital,dc=example"') from None
