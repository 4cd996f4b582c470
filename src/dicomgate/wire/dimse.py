"""DIMSE command sets (PS3.7 6.3.1, annex E): strict decode of what a peer sent, and responses of the gateway's own."""

from __future__ import annotations

from enum import IntEnum

NOT_AUTHORIZED = 0x0124
"""Status "Refused: Not authorized" (PS3.7 annex C)."""
RESPONSE = 0x8000
"""The bit of a Command Field that says: a response (PS3.7 E.1)."""


class CommandField(IntEnum):
    """Command Field (0000,0100) of requests (PS3.7 table E.1-1). A response has the bit `RESPONSE` too."""

    C_STORE_RQ = 0x0001
    C_GET_RQ = 0x0010
    C_FIND_RQ = 0x0020
    C_MOVE_RQ = 0x0021
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_GET_RQ = 0x0110
    N_SET_RQ = 0x0120
    N_ACTION_RQ = 0x0130
    N_CREATE_RQ = 0x0140
    N_DELETE_RQ = 0x0150
    C_CANCEL_RQ = 0x0FFF

    def __str__(self) -> str:
        return self.name.replace("_", "-")
