"""The legal moves of a handshake: its states, and which input may lead from which to which.

docs/architecture.md shows this table and a diagram of it; both are made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class State(Enum):
    """Where the handshake is; in brackets the states of PS3.8 table 9-10 towards the client."""

    REQUEST = "awaiting the A-ASSOCIATE-RQ (Sta2)"
    DECISION = "the authenticators are asked (Sta3)"
    CONNECTION = "the upstream is being connected (Sta3)"
    ANSWER = "awaiting the upstream's A-ASSOCIATE-AC (Sta3)"
    RELAYING = "handed over (Sta6)"
    CLOSING = "refused, awaiting the client's close (Sta13)"
    CLOSED = "over (Sta1)"


_S = State
TRANSITIONS: Mapping[State, Mapping[str, tuple[State, ...]]] = {
    _S.REQUEST: {
        "client_data": (_S.REQUEST, _S.DECISION, _S.CLOSING, _S.CLOSED),
        "client_gone": (_S.CLOSED,),
        "deadline": (_S.CLOSED,),
        "stopped": (_S.CLOSED,),
    },
    _S.DECISION: {
        "client_data": (_S.DECISION, _S.CLOSING, _S.CLOSED),
        "client_gone": (_S.CLOSED,),
        "decided": (_S.CONNECTION, _S.CLOSING),
        "deadline": (_S.CLOSING,),
        "stopped": (_S.CLOSED,),
    },
    _S.CONNECTION: {
        "client_data": (_S.CONNECTION, _S.CLOSING, _S.CLOSED),
        "client_gone": (_S.CLOSED,),
        "upstream_opened": (_S.ANSWER,),
        "upstream_failed": (_S.CLOSING,),
        "deadline": (_S.CLOSING,),
        "stopped": (_S.CLOSED,),
    },
    _S.ANSWER: {
        "client_data": (_S.ANSWER, _S.CLOSING, _S.CLOSED),
        "client_gone": (_S.CLOSED,),
        "upstream_data": (_S.ANSWER, _S.RELAYING, _S.CLOSING),
        "upstream_gone": (_S.CLOSING,),
        "deadline": (_S.CLOSING,),
        "stopped": (_S.CLOSED,),
    },
    _S.RELAYING: {},
    _S.CLOSING: {
        "client_data": (_S.CLOSING, _S.CLOSED),
        "client_gone": (_S.CLOSED,),
        "deadline": (_S.CLOSED,),
        "stopped": (_S.CLOSED,),
    },
    _S.CLOSED: {},
}
"""The legal moves: in a state (row) an input (key) leads to one of some states. All other inputs are too late."""
