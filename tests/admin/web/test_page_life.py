"""The listener of [admin] over start, reload and drain, and what it takes from its files."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import ExitStack
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlencode

import pytest

from dicomgate.admin.web import connections, health
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import free_port, wait_until
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.system_gateway import STAFF, USERS, Gateway, StartGateway, configuration

from .conftest import ADMIN, PASSCODES, Web


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def reloaded(gateway: Gateway, **admin: Any) -> None:
    gateway.tables["admin"] = {**gateway.tables["admin"], **admin}
    gateway.write()
    assert gateway.reload()


def test_a_reload_takes_rights_away_and_moves_the_page(gateway: StartGateway, spy: Spy) -> None:
    running = gateway({**configuration(spy.address), "admin": ADMIN})
    web, first = Web(running), running.server.generation.page_socket
    viewer, _ = web.log_in("zoë")
    operator, _ = web.log_in("alice")
    reloaded(running, viewers=[])
    assert running.server.generation.page_socket is first
    wait_until(lambda: web.get("/", viewer).status == 401, "the viewer's login ends")
    assert web.get("/", operator).status == 200
    before, moved = web.address[1], free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running.tables["admin"]["bind"] = f"127.0.0.1:{taken.getsockname()[1]}"
        running.write()
        assert not running.reload()
        assert listens(before)
    reloaded(running, bind=f"127.0.0.1:{moved}")
    wait_until(lambda: listens(moved) and not listens(before), "the page moves")
    assert web.get("/", operator).status == 200
    del running.tables["admin"]
    running.write()
    assert running.reload()
    wait_until(lambda: not listens(moved), "the page ends")


def test_a_user_who_is_removed_is_logged_out(gateway: StartGateway, spy: Spy, caplog: pytest.LogCaptureFixture) -> None:
    tables = {**configuration(spy.address), "admin": ADMIN}
    tables["authenticator"] = [{**STAFF, "revalidate": "1s"}]
    web = Web(gateway(tables))
    (leaver, _), (operator, _) = web.log_in("zoë"), web.log_in("alice")
    web.gateway.write_users({"alice": USERS["alice"]})
    wait_until(lambda: web.get("/?refresh", leaver).status == 401, "the login ends")
    assert "staff/zoë is logged out of the page: unknown user" in caplog.text
    assert web.get("/", operator).status == 200


def test_a_gateway_that_drains_is_not_ready_before_it_stops_listening(gateway: StartGateway, spy: Spy) -> None:
    settings = {"drain_delay": "1s"}
    running = gateway({**configuration(spy.address, settings=settings), "admin": {"bind": ADMIN["bind"]}})
    web = Web(running)
    assert web.get("/ready").status == 200
    assert web.get("/").status == 404  # nobody may see a page
    assert running.reload()
    assert web.get("/ready").status == 200
    draining = running.drain()
    wait_until(lambda: web.get("/ready").status == 503, "it drains")
    assert listens(running.address[1])
    assert web.get("/live").status == 200
    draining.result(20)
    assert not listens(running.address[1])


def test_a_gateway_that_hangs_is_not_live(gateway: StartGateway, spy: Spy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_TIMEOUT", 0.05)
    running = gateway({**configuration(spy.address), "admin": {"bind": ADMIN["bind"]}})
    web = Web(running)
    running.server.loop.call_soon_threadsafe(time.sleep, 0.5)
    wait_until(lambda: web.get("/live").status == 503, "it hangs")
    wait_until(lambda: web.get("/live").status == 200, "it goes on")


def test_the_page_over_tls_with_a_token_for_metrics(
    gateway: StartGateway, spy: Spy, certificates: Certificates, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_SHUTDOWN", 20.0)
    token = tmp_path / "prometheus.token"
    token.touch(0o600)
    token.write_text("a token of some length\n")
    tls = {"certificate": certificates.server.certificate, "key": certificates.server.key}
    admin = {**ADMIN, "tls": tls, "metrics_from": [], "metrics_token_file": token}
    web = Web(gateway({**configuration(spy.address), "admin": admin}))
    context = ssl.create_default_context(cafile=certificates.ca)
    context.check_hostname = False

    def ask(method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        connection = HTTPSConnection(*web.address, context=context, timeout=20)
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        assert response.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        return response.status, response.headers.get("set-cookie", "")

    assert ask("GET", "/metrics")[0] == 401
    assert ask("GET", "/metrics", Authorization="Bearer another token of it")[0] == 401
    assert ask("GET", "/metrics", Authorization="Bearer a third one of some length")[0] == 401
    assert ask("GET", "/metrics", Authorization="Bearer a token of some length")[0] == 200
    (wrong,) = web.operated(action="log in", by="a token (not verified)")
    assert wrong["target"] == "the metrics, from 127.0.0.1"
    form = {"Origin": f"https://{web.host}", "Content-Type": "application/x-www-form-urlencoded"}
    status, cookie = ask("POST", "/login", urlencode({"user": "alice", "passcode": PASSCODES["alice"]}), **form)
    assert status == 303
    assert cookie.startswith("__Host-dicomgate=")
    assert "Secure" in cookie
    value = cookie.partition(";")[0]
    assert ask("GET", "/", Cookie=value)[0] == 200
    assert ask("GET", "/", Cookie=value.removeprefix("__Host-"))[0] == 401
    with ExitStack() as stack:  # clients that have their answers, and do not close
        for _ in range(connections.MOST):
            client = context.wrap_socket(stack.enter_context(socket.create_connection(web.address)))
            stack.enter_context(client).sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        assert ask("GET", "/live")[0] == 200
