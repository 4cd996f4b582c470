"""The legal moves of both machines: their states, their inputs, and which input leads where.

docs/architecture.md shows the tables and their diagrams; scripts/machine_tables.py makes them from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from ..events.events import Member


class HandshakeState(Member):
    """Where the handshake is; in brackets the states of PS3.8 table 9-10 towards the client."""

    REQUEST = "waiting for the A-ASSOCIATE-RQ (Sta2)"
    DECISION = "asking the authenticators (Sta3)"
    RECORDING = "waiting until the audit has the decision's record (Sta3)"
    PRESENTING = "waiting for the credential that the upstream is shown (Sta3)"
    CONNECTION = "connecting to the upstream (Sta3)"
    ANSWER = "waiting for the upstream's A-ASSOCIATE-AC (Sta3)"
    RELAYING = "no longer in charge: the relay is (Sta6)"
    CLOSING = "waiting for the client to close, after a refusal (Sta13)"
    CLOSED = "finished (Sta1)"


class HandshakeInput(Member):
    """What can happen to a handshake. Each is a method of `Handshake`, by the same name in lower case."""

    CLIENT_DATA = "the client sent bytes"
    CLIENT_GONE = "the client closed or lost its connection"
    DECIDED = "the authenticators have decided"
    RECORDED = "the audit has the decision's record, or cannot have it"
    PRESENTED = "the credential is there, or cannot be had"
    UPSTREAM_OPENED = "the upstream is connected"
    UPSTREAM_FAILED = "the upstream cannot be connected"
    UPSTREAM_DATA = "the upstream sent bytes"
    UPSTREAM_GONE = "the upstream closed or lost its connection"
    DEADLINE = "the time of the last `Timer` is over"
    STOPPED = "the gateway is shutting down"
    KICKED = "an operator ends it, or its user was disabled"


_State = TypeVar("_State", bound=Enum)
_Input = TypeVar("_Input", bound=Enum)
Transitions: TypeAlias = Mapping[_State, Mapping[_Input, tuple[_State, ...]]]
"""In a state (outer key) an input (inner key) leads to one of some states. Every other input is too late."""

_S, _I = HandshakeState, HandshakeInput
HANDSHAKE: Transitions[HandshakeState, HandshakeInput] = {
    _S.REQUEST: {
        _I.CLIENT_DATA: (_S.REQUEST, _S.DECISION, _S.CLOSING, _S.CLOSED),
        _I.CLIENT_GONE: (_S.CLOSED,),
        _I.DEADLINE: (_S.CLOSED,),
        _I.STOPPED: (_S.CLOSED,),
        _I.KICKED: (_S.CLOSED,),
    },
    _S.DECISION: {
        _I.CLIENT_DATA: (_S.DECISION, _S.CLOSING, _S.CLOSED),
        _I.CLIENT_GONE: (_S.CLOSED,),
        _I.DECIDED: (_S.RECORDING, _S.PRESENTING, _S.CONNECTION, _S.CLOSING),
        _I.DEADLINE: (_S.CLOSING,),
        _I.STOPPED: (_S.CLOSED,),
        _I.KICKED: (_S.CLOSING,),
    },
    _S.RECORDING: {
        _I.CLIENT_DATA: (_S.RECORDING, _S.CLOSING, _S.CLOSED),
        _I.CLIENT_GONE: (_S.CLOSED,),
        _I.RECORDED: (_S.PRESENTING, _S.CONNECTION, _S.CLOSING),
        _I.DEADLINE: (_S.CLOSING,),
        _I.STOPPED: (_S.CLOSED,),
        _I.KICKED: (_S.CLOSING,),
    },
    _S.PRESENTING: {
        _I.CLIENT_DATA: (_S.PRESENTING, _S.CLOSING, _S.CLOSED),
        _I.CLIENT_GONE: (_S.CLOSED,),
        _I.PRESENTED: (_S.CONNECTION, _S.CLOSING),
        _I.DEADLINE: (_S.CLOSING,),
        _I.STOPPED: (_S.CLOSED,),
        _I.KICKED: (_S.CLOSING,),
    },
    _S.CONNECTION: {
        _I.CLIENT_DATA: (_S.CONNECTION, _S.CLOSING, _S.CLOSED),
        _I.CLIENT_GONE: (_S.CLOSED,),
        _I.UPSTREAM_OPENED: (_S.ANSWER,),
        _I.UPSTREAM_FAILED: (_S.CLOSING,),
        _I.DEADLINE: (_S.CLOSING,),
        _I.STOPPED: (_S.CLOSED,),
        _I.KICKED: (_S.CLOSING,),
    },
    _S.ANSWER: {
        _I.CLIENT_DATA: (_S.ANSWER, _S.CLOSING, _S.CLOSED),
        _I.CLIENT_GONE: (_S.CLOSED,),
        _I.UPSTREAM_DATA: (_S.ANSWER, _S.CONNECTION, _S.RELAYING, _S.CLOSING),
        _I.UPSTREAM_GONE: (_S.CONNECTION, _S.CLOSING),
        _I.DEADLINE: (_S.CLOSING,),
        _I.STOPPED: (_S.CLOSED,),
        _I.KICKED: (_S.CLOSING,),
    },
    _S.RELAYING: {},
    _S.CLOSING: {
        _I.CLIENT_DATA: (_S.CLOSING, _S.CLOSED),
        _I.CLIENT_GONE: (_S.CLOSED,),
        _I.DEADLINE: (_S.CLOSED,),
        _I.STOPPED: (_S.CLOSED,),
        _I.KICKED: (_S.CLOSED,),
    },
    _S.CLOSED: {},
}


class EstablishedState(Member):
    """Where an established association is; in brackets the states of PS3.8 table 9-10 that its two sides may be in."""

    OPEN = "relaying (Sta6)"
    RELEASING = "relaying, and a side that has asked for the release has no answer yet (Sta7 to Sta12)"
    RELEASED = "waiting for both sides to close, after a release (Sta13)"
    HALF_OPEN = "relaying from one side only: the other has ended its stream before all was said"
    CLOSED = "finished (Sta1)"


class EstablishedInput(Member):
    """What can happen to an established association. Each is a method of `Association`, in lower case."""

    FOUND = "a side sent something other than P-DATA that passes"
    ENDED = "a side ended its stream"
    LOST = "the connection of a side broke"
    SILENT = "nothing has moved for the idle time"
    DEADLINE = "the time of the last `Timer` is over"
    STOPPED = "the gateway ends the association"


_E, _F = EstablishedState, EstablishedInput
ESTABLISHED: Transitions[EstablishedState, EstablishedInput] = {
    _E.OPEN: {
        _F.FOUND: (_E.OPEN, _E.RELEASING, _E.CLOSED),
        _F.ENDED: (_E.HALF_OPEN,),
        _F.LOST: (_E.CLOSED,),
        _F.SILENT: (_E.CLOSED,),
        _F.STOPPED: (_E.CLOSED,),
    },
    _E.RELEASING: {
        _F.FOUND: (_E.RELEASING, _E.RELEASED, _E.CLOSED),
        _F.ENDED: (_E.HALF_OPEN,),
        _F.LOST: (_E.CLOSED,),
        _F.SILENT: (_E.CLOSED,),
        _F.STOPPED: (_E.CLOSED,),
    },
    _E.RELEASED: {
        _F.FOUND: (_E.RELEASED, _E.CLOSED),
        _F.ENDED: (_E.CLOSED,),
        _F.LOST: (_E.CLOSED,),
        _F.DEADLINE: (_E.CLOSED,),
        _F.STOPPED: (_E.CLOSED,),
    },
    _E.HALF_OPEN: {
        _F.FOUND: (_E.HALF_OPEN, _E.CLOSED),
        _F.ENDED: (_E.CLOSED,),
        _F.LOST: (_E.CLOSED,),
        _F.SILENT: (_E.CLOSED,),
        _F.STOPPED: (_E.CLOSED,),
    },
    _E.CLOSED: {},
}


class _HasState(Protocol):
    state: Any


_Machine = TypeVar("_Machine", bound=_HasState)
_P = ParamSpec("_P")
_Effect = TypeVar("_Effect")
_Method: TypeAlias = Callable[Concatenate[_Machine, _P], list[_Effect]]


def input_of(
    transitions: Transitions[_State, _Input], inputs: type[_Input]
) -> Callable[[_Method[_Machine, _P, _Effect]], _Method[_Machine, _P, _Effect]]:
    """A decorator that makes a method of a machine the input of the same name.

    The method returns effects. It is not called in a state that the table does not let the input into: the input
    crossed something on its way, and has no effects. Raises RuntimeError if the method leads to a state that the table
    does not name; KeyError, at the import of the machine, if there is no such input.
    """

    def decorated(method: _Method[_Machine, _P, _Effect]) -> _Method[_Machine, _P, _Effect]:
        row = inputs[method.__name__.upper()]

        def move(machine: _Machine, /, *args: _P.args, **kwargs: _P.kwargs) -> list[_Effect]:
            before = machine.state
            allowed = transitions[before].get(row)
            if allowed is None:
                return []
            effects = method(machine, *args, **kwargs)
            if machine.state not in allowed:
                raise RuntimeError(f"{row.name} led from {before.name} to {machine.state.name}")
            return effects

        update_wrapper(move, method)
        return move

    return decorated
