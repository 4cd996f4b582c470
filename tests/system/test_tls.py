"""TLS on both legs (PS3.15 B.12): who does not hold to it gets no byte of DICOM, and why stands in the log."""

import hashlib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import trustme

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.certificates import Certificates, Leaf
from dicomgate.testing.peers.loopback import HOST, Address, wait_until
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.spy import RELEASE_RP, Spy
from dicomgate.testing.raw_client import CONGESTION, EMPTY_RESPONSE, REFUSED_IDENTITY, RawClient, log_in, login, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

ALICE_LOGS_IN = [login("alice", ALICE, response=True)]
REFUSED_CERTIFICATE = "the certificate of the server does not verify"


def behind_tls(spy: Spy, leaf: Leaf, **more: object) -> dict[str, Any]:
    tls = {"certificate": leaf.certificate, "key": leaf.key, **more}
    return configuration(spy.address, listener={"tls": tls, "cleartext_passcodes": False})


class TestClientCertificate:
    def answer(self, running: Gateway, context: ssl.SSLContext) -> bytes:
        """What the client gets for its request. In TLS 1.3 it learns of a refusal only when it reads."""
        try:
            return log_in(running.address, ALICE_LOGS_IN, context)
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
            return b""

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize(
        ("demand", "shown", "let_in"),
        [
            ("required", "client", True),
            ("required", "stranger", False),
            ("required", None, False),
            ("optional", "client", True),
            ("optional", "stranger", False),
            ("optional", None, True),
        ],
    )
    def test_is_verified(
        self,
        gateway: StartGateway,
        certificates: Certificates,
        spy: Spy,
        version: ssl.TLSVersion,
        demand: str,
        shown: str | None,
        let_in: bool,
    ) -> None:
        tables = behind_tls(spy, certificates.server, client_ca=certificates.ca, client_certificate=demand)
        running = gateway(tables)
        context = certificates.client_context(getattr(certificates, shown) if shown else None)
        context.minimum_version = context.maximum_version = version
        assert self.answer(running, context).endswith(EMPTY_RESPONSE) is let_in
        running.wait_for("Closed", cause="released" if let_in else "refused")
        assert len(spy.connections) == let_in
        if not let_in:
            [refused] = running.told("Refused")
            assert refused["reason"].startswith("TLS: ")
            assert refused["reason"] in running.log()
            assert refused["answer"] == ""
            assert not running.told("Decided")
        # It is the certificate: beside a refused one the right one is let in, with a wrong passcode it is not.
        right = certificates.client_context(certificates.client)
        assert log_in(running.address, ALICE_LOGS_IN, right).endswith(EMPTY_RESPONSE)
        assert log_in(running.address, [login("alice", WRONG)], right) == REFUSED_IDENTITY


# The PACS's certificate is for 127.0.0.1 and localhost; a pin alone decides, whatever the authority and the name.
UPSTREAM_CERTIFICATES: dict[str, tuple[str, dict[str, str], str | None]] = {
    "right": ("server", {"ca": "ca"}, None),
    "right by another name": ("server", {"ca": "ca", "server_name": "localhost"}, None),
    "another CA": ("server", {"ca": "other_ca"}, REFUSED_CERTIFICATE),
    "the system's CAs": ("server", {}, REFUSED_CERTIFICATE),
    "wrong name": ("server", {"ca": "ca", "server_name": "pacs.example"}, "Hostname mismatch"),
    "pinned": ("stranger", {"pin": "stranger"}, None),
    "another pinned": ("stranger", {"pin": "server"}, "which is not pinned"),
    "its own shown": ("demanding", {"ca": "ca", "own": "client"}, None),
    "a stranger's shown": ("demanding", {"ca": "ca", "own": "stranger"}, "pacs: "),
    "none shown": ("demanding", {"ca": "ca"}, "pacs: "),
    "no TLS": ("plain", {"ca": "ca", "server_name": HOST}, "TLS: "),
}


def pin_of(leaf: Leaf) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf.certificate.read_text())).hexdigest()


@pytest.mark.parametrize("case", UPSTREAM_CERTIFICATES)
def test_the_certificate_of_the_pacs_is_verified_and_our_own_shown(
    gateway: StartGateway, certificates: Certificates, case: str
) -> None:
    kind, wanted, reason = UPSTREAM_CERTIFICATES[case]
    tls: dict[str, Any] = {key: getattr(certificates, value, value) for key, value in wanted.items()}
    if "pin" in tls:
        tls["pin"] = pin_of(tls["pin"])
    if leaf := tls.pop("own", None):
        tls |= {"certificate": leaf.certificate, "key": leaf.key}
    stranger = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    stranger.load_cert_chain(certificates.stranger.certificate, certificates.stranger.key)
    demanding = certificates.server_context(client_certificate=True)
    contexts = {"server": certificates.server_context(), "stranger": stranger, "demanding": demanding}
    with PynetdicomPacs(tls=contexts.get(kind)) as pacs:
        running = gateway(configuration(pacs.address, upstream={"tls": tls}))
        with RawClient(running.address) as client:
            answer = client.ask(request(*ALICE_LOGS_IN))
            if reason is None:
                assert answer.endswith(EMPTY_RESPONSE)
                assert client.release() == RELEASE_RP
            else:
                assert answer == CONGESTION
        assert len(pacs.associations) == (reason is None)
        running.wait_for("Closed", cause="released" if reason is None else "refused")
        if reason is not None:
            [refused] = running.told("Refused")
            assert reason in refused["reason"]
            assert refused["reason"] in running.log()


@pytest.fixture(scope="module")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> Leaf:
    """With an RSA key no suite is out of reach for want of a certificate."""
    folder = tmp_path_factory.mktemp("rsa")
    issued = trustme.CA().issue_cert(HOST, key_type=trustme.KeyType.RSA)
    leaf = Leaf(folder / "rsa.pem", folder / "rsa.key")
    issued.cert_chain_pems[0].write_to_path(leaf.certificate)
    leaf.key.touch(mode=0o600)
    issued.private_key_pem.write_to_path(leaf.key)
    return leaf


ANY_SUITE = "ALL:@SECLEVEL=0"
WHAT_IS_SPOKEN = [
    ("TLSv1_2", "ECDHE-RSA-AES128-GCM-SHA256", True),
    ("TLSv1_2", "ECDHE-RSA-AES256-GCM-SHA384", True),
    ("TLSv1_3", ANY_SUITE, True),
    ("TLSv1", ANY_SUITE, False),
    ("TLSv1_1", ANY_SUITE, False),
    ("TLSv1_2", "AES128-GCM-SHA256:@SECLEVEL=0", False),
    ("TLSv1_2", "AES256-SHA256:@SECLEVEL=0", False),
    ("TLSv1_2", "ECDHE-RSA-AES128-SHA256:@SECLEVEL=0", False),
    ("TLSv1_2", "ECDHE-RSA-AES256-SHA:@SECLEVEL=0", False),
    ("TLSv1_2", "ECDHE-RSA-CHACHA20-POLY1305", False),
]


def speaking(version: str, suites: str, leaf: Leaf | None = None) -> ssl.SSLContext:
    """A client, or a server with a certificate, of this version and these suites alone, and of no great caution."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if leaf is None else ssl.PROTOCOL_TLS_SERVER)
    if leaf is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        context.load_cert_chain(leaf.certificate, leaf.key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # these versions are what the test is about
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    context.set_ciphers(suites)
    return context


class TestWhatIsSpoken:
    @pytest.mark.parametrize(("version", "suites", "spoken"), WHAT_IS_SPOKEN)
    def test_to_clients(
        self, gateway: StartGateway, spy: Spy, rsa: Leaf, version: str, suites: str, spoken: bool
    ) -> None:
        # A server of no great caution speaks with this client: it is no matter of what OpenSSL was built with.
        with one_connection(speaking(version, suites, rsa)) as address, RawClient(address, speaking(version, suites)):
            pass
        running = gateway(behind_tls(spy, rsa))
        if spoken:
            assert log_in(running.address, ALICE_LOGS_IN, speaking(version, suites)).endswith(EMPTY_RESPONSE)
            return
        with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
            RawClient(running.address, speaking(version, suites))
        running.wait_for("Closed", cause="refused")
        assert running.told("Refused")[0]["reason"].startswith("TLS: ")
        assert not spy.connections

    @pytest.mark.parametrize(("version", "suites", "spoken"), WHAT_IS_SPOKEN)
    def test_to_the_pacs(self, gateway: StartGateway, rsa: Leaf, version: str, suites: str, spoken: bool) -> None:
        received: list[bytes] = []
        with one_connection(speaking(version, suites, rsa), received) as address:
            running = gateway(configuration(address, upstream={"tls": {"pin": pin_of(rsa)}, "timeout": "20s"}))
            # It closes without an answer: the A-ASSOCIATE-RJ is the same, what the PACS was told is not.
            assert log_in(running.address, ALICE_LOGS_IN) == CONGESTION
        assert received == ([request()[:6]] if spoken else [])
        assert ("ended before" if spoken else "TLS: ") in running.wait_for("Refused")[0]["reason"]


@contextmanager
def one_connection(context: ssl.SSLContext, received: list[bytes] | None = None) -> Iterator[Address]:
    """A TLS server that takes one connection, reads the first six bytes if they are wanted, and closes."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(20)

        def serve() -> None:
            with listener.accept()[0] as raw, suppress(OSError):
                raw.settimeout(20)
                with context.wrap_socket(raw, server_side=True) as secured:
                    if received is not None:
                        received.append(secured.recv(6))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            thread.join()


@pytest.mark.parametrize("sent", [request(*ALICE_LOGS_IN), b"GET / HTTP/1.1\r\n\r\n"], ids=["DICOM", "HTTP"])
def test_who_speaks_no_tls_gets_no_dicom(
    gateway: StartGateway, certificates: Certificates, spy: Spy, sent: bytes
) -> None:
    running = gateway(behind_tls(spy, certificates.server))
    with RawClient(running.address) as client:
        client.send(sent)
        answer = b""
        with suppress(ConnectionResetError):
            answer = client.receive(1000)
    assert answer[:1] in (b"", b"\x15")  # an alert (RFC 8446 6), if anything
    running.wait_for("Closed", cause="refused")
    assert "the client does not begin TLS" in running.told("Refused")[0]["reason"]
    assert log_in(running.address, ALICE_LOGS_IN, certificates.client_context()).endswith(EMPTY_RESPONSE)
    assert len(spy.connections) == 1


def test_what_follows_the_handshake_at_once_is_read(
    gateway: StartGateway, certificates: Certificates, spy: Spy
) -> None:
    """The last message of the handshake and the request in one segment: the socket is not readable a second time."""
    running = gateway(behind_tls(spy, certificates.server))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certificates.client_context().wrap_bio(incoming, outgoing, server_hostname=HOST)
    with RawClient(running.address) as client:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        client.send(outgoing.read())
        while True:
            incoming.write(client.socket.recv(65536))
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
        tls.write(request(*ALICE_LOGS_IN))
        client.send(outgoing.read())
        answer = b""
        while not answer:
            incoming.write(client.socket.recv(65536))
            with suppress(ssl.SSLWantReadError):
                answer = tls.read(1000)
        assert answer.endswith(EMPTY_RESPONSE)


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a ClientHello"])
def test_a_handshake_that_stalls_holds_up_nobody(
    gateway: StartGateway, certificates: Certificates, spy: Spy, hello: bytes
) -> None:
    tables = behind_tls(spy, certificates.server)
    tables["gateway"]["artim"] = "2s"
    running = gateway(tables)
    with RawClient(running.address) as stalled:
        stalled.send(hello)
        wait_until(lambda: running.server.associations == 1, "its connection")
        assert log_in(running.address, ALICE_LOGS_IN, certificates.client_context()).endswith(EMPTY_RESPONSE)
        assert stalled.receive(1) == b""
    causes = [event["cause"] for event in running.wait_for("Closed", 2)]
    assert causes == ["released", "a deadline passed"], "the one that came first waited for its deadline"
