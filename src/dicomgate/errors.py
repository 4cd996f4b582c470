"""The exceptions that the gateway raises on purpose, grouped by whose fault they are.

    DicomgateError
    |                          the operator's:
    +-- ConfigError            a file, a table, a key or a value is wrong; it lists every problem found
    |   +-- PluginError        an authenticator's distribution is missing or cannot be imported
    |                          the peer's:
    +-- PduError               bytes that the standard does not allow; in `wire.reject_abort`, it carries the answer
    |                          the machine's or the network's:
    +-- StartError             a port is in use, a file cannot be read, a host cannot be reached
    +-- FetchError             a document cannot be fetched over https
    +-- StateUnavailable       the state that gateways share is out of reach, or full
    |                          ours:
    +-- DoesNotFit             a value that we encode is too long for the 16-bit length of its item
    |                          no one's:
    +-- NegativeAnswer         a command did its work, and the answer is no

A plugin's own fault is not here: whatever an authenticator raises becomes `Unavailable` for that attempt. Anything else
that escapes a module is a defect.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from typing import NamedTuple


class DicomgateError(Exception):
    """The base class of all of them."""


class Problem(NamedTuple):
    """One thing that is wrong in a configuration: the path of keys to it, and what is wrong there."""

    keys: tuple[str | int, ...]
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.keys))}: {self.message}" if self.keys else self.message


class ConfigError(DicomgateError):
    """The configuration is wrong. `problems` lists everything that is wrong, not only the first thing."""

    def __init__(self, problems: str | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (Problem((), problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def under(self, *keys: str | int) -> ConfigError:
        """The same problems, in the table or at the key that this path of keys leads to."""
        return ConfigError([Problem((*keys, *found), message) for found, message in self.problems])


class PluginError(ConfigError):
    """An authenticator cannot be loaded: no installed distribution provides it, or importing it fails."""


class StartError(DicomgateError):
    """The configuration is right, but the machine or the network prevents it."""


class FetchError(DicomgateError):
    """A document cannot be fetched. The message is for the log."""


class StateUnavailable(DicomgateError):
    """The shared state cannot be used now. The message names the file or the server, never a secret."""


class NegativeAnswer(DicomgateError):
    """A command did its work, and the answer is no."""


class DoesNotFit(DicomgateError):
    """A value that we encode is too long for the 16-bit length of its item (PS3.8 9.3.2)."""


def place(error: BaseException) -> str:
    """The type of a foreign exception and where it was raised. Its message is left out: it may hold a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119
    return f"{type(error).__name__}{where}"
