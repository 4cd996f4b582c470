"""`dicomgate throttle list | clear`: the accounts that failed attempts hold back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ..config.load import load
from ..errors import ConfigError, NegativeAnswer, StartError, StateUnavailable
from ..events.log import quoted
from ..run.protection import configured_state
from ..state.protocol import Count, SharedState
from .options import DEFAULT_CONFIG, ConfigOption
from .output import print_table

_Answer = TypeVar("_Answer")

app = typer.Typer(
    help="Attempts that are counted, and who has to wait.", no_args_is_help=True, pretty_exceptions_show_locals=False
)


@app.command("list")
def list_counters(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List what is counted, most attempts in a row first.

    Exit status: 0 done, 2 the configuration is wrong, 3 the state is out of
    reach.
    """
    counts = _asked(config, lambda state: state.counters())
    now = datetime.now(UTC)
    rows = [(count.key, str(count.n), _shown(count.last), _wait(count, now)) for count in counts]
    print_table(("key", "attempts in a row", "the last", "none until"), rows)


@app.command()
def clear(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY...]", help="As `list` shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is counted.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Forget attempts, so that the next one is verified at once.

    Which addresses an account logged in from before, and which credentials
    were used up, is not forgotten.

    Exit status: 0 done, 1 nothing was counted under these keys, 2 wrong usage
    or configuration, 3 the state is out of reach.
    """
    if bool(keys) == everything:
        raise ConfigError("say which keys to clear, or --all")
    wanted = [key.encode(errors="replace").decode() for key in keys or ()]  # bytes of a command line need not be text
    cleared = _asked(config, lambda state: state.clear(wanted or None))
    if wanted and not cleared:
        raise NegativeAnswer(f"nothing is counted under {' or '.join(map(quoted, wanted))}")
    typer.echo(f"{cleared} cleared", err=True)


def _asked(path: Path, question: Callable[[SharedState], Awaitable[_Answer]]) -> _Answer:
    """The answer of the state that the configuration names. Raises ConfigError and StartError."""
    configuration = load(path)
    table = configuration.tables.state
    file = configuration.folder / table.path
    if table.url is None and not file.exists():
        raise StartError(f"state {file}: it is not there; the gateway makes it when it starts")
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
