"""Report mode changes not one byte, and its audit is enough to write the rules: with twenty real conversations.

They were held with the PACS itself. Here they are replayed: what a client sent is sent again, and what the PACS
answered is answered again, so that all bytes on both sides of the gateway can be compared.
"""

import tomllib
from collections.abc import Sequence
from struct import unpack_from

import pytest

from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.peers.recorder import Conversation, Recorder
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import ADMITTED, RawClient
from dicomgate.testing.system_gateway import Gateway, StartGateway
from tests.system.hospital import PASSCODES, Hospital, hospital, tables_of
from tests.system.operations import BY

NOTHING_GRANTED = bytes.fromhex("03 00 00000004 00 01 01 01")  # A-ASSOCIATE-RJ, PS3.8 table 9-21
HELD = [
    ("dcmtk", "dcmqrscp", "VIEWER", ["echo", "find", "get", "move"]),
    ("dcmtk", "dcmqrscp", "CT1", ["store"]),
    ("dcmjs", "orthanc", "VIEWER", ["echo", "find", "get", "move", "move elsewhere"]),
    ("pynetdicom", "pynetdicom", "CT1", ["store", "commit", "worklist", "mpps", "echo"]),
    ("odil", "pynetdicom", "VIEWER", ["find", "get", "move", "worklist", "echo"]),
]
"""By which client with which PACS, under which AE title, and what was done."""
ECHO_ALONE = {"name": "nearly-nothing", "allow": ["echo"]}
NEVER_HELD = [
    ("dcmtk", "dcmqrscp", "CT1", ["find", "move"]),
    ("dcmtk", "dcmqrscp", "VIEWER", ["store"]),
    ("pynetdicom", "pynetdicom", "CT1", ["find"]),
    ("odil", "pynetdicom", "VIEWER", ["store"]),
]


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Conversation], list[Conversation]]:
    """Those that were held, and some that nobody has held when the rules are suggested."""
    with hospital(tmp_path_factory.mktemp("hospital")) as running:
        return _record(running, HELD), _record(running, NEVER_HELD)


def _record(running: Hospital, what: Sequence[tuple[str, str, str, Sequence[str]]]) -> list[Conversation]:
    conversations = []
    for client, pacs, title, operations in what:
        with Recorder(running.pacs[pacs]) as recorder:
            saw = BY[client](recorder.address, running.work(title, reports=pacs != "orthanc"), operations)
            conversations += recorder.taken()
        assert saw == dict.fromkeys(operations, True), (client, pacs)
    return conversations


def replay(conversation: Conversation, gateway: Gateway, pacs: Spy) -> tuple[bytes, bytes]:
    """Say again what its client and its PACS said. Return what the client and what the PACS receives now.

    It is over early where the gateway refuses what it let through then.
    """
    answers: list[bytes] = []
    for by_client, pdu in conversation.pdus:
        if by_client:
            answers.append(b"")
        else:
            answers[-1] += pdu
    pacs.script, pacs.connections = answers, []
    received = []
    with RawClient(gateway.address) as client:
        for by_client, pdu in conversation.pdus:
            if by_client:
                client.send(pdu)
                continue
            received.append(client.pdu())
            if received[-1][:1] != pdu[:1]:
                break
    if received[0][:1] == ADMITTED:
        pacs.wait_for(1, closed=True)
    return b"".join(received), pacs.received()


def test_changes_not_one_byte(
    gateway: StartGateway, conversations: tuple[list[Conversation], list[Conversation]]
) -> None:
    held, _ = conversations
    assert len(held) == 20
    with Spy() as pacs:
        tables = tables_of(pacs.address)
        without = gateway(tables, PASSCODES)
        plain = [replay(conversation, without, pacs) for conversation in held]
        for conversation, (at_client, at_pacs) in zip(held, plain, strict=True):
            assert after_the_first(at_client) == after_the_first(conversation.by(client=False))
            assert after_the_first(at_pacs) == after_the_first(conversation.by(client=True))
        tables["listener"][0]["rules"] = "report"
        for rules in ([], [ECHO_ALONE]):
            reporting = gateway(tables | {"rule": rules}, PASSCODES)
            assert [replay(conversation, reporting, pacs) for conversation in held] == plain
            closed = reporting.wait_for("Closed", len(held), cause="released")
            echoes = len(rules) * sum("echo" in operations for *_, operations in HELD)
            assert sum("echo" in record["used"] for record in closed) == echoes
            assert sum(bool(record["denied"]) for record in closed) == len(held) - echoes
            assert not any(record["enforced"] for record in reporting.told("Denied"))


def test_the_rules_that_it_suggests_let_exactly_those_through(
    gateway: StartGateway, conversations: tuple[list[Conversation], list[Conversation]]
) -> None:
    held, never_held = conversations
    with Spy() as pacs:
        tables = tables_of(pacs.address)
        tables["listener"][0]["rules"] = "report"
        reporting = gateway(tables, PASSCODES)
        reported = [replay(conversation, reporting, pacs) for conversation in held]
        reporting.wait_for("Closed", len(held))
        suggested = dicomgate("rules", "suggest", "--from", reporting.folder / "audit.jsonl")
        assert suggested.exit_code == 0, suggested.output
        del tables["listener"][0]["rules"]
        enforcing = gateway(tables | tomllib.loads(suggested.stdout), PASSCODES)
        assert [replay(conversation, enforcing, pacs) for conversation in held] == reported
        for conversation in never_held:
            assert replay(conversation, enforcing, pacs) == (NOTHING_GRANTED, b"")
    assert enforcing.told("Denied") == []


def after_the_first(pdus: bytes) -> bytes:
    """What comes after an A-ASSOCIATE PDU, which the gateway writes anew."""
    return pdus[6 + unpack_from(">L", pdus, 2)[0] :]
