"""A repair of pynetdicom, whose client can lose an answer that comes very soon.

docs/pynetdicom.md has it for users. In `pynetdicom/association.py` of 3.0.4 the thread that sends a request and the
reactor of the association both read what comes, and a checkpoint is to keep the reactor away meanwhile:

    send_c_echo() and the like                  _run_reactor(), in a thread of its own
    self._reactor_checkpoint.clear()            self._is_paused = True
    while not self._is_paused: sleep            self._reactor_checkpoint.wait()
    self.dimse.send_msg(...)                    self._is_paused = False
    self.dimse.get_msg(block=True)              self.dimse.get_msg(block=False)
    self._reactor_checkpoint.set()

`set` wakes the reactor. Until it runs, `_is_paused` still says True: the next request clears the checkpoint, believes
that the reactor stands there, and is sent. If the answer is there before the reactor goes on, the reactor may take it:
it logs "Received unexpected C-ECHO service message", and the client waits in vain until its `dimse_timeout`.

Law: after `_is_paused = False` the reactor looks at the checkpoint again. Either it sees that it is cleared and stays,
or the client sees that it has gone on and waits until it is back.
"""

from __future__ import annotations

import threading
from typing import Any

from pynetdicom import Association, evt


class Checkpoint(threading.Event):
    """A checkpoint of this association, at which its reactor does not go on while a request is under way."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, and is still set when it is known that the reactor goes on."""
        while super().wait(timeout):
            self._association._is_paused = False
            if self.is_set():
                return True
            self._association._is_paused = True
        return False


def _repair(event: Any) -> None:
    event.assoc._reactor_checkpoint = Checkpoint(event.assoc)


REPAIRED = (evt.EVT_CONN_OPEN, _repair)
"""For `evt_handlers` of `AE.associate`: the connection is opened before the reactor of the association starts."""
