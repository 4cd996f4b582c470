"""What no rule grants is kept from the program: contexts before they are negotiated, requests before its handlers.

Rule 1: what is judged is the request that the program's handler would be given, and no other reading of its bytes.
Rule 2: a request that cannot be judged ends the association.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pynetdicom import dimse_messages, evt
from pynetdicom.dimse_primitives import C_MOVE, C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext

from dicomgate import DicomgateError
from dicomgate.run.embedding import Limits, Refuses

_log = logging.getLogger("dicomgate.pynetdicom")
_NOT_AUTHORIZED = 0x0124  # PS3.7 annex C
_USER_REJECTION = 1  # PS3.8 table 9-18
REQUESTS = (
    *(evt.EVT_C_ECHO, evt.EVT_C_FIND, evt.EVT_C_GET, evt.EVT_C_MOVE, evt.EVT_C_STORE, evt.EVT_N_ACTION),
    *(evt.EVT_N_CREATE, evt.EVT_N_DELETE, evt.EVT_N_EVENT_REPORT, evt.EVT_N_GET, evt.EVT_N_SET),
)
"""The events in whose handlers a program serves a request."""


def limit(association: Any, limits: Limits) -> None:
    """Keep an association to what the rules grant, from EVT_REQUESTED or EVT_USER_ID on."""
    if limits.request is not None:
        _narrow(association, limits.request)
    guard = _Guard(association, limits)
    guard.stand()
    # Again before each request, because a handler that the program binds meanwhile takes the place of the guard's.
    association.bind(evt.EVT_DIMSE_RECV, guard.stand)


def _narrow(association: Any, request: bytes) -> None:
    """Have this A-ASSOCIATE-RQ negotiated instead, and its missing contexts answered with a user-rejection."""
    proposed, pdu = association.requestor.primitive, A_ASSOCIATE_RQ()
    pdu.decode(request)
    granted = pdu.to_primitive()
    ids = {context.context_id for context in granted.presentation_context_definition_list}
    withheld = [one for one in proposed.presentation_context_definition_list if one.context_id not in ids]
    proposed.presentation_context_definition_list = granted.presentation_context_definition_list
    proposed.user_information = granted.user_information

    def complete(event: Any) -> None:
        # PS3.8 9.3.3.2: the A-ASSOCIATE-AC answers each context of the request.
        if isinstance(event.primitive, A_ASSOCIATE) and event.primitive.result == 0:
            event.primitive.presentation_context_definition_results_list += map(_rejected, withheld)

    association.bind(evt.EVT_ACSE_SENT, complete)


def _rejected(proposed: PresentationContext) -> PresentationContext:
    context = PresentationContext()
    context.context_id, context.abstract_syntax = proposed.context_id, proposed.abstract_syntax
    context.transfer_syntax = proposed.transfer_syntax[:1]
    context.result = _USER_REJECTION
    return context


class _Guard:
    """Stands before the handlers of one association."""

    def __init__(self, association: Any, limits: Limits) -> None:
        self._association = association
        self._limits = limits
        self._refuses: Refuses | None = None

    def stand(self, _: Any = None) -> None:
        """Take the place of each handler that can be called for a request."""
        for event in REQUESTS:
            handler, args = self._association.get_handlers(event)
            if not isinstance(handler, _Guarded):
                self._association.bind(event, _Guarded(self, handler), args)

    def serve(self, handler: Callable[..., Any], event: Any, *args: Any) -> Any:
        """Have a request served, refuse it, or abort the association."""
        try:
            refused = self._refused(event)
        except Exception as error:  # noqa: BLE001 (rule 2)
            if not self._limits.enforced:
                return handler(event, *args)
            why = error if isinstance(error, DicomgateError) else type(error).__name__
            _log.warning("an association is aborted: %s", why)
            event.assoc.abort()
            return None
        if not refused:
            return handler(event, *args)
        if isinstance(event.request, C_STORE):
            return _NOT_AUTHORIZED
        if isinstance(event.request, C_MOVE):
            # A handler of pynetdicom can refuse a C-MOVE with one status alone: A801H, move destination unknown.
            return iter([(None, None)])
        event.assoc.abort()
        return None

    def _refused(self, event: Any) -> bool:
        if self._refuses is None:
            accepted = self._association.accepted_contexts
            self._refuses = self._limits.requests({one.context_id: one.abstract_syntax.encode() for one in accepted})
        return self._refuses(event.context.context_id, _command_set(event.request))


class _Guarded:
    """In the place of a handler."""

    def __init__(self, guard: _Guard, handler: Callable[..., Any]) -> None:
        self._guard = guard
        self._handler = handler

    def __call__(self, event: Any, *args: Any) -> Any:
        """What pynetdicom calls."""
        return self._guard.serve(self._handler, event, *args)


def _command_set(request: Any) -> bytes:
    """The command set of a request (PS3.7 6.3.1), with each SOP class that it names."""
    message = getattr(dimse_messages, f"{type(request).__name__}_RQ")()
    # By this one pynetdicom chooses the service, also where the standard has the Requested SOP Class UID.
    message.command_set.AffectedSOPClassUID = ""
    message.primitive_to_message(request)
    encoded: bytes = encode(message.command_set, True, True)
    return encoded
