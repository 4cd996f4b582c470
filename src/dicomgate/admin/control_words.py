"""What is said on the control socket: a question is a JSON object on a line, and so is its answer.

An answer has either what was asked for or `error`, which says what is wrong, in words.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..net.pool import Order
from ..sessions.kick import LONGEST

LONGEST_QUESTION = 65_536
"""Bytes, with the newline."""
_LONGEST = 256

_Word = Annotated[str, Field(max_length=_LONGEST)]


class WrongQuestion(Exception):
    """It cannot be read. The message says what is wrong."""


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Status(_Question):
    """What is going on."""

    ask: Literal["status"]


class Sessions(_Question):
    """The associations under way, or those of one user."""

    ask: Literal["sessions"]
    user: _Word | None = None


class Kick(_Question):
    """End these associations."""

    ask: Literal["kick"]
    ids: list[_Word] = Field(min_length=1, max_length=1000)
    reason: _Word = ""


class KickUser(_Question):
    """End all associations of a user, and refuse new ones for so many seconds; for 0: let the user in again."""

    ask: Literal["kick user"]
    user: Annotated[_Word, Field(min_length=1)]
    authenticator: _Word = ""
    seconds: float | None = Field(default=None, ge=0, le=LONGEST)
    reason: _Word = ""


class Reload(_Question):
    """Read the configuration again."""

    ask: Literal["reload"]


class Drain(_Question):
    """Begin to end the gateway."""

    ask: Literal["drain"]


class Throttled(_Question):
    """The counters of failed logins."""

    ask: Literal["throttled"]


class Clear(_Question):
    """Clear these counters; without `keys`, all."""

    ask: Literal["clear"]
    keys: list[str] | None = Field(default=None, min_length=1, max_length=1000)


class OrderAddress(_Question):
    """Take one of several addresses of an upstream out, or let it in again."""

    ask: Literal["order"]
    upstream: _Word
    address: _Word
    order: Order


Question: TypeAlias = Status | Sessions | Kick | KickUser | Reload | Drain | Throttled | Clear | OrderAddress
_QUESTION: TypeAdapter[Question] = TypeAdapter(Annotated[Question, Field(discriminator="ask")])


def read_question(line: bytes) -> Question:
    """The question on a line. Raises WrongQuestion."""
    try:
        return _QUESTION.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise WrongQuestion(": ".join([".".join(map(str, first["loc"])), first["msg"]]).removeprefix(": ")) from None
