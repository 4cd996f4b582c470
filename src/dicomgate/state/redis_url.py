"""The URL of a Redis in the configuration: which servers, with which login and which certificates.

    redis://HOST:PORT/NUMBER    rediss://HOST:PORT/NUMBER (with TLS)    unix:///PATH
    redis+sentinel://HOST:PORT,HOST:PORT,HOST:PORT/MASTER/NUMBER    rediss+sentinel://... (with TLS)

Rule 1: only the options below are known. redis-py would take any of its own, and some of them let a command be sent
        twice, or a server be anybody.
Rule 2: a server's certificate is always verified, for its name too. There is no option that turns this off.
Rule 3: no message quotes a user, a password or an option of the URL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ..errors import ConfigError
from ..kit.addresses import show_address
from ..kit.authorities import Context, client_context

FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
LOGIN = ("username", "password")
SENTINEL_LOGIN = ("sentinel_username", "sentinel_password")
_ALWAYS = {"ssl_cert_reqs": ("required",), "ssl_check_hostname": ("true", "yes", "1")}
"""Options that may only say what is true anyway."""
_REDIS_PORT, _SENTINEL_PORT = 6379, 26379
_ESCAPED = "is not a URL; in its password, write : / ? # [ ] @ % as %3A and so on"


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL says. `shown` is the URL without user, password and options."""

    shown: str
    hosts: tuple[tuple[str, int], ...] = ()
    """The server, or the Sentinels; none for a socket in the file system."""
    path: str = ""
    master: str = ""
    """The name by which the Sentinels know the master; "" without Sentinels."""
    tls: Context | None = None
    login: dict[str, Any] = field(default_factory=dict, repr=False)
    """For redis-py: username, password, db."""
    sentinel_login: dict[str, Any] = field(default_factory=dict, repr=False)


def read_url(url: str) -> Target:
    """What the URL says, its files read. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        said, _, servers = parts.netloc.rpartition("@")
        sentinel = parts.scheme.endswith("+sentinel")
        default = _SENTINEL_PORT if sentinel else _REDIS_PORT
        hosts = tuple(_host(one, default) for one in servers.split(","))
    except ValueError:
        raise ConfigError(_ESCAPED) from None
    if parts.fragment:
        raise ConfigError(_ESCAPED)
    options = _options(parts, sentinel)
    user, _, password = said.partition(":")
    said_first = dict(zip(LOGIN, (unquote(user), unquote(password)), strict=True)) | _of(options, *LOGIN)
    login: dict[str, Any] = {name: value for name, value in said_first.items() if value}
    if parts.scheme == "unix" and parts.path:
        return Target(f"unix://{parts.path}", path=unquote(parts.path), login=login | _number(options.get("db") or "0"))
    path = re.fullmatch(r"/(?P<master>[\w.-]+)(?:/(?P<db>\d+))?" if sentinel else r"/?(?P<db>\d*)", parts.path)
    if (
        parts.scheme.removesuffix("+sentinel") not in ("redis", "rediss")
        or path is None
        or (hosts[1:] and not sentinel)
    ):
        raise ConfigError(
            "is not redis://HOST:PORT/NUMBER, rediss://HOST:PORT/NUMBER, unix:///PATH "
            "or redis+sentinel://HOST:PORT,HOST:PORT,HOST:PORT/MASTER/NUMBER"
        )
    master = path["master"] if sentinel else ""
    tls = _tls(options) if parts.scheme.startswith("rediss") else None
    if tls is None and _of(options, *FILES):
        raise ConfigError("has ssl_ options, but is without TLS: write rediss:// in place of redis://")
    shown = f"{parts.scheme}://{','.join(show_address(*one) for one in hosts)}{parts.path}"
    names = {name: name.removeprefix("sentinel_") for name in SENTINEL_LOGIN}
    sentinel_login = {names[name]: value for name, value in _of(options, *SENTINEL_LOGIN).items()}
    login |= _number(options.get("db") or path["db"] or "0")
    return Target(shown, hosts, "", master, tls, login, sentinel_login)


def _host(text: str, port: int) -> tuple[str, int]:
    one = urlsplit(f"//{text}")
    return unquote(one.hostname or "localhost"), one.port or port


def _options(parts: SplitResult, sentinel: bool) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name, allowed in _ALWAYS.items():
        if options.pop(name, allowed[0]).lower() not in allowed:
            raise ConfigError(
                f"{name}: the server's certificate and name are always verified. If its authority is the hospital's "
                "own, name it: ?ssl_ca_certs=/etc/dicomgate/redis-ca.pem"
            )
    known = (*FILES, *LOGIN, "db", *(SENTINEL_LOGIN if sentinel else ()))
    if not options.keys() <= set(known):
        raise ConfigError(f"has an option that is not known. Known are {', '.join(known)}")
    return options


def _of(options: dict[str, str], *names: str) -> dict[str, str]:
    return {name: options[name] for name in names if name in options}


def _number(text: str) -> dict[str, int]:
    if re.fullmatch(r"\d{1,5}", text, re.ASCII) is None:
        raise ConfigError("the number of its database is not a number")
    return {"db": int(text)}


def _tls(options: dict[str, str]) -> Context:
    files = {name: Path(value) for name, value in _of(options, *FILES).items()}
    for name, path in files.items():
        if not path.is_absolute():
            raise ConfigError(f"{name}: must be an absolute path, beginning with /")
    authority, certificate, key = (files.get(name) for name in FILES)
    if (certificate is None) != (key is None):
        raise ConfigError("ssl_certfile and ssl_keyfile: both or none")
    return client_context(authority, (certificate, key) if certificate is not None and key is not None else None)
