"""Who may do what, by four libraries in front of three PACS: what is granted passes byte for byte, all else is refused.

Recorders stand on both sides of the gateway: what a client was answered, and whether the PACS heard of it, is judged by
the bytes. Each association asks for one service.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import unpack_from

import pytest

from dicomgate.testing.evidence import ALICE, Evidence
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.peers.recorder import Conversation, Recorder
from dicomgate.testing.raw import p_data, pdv
from dicomgate.testing.system_gateway import Gateway, gateways
from tests.system.hospital import HAS_NO, PACS, PASSCODES, Hospital, hospital, tables_of
from tests.system.operations import BY, CANNOT, GET, MOVE, query
from tests.wire.commands import MOVE as MOVE_RQ
from tests.wire.commands import RSP, command_set, us

REJECTED = bytes.fromhex("03 00 00000004 00 01 01 01")  # A-ASSOCIATE-RJ, PS3.8 table 9-21
P_DATA = 4

DONE, NOTHING, WITHHELD, NOT_AUTHORIZED = "done", "A-ASSOCIATE-RJ 1,1,1", "result 1 for it", "C-MOVE-RSP 0124H"
VIEWER = {
    "echo": DONE,
    "find": DONE,
    "get": DONE,
    "move": DONE,
    "move elsewhere": NOT_AUTHORIZED,
    "store": NOTHING,
    "worklist": NOTHING,
}
MODALITY = {
    "store": DONE,
    "commit": DONE,
    "worklist": DONE,
    "mpps": DONE,
    "echo": NOTHING,
    "find": NOTHING,
    "get": WITHHELD,  # and the storage contexts beside it are granted
    "move": NOTHING,
}
STUDENT = {"find": DONE, "store": DONE, "move elsewhere": DONE, "move": NOT_AUTHORIZED, "echo": NOTHING}
WHO = {
    "viewer": ("VIEWER", "PACS", VIEWER),
    "modality": ("CT1", "PACS", MODALITY),
    "research": ("STUDENT", "RESEARCH", STUDENT),
    "research elsewhere": ("STUDENT", "PACS", dict.fromkeys(("find", "store", "move elsewhere"), NOTHING)),
}
"""The calling and the called AE title, and what comes of each operation."""
RULES = [
    {
        "name": "viewers",
        "authenticators": ["staff", "devices"],
        "users": ["viewer"],
        "upstreams": ["pacs"],
        "allow": ["echo", "find", "get", "move"],
        "destinations": "own",
    },
    {
        "name": "modalities",
        "calling_ae_titles": ["CT*"],
        "networks": ["127.0.0.0/8"],
        "allow": ["store", "commitment", "worklist", "mpps"],
    },
    {
        "name": "research",
        "authenticators": ["staff", "devices"],
        "users": ["student"],
        "upstreams": ["research"],
        "allow": ["find", "store", "move"],
        "destinations": ["ELSE*"],
    },
]


@dataclass
class Bench:
    """One PACS, the gateway in front of it, a recorder on both sides of that."""

    name: str
    hospital: Hospital
    gateway: Gateway
    clients: Recorder
    pacs: Recorder


@pytest.fixture(scope="module", params=PACS)
def bench(
    request: pytest.FixtureRequest, evidence: Evidence, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp(request.param)
    with (
        hospital(folder, [request.param]) as running,
        Recorder(running.pacs[request.param]) as pacs,
        gateways(evidence, folder) as start,
    ):
        gateway = start(tables_of(pacs.address) | {"rule": RULES}, PASSCODES)
        with Recorder(gateway.address) as clients:
            yield Bench(request.param, running, gateway, clients, pacs)


@pytest.mark.parametrize("client", BY)
@pytest.mark.parametrize("who", WHO)
def test_does_what_is_granted_and_nothing_else(bench: Bench, client: str, who: str) -> None:
    title, called, expected = WHO[who]
    impossible = CANNOT.get(client, set()) | {one for one in HAS_NO.get(bench.name, ()) if expected.get(one) == DONE}
    asked = [operation for operation in expected if operation not in impossible]
    saw = BY[client](bench.clients.address, bench.hospital.work(title, called, reports=bench.name != "orthanc"), asked)
    answered, heard = bench.clients.taken(), bench.pacs.taken()
    for operation, conversation in zip(asked, answered, strict=True):
        assert saw[operation] is (expected[operation] == DONE), operation
        if expected[operation] == NOTHING:
            assert conversation.by(client=False) == REJECTED, operation
            continue
        at_pacs = heard.pop(0)
        assert at_pacs.pdus[0].pdu[10:26].decode().strip() == called  # the PACS's own partition
        if expected[operation] == DONE:
            assert after_the_first(conversation) == after_the_first(at_pacs), operation
        elif expected[operation] == WITHHELD:
            assert GET.encode() in conversation.pdus[0].pdu, operation
            assert GET.encode() not in at_pacs.pdus[0].pdu, operation
            assert data(at_pacs, client=True) == [], operation
        else:
            assert data(conversation, client=False) == [not_authorized(data(conversation, client=True)[0])], operation
            assert data(at_pacs, client=True) == [], operation
    assert heard == []
    assert bench.hospital.moved() == [3 * (expected.get(operation) == DONE) for operation in ("move", "move elsewhere")]


@pytest.mark.parametrize("bench", ["dcmqrscp"], indirect=True)
def test_goes_on_after_each_refusal(bench: Bench) -> None:
    identity = user_identity(2, b"viewer", ALICE)
    with associate(bench.clients.address, [MOVE], identity=identity, calling="VIEWER", called="PACS") as association:
        for destination, expected in [("VIEWER", 0x0000), ("ELSEWHERE", 0x0124)] * 50:
            *_, (last, _) = association.send_c_move(query("1.2.3"), destination, MOVE)
            assert last.Status == expected
    assert association.is_released
    (at_client,), (at_pacs,) = bench.clients.taken(), bench.pacs.taken()
    requested = data(at_client, client=True)
    assert len(requested) == 4 * 50  # each a command and an identifier
    assert data(at_pacs, client=True) == [pdu for at, pdu in enumerate(requested) if at % 4 < 2]
    refused = [not_authorized(pdu) for pdu in requested[2::4]]
    assert [pdu for pdu in data(at_client, client=False) if pdu in refused] == refused
    assert [pdu for pdu in data(at_client, client=False) if pdu not in refused] == data(at_pacs, client=False)
    closed = bench.gateway.wait_for("Closed", used={"move VIEWER": 50})[-1]
    assert closed["denied"] == {"move ELSEWHERE": 50}
    (denied,) = bench.gateway.told("Denied", id=closed["id"])
    assert denied["enforced"] is True


def after_the_first(conversation: Conversation) -> list[bytes]:
    """What each of the two sent after the A-ASSOCIATE PDUs, which the gateway writes anew."""
    return [b"".join(conversation.pdus_of(client)[1:]) for client in (True, False)]


def data(conversation: Conversation, *, client: bool) -> list[bytes]:
    return [pdu for pdu in conversation.pdus_of(client) if pdu[0] == P_DATA]


def not_authorized(move: bytes) -> bytes:
    """The C-MOVE-RSP with status 0124H (PS3.7 table 9.3-13) to a P-DATA-TF that begins with a C-MOVE-RQ."""
    length, context = unpack_from(">LB", move, 6)
    command, asked = move[12 : 10 + length], {}
    while command:
        _, element, size = unpack_from("<HHL", command)
        asked[element], command = command[8 : 8 + size], command[8 + size :]
    change = {0x0002: asked[0x0002], 0x0120: asked[0x0110], 0x0900: us(0x0124)}
    return p_data(pdv(context, command_set(MOVE_RQ | RSP, change=change), control=3))
