"""Whatever a server does, the answer comes in time, the event loop goes on meanwhile, and no process is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.loopback import wait_until
from dicomgate_ldap import Ldap, workers
from dicomgate_ldap.messages import Failed, Question, Refused, Verified, read_answer, to_line
from dicomgate_ldap.settings import Settings
from dicomgate_ldap.workers import Workers
from plugins.ldap.tests.mischief import STARTTLS_SUCCEEDS, Conversation, Mischief, hangs_up, says, silent, slowly_to
from plugins.ldap.tests.slapd import Slapd

_T = TypeVar("_T")

RIGHT, WRONG_ONE = Question("alice", ALICE.decode()), Question("alice", WRONG.decode())
SLACK = 1.0
NO_BIND_RESPONSE = bytes.fromhex("300c 020101 6407 0a0100 0400 0400")  # but a search's
EMPTY_BIND_RESPONSE = bytes.fromhex("3005 020101 6100")


def settings(slapd: Slapd, server: str = "") -> Settings:
    return replace(Ldap(**slapd.keys())._settings[0], server=server or slapd.plain)


def with_workers(told: Settings, use: Callable[[Workers], Awaitable[_T]], most: int = 2) -> _T:
    async def run() -> _T:
        workers = Workers(told, most)
        try:
            return await use(workers)
        finally:
            await workers.close()

    return asyncio.run(run())


def all_children() -> set[int]:
    """The workers that this process has."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == os.getpid() and b"dicomgate_ldap.worker" in command:
            found.add(int(entry.name))
    return found


Children = Callable[[], set[int]]


@pytest.fixture
def children() -> Children:
    """Give a function that returns the workers that this process has by now, and did not have before the test."""
    before = all_children()
    return lambda: all_children() - before


async def longest_pause(until: Awaitable[_T]) -> tuple[_T, float]:
    """What it gives, and the longest time for which the event loop did nothing else meanwhile."""
    longest, last = 0.0, time.monotonic()

    async def tick() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()

    ticking = asyncio.create_task(tick())
    try:
        return await until, longest
    finally:
        ticking.cancel()


@pytest.mark.parametrize(
    ("scheme", "conversation"),
    [
        ("ldap", silent),
        ("ldaps", silent),  # libldap is in the middle of a TLS handshake
        ("ldap", says(STARTTLS_SUCCEEDS)),  # and here as well
        ("ldap", says(b"\x30\x84\x00\x00\x10\x00\x02")),  # a message that never ends
        ("ldaps", says(b"\x16\x03\x03\x01\x00")),  # a TLS record that never ends
    ],
)
def test_a_server_that_hangs(children: Children, slapd: Slapd, scheme: str, conversation: Conversation) -> None:
    with Mischief(conversation) as server:

        async def ask(workers: Workers) -> tuple[object, float, float]:
            start = time.monotonic()
            answer, pause = await longest_pause(workers.ask(RIGHT, 1.0))
            took = time.monotonic() - start
            await asyncio.sleep(0.5)
            assert not children()  # killed; by itself it would end later
            return answer, took, pause

        answer, took, pause = with_workers(settings(slapd, server.url(scheme)), ask)
        assert server.connections
    assert answer == Failed("no answer within 1 s")
    assert 1.0 <= took < 1.0 + SLACK
    assert pause < 0.8
    assert not children()


@pytest.mark.parametrize(
    ("scheme", "conversation", "said"),
    [
        ("ldap", hangs_up, "it does not answer StartTLS with success"),
        ("ldap", says(b"HTTP/1.1 400 Bad Request\r\n\r\n", ends=True), "it does not answer StartTLS with success"),
        ("ldap", says(bytes(range(256)) * 9, ends=True), "it does not answer StartTLS with success"),
        ("ldap", says(STARTTLS_SUCCEEDS + b"garbage" * 9, ends=True), "no TLS: "),
        ("ldaps", says(b"HTTP/1.1 400 Bad Request\r\n\r\n", ends=True), "no TLS: WRONG_VERSION_NUMBER"),
        ("ldaps", hangs_up, "no TLS: "),
        ("cleartext", hangs_up, "Can't contact LDAP server"),
        ("cleartext", says(b"HTTP/1.1 400 Bad Request\r\n\r\n", ends=True), "Can't contact LDAP server"),
        ("cleartext", says(NO_BIND_RESPONSE, ends=True), "Can't contact LDAP server"),
        ("cleartext", says(EMPTY_BIND_RESPONSE, ends=True), "defect: SystemError"),  # of bonsai
    ],
)
def test_a_server_that_talks_something_else(slapd: Slapd, scheme: str, conversation: Conversation, said: str) -> None:
    with Mischief(conversation) as server:
        told = settings(slapd, server.url("ldaps" if scheme == "ldaps" else "ldap"))
        told = replace(told, cleartext=scheme == "cleartext")
        answer = with_workers(told, lambda workers: workers.ask(RIGHT, 10.0))
    assert isinstance(answer, Failed)
    assert said in answer.reason or answer.reason == "Connection reset by peer"


def test_a_slow_server_is_waited_for(slapd: Slapd) -> None:
    host, _, port = slapd.plain.removeprefix("ldap://").partition(":")
    with Mischief(slowly_to((host, int(port)), 0.05)) as server:
        told = settings(slapd, server.url())
        right, wrong = (
            with_workers(told, lambda workers, one=one: workers.ask(one, 20.0)) for one in (RIGHT, WRONG_ONE)
        )
    assert isinstance(right, Verified)
    assert right.seconds > 0.2
    assert isinstance(wrong, Refused)


def test_one_that_hangs_leaves_the_others_alone(children: Children, slapd: Slapd) -> None:
    """One worker for each question: while one is held, another one answers."""
    with Mischief(silent) as server:

        async def ask(stuck: Workers) -> None:
            good = Workers(settings(slapd), 1)
            await good.ask(RIGHT, 20.0)
            held = asyncio.create_task(stuck.ask(RIGHT, 3.0))
            for _ in range(5):
                assert isinstance(await good.ask(RIGHT, 2.0), Verified)
            assert not held.done()
            assert isinstance(await held, Failed)
            await good.close()

        with_workers(settings(slapd, server.url("ldaps")), ask)
    assert not children()


def test_when_all_are_busy_nobody_is_blamed(slapd: Slapd) -> None:
    with Mischief(silent) as server:

        async def ask(workers: Workers) -> list[object]:
            first = asyncio.create_task(workers.ask(RIGHT, 2.0))
            await asyncio.sleep(0.1)
            return [await workers.ask(RIGHT, 0.5), await first]

        busy, late = with_workers(settings(slapd, server.url()), ask, most=1)
    assert busy == Failed("all connections are busy", asked=False)
    assert late == Failed("no answer within 2 s", asked=True)


def test_who_hangs_up_costs_no_process(children: Children, slapd: Slapd) -> None:
    async def ask(workers: Workers) -> None:
        await workers.ask(RIGHT, 20.0)
        before = children()
        for _ in range(5):
            abandoned = asyncio.create_task(workers.ask(RIGHT, 20.0))
            await asyncio.sleep(0.001)
            abandoned.cancel()
            await asyncio.wait((abandoned,))
            assert isinstance(await workers.ask(RIGHT, 20.0), Verified)
        assert children() == before
        assert len(before) == 1

    with_workers(settings(slapd), ask, most=1)


@pytest.mark.parametrize("ends_by", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_is_replaced(children: Children, slapd: Slapd, ends_by: signal.Signals) -> None:
    async def ask(workers: Workers) -> None:
        assert isinstance(await workers.ask(RIGHT, 20.0), Verified)
        (worker,) = children()
        os.kill(worker, ends_by)
        while children():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # the event loop is told
        assert isinstance(await workers.ask(RIGHT, 20.0), Verified)

    with_workers(settings(slapd), ask, most=1)
    assert not children()


def test_a_worker_that_dies_with_a_question(children: Children, slapd: Slapd) -> None:
    with Mischief(silent) as server:

        async def ask(workers: Workers) -> object:
            asked = asyncio.create_task(workers.ask(RIGHT, 20.0))
            while not server.connections:
                await asyncio.sleep(0.01)
            (worker,) = children()
            os.kill(worker, signal.SIGKILL)
            return await asked

        answer = with_workers(settings(slapd, server.url()), ask)
    assert answer == Failed("the process that asks it ended or cannot be started (EOFError)")


def test_a_worker_is_replaced_after_so_many_questions(
    children: Children, slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_MOST_QUESTIONS", 3)

    async def ask(workers: Workers) -> list[set[int]]:
        seen = []
        for _ in range(6):
            assert isinstance(await workers.ask(RIGHT, 20.0), Verified)
            seen.append(children())
        return seen

    seen = with_workers(settings(slapd), ask, most=1)
    assert seen[0] == seen[1]
    assert seen[3] == seen[4]
    assert not seen[1] & seen[3]


def test_signals_of_the_terminal_do_not_end_a_worker(children: Children, slapd: Slapd) -> None:
    """Ctrl-C goes to all processes in front of the terminal, SIGTERM to all of a service: the gateway drains then."""

    async def ask(workers: Workers) -> None:
        await workers.ask(RIGHT, 20.0)
        (worker,) = before = children()
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGTERM)
        assert isinstance(await workers.ask(RIGHT, 20.0), Verified)
        assert children() == before

    with_workers(settings(slapd), ask, most=1)


class TestAlone:
    """A worker without a gateway, which was killed."""

    def start(self, told: Settings) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "dicomgate_ldap.worker"]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert worker.stdin is not None
        worker.stdin.write(to_line(told))
        worker.stdin.flush()
        return worker

    def test_it_ends_with_its_input(self, slapd: Slapd) -> None:
        worker = self.start(settings(slapd))
        output, _ = worker.communicate(to_line(replace(RIGHT, seconds=20.0)), timeout=20)
        assert isinstance(read_answer(output), Verified)
        assert worker.returncode == 0

    def test_it_ends_though_it_hangs(self, slapd: Slapd) -> None:
        with Mischief(silent) as server:
            worker = self.start(settings(slapd, server.url("ldaps")))
            output, _ = worker.communicate(to_line(replace(RIGHT, seconds=0.5)), timeout=20)
            assert server.connections
        assert output == b""
        assert worker.returncode == -signal.SIGALRM

    def test_no_secret_is_in_what_others_can_see_of_it(self, slapd: Slapd) -> None:
        with Mischief(silent) as server:
            worker = self.start(settings(slapd, server.url()))
            assert worker.stdin is not None
            worker.stdin.write(to_line(replace(RIGHT, seconds=20.0)))
            worker.stdin.flush()
            wait_until(lambda: server.connections, "a question")
            shown = Path(f"/proc/{worker.pid}/cmdline").read_bytes() + Path(f"/proc/{worker.pid}/environ").read_bytes()
            worker.kill()
            worker.communicate(timeout=20)
        assert b"dicomgate_ldap.worker" in shown
        assert ALICE not in shown


def test_a_defect_tells_no_secret(monkeypatch: pytest.MonkeyPatch, slapd: Slapd) -> None:
    import io

    from dicomgate_ldap import directory, worker

    def broken(self: object, question: Question) -> None:
        raise RuntimeError(question.passcode)

    monkeypatch.setattr(directory.Directory, "answer", broken)
    output = io.BytesIO()
    worker.serve([to_line(settings(slapd)), to_line(replace(RIGHT, seconds=20.0))], output)
    answer = read_answer(output.getvalue())
    assert isinstance(answer, Failed)
    assert answer.reason.startswith("defect: RuntimeError in test_ldap_workers.py:")
    assert ALICE.decode() not in answer.reason


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"[]\n", b"{}\n", b'["Verified"]\n', b'["Accept", {}]\n', b'["Failed", {"x": 1}]\n']
)
def test_what_is_no_answer(line: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_answer(line)
    assert read_answer(to_line(Verified("a", "b", ("c",)))) == Verified("a", "b", ("c",))
