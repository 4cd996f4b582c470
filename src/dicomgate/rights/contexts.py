"""Which presentation contexts of a request go on to the PACS (PS3.8 9.3.2.2).

Law: what is withheld never reaches the PACS, nor do its role, extended and common extended negotiation items. The
client is told result 1, user-rejection.

In a C-GET the client takes the role of an SCP for what it receives, and says so (PS3.4 C.4.3). So where C-GET is
granted and storage is not, a storage context with that role goes on, with that role alone: nothing may be sent on it.
With the C-GET of hanging protocols and the like (PS3.4 U.4 and others) only what belongs to no patient is fetched.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from ..events.events import CONTEXT
from ..wire.associate import AssociateRequest
from ..wire.dimse import CommandField
from ..wire.presentation import USER_REJECTION, AnsweredContext, ProposedContext
from .operations import Denial, grant
from .rights import Rights
from .rule import OWN
from .services import SERVICE_OF, SERVICES, requests_of, word_of
from .storage import OF_NO_PATIENT

_SOP_CLASS = itemgetter(1)
# Sets, because a request may have 128 contexts.
_STORE = frozenset(SERVICES["store"].classes)
_NOT_STORED = frozenset(uid for uid in SERVICE_OF if CommandField.C_STORE_RQ not in requests_of(uid))
_GET_OF_PATIENTS = frozenset(SERVICES["get"].classes)
_MOVE = frozenset(uid for uid in SERVICE_OF if CommandField.C_MOVE_RQ in requests_of(uid))
_GET = frozenset(uid for uid in SERVICE_OF if CommandField.C_GET_RQ in requests_of(uid))


class Narrowed(NamedTuple):
    """A request as it may go on, without any context if none is granted; and what is withheld, by its services."""

    request: AssociateRequest
    withheld: tuple[Denial, ...]


def narrowed(request: AssociateRequest, rights: Rights) -> Narrowed:
    """What of a request is granted. The answers to all other contexts are added to its `refused`."""
    if rights.everything:
        return Narrowed(request, ())
    asked = set(map(_SOP_CLASS, request.contexts))
    withheld = asked - rights.classes
    if not withheld:
        return Narrowed(request, ())
    roles = request.negotiation.role_selections
    sent = {sop_class for sop_class, scu, _ in roles if scu}
    offered = {sop_class for sop_class, _, scp in roles if scp} & (withheld - _NOT_STORED)
    received = offered.intersection(_fetched(asked & rights.classes, offered))
    withheld -= received
    if not (withheld or received & sent):
        return Narrowed(request, ())
    # Who only offers to receive asks for no more than C-GET.
    only_offered = offered - received - sent
    words = _words(withheld - only_offered) | ({"get"} if only_offered else set())
    destinations = dict.fromkeys(_words(withheld & _MOVE), OWN)
    denials = [Denial(word, CONTEXT, grant(word, destinations.get(word, ""))) for word in sorted(words)]
    return Narrowed(_without(request, withheld, received & sent), tuple(denials))


def _fetched(granted: set[bytes], offered: set[bytes]) -> Collection[bytes]:
    """Which of these storage classes may be received."""
    if not granted.isdisjoint(_GET_OF_PATIENTS):
        return offered
    return () if granted.isdisjoint(_GET) else OF_NO_PATIENT


def _words(sop_classes: set[bytes]) -> set[str]:
    """The services of these classes."""
    words = {word_of(sop_class) for sop_class in sop_classes - _STORE}
    if not _STORE.isdisjoint(sop_classes):
        words.add("store")
    return words


def _without(request: AssociateRequest, withheld: set[bytes], sent: set[bytes]) -> AssociateRequest:
    """The request without the SOP classes that are withheld, and without the role of an SCU for those that are sent."""
    kept: list[ProposedContext] = []
    refused: list[AnsweredContext] = []
    for context in request.contexts:
        number, sop_class, transfer_syntaxes = context
        if sop_class in withheld:
            refused.append(_refused(number, transfer_syntaxes[0]))
        else:
            kept.append(context)
    negotiation = request.negotiation
    roles = [role for role in negotiation.role_selections if role.sop_class not in withheld]
    if sent:
        roles = [role._replace(scu=0) if role.sop_class in sent else role for role in roles]
    return replace(
        request,
        contexts=tuple(kept),
        negotiation=negotiation._replace(
            role_selections=tuple(roles),
            extended=tuple([item for item in negotiation.extended if item.sop_class not in withheld]),
            common_extended=tuple([item for item in negotiation.common_extended if item.sop_class not in withheld]),
        ),
        refused=(*request.refused, *refused),
    )


@lru_cache(maxsize=512)
def _refused(context: int, transfer_syntax: bytes) -> AnsweredContext:
    """Remembered, because clients propose the same again and again."""
    return AnsweredContext(context, USER_REJECTION, transfer_syntax)
