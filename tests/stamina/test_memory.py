"""What hostile requests make the gateway keep, fifty of each kind at once: at most twice their bytes and 4 MiB.

Of those that are refused on their header nothing is kept, whatever comes after it.
"""

from __future__ import annotations

from pathlib import Path
from struct import pack

import pytest

from bench.pacs import Pacs
from dicomgate.testing import raw
from dicomgate.testing.raw_client import REFUSED_IDENTITY
from tests.stamina.measure import Peak, Probe, Shape, report
from tests.stamina.process import GatewayProcess, tables_for
from tests.stamina.stalled_clients import ROOM, StalledClients

EACH = 50
MIB = 1 << 20
INVALID = bytes.fromhex("07 00 00000004 0000 02 06")  # A-ABORT, invalid-PDU-parameter value
LOGIN = raw.login(2, b"alice", b"wrong passcode")
IDS = range(1, 257, 2)  # as many contexts as there can be


def with_items(length: int) -> bytes:
    """A request with tiny unknown items of this length together."""
    items = raw.item(0x7F) * (length // 4)
    return raw.associate(1, raw.APPLICATION_CONTEXT, raw.proposed(), items, raw.user_information(LOGIN))


def with_syntaxes(*syntaxes: bytes) -> bytes:
    """A request with all contexts that there can be, each with these transfer syntaxes."""
    offered = raw.item(0x30, raw.VERIFICATION), *(raw.item(0x40, syntax) for syntax in syntaxes)
    contexts = (raw.proposed(number, *offered) for number in IDS)
    return raw.associate(1, raw.APPLICATION_CONTEXT, *contexts, raw.user_information(LOGIN))


def class_of(number: int) -> bytes:
    return raw.field(b"1.2.%d" % number)


REFUSED_ON_ITS_HEADER = {
    "4 GiB declared": pack(">BxL", 1, 0xFFFF_FFFF),
    "4 GiB declared, 64 KiB there": pack(">BxL", 1, 0xFFFF_FFFF) + bytes(65_536),
    "1 MiB of tiny items": with_items(MIB),
    "51,200 transfer syntaxes": with_syntaxes(*(b"1.2.840.10008.1.2.%d" % number for number in range(400))),
}
READ = {
    "1,000 tiny items": with_items(4_000),
    "10,000 transfer syntaxes": with_syntaxes(*[b"1.2"] * 78),
    "1,000 role selections": raw.rq(*(raw.item(0x54, class_of(number) + b"\1\1") for number in range(1_000)), LOGIN),
    "1,000 extended negotiations": raw.rq(*(raw.item(0x56, class_of(number)) for number in range(1_000)), LOGIN),
}


@pytest.mark.parametrize(
    ("requests", "answer", "kept"),
    [(REFUSED_ON_ITS_HEADER, INVALID, 0), (READ, REFUSED_IDENTITY, 2)],
    ids=["refused on its header", "read"],
)
def test_requests_take_no_more_than_their_bytes(
    tmp_path: Path, pacs: Pacs, requests: dict[str, bytes], answer: bytes, kept: int, request: pytest.FixtureRequest
) -> None:
    tables = tables_for(pacs.port, settings=ROOM)
    for authenticator in tables["authenticator"]:
        authenticator["timeout"] = "30s"  # to read two hundred of them takes a second, or a few
    with GatewayProcess(tmp_path, tables) as gateway:
        address, before = gateway.address(), Shape(gateway)
        with Probe(address) as probe, StalledClients() as crowd:
            peak = Peak(gateway)
            # The last byte comes a second later, of all of them at once.
            clients = {name: crowd.connect(address, EACH, pdu[:-1], [pdu[-1:]]) for name, pdu in requests.items()}
            crowd.wait(2)
            crowd.await_answers([client for each in clients.values() for client in each])
            risen, result = peak.risen(), probe.stop()
        for name, those in clients.items():
            assert {client.received for client in those} == {answer}, name
        back = before.again(10)
        sent = EACH * sum(map(len, requests.values()))
        assert result.failed == []
        assert risen <= kept * sent + 4 * MIB
        report(
            f"hostile requests, {request.node.callspec.id}", requests=EACH * len(requests), sent_mib=sent / MIB,
            memory_mib=risen / MIB, probe=result.total, p99_ms=result.p99, as_before_after_s=back,
        )  # fmt: skip
