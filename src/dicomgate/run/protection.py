"""The shared state that a configuration names, and the guard that uses it.

A reload that changes neither keeps both.
"""

from __future__ import annotations

from pathlib import Path

from ..config.load import Configuration
from ..config.schema import StateTable, ThrottleTable
from ..errors import ConfigError
from ..kit.files import check_trusted
from ..protection.account_key import account_key
from ..protection.forecast import Forecast
from ..protection.guard import Guard
from ..protection.recent_credentials import RecentCredentials
from ..protection.throttle import Throttle, ThrottleSettings
from ..state import open_cluster, open_state
from ..state.cluster import Cluster
from ..state.protocol import SharedState
from ..state.watched import WatchedState


class Protection:
    """The open `state` and its `guard`. Without a configuration: state in memory, throttled by the defaults.

    `cluster` is this gateway's place among those that share its state; None if the state is no Redis.
    """

    def __init__(self, configuration: Configuration | None) -> None:
        """Open the state; may block on a file. Raises ConfigError, and StartError, which names the file."""
        table = ThrottleTable() if configuration is None else configuration.tables.throttle
        self._tables = None if configuration is None else _tables(configuration)
        state = open_state(None, None) if configuration is None else configured_state(configuration, mend=True)
        self.state = WatchedState(state)
        self.cluster = None if configuration is None else _cluster(configuration)
        self._fallback = open_state(None, None)
        throttle = _throttle(table, self.state, self._fallback)
        self.guard = Guard(self.state, throttle, RecentCredentials(table.repeat.total_seconds()))

    def serves(self, configuration: Configuration) -> bool:
        """True if this configuration names the same state and the same limits."""
        return self._tables == _tables(configuration)

    async def close(self) -> None:
        """Finish the writes that are under way, then close the state."""
        await self.guard.flush()
        await self.state.close()
        if self.cluster is not None:
            await self.cluster.close()
        await self._fallback.close()


def _tables(configuration: Configuration) -> tuple[Path, str, StateTable, ThrottleTable]:
    tables = configuration.tables
    return configuration.folder, tables.gateway.node, tables.state, tables.throttle


def _cluster(configuration: Configuration) -> Cluster | None:
    tables = configuration.tables
    return None if tables.state.url is None else open_cluster(tables.state.url, tables.gateway.node)


def configured_state(configuration: Configuration, *, mend: bool = False) -> SharedState:
    """Open the state that `[state]` names; `mend`: a damaged file is moved aside.

    Raises ConfigError with file and line, and StartError.
    """
    table = configuration.tables.state
    path = configuration.folder / table.path
    try:
        if table.url is None and path.exists():
            check_trusted(path, folders=False)  # a volume of a container may be open to everybody
        return open_state(path, table.url, mend=mend)
    except ConfigError as error:
        raise configuration.located(error, "state", "path" if table.url is None else "url") from error


def forecast(configuration: Configuration) -> Forecast:
    """What judges an attempt as the gateway would, dry. Raises ConfigError with file and line, and StartError."""
    tables = configuration.tables
    begun = tables.state.url is not None or (configuration.folder / tables.state.path).exists()
    # A file that does not exist yet is the gateway's to make: nothing is counted, and nothing used.
    state = configured_state(configuration) if begun else open_state(None, None)
    return Forecast(state, _throttle(tables.throttle, state, state))


def _throttle(table: ThrottleTable, state: SharedState, fallback: SharedState) -> Throttle | None:
    if not table.enabled:
        return None
    waits = table.first_wait.total_seconds(), table.longest_wait.total_seconds()
    domains = frozenset(map(account_key, table.domains))
    settings = ThrottleSettings(table.free, *waits, table.most, table.source_free, domains)
    return Throttle(settings, state, fallback if table.on_unreachable == "local" else None)
