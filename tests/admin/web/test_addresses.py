"""A PACS with several addresses: an operator takes one out at the page, and who asks for it hears when none answers."""

from __future__ import annotations

import re

from dicomgate.testing.peers.loopback import HOST, free_port, wait_until
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.system_gateway import StartGateway, configuration

from .conftest import ADMIN, Web


def test_an_address_is_taken_out_and_used_again_by_its_buttons(gateway: StartGateway, spy: Spy) -> None:
    there, nowhere = f"{spy.address[0]}:{spy.address[1]}", f"{HOST}:{free_port()}"
    tables = {**configuration(spy.address), "admin": ADMIN}
    del tables["upstream"][0]["address"]
    tables["upstream"][0] |= {"addresses": [nowhere, there], "check": "tcp", "check_interval": "1s", "fall": 1}
    running = gateway(tables)
    web = Web(running)
    name = tables["upstream"][0]["name"]

    def states(cookie: str) -> list[str]:
        return re.findall(rf"{HOST}:\d+: ([a-z ()]+)", web.get("/", cookie).text)

    def ready() -> tuple[int, int]:
        return web.get(f"/ready?upstream={name}").status, web.get("/ready").status

    cookie, token = web.log_in("alice")
    viewer, of_viewer = web.log_in("zoë")
    wait_until(lambda: states(cookie) == ["down", "up"], "the checks")
    assert ready() == (200, 200)
    assert web.get("/ready?upstream=nobody").status == 404
    asked = {"upstream": name, "address": there, "order": "drain"}
    assert 'name="order"' not in web.get("/", viewer).text
    assert web.post("/actions/order", viewer, token=of_viewer, **asked).status == 403
    assert states(cookie) == ["down", "up"]
    assert web.post("/actions/order", cookie, token=token, **asked).status == 303
    assert states(cookie) == ["down", "drain (operator)"]
    assert ready() == (503, 200), "the PACS alone"
    assert web.post("/actions/order", cookie, token=token, **{**asked, "order": "away"}).status == 303
    assert "order: write one of ready, drain, down." in web.get("/", cookie).text
    assert web.post("/actions/order", cookie, token=token, **{**asked, "order": "ready"}).status == 303
    wait_until(lambda: ready() == (200, 200), "it is used again")
    assert [(one["action"], one["target"]) for one in web.operated(by="staff/alice", problem="")][-2:] == [
        ("address drain", f"{name} {there}"), ("address ready", f"{name} {there}"),
    ]  # fmt: skip
