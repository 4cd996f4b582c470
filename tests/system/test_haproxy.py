"""Debian's HAProxy in front of the gateway, and another of its frontends behind it: everybody knows the client.

One HAProxy for all tests; the gateway of each test listens on the same port.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dicomgate.kit.addresses import show_address
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.gateway import NOTHING, Table
from dicomgate.testing.pages import ROOT, text
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.haproxy import HAProxy
from dicomgate.testing.peers.loopback import HOST, Address, free_port, wait_until
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import ADMITTED, LOCAL_LIMIT, REFUSED_IDENTITY, RawClient, log_in, login, request
from dicomgate.testing.system_gateway import STAFF, Gateway, StartGateway, configuration

CLIENT, OTHER = "127.0.0.5", "127.0.0.6"
BALANCER = "127.0.0.9"  # from here HAProxy connects
ALICE_LOGS_IN = request(login("alice", ALICE))
DEVICES = {"use": "certificate", "name": "devices", "certificates": {"proxy_cn:client": {"user": "ct-1"}}}

FRONT = """\
frontend {name}
    bind {address} {bind}
    unique-id-format %[uuid()]
    default_backend {name}-gate

backend {name}-gate
    server gate {gate} source {balancer} {options}

"""
BEHIND = """\
frontend behind
    bind {address} accept-proxy
    log-format "%ci %cp -> %fi %fp id %[fc_pp_unique_id]"
    default_backend pacs

backend pacs
    server pacs {pacs}

"""


class Between(NamedTuple):
    """HAProxy with its frontends by name, the gateway's port, and the PACS behind it all."""

    haproxy: HAProxy
    fronts: dict[str, Address]
    port: int
    pacs: PynetdicomPacs


@pytest.fixture(scope="module")
def between(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Between]:
    folder, port = tmp_path_factory.mktemp("haproxy"), free_port()
    (folder / "gate.pem").write_bytes(
        certificates.server.certificate.read_bytes() + certificates.server.key.read_bytes()
    )
    tls = f"ssl crt {folder}/gate.pem ca-file {certificates.ca} verify optional"
    v2 = "send-proxy-v2 proxy-v2-options crc32c,unique-id"
    kinds = {
        "v1": ("", "send-proxy"),
        "v2": ("", v2),
        "tls": (tls, f"{v2},ssl,cert-cn,ssl-cipher,cert-sig,cert-key"),
        "none": ("", ""),
        "checked1": ("", "send-proxy check check-send-proxy inter 50ms fall 1 rise 1"),
        "checked2": ("", f"{v2} check check-send-proxy inter 50ms fall 1 rise 1"),
    }
    fronts = {name: (HOST, free_port()) for name in (*kinds, "behind")}
    with PynetdicomPacs() as pacs:
        sections = BEHIND.format(address=show_address(*fronts["behind"]), pacs=show_address(*pacs.address))
        own = {"gate": show_address(HOST, port), "balancer": BALANCER}
        for name, (bind, options) in kinds.items():
            sections += FRONT.format(name=name, address=show_address(*fronts[name]), bind=bind, options=options, **own)
        with HAProxy(folder, sections, [port for _, port in fronts.values()]) as haproxy:
            yield Between(haproxy, fronts, port, pacs)


def started(
    gateway: StartGateway,
    between: Between,
    *,
    cleartext: bool = True,
    checks: bool = False,
    throttle: Table = NOTHING,
    **settings: Any,
) -> Gateway:
    """A gateway between HAProxy's frontends; with `checks`, it asks the PACS by C-ECHO all the time."""
    tables = configuration(
        between.fronts["behind"],
        STAFF,
        DEVICES,
        listener={
            "bind": show_address(HOST, between.port),
            "identity": "optional",
            "cleartext_passcodes": cleartext,
            "proxy_protocol": {"from": [BALANCER], "tls": "trust", "others": "refuse"},
        },
        upstream={"proxy_protocol": "v2"},
        settings=settings,
    )
    tables["upstream"].append(
        {**tables["upstream"][0], "name": "old", "called_ae_titles": ["OLD"], "proxy_protocol": "v1"}
    )
    if checks:
        tables["upstream"][0]["addresses"] = [tables["upstream"][0].pop("address")]
        tables["upstream"][0].update(check="echo", check_interval="200ms")
    return gateway({**tables, "throttle": throttle})


def test_the_client_is_known_to_the_gateway_and_behind_it(gateway: StartGateway, between: Between) -> None:
    running = started(gateway, between, checks=True)
    for front, called in (("v1", b"PACS"), ("v2", b"PACS"), ("v2", b"OLD")):
        with RawClient(between.fronts[front], source=CLIENT) as client:
            port = client.socket.getsockname()[1]
            assert client.ask(request(login("alice", ALICE), called=called))[:1] == ADMITTED
            assert client.release() == RELEASE_RP
        (closed,) = running.wait_for("Closed", port=port)
        association = [record for record in running.events if record["id"] == closed["id"]]
        assert {(record["address"], record["via"]) for record in association} == {(CLIENT, BALANCER)}
        unique_ids = {record["unique_id"] for record in association}
        assert all(len(one) == 36 if front == "v2" else one == "" for one in unique_ids), "HAProxy's uuid(), quoted"
        ours = closed["id"] if called == b"PACS" else "-"
        line = f"{CLIENT} {port} -> {HOST} {between.fronts[front][1]} id {ours}\n"
        between.haproxy.wait_for(line)
    assert f'listener clinical, via {BALANCER} ("' in running.log()
    for backend in ("checked1-gate", "checked2-gate"):
        between.haproxy.wait_for(f"Server {backend}/gate is UP")
    # They announce nobody, and leave no record; and those of the gateway announce nobody to HAProxy.
    assert {record["address"] for record in running.events} == {CLIENT}
    wait_until(lambda: between.pacs.echoes, "a check by C-ECHO")
    between.haproxy.wait_for("-> {} {} id -".format(*between.fronts["behind"]))
    assert log_in(between.fronts["none"], [login("alice", ALICE)]) == b"", "without a header nothing is answered"
    running.wait_for("Refused", reason_class="proxy_header", address=BALANCER)
    assert log_in(running.address, [login("alice", ALICE)]) == b"", "nobody else may come"
    running.wait_for("Refused", reason_class="proxy_header", address=HOST)


def test_limits_and_the_throttle_count_the_client(gateway: StartGateway, between: Between) -> None:
    throttle = {"source_free": 2, "first_wait": "1h"}
    running = started(gateway, between, throttle=throttle, max_associations_per_source=1)
    with ExitStack() as stack:

        def answer(source: str, user: str, passcode: bytes) -> bytes:
            client = stack.enter_context(RawClient(between.fronts["v2"], source=source))
            return client.ask(request(login(user, passcode)))

        assert answer(CLIENT, "alice", ALICE)[:1] == ADMITTED
        assert answer(CLIENT, "alice", ALICE) == LOCAL_LIMIT
        assert answer(OTHER, "alice", ALICE)[:1] == ADMITTED
    wait_until(lambda: not running.server.associations, "the end of these")
    for user in ("eve", "mallory", "trudy"):
        assert log_in_from(CLIENT, between, user, WRONG) == REFUSED_IDENTITY
        wait_until(lambda: not running.server.associations, "the end of it: there may be one at a time")
    assert log_in_from(OTHER, between, "sybil", WRONG) == REFUSED_IDENTITY
    refused = [(one["address"], one["reason_class"]) for one in running.wait_for("Refused", 5)]
    assert refused[1:] == [(CLIENT, "wrong_credential")] * 2 + [(CLIENT, "throttled"), (OTHER, "wrong_credential")]


def log_in_from(source: str, between: Between, user: str, passcode: bytes) -> bytes:
    """What a client with this address gets by HAProxy."""
    with RawClient(between.fronts["v2"], source=source) as client:
        return client.ask(request(login(user, passcode)))


def test_what_haproxy_says_of_tls(gateway: StartGateway, between: Between, certificates: Certificates) -> None:
    running = started(gateway, between, cleartext=False)
    tls = between.fronts["tls"]
    shown, none = certificates.client_context(certificates.client), certificates.client_context()
    assert log_in(tls, [], shown)[:1] == ADMITTED
    assert log_in(tls, [], none) == REFUSED_IDENTITY, "HAProxy writes verify = 0 for it, too"
    assert log_in(tls, [login("alice", ALICE)], none)[:1] == ADMITTED, (
        "cleartext_passcodes is false, and it came by TLS"
    )
    assert log_in(between.fronts["v2"], [login("alice", ALICE)]) == REFUSED_IDENTITY
    outcomes = [(one["user"], one["reason_class"]) for one in running.wait_for("Refused", 2)]
    assert outcomes == [(None, "nobody_claims"), (None, "cleartext")]
    device, alice = running.wait_for("Decided", 2, outcome="accept")
    assert (device["user"], device["attributes"]) == ("ct-1", {"certificate": "proxy_cn:client"})
    assert (alice["user"], alice["via"]) == ("alice", BALANCER)


def test_the_configuration_in_deploy_and_two_gateways(
    gateway: StartGateway, certificates: Certificates, tmp_path: Path
) -> None:
    """Each has its share; one that is not ready gets nobody, and keeps whom it has."""
    server, ports = certificates.server, {port: free_port() for port in (2762, 2763, 2764, 9104)}
    tls = {"certificate": server.certificate, "key": server.key}
    proxy = {"from": [HOST], "others": "refuse"}
    with Spy([accept_all, RELEASE_RP]) as pacs:
        hosts = ["127.0.0.11", "127.0.0.12"]
        gates = []
        for host in hosts:
            bind = {port: show_address(host, here) for port, here in ports.items()}
            listener = {"tls": tls, "cleartext_passcodes": False, "bind": bind[2762], "proxy_protocol": proxy}
            tables = configuration(pacs.address, STAFF, DEVICES, listener={**listener, "authenticators": ["staff"]})
            tables["listener"].append(
                {
                    "name": "devices",
                    "identity": "optional",
                    "bind": bind[2764],
                    "authenticators": ["devices"],
                    "proxy_protocol": {**proxy, "tls": "trust"},
                }
            )
            gates.append(gateway({**tables, "admin": {"bind": bind[9104], "tls": tls}}))
        pem = tmp_path / "gate.pem"
        pem.write_bytes(server.certificate.read_bytes() + server.key.read_bytes())
        sections = text(ROOT / "deploy" / "haproxy" / "dicomgate.cfg").replace("inter 2s", "inter 50ms")
        for there, here in {
            "/etc/haproxy/gate.pem": str(pem),
            "/etc/haproxy/devices-ca.pem": str(certificates.ca),
            "/etc/haproxy/gateways-ca.pem": str(certificates.ca),
            "10.0.0.5": HOST,
            "10.0.0.11": hosts[0],
            "10.0.0.12": hosts[1],
            "10.0.0.13": "127.0.0.13",
            **{f"gate-{number}.hospital.example": "localhost" for number in (1, 2, 3)},
            **{f":{port}": f":{here}" for port, here in ports.items() if port != 9104},
            "port 9104": f"port {ports[9104]}",
        }.items():
            assert there in sections
            sections = sections.replace(there, here)
        with HAProxy(tmp_path, sections, [ports[2762], ports[2763]]) as haproxy:
            shown = certificates.client_context(certificates.client)
            front = (HOST, ports[2762])
            haproxy.wait_for("gateways/gate-3 is DOWN")
            with ExitStack() as stack:
                clients = [stack.enter_context(RawClient(front, shown)) for _ in range(4)]
                assert [client.ask(ALICE_LOGS_IN)[:1] for client in clients] == [ADMITTED] * 4
                assert [gate.server.associations for gate in gates] == [2, 2], haproxy.said()
                assert log_in((HOST, ports[2763]), [], shown)[:1] == ADMITTED
                draining = gates[0].drain()
                haproxy.wait_for("gateways/gate-1 is DOWN")
                assert [log_in(front, [login("alice", ALICE)], shown)[:1] for _ in range(3)] == [ADMITTED] * 3
                assert [client.release() for client in clients] == [RELEASE_RP] * 4
            draining.result(20)
            said = haproxy.said()
            for gate in gates:
                assert all(one["unique_id"] in said for one in gate.events), "both logs name the connection alike"
