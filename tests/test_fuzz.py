"""The fuzz targets hold their promise for some hundred inputs, and a target with a defect is caught."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dicomgate.wire.associate import AssociateRequest
from fuzz import TARGETS, engine

ROOT = Path(__file__).parents[1]
EXECUTIONS = 500


@pytest.mark.parametrize("name", TARGETS)
def test_each_target_holds_its_promise(name: str) -> None:
    pytest.importorskip({"jwt_token": "dicomgate_jwt", "saml_assertion": "dicomgate_saml"}.get(name, "dicomgate"))
    executions, findings = engine.run(engine.load(name), executions=EXECUTIONS, seconds=60)
    assert (executions, findings) == (EXECUTIONS, [])


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_reach_the_parser_and_the_mutations_its_refusals(name: str) -> None:
    target = engine.load(name)
    seeds = list(target.seeds())
    inputs = seeds + [engine.made(target, seeds, 0, number) for number in range(EXECUTIONS)]
    assert len(set(inputs)) > EXECUTIONS * 0.8
    refused = [data for data in inputs if _refused(target, data)]
    assert len(refused) < len(inputs)
    assert refused or not target.refusals


def _refused(target: engine.Target, data: bytes) -> bool:
    try:
        target.run(data)
    except target.refusals:
        return True
    return False


def _with_a_rare_defect(data: bytes) -> None:
    """A defect that no seed reaches: other first letters of a name."""
    identity = AssociateRequest.parse(data).identity
    if identity is not None and identity.primary[:1] not in (b"a", b"e", b""):
        raise IndexError("planted")


def _that_takes_long(data: bytes) -> None:
    if len(AssociateRequest.parse(data).contexts) > 1:
        until = time.thread_time() + engine.LONGEST + 0.1
        while time.thread_time() < until:
            pass


def test_a_planted_defect_is_found_by_a_mutation() -> None:
    target = replace(engine.load("associate_request"), run=_with_a_rare_defect)
    _, findings = engine.run(target, executions=20_000, seconds=60)
    (what,) = {finding.what for finding in findings}
    assert what == "IndexError: planted"
    assert findings[0].number >= len(target.seeds())
    assert engine.check(target, findings[0].data) == what


def test_an_input_that_takes_long_is_found() -> None:
    target = replace(engine.load("associate_request"), run=_that_takes_long)
    _, (finding,) = engine.run(target, executions=2, seconds=30)
    assert (finding.number, finding.data) == (1, target.seeds()[1])
    assert re.fullmatch(r"took \d+\.\d s of CPU time", finding.what)


def test_an_input_that_takes_memory_is_found() -> None:
    """In a process of its own: what is looked at is the largest size that a process ever had."""
    script = (
        "from dataclasses import replace; from fuzz import engine;"
        "target = replace(engine.load('pdu_reader'), run=lambda data: b'1' * (engine.LARGEST * len(data)));"
        "print(engine.check(target, b''), engine.check(target, b'12'))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r" grew by \d{9} bytes\n", done.stdout)


def test_a_run_can_be_repeated() -> None:
    target = engine.load("pdv_stream")
    seeds = list(target.seeds())
    assert engine.made(target, seeds, 1, 7) == engine.made(target, seeds, 1, 7) != engine.made(target, seeds, 2, 7)


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz", "pdu_reader", "--findings", str(tmp_path)]
    done = subprocess.run([*command, "--executions", "50"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "pdu_reader: 50 inputs, 0 findings\n")
    assert list(tmp_path.iterdir()) == []
