"""The stores of what gateways share: one file of one machine, or one Redis for several machines.

Rule: the two stores answer alike (tests/state/test_model.py).

Modules:

    cluster           What gateways on one Redis say to each other, as a protocol: who is there, questions, places
    damage            A damaged file of the SQLite state: found when the gateway opens it, and moved aside
    protocol          What gateways share, as a protocol: counters of attempts, known subjects, used credentials
    questions         Questions to a thread, which answers all those that are waiting in one turn
    redis             The state in a Redis or Valkey, shared by the gateways of several machines
    redis_client      A script in a Redis, run with a deadline: each run is one atomic step on the server
    redis_cluster     The gateways on one Redis: a `Cluster` in the same server as the state
    redis_connection  Connections of redis-py to the first address of a host that answers, whichever is silent
    redis_sentinel    Which Redis is the master now, asked of its Sentinels by redis-py's own means
    redis_url         The URL of a Redis in the configuration: which servers, with which login and which certificates
    redis_words       What a Redis says that it will not do, in words of our own: what an operator must change there
    sqlite            The state in a file of SQLite, shared by the processes of one machine; or in this process's memory
    sqlite_tables     The tables of the SQLite state: counters, known subjects, used keys
    watched           A state that somebody watches: how long each question to it takes, and whether it is answered
"""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError
from .cluster import Cluster
from .protocol import SharedState
from .sqlite import SqliteState

__all__ = ["open_cluster", "open_state"]


def open_state(path: Path | None, url: str | None, *, mend: bool = False) -> SharedState:
    """The state at a Redis URL, else in the file at `path`, created if it is missing, else in this process's memory.

    A file is opened here; a server is not connected to before the first question. `mend`: a damaged file is moved
    aside.

    Raises ConfigError if the URL is wrong or the package `redis` is missing, StartError if the file cannot be opened.
    """
    if url is None:
        return SqliteState(path, mend=mend)
    try:
        from .redis import RedisState
    except ImportError as error:
        raise ConfigError(
            "a Redis URL needs the package redis. The bundle has it; otherwise: pip install redis"
        ) from error
    return RedisState(url)


def open_cluster(url: str, node: str) -> Cluster:
    """The place of the gateway `node` among those with the same Redis; not connected to before the first question.

    Raises ConfigError as `open_state` does, which opens the same URL before.
    """
    from .redis_cluster import RedisCluster

    return RedisCluster(url, node)
