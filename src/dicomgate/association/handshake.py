"""One association from its first byte to its hand-over: events in, effects out, no sockets.

Rule 1: nothing reaches the upstream before Accept, not even a connection.
Rule 2: the client gets no A-ASSOCIATE-AC before the upstream's, and nothing in it that it did not propose.
Rule 3: whatever happens, at most one of A-ASSOCIATE-AC, -RJ and A-ABORT answers the request, and `Close` comes once.

Each input method returns the effects that the caller must carry out, in their order. An input that comes too late
for its state has no effect: it crossed something on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from ..auth.chain import Verdict
from ..contract import Accept, Peer
from ..errors import DoesNotFit
from ..events.events import Cause, Established, Refused
from ..wire import reject_abort as refusal
from ..wire.associate import AssociateAccept, AssociateRequest
from ..wire.pdu import SHORT, SHORTEST_ASSOCIATE, PduReader, PduType
from ..wire.reject_abort import Abort, PduError, Refusal, decode_refusal
from ..wire.user_information import Negotiation
from . import effects as do
from .accept_check import check_accept
from .admission import Policy, Refuse, Route, admit, attempt_of, before_asking, decision_record
from .pdv_stream import PdvStream
from .transitions import TRANSITIONS, State

_GIVEN_UP = refusal.NOT_SPECIFIED.encode()
_LONGEST = 131_072
_LONG = 16_384
_ONLY_ABORT = {PduType.ABORT: SHORT}
_PASSED_OVER: Mapping[PduType, tuple[int, int]] = {
    kind: (0, _LONGEST) for kind in PduType if kind is not PduType.ASSOCIATE_RQ
}
_ANSWERS = {
    PduType.ASSOCIATE_AC: (SHORTEST_ASSOCIATE, _LONGEST),
    PduType.ASSOCIATE_RJ: SHORT,
    PduType.ABORT: SHORT,
}


class Handshake:
    """The state of one association; create it when the connection is there, TLS included.

    `full` is "", or says which limit it stands above: then it is only answered. `arrived_at` is the gateway's own
    address and port. `clock` gives the (aware) time.
    """

    def __init__(
        self,
        association_id: str,
        peer: Peer,
        policy: Policy,
        *,
        full: str = "",
        arrived_at: tuple[str, int] = ("", 0),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.state = State.REQUEST
        self._id = association_id
        self._peer = peer
        self._policy = policy
        self._full = full
        self._arrived_at = arrived_at
        self._clock = clock
        # PS3.8 table 9-10, Sta2: an A-ABORT closes the connection (AA-2), any other PDU is answered by AA-1.
        may_come = {PduType.ASSOCIATE_RQ: (SHORTEST_ASSOCIATE, policy.request_limit), PduType.ABORT: SHORT}
        self._client = PduReader(may_come, out_of_turn=refusal.BY_USER)
        self._upstream = PduReader(_ANSWERS)
        self._in_step = True
        self._request = AssociateRequest("", "", ())
        self._request_pdu = b""
        self._route = Route("")
        self._to_upstream = b""
        self._accept = Accept("")
        self._authenticator = ""
        self._server_response: bytes | None = None

    def client_data(self, data: bytes) -> do.Effects:
        """Bytes from the client, in any pieces."""
        return self._move("client_data", lambda: self._read_client(data))

    def client_gone(self, detail: str = "") -> do.Effects:
        """The client closed or lost its connection."""
        return self._move("client_gone", lambda: self._leave(Cause.CLIENT_GONE, detail))

    def decided(self, verdict: Verdict) -> do.Effects:
        """The chain's verdict on the attempt."""
        return self._move("decided", lambda: self._admit(verdict))

    def upstream_opened(self) -> do.Effects:
        """The upstream's connection is there, TLS included."""
        return self._move("upstream_opened", self._ask_upstream)

    def upstream_failed(self, reason: str) -> do.Effects:
        """The upstream cannot be connected."""
        return self._move(
            "upstream_failed", lambda: self._refuse(refusal.CONGESTION, f"{self._route.upstream}: {reason}")
        )

    def upstream_data(self, data: bytes) -> do.Effects:
        """Bytes from the upstream, in any pieces."""
        return self._move("upstream_data", lambda: self._read_upstream(data))

    def upstream_gone(self, detail: str = "") -> do.Effects:
        """The upstream closed or lost its connection."""
        reason = f"{self._route.upstream}: the connection ended before its A-ASSOCIATE-AC{detail and f' ({detail})'}"
        return self._move("upstream_gone", lambda: self._refuse(refusal.CONGESTION, reason, None))

    def deadline(self) -> do.Effects:
        """The time that the last `Timer` named has come."""
        return self._move("deadline", self._too_late)

    def stopped(self) -> do.Effects:
        """The gateway ends, and waits no longer."""
        return self._move("stopped", lambda: self._leave(Cause.DRAINED, "", do.ToClient(_GIVEN_UP)))

    def _move(self, name: str, act: Callable[[], do.Effects]) -> do.Effects:
        before = self.state
        if name not in TRANSITIONS[before]:
            return []
        effects = act()
        if self.state not in TRANSITIONS[before][name]:
            raise RuntimeError(f"{name} led from {before.name} to {self.state.name}")
        return effects

    def _read_client(self, data: bytes) -> do.Effects:
        if not self._in_step:
            return []
        self._client.feed(data)
        try:
            while (pdu := self._client.next_pdu()) is not None:
                if pdu[0] is PduType.ABORT:
                    return self._leave(Cause.ABORTED_BY_CLIENT, str(decode_refusal(pdu[1])))
                if self.state is State.REQUEST:
                    return self._judge_request(pdu[1])
                # PS3.8 table 9-10, Sta13: all that is neither a request nor an abort is ignored (AA-6).
        except PduError as error:
            return self._broken(error)
        return []

    def _judge_request(self, pdu: bytes) -> do.Effects:
        """The cheap checks, then the question to the chain. Raises PduError."""
        self._request = request = AssociateRequest.parse(pdu, self._policy.fallback_encoding)
        self._client.expected, self._client.out_of_turn = _ONLY_ABORT, refusal.UNEXPECTED_PDU
        # What came right behind the request is judged before the chain is asked: it can only be an abort.
        if (behind := self._client.next_pdu()) is not None:
            return self._leave(Cause.ABORTED_BY_CLIENT, str(decode_refusal(behind[1])))
        if self._full:
            return self._refuse(refusal.LOCAL_LIMIT, self._full)
        route = self._policy.route(request.called_ae_title)
        if route is None:
            return self._refuse(
                refusal.CALLED_AE_TITLE, f"no upstream takes the called AE title {request.called_ae_title!r}"
            )
        self._route = route
        refuse = before_asking(request.identity, self._policy)
        if refuse is not None:
            return self._refuse(refuse.refusal, refuse.reason)
        self.state = State.DECISION
        attempt = attempt_of(self._id, request, pdu, self._peer, self._policy, self._clock(), self._arrived_at)
        if len(pdu) > _LONG:
            # As a value it takes up to nine times its bytes, and a decision may take its time: the bytes are kept.
            self._request_pdu, self._request = pdu, replace(request, contexts=(), negotiation=Negotiation())
        return [do.Timer(self._policy.decision_timeout), do.Decide(attempt)]

    def _admit(self, verdict: Verdict) -> do.Effects:
        now = self._clock()
        told = do.Emit(decision_record(self._id, self._request, verdict, now))
        identity = self._request.identity
        admission = admit(verdict, identity, now)
        if isinstance(admission, Refuse):
            return [told, *self._refuse(admission.refusal, admission.reason)]
        if self._request_pdu:
            self._request = AssociateRequest.parse(self._request_pdu, self._policy.fallback_encoding)
        self._accept, self._authenticator = admission.accept, admission.authenticator
        self._server_response = admission.server_response
        forwarded = None
        if identity is not None and self._route.forward_identity:
            # The gateway answers the client itself: of the upstream no response is asked.
            forwarded = replace(identity, positive_response_requested=False)
        try:
            self._to_upstream = replace(self._request, identity=forwarded).encode()
        except DoesNotFit as error:
            return [told, *self._refuse(refusal.TRY_LATER, f"the identity cannot be forwarded: {error}")]
        self.state = State.CONNECTION
        return [told, do.Timer(self._route.answer_timeout), do.Connect(self._route.upstream)]

    def _ask_upstream(self) -> do.Effects:
        self.state = State.ANSWER
        return [do.ToUpstream(self._to_upstream)]

    def _read_upstream(self, data: bytes) -> do.Effects:
        self._upstream.feed(data)
        try:
            pdu = self._upstream.next_pdu()
            if pdu is None:
                return []
            if pdu[0] is not PduType.ASSOCIATE_AC:
                return self._refuse(decode_refusal(pdu[1]), f"upstream {self._route.upstream} refused", None)
            accept = check_accept(self._request, AssociateAccept.parse(pdu[1]))
        except PduError as error:
            # The reply to a request may be an A-ASSOCIATE-RJ; to an answer it is an A-ABORT.
            answer = error.answer if isinstance(error.answer, Abort) else refusal.INVALID_PARAMETER
            return self._refuse(refusal.CONGESTION, f"upstream {self._route.upstream}: {error}", answer.encode())
        return self._establish(replace(accept, server_response=self._server_response))

    def _establish(self, answer: AssociateAccept) -> do.Effects:
        request = self._request
        try:
            pdu = answer.encode(request)
        except DoesNotFit as error:
            return self._refuse(refusal.TRY_LATER, f"{self._authenticator}: its response does not fit: {error}")
        accepted = {context.id for context in answer.contexts if context.accepted}
        syntaxes = [(context.id in accepted, context.abstract_syntax.decode()) for context in request.contexts]
        established = Established(
            self._id,
            self._clock(),
            self._route.upstream,
            self._accept.user,
            self._authenticator,
            request.called_ae_title,
            request.calling_ae_title,
            accepted=tuple(dict.fromkeys(name for taken, name in syntaxes if taken)),
            rejected=tuple(dict.fromkeys(name for taken, name in syntaxes if not taken)),
        )
        self.state = State.RELAYING
        from_client = PdvStream(accepted, answer.negotiation.maximum_length or 0)
        from_upstream = PdvStream(accepted, request.negotiation.maximum_length or 0)
        ends = self._accept.expires_at if self._policy.end_with_credential else None
        relay = do.Relay(from_client, from_upstream, self._upstream.rest(), ends)
        return [do.ToClient(pdu), do.Emit(established), relay]

    def _too_late(self) -> do.Effects:
        if self.state is State.REQUEST:
            # PS3.8 table 9-10, Sta2, ARTIM timer expired: AA-2, close without a word.
            return self._leave(Cause.TIMEOUT, f"no A-ASSOCIATE-RQ within {self._policy.artim:g} s")
        if self.state is State.CLOSING:
            return self._leave(Cause.REFUSED, "")
        if self.state is State.DECISION:
            return self._refuse(refusal.TRY_LATER, f"no decision within {self._policy.decision_timeout:g} s")
        waited = "connected" if self.state is State.CONNECTION else "answered"
        return self._refuse(
            refusal.CONGESTION, f"{self._route.upstream}: not {waited} within {self._route.answer_timeout:g} s"
        )

    def _broken(self, error: PduError) -> do.Effects:
        """The client's bytes are not DICOM's: answer once, and look at nothing that follows."""
        self._in_step = False
        self._client.rest()  # and keep nothing: who is refused may stay for a while
        if self.state is State.CLOSING:
            return [do.ToClient(error.answer.encode())]  # PS3.8 table 9-10, Sta13: AA-7
        return self._refuse(error.answer, str(error))

    def _refuse(self, answer: Refusal, reason: str, to_upstream: bytes | None = _GIVEN_UP) -> do.Effects:
        """Answer the client and await its close. An upstream that was asked hears `to_upstream` first."""
        effects: do.Effects = []
        if self.state is State.ANSWER and to_upstream is not None:
            effects.append(do.ToUpstream(to_upstream))
        if self.state in (State.CONNECTION, State.ANSWER):
            effects.append(do.CloseUpstream())
        self.state = State.CLOSING
        self._client.expected = _PASSED_OVER
        titles = self._request.called_ae_title, self._request.calling_ae_title
        self._request, self._request_pdu = AssociateRequest(*titles, ()), b""  # likewise
        told = Refused(self._id, self._clock(), str(answer), reason, *titles)
        return [*effects, do.ToClient(answer.encode()), do.Emit(told), do.Timer(self._policy.artim)]

    def _leave(self, cause: Cause, detail: str, *to_client: do.ToClient) -> do.Effects:
        """It is over. Behind a refusal the refusal stays the cause, and nothing more is said."""
        before, self.state = self.state, State.CLOSED
        if before is State.CLOSING:
            return [do.Close(Cause.REFUSED, "")]
        to_upstream = [do.ToUpstream(_GIVEN_UP)] if before is State.ANSWER else []
        return [*to_upstream, *to_client, do.Close(cause, detail)]
