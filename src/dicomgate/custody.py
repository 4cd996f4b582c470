"""The shared state that a configuration names, and the guard that relies on it.

Both outlive a reload that changes neither.
"""

from __future__ import annotations

from .auth.guard import Guard
from .auth.guesses import Guesses
from .auth.throttle import Figures, Throttle
from .config import Configuration
from .errors import ConfigError
from .shared import SharedState
from .state import open_state
from .tables import ThrottleTable


class Custody:
    """Opened by its creation, which may block on a file. Raises ConfigError, and StartError that names the file."""

    def __init__(self, configuration: Configuration) -> None:
        tables = configuration.tables
        self._tables = configuration.folder, tables.state, tables.throttle
        self._state = configured_state(configuration)
        self._beside = open_state(None, None)
        throttle = _throttle(tables.throttle, self._state, self._beside)
        self.guard = Guard(self._state, throttle, Guesses(tables.throttle.repeat.total_seconds()))

    def serves(self, configuration: Configuration) -> bool:
        """True if this configuration names the same."""
        return self._tables == (configuration.folder, configuration.tables.state, configuration.tables.throttle)

    async def close(self) -> None:
        """Write what is still to be written, then let go."""
        await self.guard.settle()
        await self._state.close()
        await self._beside.close()


def configured_state(configuration: Configuration) -> SharedState:
    """The state that `[state]` names, opened. Raises ConfigError with file and line, and StartError."""
    table = configuration.tables.state
    try:
        return open_state(configuration.folder / table.path, table.url)
    except ConfigError as error:
        raise configuration.located(error, "state", "url") from error


def _throttle(table: ThrottleTable, state: SharedState, beside: SharedState) -> Throttle | None:
    if not table.enabled:
        return None
    waits = table.first_wait.total_seconds(), table.longest_wait.total_seconds()
    figures = Figures(table.free, *waits, table.most, table.source_free)
    return Throttle(figures, state, beside if table.on_unreachable == "local" else None)
