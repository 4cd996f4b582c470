"""One association from its first byte to its hand-over: inputs in, effects out, no sockets.

Rule 1: nothing reaches the upstream before Accept, not even a connection; nor before its record, if that is required;
        nor before the credential that it is shown, if there is one.
Rule 2: the client gets no A-ASSOCIATE-AC before the upstream's, and nothing in it that it did not propose.
Rule 3: whatever happens, at most one of A-ASSOCIATE-AC, -RJ and A-ABORT answers the request, and `Close` comes once.

The caller calls an input method when something happens, and carries out the effects that it returns, in their order.
An input that comes too late for its state has no effects: it crossed something on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from ..auth.chain import Verdict
from ..contract import Peer, Presented, Unavailable
from ..errors import DoesNotFit
from ..events.events import Cause, Facts, ReasonClass, Refused
from ..rights.operations import Denial
from ..wire import reject_abort as refusal
from ..wire.associate import AssociateAccept, AssociateRequest
from ..wire.pdu import PduType
from ..wire.reject_abort import PduError, Refusal, decode_refusal
from . import effects as do
from .admission import Policy, Refuse, attempt_of, before_asking, facts_of, reason_class_of, routed
from .client_pdus import IGNORED, ONLY_ABORT, client_reader
from .route import ONLY, Reached, Route
from .stages import Admitted, Asked
from .transitions import HANDSHAKE, HandshakeInput, HandshakeState, input_of
from .upstream_answer import GIVEN_UP, NotEstablished, UpstreamSide

_input = input_of(HANDSHAKE, HandshakeInput)
_Data = TypeVar("_Data", Asked, Admitted)


class Handshake:
    """One handshake; make it when the client is connected, TLS included.

    `over_limit` names the limit that this association exceeds, "" for none: then the request is read and refused.
    `arrived_at` is what it connected to, `clock` tells the (aware) time, `denied` is told what its rights do not grant.
    """

    def __init__(
        self,
        association_id: str,
        peer: Peer,
        policy: Policy,
        *,
        over_limit: str = "",
        arrived_at: tuple[str, int] = ("", 0),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        denied: Callable[[Denial], None] = lambda _: None,
    ) -> None:
        self.state = HandshakeState.REQUEST
        at = peer.address, peer.port
        self._facts = Facts(association_id, policy.listener, *at, via=peer.via, unique_id=peer.unique_id)
        self._peer = peer
        self._policy = policy
        self._over_limit = over_limit
        self._arrived_at = arrived_at
        self._clock = clock
        self._denied = denied
        self._client = client_reader(policy.request_limit)
        self._upstream = UpstreamSide()
        self._in_step = True
        self._data: Asked | Admitted | None = None

    @_input
    def client_data(self, data: bytes) -> do.Effects:
        """The client sent bytes, in any pieces."""
        if not self._in_step:
            return []
        self._client.feed(data)
        try:
            while (pdu := self._client.next_pdu()) is not None:
                if pdu[0] is PduType.ABORT:
                    return self._leave(Cause.ABORTED_BY_CLIENT, str(decode_refusal(pdu[1])))
                if self.state is HandshakeState.REQUEST:
                    return self._judge_request(pdu[1])
                # PS3.8 table 9-10, Sta13: all that is neither a request nor an abort is ignored (AA-6).
        except PduError as error:
            return self._out_of_step(error)
        return []

    @_input
    def client_gone(self, detail: str = "") -> do.Effects:
        """The client closed or lost its connection."""
        silent = self.state is HandshakeState.REQUEST and self._client.empty
        return self._leave(Cause.NOTHING_SENT if silent else Cause.CLIENT_GONE, detail)

    @_input
    def decided(self, verdict: Verdict, no_place: Refuse | None = None) -> do.Effects:
        """The authenticators have decided; `no_place`: but whom they accept gets no place."""
        record, outcome = self._known(Asked).settled(verdict, no_place, self._facts, self._policy, self._clock())
        told, self._facts = do.Emit(record), record.facts
        if isinstance(outcome, Refuse):
            return [told, *self._refuse(outcome.refusal, outcome.reason, outcome.reason_class)]
        self.state, self._data = HandshakeState.RECORDING, outcome
        return [do.Record(record)] if self._policy.audit_required else [told, *self.recorded()]

    @_input
    def recorded(self, lost: str = "") -> do.Effects:
        """The audit has the record of the decision; or why it has not."""
        if lost:
            return self._refuse(refusal.TRY_LATER, lost, ReasonClass.AUDIT_UNAVAILABLE)
        admitted = self._known(Admitted)
        self._facts = self._facts._replace(upstream=admitted.route.upstream)
        if admitted.admission is None:
            return self._connect(admitted.route)
        self.state = HandshakeState.PRESENTING
        asked = replace(admitted.admission, time=self._clock())
        return [do.Timer(admitted.shown.answers_in), do.Present(admitted.shown.credential, asked)]

    @_input
    def presented(self, answer: Presented | Unavailable) -> do.Effects:
        """The credential that the upstream is shown, or why there is none."""
        admitted = self._known(Admitted)
        if (refuse := admitted.presenting(answer, self._clock())) is not None:
            return self._refuse(refuse.refusal, refuse.reason, refuse.reason_class)
        return self._connect(admitted.route)

    def _connect(self, route: Route) -> do.Effects:
        self.state = HandshakeState.CONNECTION
        return [do.Timer(route.answer_timeout), do.Connect(route.dialled or route.upstream)]

    @_input
    def upstream_opened(self, reached: Reached = ONLY) -> do.Effects:
        """The upstream is connected, TLS included."""
        self.state, self._upstream.reached = HandshakeState.ANSWER, reached
        return [do.ToUpstream(self._known(Admitted).to_upstream)]

    @_input
    def upstream_failed(self, reason: str) -> do.Effects:
        """The upstream cannot be connected."""
        return self._refuse(*self._upstream.without(self._known(Admitted).route, reason))

    @_input
    def upstream_data(self, data: bytes) -> do.Effects:
        """The upstream sent bytes, in any pieces."""
        admitted = self._known(Admitted)
        answer = self._upstream.read(data, admitted)
        if isinstance(answer, AssociateAccept):
            return self._establish(admitted, answer)
        return [] if answer is None else self._pass_over(answer)

    @_input
    def upstream_gone(self, detail: str = "") -> do.Effects:
        """The upstream closed or lost its connection."""
        return self._pass_over(self._upstream.gone(self._known(Admitted).route, detail))

    def _pass_over(self, answer: NotEstablished) -> do.Effects:
        """Connect to another address of the upstream, within the same time; or refuse with this answer."""
        if not (answer.may_pass and self._known(Admitted).may_ask_again):
            return self._refuse(*answer)
        self._upstream.next(answer)
        self.state = HandshakeState.CONNECTION
        return [do.CloseUpstream(), do.ConnectAgain()]

    @_input
    def deadline(self, so_far: str = "") -> do.Effects:
        """The time that the last `Timer` named is over. `so_far`: what has happened at the upstream's addresses."""
        if self.state in (HandshakeState.REQUEST, HandshakeState.CLOSING):
            # PS3.8 table 9-10, Sta2 and Sta13, ARTIM timer expired: AA-2, close without a word.
            return self._leave(Cause.TIMEOUT, f"no A-ASSOCIATE-RQ within {self._policy.artim:g} s")
        if self.state in (HandshakeState.DECISION, HandshakeState.RECORDING):
            why = f"no decision within {self._policy.decision_timeout:g} s"
            return self._refuse(refusal.TRY_LATER, why, ReasonClass.DEADLINE)
        if self.state is HandshakeState.PRESENTING:
            return self.presented(Unavailable(f"no answer within {self._known(Admitted).shown.answers_in:g} s"))
        return self._refuse(*self._upstream.late(self._known(Admitted).route, so_far))

    @_input
    def stopped(self) -> do.Effects:
        """The gateway is shutting down, and waits no longer."""
        return self._leave(Cause.DRAINED, "", do.ToClient(GIVEN_UP))

    @_input
    def kicked(self, cause: Cause, detail: str) -> do.Effects:
        """An operator ends it, or its user was disabled: whoever waits for an answer is refused."""
        if self._data is None:  # there is no request yet, or it has its answer
            return self._leave(cause, detail, do.ToClient(GIVEN_UP))
        return self._refuse(refusal.REFUSED_IDENTITY, f"{cause.value}: {detail}", ReasonClass.KICKED)

    def _known(self, kind: type[_Data]) -> _Data:
        """What is known in this state."""
        if not isinstance(self._data, kind):
            raise RuntimeError(f"{kind.__name__} is not known in {self.state.name}")  # noqa: TRY004 (a defect)
        return self._data

    def _judge_request(self, pdu: bytes) -> do.Effects:
        """The cheap checks, then the question to the authenticators. Raises PduError."""
        request = AssociateRequest.parse(pdu, self._policy.fallback_encoding)
        attempt = attempt_of(self._facts.id, request, pdu, self._peer, self._policy, self._clock(), self._arrived_at)
        self._facts = facts_of(attempt)
        self._client.expected, self._client.out_of_turn = ONLY_ABORT, refusal.UNEXPECTED_PDU
        # What came right after the request is judged before anyone is asked: it can only be an abort.
        if (after := self._client.next_pdu()) is not None:
            return self._leave(Cause.ABORTED_BY_CLIENT, str(decode_refusal(after[1])))
        go = routed(request.called_ae_title, self._policy, self._over_limit)
        if isinstance(go, Route):
            go = before_asking(request.identity, self._policy, secured=self._peer.proxy_tls) or go
        if isinstance(go, Refuse):
            return self._refuse(go.refusal, go.reason, go.reason_class)
        self.state = HandshakeState.DECISION
        self._data = Asked.about(attempt, go, request, pdu)
        return [do.Timer(self._policy.decision_timeout), do.Decide(attempt)]

    def _establish(self, admitted: Admitted, answer: AssociateAccept) -> do.Effects:
        try:
            pdu = answer.encode(admitted.request)
        except DoesNotFit as error:
            reason = f"{admitted.admit.authenticator}: its response does not fit: {error}"
            return self._refuse(refusal.TRY_LATER, reason, ReasonClass.UNAVAILABLE)
        records = admitted.records(self._clock(), self._facts, answer, self._upstream.reached, self._policy)
        self.state, self._data = HandshakeState.RELAYING, None
        relay = admitted.handed_over(answer, self._upstream.rest(), self._policy, self._denied)
        return [do.ToClient(pdu), *map(do.Emit, records), relay]

    def _out_of_step(self, error: PduError) -> do.Effects:
        """The client's bytes are not DICOM's: answer once, and look at nothing that follows."""
        self._in_step = False
        self._client.rest()  # and keep nothing: a refused client may stay for a while
        if self.state is HandshakeState.CLOSING:
            return [do.ToClient(error.answer.encode())]  # PS3.8 table 9-10, Sta13: AA-7
        return self._refuse(error.answer, str(error), reason_class_of(error))

    def _refuse(self, answer: Refusal, why: str, kind: ReasonClass, to_upstream: bytes | None = GIVEN_UP) -> do.Effects:
        """Answer the client and wait for its close. An upstream that was asked is sent `to_upstream` first."""
        effects: do.Effects = []
        if self.state is HandshakeState.ANSWER and to_upstream is not None:
            effects.append(do.ToUpstream(to_upstream))
        if self.state in (HandshakeState.CONNECTION, HandshakeState.ANSWER):
            effects.append(do.CloseUpstream())
        self.state, self._data = HandshakeState.CLOSING, None
        self._client.expected = IGNORED
        told = Refused(self._facts, self._clock(), str(answer), why, kind)
        return [*effects, do.ToClient(answer.encode()), do.Emit(told), do.Timer(self._policy.artim)]

    def _leave(self, cause: Cause, detail: str, *to_client: do.ToClient) -> do.Effects:
        """Finish. After a refusal the refusal stays the cause, and nothing more is said."""
        before, self.state = self.state, HandshakeState.CLOSED
        self._data = None
        if before is HandshakeState.CLOSING:
            return [do.Close(Cause.REFUSED, "")]
        to_upstream = [do.ToUpstream(GIVEN_UP)] if before is HandshakeState.ANSWER else []
        return [*to_upstream, *to_client, do.Close(cause, detail)]
