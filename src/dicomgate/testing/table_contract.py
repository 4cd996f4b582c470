"""The laws of every plugin's table and probe, for the tests of contracts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ..auth import loading
from ..auth.kind import AUTHENTICATORS, Kind
from ..contract import Probed
from ..errors import ConfigError, PluginError


def require(condition: bool, message: str) -> None:
    """Raise AssertionError with the message unless the condition holds."""
    if not condition:
        raise AssertionError(message)


def explained(
    factory: Callable[..., object],
    wrong_tables: Sequence[tuple[Mapping[str, object], str]],
    secrets: Sequence[str],
    kind: Kind = AUTHENTICATORS,
) -> None:
    """An unknown key, and each of `wrong_tables`: a ConfigError that says what is wrong, and tells no secret."""
    for table, words in (({"no_such_key_of_it": True}, "unknown key"), *wrong_tables):
        message = _refusal(factory, table, kind)
        require(words in message, f"{words!r} is not in what the operator is told: {message!r}")
        for secret in secrets:
            require(secret not in message, f"what is told of the keys {list(table)} tells a secret")


def _refusal(factory: Callable[..., object], table: Mapping[str, object], kind: Kind) -> str:
    """What an operator is told of a table."""
    try:
        loading.construct("it", factory, table, Path(), kind)
    except PluginError as error:
        raise AssertionError(f"a table with the keys {list(table)}: {error}") from None
    except ConfigError as error:
        return str(error)
    raise AssertionError(f"a table with the keys {list(table)} is taken")


def sound(found: Iterable[Probed], secrets: Sequence[str]) -> None:
    """All that a probe asked can be used, and what it says tells no secret."""
    for one in found:
        # Not the text itself: a failing test is a log, too.
        require(not any(secret in str(one) for secret in secrets), "what the probe finds tells a secret")
        require(not one.problem, f"{one.what}, which the contract needs: {one.problem}")
