"""`adapt(handler)`: a handler of pynetdicom's EVT_USER_ID, unchanged, as an authenticator.

Rule: stricter than pynetdicom. Only `(True, response)`, with a response of bytes or None, accepts, and only
`(False, ...)` rejects. Anything else is a defect of the handler, including NotImplementedError and a bare True.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

from dicomgate import Accept, Attempt, Decision, IdentityType, Pass, Reject, Unavailable

from .event import event_of

_Type = Literal[1, 2, 3, 4, 5]
_ALL: tuple[_Type, ...] = (1, 2, 3, 4, 5)


class Adapted:
    """What `adapt` returns. It calls the handler in threads, as pynetdicom does: up to `workers` at a time."""

    def __init__(self, handler: Callable[..., object], args: Sequence[object], types: Collection[int]) -> None:
        if not callable(handler) or inspect.iscoroutinefunction(handler):
            raise ValueError("handler: it must be a plain function")
        self.handles = frozenset(map(IdentityType, types))
        self._name = getattr(handler, "__name__", type(handler).__name__)
        self._handler = handler
        self._args = tuple(args)
        _check_signature(handler, self._args)

    def __repr__(self) -> str:
        return f"adapt({self._name})"

    def authenticate(self, attempt: Attempt, /) -> Decision:
        """The handler's answer. Raises what the handler raises."""
        identity = attempt.identity
        if identity is None:
            return Pass("no user identity: pynetdicom calls no handler for that")
        event = event_of(attempt, identity)
        answer = self._handler(event, *self._args)
        if inspect.iscoroutine(answer):
            answer.close()
        if type(answer) is not tuple or len(answer) != 2 or type(answer[0]) is not bool:
            return self._defect(f"answered with {_described(answer)}, not with (is_verified, response)")
        verified, response = answer
        if not verified:
            return Reject(f"{self._name} says no")
        if response is not None and not isinstance(response, bytes):
            return self._defect(f"answered with a response of type {type(response).__name__}, not bytes")
        user = getattr(event, "user", None) or identity.username or f"unnamed (type {identity.type.value})"
        return Accept(user, server_response=response)

    def _defect(self, what: str) -> Unavailable:
        return Unavailable(f"defect: {self._name} {what}")


def adapt(
    handler: Callable[..., object], args: Sequence[object] | None = None, *, types: Collection[int] = _ALL
) -> Adapted:
    """Make an authenticator of a handler of EVT_USER_ID, called as `handler(event, *args)`.

    `types`: the user identity types that the handler is asked about; others are passed on. The user is what the handler
    sets as `event.user`; else the username (types 1 and 2), or "unnamed (type 5)" for the others. Raises ValueError if
    the handler cannot be called like this.
    """
    return Adapted(handler, args or (), types)


def configured(handler: str, args: Sequence[Any] = (), types: Sequence[_Type] = _ALL) -> Adapted:
    """A handler of pynetdicom's EVT_USER_ID as an authenticator.

    `handler` is "module:function"; it is called with the event and `args`, for the user identity types in `types`;
    others are passed on. Raises ValueError if the handler cannot be imported, or cannot be called like this.
    """
    module, colon, name = handler.partition(":")
    if not (module and colon and name):
        raise ValueError('handler: write it as "module:function"')
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (an import can raise anything)
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            raise ValueError(f"handler: no module {error.name!r}: install it in dicomgate's environment") from None
        raise ValueError(f"handler: module {module} does not import: {type(error).__name__}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"handler: module {module} has no {name!r}")
        found = getattr(found, part)
    return adapt(found, args, types=types)


def _check_signature(handler: Callable[..., object], args: tuple[object, ...]) -> None:
    try:
        signature = inspect.signature(handler)
    except ValueError:
        return  # a function in C may have none
    try:
        signature.bind(None, *args)
    except TypeError as error:
        raise ValueError(f"args: the handler cannot be called with the event and {len(args)} more: {error}") from None


def _described(answer: object) -> str:
    if type(answer) is tuple:
        return f"a tuple of {', '.join(type(one).__name__ for one in answer) or 'nothing'}"
    return "nothing" if answer is None else type(answer).__name__
