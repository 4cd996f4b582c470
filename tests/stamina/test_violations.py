"""Whoever breaks the protocol ends the association, and no other: the table of violations.py, live, on both legs."""

import random
from collections.abc import Callable

import pytest

from dicomgate.testing.fixtures import evidence, gateway, install_authenticator  # noqa: F401 (fixtures)
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.system_gateway import StartGateway
from tests.properties import raw
from tests.stamina.endings import NOBODY, Side, Stage
from tests.stamina.gateway_under_test import GatewayUnderTest, gateway_under_test
from tests.stamina.measure import report
from tests.stamina.peer import Peer
from tests.stamina.rounds import GRACE, hear
from tests.stamina.stages import DATA, Association
from tests.stamina.violations import TABLE, Violation

_CHANCE = random.Random(0)  # the stages that are reached here leave nothing to it


def pass_on(sender: Peer, receiver: Peer, data: bytes) -> None:
    """What one sends arrives at the other."""
    sender.send(data)
    assert receiver.receive(len(data)) == data


def violate(under_test: GatewayUnderTest, violation: Violation, side: Side, secured: bool, source: str) -> None:
    """One association with one violation. Raises AssertionError, OSError."""
    with Association(side, under_test.way(1, secured), source, _CHANCE) as association:
        association.reach(violation.stage)
        it = association.it
        if violation.lawful:
            pass_on(it, association.other, violation.lawful)
        if violation.reply:
            pass_on(association.other, it, violation.reply)
        it.send(violation.bad)
        if violation.other is not NOBODY:
            hear(association.other, violation.other, GRACE, secured)
            association.other.close()
        hear(it, violation.itself, GRACE, secured)
        it.close()
        closed = under_test.audit.closed(source, GRACE)
        assert association.nobody_came(), "a connection to the PACS"
    assert closed["cause"] == violation.causes[side].value, closed
    relayed = closed["bytes_from_client"], closed["bytes_from_upstream"]
    expected = len(violation.lawful), len(violation.reply)
    assert relayed == (expected if side is Side.CLIENT else expected[::-1])


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
def test_a_violation_ends_its_association_and_no_other(
    gateway: StartGateway,  # noqa: F811
    install_authenticator: Callable[[str], str],  # noqa: F811
    certificates: Certificates,
    secured: bool,
) -> None:
    violations = [(violation, side) for violation in TABLE for side in violation.sides]
    failed, source = [], "127.2.0.1"
    with (
        gateway_under_test(gateway, install_authenticator, certificates, 2) as under_test,
        Association(Side.CLIENT, under_test.way(0, secured), source, _CHANCE) as bystander,
    ):
        bystander.reach(Stage.ESTABLISHED)
        for number, (violation, side) in enumerate(violations, start=1):
            try:
                violate(under_test, violation, side, secured, f"127.3.0.{number}")
            except (AssertionError, OSError) as error:
                failed.append(f"{violation}, by the {side.value}: {error!r}")
            pass_on(bystander.it, bystander.other, DATA)
            pass_on(bystander.other, bystander.it, DATA)
        pass_on(bystander.it, bystander.other, raw.RELEASE_RQ)
        pass_on(bystander.other, bystander.it, raw.RELEASE_RP)
        bystander.it.close()
        closed = under_test.audit.closed(source, GRACE)
    report(f"violations, {'TLS' if secured else 'plain'}", played=len(violations), failed=len(failed))
    assert not failed, "\n".join(failed)
    assert closed["cause"] == "released"
    assert closed["bytes_from_client"] == closed["bytes_from_upstream"] == len(violations) * len(DATA) + 10
