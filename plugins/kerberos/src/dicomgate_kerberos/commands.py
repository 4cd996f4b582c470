"""`dicomgate kerberos check`: keytab, clock and replay cache of the configured authenticators, and a trial login.

Rule 1: only the row "clock" needs the KDC. A KDC out of reach is no error, because logins do not need it.
Rule 2: run it as the gateway's user. A file that it makes belongs to that user, and it reads what the gateway can read.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

import typer

from dicomgate import Accept, Attempt, Identity, IdentityType, Peer
from dicomgate.cli.plugin_commands import DEFAULT_CONFIG, ConfigOption, NegativeAnswer, authenticators, print_table

from .authenticator import Kerberos
from .errors import KerberosError
from .gss import Login
from .keytab import AES
from .libkrb5 import seconds_ahead

app = typer.Typer(help="Keytab, clock and tickets.", no_args_is_help=True, pretty_exceptions_show_locals=False)
Row = tuple[str, str, str]


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show what the kerberos authenticators use, ask the KDC for its time, and log in with your own tickets.

    Exit status: 0 nothing is wrong, 1 a login is refused or the clocks
    differ too much, 2 wrong usage or configuration.
    """
    configured = authenticators(config, "kerberos")
    rows = [(name, *row) for name, one in configured.items() for row in _rows(one)]
    print_table(("authenticator", "what", "verdict", "detail"), rows)
    if any(row[2] == "wrong" for row in rows):
        raise NegativeAnswer("something is wrong: see above")


def _rows(authenticator: object) -> list[Row]:
    assert isinstance(authenticator, Kerberos)  # noqa: S101 (`use = "kerberos"` makes it)
    acceptor = authenticator.acceptor
    keys = [("key", "ok", f"version {entry.version}, {AES[entry.encryption]}") for entry in acceptor.entries]
    return [
        ("keytab", "ok", str(authenticator.keytab)),
        ("principal", "ok", authenticator.principal),
        *keys,
        ("replay cache", "ok", _place(acceptor.replay_cache)),
        _clock(authenticator),
        _login(authenticator),
    ]


def _place(replay_cache: str) -> str:
    if replay_cache.startswith("file2:"):
        return replay_cache.removeprefix("file2:")
    folder = os.environ.get("KRB5RCACHEDIR") or os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108 (libkrb5's own)
    return f"{folder}/krb5_{os.geteuid()}.rcache2"


def _clock(authenticator: Kerberos) -> Row:
    """The service requests a ticket for itself, with its key of the keytab."""
    try:
        ahead = seconds_ahead(authenticator.acceptor.keys, authenticator.principal)
    except KerberosError as error:
        return "clock", "-", f"the KDC issues no ticket to this service: {error}"
    verdict = "ok" if abs(ahead) < authenticator.acceptor.skew else "wrong"
    return "clock", verdict, f"the KDC's is {ahead:+d} s ahead of ours; {authenticator.acceptor.skew} s are allowed"


def _login(authenticator: Kerberos) -> Row:
    if "gss" not in authenticator.forms:
        return "login", "-", 'not tried: "gss" is not among the configured forms'
    try:
        login = Login(authenticator.principal)
    except KerberosError as error:
        return "login", "-", f"not tried, no ticket available (kinit): {error}"
    identity = Identity(IdentityType.KERBEROS, login.token, b"", positive_response_requested=True)
    peer, now = Peer("127.0.0.1", 0), datetime.now(UTC)
    decision = authenticator.authenticate(Attempt("check", identity, "DICOMGATE", "ANY-SCP", peer, "check", (), now))
    if not isinstance(decision, Accept):
        return "login", "wrong", decision.reason
    if wrong := login.verify(decision.server_response or b""):
        return "login", "wrong", f"the answer does not prove the service: {wrong}"
    until = decision.expires_at.isoformat(timespec="seconds") if decision.expires_at else "-"
    return "login", "ok", f"user {decision.user}, until {until}; the answer proves the service"
