"""What is said between the gateway and a worker: one JSON object a line, in ASCII."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Question:
    """Whether this is the passcode of this user.

    The name is empty where there is nobody to ask for: the worker then does as for an unknown user, and never says yes.
    `seconds` is how long the worker may live with the question. `verified`: somebody else has verified who it is; asked
    is only for what the directory says of the user, and nobody binds.
    """

    name: str
    passcode: str = field(repr=False)
    seconds: float = 0.0
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """It is, and these are the user's canonical name, DN and groups. `seconds`: how long it took to know."""

    user: str
    dn: str
    groups: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not. `known`: a user of this name was there, and the directory verified the passcode."""

    reason: str
    known: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """The server could not be asked, or gave no answer that means anything. `asked`: it is the server's fault."""

    reason: str
    asked: bool = True


Answer: TypeAlias = Verified | Refused | Failed
_ANSWERS = {kind.__name__: kind for kind in (Verified, Refused, Failed)}


def to_line(said: object) -> bytes:
    """A question, an answer, or the settings as a line."""
    return json.dumps([type(said).__name__, asdict(said)]).encode("ascii") + b"\n"  # type: ignore[call-overload]


def read_answer(line: bytes) -> Answer:
    """The answer of a line. Raises ValueError, KeyError or TypeError for anything else."""
    kind, fields = json.loads(line)
    if "groups" in fields:
        fields["groups"] = tuple(fields["groups"])
    answer: Answer = _ANSWERS[kind](**fields)
    return answer


def read_question(line: bytes) -> Question:
    """The question of a line that `to_line` made."""
    return Question(**json.loads(line)[1])
