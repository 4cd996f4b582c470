"""The stores of what gateways share: one file of one machine, or one Redis for several machines.

Law: the two stores answer alike. What a lever does stands in `shared`, how much is kept and for how long in `limits`.

Modules:

    protocol       What gateways know together: backoffs, known pairs, used credentials
    redis          The state in a Redis or Valkey, shared by the gateways of several machines
    retention      How much a store keeps, for how long, and how long it may take
    sqlite         The state in a file of SQLite, shared by the processes of one machine; or in this process's memory
    sqlite_tables  What is counted, known and used, as tables of SQLite
"""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError
from .protocol import SharedState
from .sqlite import SqliteState

__all__ = ["open_state"]


def open_state(path: Path | None, url: str | None) -> SharedState:
    """The state at a Redis URL, else in a file, which is made if it is not there, else in this process's memory.

    A file is opened here; a server is not asked before it is needed. Raises ConfigError where the URL is wrong or the
    package `redis` is missing, StartError where the file cannot be opened.
    """
    if url is None:
        return SqliteState(path)
    try:
        from .redis import RedisState
    except ImportError as error:
        raise ConfigError("a Redis URL needs the package redis: pip install 'dicomgate[redis]'") from error
    return RedisState(url)
