"""What a client that has some of the rights it asks for is told, to the byte, and what of it the PACS sees."""

from struct import pack

import pytest

from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw import (
    EXPLICIT,
    IMPLICIT,
    RELEASE_RP,
    ac,
    answered,
    field,
    item,
    login,
    p_data,
    pdv,
    proposed,
    rq,
)
from dicomgate.testing.raw_client import RawClient
from dicomgate.testing.system_gateway import StartGateway, configuration
from tests.wire.commands import (
    CT,
    ECHO,
    GET_STUDIES,
    MOVE_STUDIES,
    MR,
    RSP,
    STORE,
    VERIFICATION,
    command_set,
    us,
)

US = b"1.2.840.10008.5.1.4.1.1.6.1"
CLASSES = {1: VERIFICATION, 3: CT, 5: MR, 7: US, 9: GET_STUDIES, 11: MOVE_STUDIES}
MAY_GET = {"name": "viewers", "users": ["alice"], "allow": ["echo", "get"]}
COMMAND, DATA, LAST = 1, 0, 2  # message control headers, PS3.8 annex E.2


def context(number: int, sop_class: bytes) -> bytes:
    return proposed(number, item(0x30, sop_class), item(0x40, EXPLICIT), item(0x40, IMPLICIT))


def role(sop_class: bytes, scu: int, scp: int) -> bytes:
    return item(0x54, field(sop_class) + bytes((scu, scp)))


def extended(sop_class: bytes) -> bytes:
    return item(0x56, field(sop_class) + b"\1\1")


def common(sop_class: bytes) -> bytes:
    return item(0x57, field(sop_class) + field(b"1.2.840.10008.4.2") + pack(">H", 0))


ASKED = rq(
    role(CT, 0, 1),
    role(MR, 1, 1),
    role(US, 1, 0),
    *map(extended, (GET_STUDIES, MOVE_STUDIES)),
    *map(common, (CT, US)),
    login(2, b"alice", ALICE),
    context=b"".join(context(number, sop_class) for number, sop_class in CLASSES.items()),
)
GRANTED = (1, 3, 5, 9)
"""The others are a storage context that does not receive, and one for which there is no rule."""


def test_what_is_not_granted_stays_with_the_gateway(gateway: StartGateway) -> None:
    accepted = [answered(number, 0, item(0x40, IMPLICIT)) for number in GRANTED]
    with Spy([ac(role(CT, 0, 1), role(MR, 0, 1), context=b"".join(accepted)), RELEASE_RP]) as pacs:
        running = gateway(configuration(pacs.address) | {"rule": [MAY_GET]})
        with RawClient(running.address) as client:
            answer = client.ask(ASKED)
            client.release()
        (seen,) = pacs.connections
        request = seen.pdus()[0]
    for number, sop_class in CLASSES.items():
        went_on = number in GRANTED
        assert (context(number, sop_class) in request) is went_on
        assert (sop_class in request) is went_on
        syntax = IMPLICIT if went_on else EXPLICIT  # the first one proposed: not significant in a refused context
        assert answered(number, 0 if went_on else 1, item(0x40, syntax)) in answer
    assert role(CT, 0, 1) in request
    assert role(MR, 0, 1) in request  # and not (1,1)
    assert extended(GET_STUDIES) in request
    assert common(CT) in request
    assert role(CT, 0, 1) in answer
    withheld = running.told("Denied", operation="presentation context")
    assert {record["service"] for record in withheld} == {"store", "move"}


def test_a_store_on_a_context_that_only_receives(gateway: StartGateway) -> None:
    accepted = [answered(number, 0, item(0x40, IMPLICIT)) for number in GRANTED]
    echoed = p_data(pdv(1, command_set(ECHO | RSP, VERIFICATION, 9), COMMAND | LAST))
    script = [ac(role(CT, 0, 1), context=b"".join(accepted)), echoed, RELEASE_RP]
    store = command_set(STORE, CT, 7)
    begun = [p_data(pdv(3, store, COMMAND | LAST)), p_data(pdv(3, b"\0" * 100, DATA))]
    ended = p_data(pdv(3, b"\0" * 100, DATA | LAST))
    echo = p_data(pdv(1, command_set(ECHO, VERIFICATION, 9), COMMAND | LAST))
    with Spy(script) as pacs:
        running = gateway(configuration(pacs.address) | {"rule": [MAY_GET]})
        with RawClient(running.address) as client:
            client.ask(ASKED)
            client.send(*begun)
            client.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):  # it answers after the last fragment, and not before
                client.socket.recv(1)
            client.socket.settimeout(20)
            change = {0x0900: us(0x0124), 0x1000: b"1.2.3.7\0"}
            refusal = command_set(STORE | RSP, CT, 7, change=change)
            assert client.ask(ended) == p_data(pdv(3, refusal, COMMAND | LAST))
            assert client.ask(echo) == echoed
            client.release()
        assert pacs.connections[0].pdus()[1:-1] == [echo]
    (closed,) = running.wait_for("Closed", cause="released")
    assert (closed["used"], closed["denied"]) == ({"echo": 1}, {"store": 1})
