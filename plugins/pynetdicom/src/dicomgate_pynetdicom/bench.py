"""What pynetdicom's events are answered with: called in its threads, one for each association.

Law 1: nothing but an `Admit` lets anybody in; whatever is raised is a refusal. pynetdicom itself takes an exception in
       a handler of EVT_REQUESTED for nothing, and a NotImplementedError in one of EVT_USER_ID for a yes.
Law 2: what is raised is logged by its type, never with its words: they may hold a secret.
"""

from __future__ import annotations

import logging
import threading
from typing import Any
from weakref import WeakKeyDictionary

from pynetdicom.pdu_primitives import UserIdentityNegotiation

from dicomgate import DicomgateError
from dicomgate.run.embedding import TRY_LATER, Admit, AssociateReject, Refuse

from .judging import Judging, end_at
from .request import attempt_of, is_secured, user_identity_of

_log = logging.getLogger("dicomgate.pynetdicom")


class Bench:
    """The handlers of one binding."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        self._admitted: WeakKeyDictionary[Any, Admit] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def identified(self, event: Any) -> tuple[bool, bytes | None]:
        """EVT_USER_ID, where pynetdicom does the rest: it answers every refusal with the same A-ASSOCIATE-RJ."""
        answer = self._ask(event.assoc, TRY_LATER)
        return (True, answer.server_response) if isinstance(answer, Admit) else (False, None)

    def requested(self, event: Any) -> None:
        """EVT_REQUESTED: the whole judgement, before pynetdicom negotiates anything."""
        association = event.assoc
        answer = self._ask(association, None)
        try:
            if isinstance(answer, Admit):
                if answer.server_response is not None:
                    item = UserIdentityNegotiation()
                    item.server_response = answer.server_response
                    association.acceptor.add_negotiation_item(item)
                with self._lock:
                    self._admitted[association] = answer
                return
        except Exception as error:  # noqa: BLE001 (law 1)
            _log.error("an admitted association cannot be answered: %s", type(error).__name__)
            answer = Refuse(TRY_LATER, "")
        _reject(association, answer.refusal)

    def admitted(self, event: Any) -> tuple[bool, bytes | None]:
        """EVT_USER_ID behind `requested`: what it said. The response is in the negotiation already."""
        with self._lock:
            return event.assoc in self._admitted, None

    def established(self, event: Any) -> None:
        """EVT_ESTABLISHED behind `requested`: another handler that raised would have kept it from being called."""
        with self._lock:
            admitted = self._admitted.pop(event.assoc, None)
        if admitted is None:
            _log.error("an association was established that nobody admitted, and is aborted: bind dicomgate first")
            event.assoc.abort(block=True)
        elif admitted.accept.expires_at is not None and self._judging.end_with_credential:
            end_at(admitted.accept.expires_at, event.assoc)

    def _ask(self, association: Any, always: AssociateReject | None) -> Admit | Refuse:
        try:
            attempt = attempt_of(association, self._judging.listener)
            item, secured = user_identity_of(association), is_secured(association)
            return self._judging.ask(attempt, item, secured=secured, always=always)
        except DicomgateError as error:
            _log.error("nobody can be let in: %s", error)
        except BaseException as error:  # noqa: BLE001 (law 1)
            _log.error("nobody can be let in: %s", type(error).__name__)
        return Refuse(TRY_LATER, "")


def _reject(association: Any, refusal: Any) -> None:
    association.acse.send_reject(refusal.result, refusal.source, refusal.reason)
    # As pynetdicom does behind its own: or the connection would be closed before the rejection is on its way.
    association.kill()
