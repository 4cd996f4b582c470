"""`dicomgate throttle list | clear`: the counters of failed logins.

The running gateway is asked, if it has a control socket that this user may open: then the audit says who cleared what.
Otherwise the state itself is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import typer
from pydantic import TypeAdapter

from ..admin.control_client import NobodyListens, ask
from ..config.load import load
from ..errors import ConfigError, NegativeAnswer, StartError, StateUnavailable
from ..events.log import quoted
from ..kit.text import one_line
from ..protection.account_key import LONGEST_NAME, account_key
from ..run.protection import configured_state
from ..state.protocol import Count
from .at_the_socket import socket_of
from .options import DEFAULT_CONFIG, ConfigOption
from .output import print_table

_Answer = TypeVar("_Answer")
_COUNT = TypeAdapter(Count)

app = typer.Typer(
    help="List and clear the counters of failed logins.", no_args_is_help=True, pretty_exceptions_show_locals=False
)


@app.command("list")
def list_counters(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the counters, most attempts in a row first.

    Exit status: 0 done, 2 the configuration is wrong, 3 the state cannot be
    reached.
    """
    counts = _asked(config, lambda state: state.counters())
    now = datetime.now(UTC)
    rows = [(count.key, str(count.n), _shown(count.last), _wait(count, now)) for count in counts]
    print_table(("key", "attempts in a row", "the last", "none until"), rows)


@app.command()
def clear(
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY", help="The keys that `list` shows.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Clear all counters.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Clear counters, so that the next attempt is verified at once.

    The addresses that an account logged in from, and used one-time
    credentials, are not forgotten.

    Exit status: 0 done, 1 no counter has these keys, 2 wrong usage or
    configuration, 3 the state cannot be reached.
    """
    if bool(keys) == everything:
        raise ConfigError("give the keys to clear, or --all")
    wanted = [key.encode(errors="replace").decode() for key in keys or ()]  # bytes of a command line need not be text
    cleared, there = _asked(config, lambda state: _clear(state, wanted))
    if wanted and not cleared:
        raise NegativeAnswer(f"no counter is called {' or '.join(map(quoted, wanted))}{_meant(wanted, there)}")
    typer.echo(f"{cleared} cleared", err=True)


class _Counters(Protocol):
    """The part of a shared state that is asked here."""

    async def counters(self) -> list[Count]: ...

    async def clear(self, keys: Sequence[str] | None) -> int: ...


class _AtTheGateway:
    """The state of the running gateway, asked at its control socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def counters(self) -> list[Count]:
        answer = ask(self._path, ask="throttled")
        if answer["left_out"]:
            typer.echo(f"{answer['left_out']} more are left out", err=True)
        return [_COUNT.validate_python(one) for one in answer["counters"]]

    async def clear(self, keys: Sequence[str] | None) -> int:
        cleared: int = ask(self._path, ask="clear", keys=keys)["cleared"]
        return cleared


async def _clear(state: _Counters, keys: list[str]) -> tuple[int, list[str]]:
    """How many were cleared; if none of these keys was there, the keys that there are."""
    cleared = await state.clear(keys or None)
    return cleared, [] if cleared else [count.key for count in await state.counters()]


def _meant(keys: list[str], there: list[str]) -> str:
    """The counters of accounts and addresses whose names were given without their kind."""
    names = {name for key in keys for name in (key, account_key(key[:LONGEST_NAME]))}
    if found := [key for key in there if key.partition(":")[2] in names]:
        return f"; did you mean {' or '.join(map(one_line, found))}?"
    return "" if all(":" in key for key in keys) else "; a key begins with account:, known: or source:"


def _asked(path: Path, question: Callable[[_Counters], Coroutine[Any, Any, _Answer]]) -> _Answer:
    """The answer of the gateway, or of the state that the configuration names. Raises ConfigError and StartError."""
    if (socket := socket_of(path)) is not None:
        with suppress(NobodyListens):
            return asyncio.run(question(_AtTheGateway(socket)))
    configuration = load(path)
    table = configuration.tables.state
    file = configuration.folder / table.path
    if table.url is None and not file.exists():
        raise StartError(f"state {file}: does not exist; the gateway makes it when it starts")
    state = configured_state(configuration)

    async def ask() -> _Answer:
        try:
            return await question(state)
        finally:
            await state.close()

    try:
        return asyncio.run(ask())
    except StateUnavailable as error:
        raise StartError(str(error)) from error


def _wait(count: Count, now: datetime) -> str:
    if count.locked:
        return "it is cleared"
    return _shown(count.until) if count.until > now else "-"


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
