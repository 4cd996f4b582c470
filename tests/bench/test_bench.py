from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from functools import partial
from itertools import islice
from math import inf
from pathlib import Path

import pytest

from bench import presented
from bench.__main__ import TITLES
from bench.associations import ALICE, Refusal, at_once, at_rate
from bench.messages import ECHO, ECHO_RSP, RELEASE_RP, associate_ac
from bench.processes import BenchError
from bench.report import PAGE, insert, table
from bench.results import Bar, Comparison, Options, Sample, interleave
from bench.steps import steps
from dicomgate.testing.peers.spy import Spy, reject

ROOT = Path(__file__).parent.parent.parent
ROUNDS = [
    {"direct": Sample(8), "HAProxy": Sample(4, 0.1), "dicomgate": Sample(3, 0.2)},
    {"direct": Sample(6), "HAProxy": Sample(2, 0.1), "dicomgate": Sample(2, 0.1)},
    {"direct": Sample(9), "HAProxy": Sample(5, 0.2), "dicomgate": Sample(3, 0.2)},
]


def compared(*bars: Bar) -> Comparison:
    return Comparison("Bulk", "GB/s", ROUNDS, ("HAProxy",), "s/GB", bars)


def test_a_small_benchmark_runs_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "rate", "--quick"],
        cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"## {TITLES['rate']}\n")
    for contestant in ("direct", "dicomgate", "pynetdicom acceptor"):
        assert f"\n| {contestant} | " in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert processes_that_name(tmp_path) == []


def test_every_authenticator_has_logins_that_it_accepts() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "logins", "--quick"],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for authenticator in ("trivial", "passcode file", "SQLite", "JWT RS256", "JWT ES256", "SAML"):
        assert len(re.findall(rf"^\| {authenticator} \| [\d.,]+ ", done.stdout, re.MULTILINE)) == 2, done.stderr
    assert "20 new users" in done.stdout


def test_the_single_steps_of_limited_rights_are_measured() -> None:
    comparison = steps(Options(1, quick=True))
    assert [bar.contestant for bar in comparison.bars] == comparison.contestants
    assert all((comparison.median(name) or 0) > 0 for name in comparison.contestants if "PDU" not in name)


def test_every_credential_is_presented(tmp_path: Path) -> None:
    comparisons = presented.run(Options(1, quick=True), tmp_path)
    assert [len(comparison.contestants) for comparison in comparisons] == [2, 3]
    for comparison in comparisons:
        assert [bar.contestant for bar in comparison.bars] == comparison.contestants
        assert all((comparison.median(name) or 0) > 0 for name in comparison.contestants)


@pytest.mark.parametrize("repaired", [[], ["--repaired"]])
def test_answers_that_pynetdicom_loses_are_counted(tmp_path: Path, repaired: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.lost_answers", "--echoes", "200", *repaired],
        cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    said = re.fullmatch(r"(\d+) of 200 C-ECHOs without an answer; (\d+) answers arrived and .*\n", done.stdout)
    assert said, done.stderr
    assert said[1] == said[2]
    assert said[1] == "0" or not repaired
    assert list(tmp_path.iterdir()) == []
    assert processes_that_name(tmp_path) == []


def test_an_interrupt_stops_all_that_was_started(tmp_path: Path) -> None:
    bench = subprocess.Popen(
        [sys.executable, "-m", "bench", "rate", "--quick", "--rounds", "1000"],
        cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with bench:
        while not any("dicomgate.cli" in line for line in processes_that_name(tmp_path)):
            assert bench.poll() is None, "it ended before the gateway was started"
            time.sleep(0.02)
        bench.send_signal(signal.SIGINT)
        assert bench.wait(30) == 130
    assert list(tmp_path.iterdir()) == []
    for _ in range(500):  # they were told to end, and end a moment later
        if not processes_that_name(tmp_path):
            break
        time.sleep(0.02)
    assert processes_that_name(tmp_path) == []


def processes_that_name(folder: Path) -> list[str]:
    """Command lines with that folder in them."""
    return [line for line in map(command_line, Path("/proc").glob("[0-9]*")) if str(folder) in line]


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text("utf-8", "replace").replace("\0", " ")
    except OSError:
        return ""


def test_an_open_loop_does_not_wait_for_answers_and_counts_from_the_plan() -> None:
    """A server that answers nobody before the last one has come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=serve_together, args=(listener, 5))
        answering.start()
        lasted = at_rate(listener.getsockname()[1], 100, 5)
        answering.join()
    assert [seconds >= (4 - number) / 100 for number, seconds in enumerate(sorted(lasted, reverse=True))] == [True] * 5


def serve_together(listener: socket.socket, count: int) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(listener.accept()[0]) for _ in range(count)]
        for answer in (associate_ac(ECHO), ECHO_RSP, RELEASE_RP):
            for connection in connections:
                connection.recv(65536)
                connection.sendall(answer)


def test_a_refusal_is_an_error_unless_it_is_counted() -> None:
    with Spy([reject(2, 2, 1)]) as spy:
        with pytest.raises(BenchError, match="RJ 2,2,1"):
            at_once(spy.address[1], 1, inf, islice(ALICE, 1))
        refusals: list[Refusal] = []
        assert at_once(spy.address[1], 2, inf, islice(ALICE, 3), refusals)[0] == []
        assert [reason for _, reason in refusals] == ["2,2,1"] * 3


def test_ratios_are_taken_within_a_round() -> None:
    comparison = compared()
    assert comparison.median("dicomgate") == 3
    assert comparison.ratio("dicomgate", "HAProxy") == 0.75  # of 0.75, 1 and 0.6; the medians' own would be 3 / 4
    assert comparison.ratio("dicomgate", "HAProxy", "cpu") == 1
    assert comparison.ratio("direct", "HAProxy", "cpu") is None
    assert comparison.spread("HAProxy") == (2, 5)


@pytest.mark.parametrize(
    ("bar", "reached"),
    [
        (Bar(against="HAProxy", least=0.75), True),
        (Bar(against="HAProxy", least=0.76), False),
        (Bar("cpu", "HAProxy", most=1), True),
        (Bar("cpu", "HAProxy", most=0.9), False),
        (Bar(most=3), True),
        (Bar(most=2.9), False),
        (Bar(against="nginx", least=0.1), None),
    ],
)
def test_a_bar_is_judged_by_what_was_measured(bar: Bar, reached: bool | None) -> None:
    assert compared().judge(bar).reached is reached


def test_the_table_shows_bars_that_are_not_reached() -> None:
    text = table(compared(Bar(against="HAProxy", least=0.7), Bar(against="HAProxy", least=0.8)))
    assert "| dicomgate | 3 | 2 - 3 | 0.75 | 0.2 | 1 |" in text
    assert "| at least 0.7 times HAProxy | 0.75 | reached |" in text
    assert "| at least 0.8 times HAProxy | 0.75 | **not reached** |" in text


def test_every_contestant_has_its_turn_in_every_round() -> None:
    turns: list[str] = []

    def take(name: str) -> Sample:
        turns.append(name)
        return Sample(len(turns))

    rounds = interleave({name: partial(take, name) for name in "abc"}, 20)
    assert [list(taken) for taken in rounds] == [["a", "b", "c"]] * 20
    orders = {tuple(turns[start : start + 3]) for start in range(0, 60, 3)}
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert len(orders) > 1


def test_the_page_has_a_place_for_every_benchmark_and_keeps_the_rest() -> None:
    page = PAGE.read_text("utf-8")
    for name in TITLES:
        changed = insert(page, name, "measured")
        assert f"<!-- bench {name} -->\n\nmeasured\n\n<!-- end {name} -->" in changed
        assert insert(changed, name, "again") == insert(page, name, "again")
    with pytest.raises(ValueError, match="no <!-- bench unknown -->"):
        insert(page, "unknown", "measured")
