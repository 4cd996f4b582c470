"""Who is removed from the users file while connected is ended soon, and nobody else."""

from __future__ import annotations

from contextlib import suppress
from time import sleep

from dicomgate.testing.evidence import ALICE, ZOE
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import ABORT, RawClient, login, p_data, request
from dicomgate.testing.system_gateway import STAFF, USERS, StartGateway, configuration

_FRAGMENT = p_data(bytes(10_000))


def test_who_is_removed_is_ended_in_the_middle_of_a_transfer(gateway: StartGateway) -> None:
    with Spy([accept_all, *[b""] * 2000]) as pacs, Spy([accept_all, RELEASE_RP]) as other:
        tables = configuration(pacs.address, {**STAFF, "revalidate": "1s"}, upstream={"called_ae_titles": ["ANY-SCP"]})
        tables["upstream"].append({**tables["upstream"][0], "name": "other", "called_ae_titles": ["OTHER"]})
        tables["upstream"][1]["address"] = "{}:{}".format(*other.address)
        running = gateway(tables)
        with RawClient(running.address) as zoe, RawClient(running.address) as alice, RawClient(running.address) as idle:
            assert zoe.ask(request(login("zoë", ZOE), called=b"OTHER"))[0] == 2
            assert alice.ask(request(login("alice", ALICE)))[0] == 2
            assert idle.ask(request(login("alice", ALICE)))[0] == 2
            running.write_users({"zoë": USERS["zoë"]})
            with suppress(OSError):  # the end, while we send
                while not running.told("Closed"):
                    alice.send(_FRAGMENT)
                    sleep(0.005)  # the spy keeps all that it reads
            assert idle.pdu() == ABORT
            closed = running.wait_for("Closed", 2, user="alice")
            assert {(one["cause"], one["detail"]) for one in closed} == {
                ("the user was disabled", "staff: unknown user")
            }
            assert max(one["bytes_from_client"] for one in closed) >= len(_FRAGMENT)
            wait_until(lambda: all(one.closed for one in pacs.connections), "the PACS being told")
            assert zoe.release() == RELEASE_RP
    assert running.wait_for("Closed", user="zoë")[0]["cause"] == "released"
