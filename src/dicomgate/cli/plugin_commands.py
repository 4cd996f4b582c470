"""What a plugin's commands import: what is configured, and how a command speaks and ends.

An entry point of the group `dicomgate.commands` is a `typer.Typer`; `dicomgate NAME` runs it. What it raises ends it
with one line for each problem: NegativeAnswer with exit status 1, ConfigError with 2, StartError with 3.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from ..auth import loading
from ..config.load import Configuration, load
from ..config.schema import EmbeddedTables
from ..contract import Attempt, Authenticator, Decision, Identity, Peer
from ..errors import ConfigError, NegativeAnswer, Problem
from ..kit.inspect import Finding
from ..net.tls_context import read_certificate
from .options import DEFAULT_CONFIG, ConfigOption, ask_for_passcode, client_address
from .output import conclude, in_words, print_table

__all__ = [
    "DEFAULT_CONFIG",
    "ConfigOption",
    "NegativeAnswer",
    "ask_for_passcode",
    "authenticators",
    "client_address",
    "conclude",
    "in_words",
    "inspect",
    "print_table",
    "read_certificate",
    "read_input",
    "tables",
]

T = TypeVar("T")
A = TypeVar("A", bound=Authenticator)

_MOST_READ = 1_048_576


def authenticators(config: Path, use: str) -> dict[str, Authenticator]:
    """The configured authenticators of this `use`, by name and in their order, made as the gateway makes them.

    None of the others is made. Raises ConfigError with all that is wrong, each with file, line and key.
    """
    return _each(load(config), use, loading.make)


def tables(config: Path, use: str) -> dict[str, dict[str, Any]]:
    """The options of the configured authenticators of this `use`, by name, checked and converted; nothing is made.

    For a command that makes what an authenticator needs. The file may also be one of a program that opens its own port.
    Raises ConfigError with all that is wrong, each with file, line and key.
    """
    return _each(load(config, EmbeddedTables), use, loading.read_options)


_Read = Callable[[str, Mapping[str, object], Path], T]


def _each(configuration: Configuration, use: str, read: _Read[T]) -> dict[str, T]:
    found: dict[str, T] = {}
    problems: list[Problem] = []
    for index, table in enumerate(configuration.tables.authenticator):
        if table.use == use:
            try:
                found[table.title] = read(use, table.options, configuration.folder)
            except ConfigError as error:
                problems += configuration.located(error, "authenticator", index).problems
    if problems:
        raise ConfigError(problems)
    if not found:
        raise ConfigError(f'{configuration.path}: no [[authenticator]] with use = "{use}"')
    return found


def read_input(name: str, longest: int = _MOST_READ) -> bytes:
    """The first `longest` bytes of a file, a mebibyte by default; "-" is standard input. Raises ConfigError."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(longest)
        with Path(name).open("rb") as file:
            return file.read(longest)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror or error}") from None


def inspect(
    asked: Mapping[str, A],
    identity: Identity,
    peer: Peer,
    ask: Callable[[A, Attempt], Awaitable[tuple[Decision, Iterable[Finding]]]],
    what: str,
) -> None:
    """Print what each authenticator thinks of a credential and why, and end as `conclude` does.

    `ask` returns the authenticator's own decision, as at a login, and the findings that explain it. `what` names the
    credential, for example "token".
    """
    attempt = Attempt("inspect", identity, "DICOMGATE", "ANY-SCP", peer, "inspect", (), datetime.now(UTC))
    decisions: list[Decision] = []
    rows: list[tuple[str, ...]] = []

    async def consult() -> None:
        for name, authenticator in asked.items():
            decision, findings = await ask(authenticator, attempt)
            decisions.append(decision)
            rows.extend((name, *finding) for finding in findings)
            rows.append((name, "login", *in_words(decision)))

    asyncio.run(consult())
    print_table(("authenticator", "what", "verdict", "detail"), rows)
    conclude(decisions, what)
