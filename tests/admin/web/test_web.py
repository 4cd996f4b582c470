"""The listener of [admin] by HTTP: who sees what, who may do what, and what is refused."""

from __future__ import annotations

import json
import socket
from base64 import b64encode

import pytest

from dicomgate.admin.web import connections, judging

from .conftest import PASSCODES, Web


def basic(user: str) -> str:
    return "Basic " + b64encode(f"{user}:{PASSCODES[user]}".encode()).decode()


def test_health_checks_say_one_word_to_everybody(web: Web) -> None:
    for path, word in (("/live", "live\n"), ("/ready", "ready\n")):
        answer = web.ask("GET", path, Host="10.0.0.9:80")
        assert (answer.status, answer.text) == (200, word)
        assert "server" not in answer.headers
        assert answer.headers["date"].endswith("GMT")
    assert "dicomgate_build_info" in web.get("/metrics").text


def test_a_name_that_leads_here_is_not_ours(web: Web) -> None:
    for path in ("/", "/metrics", "/api/v1/status"):
        assert web.ask("GET", path, Host="evil.example").status == 403
    assert web.ask("GET", "/", Host=f"localhost:{web.address[1]}").status == 401


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        *(("/live", 200, "text/plain"), ("/metrics", 200, "text/plain"), ("/", 401, "text/html")),
        *(("/page.js", 200, "text/javascript"), ("/page.css", 200, "text/css"), ("/mark.svg", 200, "image/svg+xml")),
        *(("/api/v1/status", 401, "application/json"), ("/api/v1/reload", 405, "application/json")),
        *(("/nowhere", 404, "text/html"), ("/templates/", 404, "text/html"), ("/../page.py", 404, "text/html")),
    ],
)
def test_every_answer_says_what_it_is_and_what_a_browser_may_do_with_it(
    web: Web, path: str, status: int, kind: str
) -> None:
    answer = web.get(path)
    assert answer.status == status
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert kind == "application/json" or "charset=utf-8" in answer.headers["content-type"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    for directive in ("default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert directive in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    # RFC 6797 7.2: no Strict-Transport-Security "over non-secure transport"
    assert not {"strict-transport-security", "access-control-allow-origin", "location"} & set(answer.headers)
    assert web.ask("TRACE", path).status in (404, 405)


def test_what_a_proxy_says_of_the_client_is_ignored(web: Web) -> None:
    """As loopback it may read the metrics; as the address in the headers it might not."""
    assert web.ask("GET", "/metrics", X_Forwarded_For="192.0.2.9", Forwarded="for=192.0.2.9").status == 200


def test_who_logs_in_sees_the_page_until_he_logs_out(web: Web) -> None:
    first = web.get()
    assert first.status == 401
    assert first.headers["www-authenticate"].startswith("Bearer")
    assert '<input id="passcode" name="passcode" type="password"' in first.text
    assert web.post("/login", user="alice", passcode="not this").status == 401
    assert web.post("/login", user="bob", passcode=PASSCODES["bob"]).status == 403  # genuine, but neither of them
    answer = web.post("/login", user="zoë", passcode=PASSCODES["zoë"])
    attributes = answer.headers["set-cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=strict" in attributes
    cookie = answer.cookie
    page = web.get("/", cookie)
    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "Abort" not in page.text
    again = web.post("/login", cookie, user="zoë", passcode=PASSCODES["zoë"]).cookie
    assert again != cookie
    assert web.get("/", cookie).status == 401, "the former login has ended"
    cookie, page = again, web.get("/", again)
    assert web.post("/logout", cookie, token=page.token).status == 303
    assert web.get("/", cookie).status == 401
    done = {(record["action"], record["by"], record["problem"] == "") for record in web.operated()}
    assert {("log in", "staff/zoë", True), ("log out", "staff/zoë", True)} <= done
    assert {("log in", '"alice" (not verified)', False), ("log in", "staff/bob", False)} <= done


def test_what_changes_something_comes_from_a_page_of_an_operators_login(web: Web) -> None:
    viewer, viewers_token = web.log_in("zoë")
    operator, token = web.log_in("alice")
    asked = {"id": "000000000000"}
    assert web.post("/actions/kick", operator, token=token, **asked).status == 303
    assert "no association 000000000000" in web.get("/", operator).text
    assert web.post("/actions/kick", token=token, **asked).status == 401
    assert web.post("/actions/kick", viewer, token=viewers_token, **asked).status == 403
    assert web.operated(action="kick", by="staff/zoë", problem="is no operator")
    assert web.post("/actions/kick", operator, token=viewers_token, **asked).status == 403
    assert web.post("/actions/kick", operator, **asked).status == 403
    for origin in ("http://evil.example", "null", "http://[", f"http://{web.host}.evil.example"):
        assert web.post("/actions/kick", operator, origin, token=token, **asked).status == 403
    form = {"Cookie": operator, "Content_Type": "application/x-www-form-urlencoded"}
    assert web.ask("POST", "/actions/reload", f"token={token}", **form, Authorization="x").status == 403  # no Origin
    assert web.ask("POST", "/actions/reload", f"token={token}", Sec_Fetch_Site="same-site", **form).status == 403
    surely = web.post("/actions/drain", operator, token=token).text
    assert 'action="/logout"' in surely, "whatever page it is, one can log out"
    for path in ("/actions/kick?id=000000000000", "/logout", "/login", "/api/v1/reload"):
        assert web.get(path, operator).status == 405
    assert web.post("/actions/else", operator, token=token).status == 404


def test_ten_wrong_passcodes_are_throttled_as_any_login(web: Web) -> None:
    for number in range(10):
        assert web.post("/login", user="mallory", passcode=f"wrong {number}").status == 401
    problems = [record["problem"] for record in web.operated(by='"mallory" (not verified)')]
    assert len(problems) == 10
    assert problems[0].startswith("wrong_credential")
    assert problems[-1].startswith("throttled: too many attempts")
    operator, token = web.log_in("alice")
    web.post("/actions/clear", operator, token=token, key="account:nobody")  # the counters are asked for again now
    assert "account:mallory" in web.get("/", operator).text
    assert web.post("/actions/clear", operator, token=token, key="account:mallory").status == 303
    assert "Counter account:mallory was cleared." in web.get("/", operator).text
    assert web.operated(action="clear", by="staff/alice", problem="")


def test_scripts_ask_with_a_passcode_in_each_request(web: Web) -> None:
    found = web.ask("GET", "/api/v1/status", Authorization=basic("zoë"))
    assert json.loads(found.text)["node"] == "test"
    listed = web.ask("GET", "/api/v1/sessions", Authorization=basic("zoë"))
    assert json.loads(listed.text) == {"sessions": [], "left_out": 0}
    told = {"action": "log in", "by": "staff/zoë", "target": "the page's API, from 127.0.0.1", "problem": ""}
    assert len(web.operated(**told)) == 1, "and not again at each request"
    operator, _ = web.log_in("alice")
    assert web.get("/api/v1/status", operator).status == 401  # a cookie counts for nothing here
    assert web.ask("GET", "/api/v1/status", Authorization="Bearer x.y.z").status == 401
    for wrong in ("Basic %%", "Basic YWxpY2U=", "Basic é", "Digest x", ""):
        assert web.ask("GET", "/api/v1/status", Authorization=wrong).status == 401
    about = {"Content_Type": "application/json"}
    body = json.dumps({"id": "000000000000"})
    done = web.ask("POST", "/api/v1/kick", body, Authorization=basic("alice"), **about)
    assert (done.status, json.loads(done.text)["done"]) == (200, 0)
    assert web.ask("POST", "/api/v1/kick", body, Authorization=basic("zoë"), **about).status == 403
    assert web.ask("POST", "/api/v1/kick", body, Cookie=operator, **about).status == 401
    assert web.ask("POST", "/api/v1/kick", body, Authorization=basic("alice")).status == 415


def test_what_cannot_be_read_is_refused_and_no_defect(web: Web) -> None:
    about = {"Authorization": basic("alice"), "Content_Type": "application/json"}
    assert web.post("/login", origin="http://[").status == 403
    assert web.ask("GET", "/metrics", Accept="application/openmetrics-text; version=x").status == 200
    assert web.ask("GET", "/api/v1/status", Authorization="Basic \xff").status == 401
    assert web.ask("POST", "/api/v1/clear", r'{"key": "\ud800"}', **about).status == 400
    for longer in ("999999999d", "367d"):
        body = json.dumps({"user": "staff/nobody", "for": longer})
        assert web.ask("POST", "/api/v1/kick-user", body, **about).status == 409


def test_who_is_shut_out_is_logged_out_of_the_page_too(web: Web) -> None:
    operator, token = web.log_in("alice")
    viewer, _ = web.log_in("zoë")
    form = {"user": "staff/zoë", "token": token}
    assert web.post("/actions/kick-user", operator, **form, **{"for": "10m"}).status == 303
    assert web.get("/", viewer).status == 401
    assert 'name="user" value="staff/zoë"' in web.get("/", operator).text, "there is a button that lets her in again"
    assert web.post("/login", user="zoë", passcode=PASSCODES["zoë"]).status == 403
    assert web.ask("GET", "/api/v1/status", Authorization=basic("zoë")).status == 403
    assert web.post("/actions/kick-user", operator, **form, **{"for": "0s"}).status == 303
    assert web.get("/", viewer).status == 401, "the login has ended"
    assert "Shut out" not in web.get("/", operator).text
    assert web.log_in("zoë")


def test_a_reload_that_fails_is_told_with_its_problems(web: Web) -> None:
    operator, token = web.log_in("alice")
    right = web.gateway.tables["upstream"]
    web.gateway.tables["upstream"] = [{**right[0], "adress": "x"}]
    web.gateway.write()
    assert web.post("/actions/reload", operator, token=token).status == 303
    page = web.get("/", operator)
    assert "The last reload failed" in page.text
    assert page.text.count("adress") == 1
    web.gateway.tables["upstream"] = right
    web.gateway.write()
    assert web.post("/actions/reload", operator, token=token).status == 303
    assert "The last reload failed" not in web.get("/", operator).text


def test_requests_are_bounded_in_size_time_and_number(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    assert web.post("/login", user="a" * 9000, passcode="x").status == 413
    assert web.ask("GET", "/live", X="a" * 9000).status == 431
    held = [socket.create_connection(web.address) for _ in range(connections.MOST + 1)]
    assert web.get("/live").status == 200  # instead of one that asks for nothing
    assert held[0].recv(1) == b""
    for one in held[1:]:
        one.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    assert web.get("/live").status == 200  # or for nothing whole
    for one in held:
        one.close()
    monkeypatch.setattr(judging, "_MOST", 0)
    assert web.post("/login", user="alice", passcode="x").status == 503, "more logins at a time than may be"
    monkeypatch.setattr(connections, "PATIENCE", 0.1)
    with socket.create_connection(web.address) as slow:
        slow.settimeout(20)
        slow.sendall(b"GET /live HTTP/1.1\r\n")
        assert slow.recv(1) == b""
