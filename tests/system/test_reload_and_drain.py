"""A reload is for new associations, those under way keep what they came in by; a drain waits, but not for ever."""

import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicomgate.testing.evidence import ALICE, WRONG, ZOE
from dicomgate.testing.peers.certificates import Certificates, make_certificates
from dicomgate.testing.peers.loopback import HOST, free_port, wait_until
from dicomgate.testing.peers.spy import RELEASE_RP, Answer, Spy, accept_all
from dicomgate.testing.raw_client import ABORT, REFUSED_IDENTITY, RELEASE_RQ, RawClient, log_in, login, p_data, request
from dicomgate.testing.system_gateway import USERS, Gateway, StartGateway, configuration
from dicomgate_passcode.hashing import make_hash
from tests.wire import commands
from tests.wire.commands import command_set

NOT_GRANTED = bytes.fromhex("03 00 00000004 00 01 01 01")  # A-ASSOCIATE-RJ 1,1,1, PS3.8 table 9-21
ALICE_LOGS_IN = [login("alice", ALICE)]
# An association with three fragments: they get no answer, the release does.
THREE_FRAGMENTS: list[Answer] = [accept_all, b"", b"", b"", RELEASE_RP]


@dataclass
class Transfer:
    """An association under way, whose client sends one fragment after the other."""

    client: RawClient
    spy: Spy
    sent: int = 0

    @classmethod
    def begin(cls, gateway: Gateway, client: RawClient, spy: Spy) -> "Transfer":
        begun = cls(client, spy)
        assert client.ask(request(*ALICE_LOGS_IN))[0] == 2
        gateway.wait_for("Established")
        begun.send()
        return begun

    def send(self) -> None:
        """One fragment arrives at the PACS."""
        self.client.send(p_data(bytes(1000)))
        self.sent += 1
        wait_until(lambda: len(self.spy.connections[0].pdus()) == 1 + self.sent, "the fragment arriving")

    def finish(self) -> None:
        while self.sent < 3:
            self.send()
        assert self.client.release() == RELEASE_RP


class TestReload:
    def test_an_association_under_way_keeps_its_upstream(self, gateway: StartGateway) -> None:
        with Spy(THREE_FRAGMENTS) as old, Spy([accept_all, RELEASE_RP]) as new:
            running = gateway(configuration(old.address))
            with RawClient(running.address) as client:
                transfer = Transfer.begin(running, client, old)
                running.tables["upstream"] = configuration(new.address, upstream={"name": "new"})["upstream"]
                running.write()
                assert running.reload()
                assert log_in(running.address, ALICE_LOGS_IN)[0] == 2
                transfer.finish()
            assert (len(old.connections), len(new.connections)) == (1, 1)
            assert [event["upstream"] for event in running.told("Established")] == ["pacs", "new"]
            causes = [event["cause"] for event in running.wait_for("Closed", 2)]
            assert causes == ["released"] * 2

    def test_an_association_under_way_keeps_its_rights(self, gateway: StartGateway) -> None:
        """Rights are settled when an association is admitted: a reload changes those of the next one."""
        echo = command_set(commands.ECHO, commands.VERIFICATION)
        with Spy([accept_all, *[lambda pdu: RELEASE_RP if pdu == RELEASE_RQ else b""] * 3]) as spy:
            tables = configuration(spy.address) | {"rule": [{"name": "r", "users": ["alice"], "allow": "echo"}]}
            running = gateway(tables)
            with RawClient(running.address) as client:
                assert client.ask(request(*ALICE_LOGS_IN))[0] == 2
                for rights in ({"users": ["bob"]}, {"allow": "store"}):
                    tables["rule"][0] |= rights
                    running.write()
                    assert running.reload()
                    assert log_in(running.address, ALICE_LOGS_IN) == NOT_GRANTED
                    client.send(p_data(echo, control=3))
                assert client.release() == RELEASE_RP
            assert len(spy.connections) == 1, "who is granted nothing makes no connection"
            assert spy.connections[0].pdus()[1:3] == [p_data(echo, control=3)] * 2
            assert "authenticators: staff, rules enforced" in running.log()
            assert "its rules refuse nothing any more" not in running.log()
            del tables["rule"]
            running.write()
            assert running.reload()
            assert "reload: listener clinical: its rules refuse nothing any more" in running.log()
            assert log_in(running.address, ALICE_LOGS_IN)[0] == 2

    def test_an_association_that_is_being_decided_keeps_its_upstream(self, gateway: StartGateway) -> None:
        """It has said nothing yet: what it came in by is what it is judged by."""
        with Spy([accept_all, RELEASE_RP]) as old, Spy([accept_all, RELEASE_RP]) as new:
            running = gateway(configuration(old.address))
            with RawClient(running.address) as client:
                wait_until(lambda: running.server.associations == 1, "its connection")
                running.tables["upstream"] = configuration(new.address)["upstream"]
                running.write()
                assert running.reload()
                assert client.ask(request(*ALICE_LOGS_IN))[0] == 2
                assert client.release() == RELEASE_RP
            assert (len(old.connections), len(new.connections)) == (1, 0)

    @pytest.mark.parametrize(
        ("broken", "reason"),
        [("no TOML at all", "not TOML"), ('[gateway]\nunknown = "key"\n', "unknown key"), (None, "No such file")],
        ids=["not TOML", "a wrong key", "no users file"],
    )
    def test_a_broken_configuration_changes_nothing(
        self, gateway: StartGateway, broken: str | None, reason: str
    ) -> None:
        with Spy(THREE_FRAGMENTS) as old, Spy() as new:
            running = gateway(configuration(old.address))
            with RawClient(running.address) as client:
                transfer = Transfer.begin(running, client, old)
                running.tables = configuration(new.address)
                if broken is None:
                    running.tables["authenticator"][0]["file"] = "nowhere.htpasswd"
                running.write()
                if broken is not None:
                    (running.folder / "dicomgate.toml").write_text(broken)
                assert not running.reload()
                assert reason in running.log()
                assert "the configuration is as it was before" in running.log()
                with RawClient(running.address) as other:
                    assert other.ask(request(*ALICE_LOGS_IN))[0] == 2
                transfer.finish()
            running.wait_for("Closed", cause="released")
            assert (len(old.connections), len(new.connections)) == (2, 0)
            # And once it is right again it is taken.
            running.tables = configuration(new.address)
            running.write()
            assert running.reload()

    def test_listeners_come_and_go(self, gateway: StartGateway, spy: Spy) -> None:
        first, second, third = ((HOST, free_port()) for _ in range(3))
        tables = configuration(spy.address)
        listener = tables["listener"][0]

        def listen(*addresses: tuple[str, int]) -> None:
            listener["bind"] = [f"{host}:{port}" for host, port in addresses]

        listen(first, second)
        running = gateway(tables)
        with RawClient(first) as client:
            assert client.ask(request(*ALICE_LOGS_IN))[0] == 2
            listen(second, third)
            running.write()
            assert running.reload()
            for address in (second, third):
                assert log_in(address, ALICE_LOGS_IN)[0] == 2
            with pytest.raises(ConnectionRefusedError):
                RawClient(first)
            assert client.release() == RELEASE_RP  # it came in by the one that is gone
        # An address that is taken: all stays as it was, and what could be opened is closed again.
        with socket.create_server((HOST, 0)) as taken:
            listen(first, taken.getsockname())
            running.write()
            assert not running.reload()
        assert "Address already in use" in running.log()
        with pytest.raises(ConnectionRefusedError):
            RawClient(first)
        assert log_in(second, ALICE_LOGS_IN)[0] == 2

    def test_users_come_and_go(self, gateway: StartGateway, spy: Spy) -> None:
        running = gateway(configuration(spy.address), {"alice": USERS["alice"]})
        zoe = [login("zoë", ZOE)]
        assert log_in(running.address, zoe) == REFUSED_IDENTITY
        running.write_users({"zoë": make_hash(ZOE)}, "others.htpasswd")
        running.tables["authenticator"][0]["file"] = "others.htpasswd"
        running.write()
        assert log_in(running.address, zoe) == REFUSED_IDENTITY
        assert running.reload()
        assert log_in(running.address, zoe)[0] == 2
        assert log_in(running.address, ALICE_LOGS_IN) == REFUSED_IDENTITY
        # A change of the users file counts from the next login on, without a reload.
        running.write_users({"zoë": make_hash(WRONG)}, "others.htpasswd")
        assert log_in(running.address, zoe) == REFUSED_IDENTITY
        assert log_in(running.address, [login("zoë", WRONG)])[0] == 2

    def test_a_certificate_is_renewed(
        self, gateway: StartGateway, certificates: Certificates, tmp_path: Path, spy: Spy
    ) -> None:
        folder = tmp_path / "renewed"
        folder.mkdir()
        renewed = make_certificates(folder)
        own = {"certificate": certificates.server.certificate, "key": certificates.server.key}
        running = gateway(configuration(spy.address, listener={"tls": own}))
        with RawClient(running.address, certificates.client_context()) as client:
            assert client.ask(request(*ALICE_LOGS_IN))[0] == 2
            own |= {"certificate": renewed.server.certificate}
            running.write()
            assert not running.reload()  # the key of the other certificate
            assert "is not the key of" in running.log()
            assert log_in(running.address, ALICE_LOGS_IN, certificates.client_context())[0] == 2
            own |= {"key": renewed.server.key}
            running.write()
            assert running.reload()
            assert client.release() == RELEASE_RP
        assert log_in(running.address, ALICE_LOGS_IN, renewed.client_context())[0] == 2
        with pytest.raises(OSError, match="certificate verify failed"):
            RawClient(running.address, certificates.client_context())


class TestDrain:
    def test_waits_for_a_transfer(self, gateway: StartGateway) -> None:
        with Spy(THREE_FRAGMENTS) as spy:
            running = gateway(configuration(spy.address, settings={"drain_timeout": "60s"}))
            with RawClient(running.address) as client:
                transfer = Transfer.begin(running, client, spy)
                drained = running.drain()
                wait_until(lambda: "draining: 1 association" in running.log(), "the drain beginning")
                with pytest.raises(ConnectionRefusedError):
                    RawClient(running.address)
                transfer.send()
                assert not drained.done()
                transfer.finish()
                assert not drained.done()
            drained.result(20)
            [closed] = running.told("Closed")
            assert closed["cause"] == "released"
            assert closed["bytes_from_client"] == 3 * len(p_data(bytes(1000))) + len(RELEASE_RQ)

    def test_aborts_what_does_not_end(self, gateway: StartGateway) -> None:
        with Spy(THREE_FRAGMENTS) as spy:
            running = gateway(configuration(spy.address, settings={"drain_timeout": "300ms"}))
            with RawClient(running.address) as transferring, RawClient(running.address) as silent:
                Transfer.begin(running, transferring, spy)
                wait_until(lambda: running.server.associations == 2, "both connections")
                drained = running.drain()
                assert transferring.pdu() == ABORT
                assert silent.pdu() == ABORT
                assert transferring.receive(1) == silent.receive(1) == b""
            drained.result(20)
            spy.wait_for(1, closed=True)
            assert spy.connections[0].pdus()[-1] == ABORT
            assert [event["cause"] for event in running.told("Closed")] == ["the gateway is shutting down"] * 2

    def test_ends_one_that_waits_for_its_answer(self, gateway: StartGateway) -> None:
        with Spy([b""]) as spy:
            running = gateway(configuration(spy.address, settings={"drain_timeout": "300ms"}))
            with RawClient(running.address) as client:
                client.send(request(*ALICE_LOGS_IN))
                spy.wait_for(1)
                wait_until(lambda: spy.connections[0].pdus(), "the request arriving")
                drained = running.drain()
                assert client.pdu() == ABORT
            drained.result(20)
            spy.wait_for(1, closed=True)
            assert spy.connections[0].pdus()[1:] == [ABORT]

    def test_with_nobody_there(self, gateway: StartGateway) -> None:
        with Spy() as spy:
            gateway(configuration(spy.address)).drain().result(20)
