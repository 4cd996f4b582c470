"""The status page in Chromium, with a storescu that sends for as long as it may: seen, sought, ended."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import DEVNULL

import pytest

from dicomgate import Identity, IdentityType
from dicomgate.testing import clients
from dicomgate.testing.evidence import ALICE, WRONG, Evidence
from dicomgate.testing.peers.dcmtk import NO_DELAY, run_storescp
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import configuration, gateways

from .browser import ABSENT, Browser
from .conftest import ADMIN, PASSCODES, Web

pytestmark = pytest.mark.skipif(
    ABSENT or shutil.which("storescu") is None, reason="chromium, chromium-driver or dcmtk is not installed"
)
MARKUP, TURNED = "<script>", "mallory\u202egnp.exe"
"""An AE title that PS3.5 allows, and a name that shows itself backwards."""


@pytest.fixture(scope="module")
def web(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("browser")
    with run_storescp(folder, ["--ignore"]) as scp, gateways(evidence, folder) as start:
        ct_slice(folder / "image.dcm")
        tables = {**configuration(scp.address), "admin": ADMIN}
        tables["upstream"][0]["addresses"] = [tables["upstream"][0].pop("address")]
        yield Web(start(tables))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def browser(chromium: Browser, web: Web) -> Iterator[Browser]:
    """Alice is logged in to the page."""
    chromium.size(1400, 900)
    chromium.go(f"http://{web.host}/")
    chromium.type("#user", "alice")
    chromium.type("#passcode", PASSCODES["alice"])
    chromium.click("button")
    chromium.shows("Log out")
    yield chromium
    chromium.click("form[action='/logout'] button")
    chromium.shows("Log in", "h1")


@contextmanager
def sending(web: Web, calling: str) -> Iterator[subprocess.Popen[bytes]]:
    """A storescu that sends the same image again and again, as alice."""
    host, port = web.gateway.address
    image = web.gateway.folder.parent / "image.dcm"
    who = ["-aet", calling, "-aec", "PACS", "-usr", "alice", "-pwd", ALICE.decode()]
    count = len(web.gateway.told("Established"))
    with ExitStack() as stack:
        command: list[str | Path] = ["storescu", "--repeat", "1000000", *who, host, str(port), image]
        process = subprocess.Popen(command, stdout=DEVNULL, stderr=DEVNULL, env={**os.environ, **NO_DELAY})
        stack.callback(process.wait, 20)
        stack.callback(process.kill)
        web.gateway.wait_for("Established", count + 1)
        yield process


def ended_by_alice(web: Web, process: subprocess.Popen[bytes], calling: str) -> None:
    assert process.wait(20) != 0
    (closed,) = web.gateway.wait_for("Closed", cause="ended by the operator", calling_ae_title=calling)
    assert "staff/alice" in closed["detail"]


def test_an_association_is_seen_sought_and_ended(browser: Browser, web: Web) -> None:
    browser.complaints()
    clients.echo(web.gateway.address, Identity(IdentityType.USERNAME_AND_PASSCODE, TURNED.encode(), WRONG), "CT1", None)
    with sending(web, MARKUP) as process:
        browser.go(f"http://{web.host}/")
        browser.shows(f"{MARKUP} → PACS", "#live")
        browser.shows(r"mallory\u202egnp.exe", "#refusals")
        browser.shows("wrong_credential", "#refusals")
        assert browser.js("return document.scripts.length") == 1
        browser.js("window.same = true; document.querySelector('.act button').focus()")
        focused = browser.js("return document.activeElement.id")
        search(browser, "nobody like that")
        browser.shows("No association is like this", "#live")
        search(browser, MARKUP)
        browser.shows("1 found", "#count")
        browser.js(f"document.getElementById('{focused}').focus()")
        browser.js("document.querySelector('#live tbody').dataset.old = ''")
        search(browser, MARKUP)
        wait_until(lambda: browser.js("return document.querySelector('[data-old]') === null"), "the page refreshes")
        assert browser.js("return document.activeElement.id") == focused
        for width in (390, 1400):
            browser.size(width, 900)
            assert browser.js("return document.documentElement.scrollWidth <= innerWidth")
        assert browser.js("return window.same") is True  # in place
        browser.click(".act button")
        browser.shows("was ended", ".said")
        ended_by_alice(web, process, MARKUP)
    assert browser.complaints() == []


def search(browser: Browser, text: str) -> None:
    """As if it was typed, but the focus stays where it is."""
    browser.js(f"const q = document.getElementById('q'); q.value = '{text}'; q.dispatchEvent(new Event('input'))")


def test_an_address_is_drained_and_used_again(browser: Browser) -> None:
    browser.complaints()  # that the login page came with 401
    for order, state in (("drain", "drain (operator)"), ("ready", "up")):
        browser.click(f".orders button[value={order}]")
        browser.shows("gets no more" if order == "drain" else "gets associations again", ".said")
        browser.shows(f": {state}")
    assert browser.complaints() == []


def test_the_same_without_javascript(browser: Browser, web: Web) -> None:
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    try:
        with sending(web, "NOSCRIPT") as process:
            browser.go(f"http://{web.host}/")
            browser.type("#q", "noscript")
            browser.click("#filter button")
            browser.shows("1 found", "#count")
            browser.click("td.name a")
            browser.click("#end-all")
            browser.shows("1 association was ended: staff/alice.", ".said")
            ended_by_alice(web, process, "NOSCRIPT")
        browser.click("form[action='/actions/drain'] button")
        browser.shows("Drain the gateway?", "h1")
        browser.click("a.button")
        assert not web.gateway.server.history.draining
    finally:
        browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
