"""The event handlers that `bind` gives to pynetdicom. It calls them in its threads, one for each association.

Rule 1: only an `Admit` lets a client in; any exception is a refusal. pynetdicom itself ignores an exception of a
        handler of EVT_REQUESTED, and takes a NotImplementedError of one of EVT_USER_ID for an acceptance.
Rule 2: an exception is logged by its type, never with its text, which may hold a secret.
"""

from __future__ import annotations

import logging
from typing import Any

from pynetdicom.pdu_primitives import UserIdentityNegotiation

from dicomgate import DicomgateError
from dicomgate.run.embedding import TRY_LATER, Admit, AssociateReject, Limited, Refuse

from .limits import limit
from .login_thread import LoginThread, end_at
from .principals import Principals
from .request import attempt_of, is_secured, user_identity_of

_log = logging.getLogger("dicomgate.pynetdicom")
STRICT_ALONE = (
    "rules are enforced by login.strict alone, because pynetdicom asks EVT_USER_ID nothing about a client without a "
    "user identity: write evt_handlers=[*login.strict, ...]"
)
"""Why `login` lets nobody in where rules are enforced, and what to do."""


class Handlers:
    """The handlers of one binding."""

    def __init__(self, thread: LoginThread) -> None:
        self._thread = thread
        self.principals = Principals()

    def identified(self, event: Any) -> tuple[bool, bytes | None]:
        """EVT_USER_ID alone. pynetdicom does the rest: it answers every refusal with the same A-ASSOCIATE-RJ."""
        if self._thread.enforces_rules:
            _log.error("logins are refused: %s", STRICT_ALONE)
            return False, None
        answer = self._ask(event.assoc, TRY_LATER)
        if not isinstance(answer, Admit):
            return False, None
        self._admit(event.assoc, answer)
        return True, answer.server_response

    def requested(self, event: Any) -> None:
        """EVT_REQUESTED of `strict`: ask the chain before pynetdicom negotiates anything."""
        association = event.assoc
        answer = self._ask(association, None)
        try:
            if isinstance(answer, Admit):
                if answer.server_response is not None:
                    item = UserIdentityNegotiation()
                    item.server_response = answer.server_response
                    association.acceptor.add_negotiation_item(item)
                self._admit(association, answer)
                return
        except Exception as error:  # noqa: BLE001 (rule 1)
            _log.error("an admitted association cannot be answered: %s", type(error).__name__)
            answer = Refuse(TRY_LATER, "")
        _reject(association, answer.refusal)

    def admitted(self, event: Any) -> tuple[bool, bytes | None]:
        """EVT_USER_ID of `strict`: what `requested` decided. The response is in the negotiation already."""
        return self.principals.of(event.assoc) is not None, None

    def established(self, event: Any) -> None:
        """EVT_ESTABLISHED of `strict`. If another handler raised, pynetdicom may not have called `requested`."""
        principal = self.principals.of(event.assoc)
        if principal is None:
            _log.error(
                "an association was established without being admitted, and is aborted: put dicomgate's handlers first"
            )
            event.assoc.abort(block=True)
        elif principal.expires_at is not None and self._thread.end_with_credential:
            end_at(principal.expires_at, event.assoc)

    def _admit(self, association: Any, admit: Admit) -> None:
        if isinstance(admit, Limited):
            limit(association, admit.limits)
        self.principals.add(association, admit)

    def _ask(self, association: Any, always: AssociateReject | None) -> Admit | Refuse:
        try:
            attempt = attempt_of(association, self._thread.listener)
            item, secured = user_identity_of(association), is_secured(association)
            return self._thread.ask(attempt, item, secured=secured, always=always)
        except DicomgateError as error:
            _log.error("logins are refused: %s", error)
        except BaseException as error:  # noqa: BLE001 (rule 1)
            _log.error("logins are refused: %s", type(error).__name__)
        return Refuse(TRY_LATER, "")


def _reject(association: Any, refusal: Any) -> None:
    association.acse.send_reject(refusal.result, refusal.source, refusal.reason)
    # As pynetdicom does after its own rejections: otherwise the connection may be closed before it is sent.
    association.kill()
