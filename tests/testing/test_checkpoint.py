"""pynetdicom's client loses an answer that overtakes its reactor; the repair of the tests and of docs/pynetdicom.md."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from dicomgate.testing import pages
from dicomgate.testing.checkpoint import REPAIRED
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs

_PATIENCE = 20
_LOST = "Received unexpected C-ECHO service message"


def page() -> Any:
    """The repair as it stands on the page."""
    (block,) = [one.text for one in pages.blocks(pages.DOCS / "pynetdicom.md", "python") if one.note == "client"]
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102
    return names["REPAIRED"]


@pytest.mark.parametrize("handler", [None, REPAIRED, page()], ids=["unrepaired", "tests", "page"])
def test_an_answer_that_overtakes_the_reactor(
    handler: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The reactor has been let go and gets no turn until the answer is there; the client gets none until it had one."""
    association: Any = None
    hold, let_go, had_its_turn = threading.Event(), threading.Event(), threading.Event()
    wait = threading.Event.wait

    def slowly(event: threading.Event, timeout: float | None = None) -> bool:
        reactor: object = threading.current_thread()
        if reactor is association and let_go.is_set():
            had_its_turn.set()
        was_set = wait(event, timeout)
        if reactor is association and hold.is_set():
            hold.clear()
            let_go.set()
            wait_until(lambda: association.dimse.peek_msg()[1], "the answer is there")
        return was_set

    monkeypatch.setattr(logging.getLogger("pynetdicom"), "level", logging.WARNING)
    monkeypatch.setattr(threading.Event, "wait", slowly)
    with PynetdicomPacs() as pacs:
        entity = AE()
        entity.add_requested_context(Verification)
        entity.dimse_timeout = 1 if handler is None else _PATIENCE
        association = entity.associate(*pacs.address, evt_handlers=[] if handler is None else [handler])
        get_msg = association.dimse.get_msg
        monkeypatch.setattr(
            association.dimse, "get_msg", lambda block=False: get_msg(block and had_its_turn.wait(_PATIENCE))
        )
        hold.set()
        assert let_go.wait(_PATIENCE)
        status = association.send_c_echo()
        assert pacs.echoes == 1
        assert (status.get("Status"), _LOST in caplog.text) == ((None, True) if handler is None else (0, False))
        association.release()
        entity.shutdown()
        for thread in (association, association.dul):
            thread.join(_PATIENCE)
