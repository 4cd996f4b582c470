"""An established association of a client whose rights are limited, without sockets."""

from __future__ import annotations

from dicomgate.association.message_stream import MessageStream
from dicomgate.rights.operations import Denial, Operations
from dicomgate.rights.rights import Moves, Rights
from dicomgate.testing import raw
from tests.association.conversation import Conversation
from tests.wire import commands as c

VIEWER = Rights(
    classes=frozenset({c.VERIFICATION, c.FIND_STUDIES, c.MOVE_STUDIES, c.GET_STUDIES}),
    moves=(Moves(frozenset({c.MOVE_STUDIES}), ("WS_*", "TEACHING")),),
)
"""It may look for studies, fetch them, and have them sent to workstations."""
MODALITY = Rights(classes=frozenset({c.VERIFICATION, c.CT}))
"""It may test the connection, and send CT images."""
CONTEXTS = {1: c.VERIFICATION, 3: c.CT, 5: c.FIND_STUDIES, 7: c.MOVE_STUDIES, 9: c.GET_STUDIES}


class Limited(Conversation):
    """The conversation of such a client with a PACS. `told` are the denials."""

    def __init__(self, rights: Rights, maximum_length: int = 16384) -> None:
        self.told: list[Denial] = []
        self.operations = Operations(rights, CONTEXTS, maximum_length, "CT1", self.told.append)
        super().__init__(MessageStream(CONTEXTS, 0, self.operations.judge), MessageStream(CONTEXTS, maximum_length))


def said(context: int, command: bytes, data: bytes = b"data") -> bytes:
    """A message in PDUs: a command set, and a data set where the command set tells of one."""
    pdus = raw.p_data(raw.pdv(context, command, 3))
    return pdus if c.element(0x0800, c.us(0x0101)) in command else pdus + raw.p_data(raw.pdv(context, data, 2))
