"""`dicomgate kerberos check`: what the configured authenticators have, and whether a login with it works.

Rule 1: nothing of it needs the KDC but what says so. One that is out of reach is no error: logins do not need it.
Rule 2: exit status 0: nothing is wrong; 1: a login is refused, or the clocks differ; 2: wrong usage or configuration.
Rule 3: run it as the gateway's user: a file that it makes is that user's, and what it can read, the gateway can.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

import typer

from dicomgate import Accept, Attempt, Identity, IdentityType, Peer
from dicomgate.cli.plugin_commands import DEFAULT_CONFIG, ConfigOption, NegativeAnswer, authenticators, print_table

from .acceptor import AES
from .authenticator import Kerberos
from .clock import seconds_ahead
from .errors import KerberosError
from .gss import Login

app = typer.Typer(
    name="kerberos", help="Keytab, clock and tickets.", no_args_is_help=True, pretty_exceptions_show_locals=False
)
Row = tuple[str, str, str]


@app.callback()
def _root() -> None:
    """Keytab, clock and tickets."""


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say what the kerberos authenticators have, ask the KDC for its time, and log in with the tickets of whoever asks.

    Exit status: 0 nothing is wrong, 1 a login is refused or the clocks
    differ too much, 2 wrong usage or configuration.
    """
    judges = authenticators(config, "kerberos")
    rows = [(name, *row) for name, judge in judges.items() for row in _look(judge)]
    print_table(("authenticator", "what", "verdict", "detail"), rows)
    if any(row[2] == "wrong" for row in rows):
        raise NegativeAnswer("something is wrong: see above")


def _look(judge: object) -> list[Row]:
    assert isinstance(judge, Kerberos)  # noqa: S101 (what `use = "kerberos"` makes)
    acceptor = judge.acceptor
    keys = [("key", "ok", f"version {entry.version}, {AES[entry.encryption]}") for entry in acceptor.entries]
    return [
        ("keytab", "ok", str(judge.keytab)),
        ("principal", "ok", judge.principal),
        *keys,
        ("replay cache", "ok", _place(acceptor.replay_cache)),
        _clock(judge),
        _login(judge),
    ]


def _place(replay_cache: str) -> str:
    if replay_cache.startswith("file2:"):
        return replay_cache.removeprefix("file2:")
    folder = os.environ.get("KRB5RCACHEDIR") or os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108 (libkrb5's own)
    return f"{folder}/krb5_{os.geteuid()}.rcache2"


def _clock(judge: Kerberos) -> Row:
    """The service asks for a ticket of its own, with the key of the keytab."""
    try:
        ahead = seconds_ahead(judge.acceptor.keys, judge.principal)
    except KerberosError as error:
        return "clock", "-", f"the KDC says nothing to this service: {error}"
    verdict = "ok" if abs(ahead) < judge.acceptor.skew else "wrong"
    return "clock", verdict, f"the KDC's is {ahead:+d} s ahead of ours; {judge.acceptor.skew} s are borne"


def _login(judge: Kerberos) -> Row:
    if "gss" not in judge.forms:
        return "login", "-", 'not tried: "gss" is not among the forms'
    try:
        login = Login(judge.principal)
    except KerberosError as error:
        return "login", "-", f"not tried, there is no ticket to be had (kinit): {error}"
    identity = Identity(IdentityType.KERBEROS, login.token, b"", positive_response_requested=True)
    peer, now = Peer("127.0.0.1", 0), datetime.now(UTC)
    decision = judge.authenticate(Attempt("check", identity, "DICOMGATE", "ANY-SCP", peer, "check", (), now))
    if not isinstance(decision, Accept):
        return "login", "wrong", decision.reason
    if not login.is_proved_by(decision.server_response):
        return "login", "wrong", "the answer does not prove the service"
    until = decision.expires_at.isoformat(timespec="seconds") if decision.expires_at else "-"
    return "login", "ok", f"user {decision.user}, until {until}; the answer proves the service"
