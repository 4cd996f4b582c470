"""Every exception that the gateway raises on purpose.

    DicomgateError
    +-- ConfigError     the operator's: a file, a table, a key or a value is wrong; all that is wrong, at once
    +-- PluginError     an authenticator's distribution is missing or does not import
    +-- PduError        the peer's: bytes that the standard does not allow; it carries the PDU that answers them
    +-- DoesNotFit      ours: a value is too long for the 16-bit length of its item
    +-- StartError      the machine's: a port is in use, a file cannot be read, a host cannot be reached
    +-- FetchError      a document over https that cannot be had
    +-- NegativeAnswer  nobody's: a command did its work, and the answer is no
    +-- StateUnavailable  what gateways share is out of reach: the file, the server; or there is no place in it

Anything else that escapes a module is a defect.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from typing import NamedTuple


class DicomgateError(Exception):
    """The root: catch it to catch them all."""


class Problem(NamedTuple):
    """One thing that is wrong in a configuration: the path of keys that leads to it, and what is wrong."""

    keys: tuple[str | int, ...]
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.keys))}: {self.message}" if self.keys else self.message


class ConfigError(DicomgateError):
    """The configuration is wrong. `problems` are all the things that are, each naming what it is about."""

    def __init__(self, problems: str | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (Problem((), problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class PluginError(ConfigError):
    """An authenticator cannot be loaded: no distribution provides it, or the one that does fails to import."""


class StartError(DicomgateError):
    """The configuration is right, but the machine does not play along: a port in use, a host out of reach."""


class FetchError(DicomgateError):
    """What was to be fetched cannot be had. The words are for the log."""


class StateUnavailable(DicomgateError):
    """What gateways share cannot be asked now. The message names the file or the server, never a secret."""


class PduError(DicomgateError):
    """The peer sent bytes that PS3.8 or PS3.7 does not allow.

    `reply` is the whole A-ABORT or A-ASSOCIATE-RJ PDU that answers them. The message is for the log: it may name
    the claimed values, never a secret.
    """

    def __init__(self, message: str, reply: bytes) -> None:
        self.reply = reply
        super().__init__(message)


class NegativeAnswer(DicomgateError):
    """A command did its work, and the answer is no."""


class DoesNotFit(DicomgateError):
    """A value that we were to encode is too long for the 16-bit length of its item (PS3.8 9.3.2)."""


def place(error: BaseException) -> str:
    """The type of an exception of somebody else's, and where it was raised; what it says may hold a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119
    return f"{type(error).__name__}{where}"
