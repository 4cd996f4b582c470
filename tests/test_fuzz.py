"""The fuzz targets hold their promise for some hundred inputs, and a target with a defect is caught."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from dicomgate.wire.associate import AssociateRequest
from fuzz import GROUPS, TARGETS, corpora, engine, growing, processes

ROOT = Path(__file__).parents[1]
EXECUTIONS = 400
_NEEDS = {"jwt": "dicomgate_jwt", "saml": "dicomgate_saml", "kerberos": "dicomgate_kerberos"}

pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> engine.Target:
    pytest.importorskip(_NEEDS.get(request.param.partition("_")[0], "dicomgate"), exc_type=ImportError)
    return engine.load(request.param)


def test_each_target_holds_its_promise(target: engine.Target) -> None:
    ran = engine.run(target, executions=EXECUTIONS, seconds=60)
    assert (ran.executions, ran.findings) == (EXECUTIONS, {})
    assert "\nPromise: " in str(sys.modules[target.run.__module__].__doc__)


def test_the_seeds_reach_the_reader_and_the_mutations_its_refusals(target: engine.Target) -> None:
    seeds = target.inputs()
    inputs = [*seeds, *engine.made(target, seeds, 0, engine.BLOCK * (1 + len(seeds) // engine.BLOCK))]
    assert len(set(inputs)) > len(inputs) * 0.8
    if target.refusals:
        tried = inputs[: 2 * EXECUTIONS]
        assert 0 < sum(_refused(target, data) for data in tried) < len(tried)


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


def test_a_planted_defect_is_found_by_a_mutation_and_can_be_made_again() -> None:
    target = replace(engine.load("associate_request"), run=_with_a_rare_defect)
    (finding,) = engine.run(target, executions=20_000, seconds=60).findings.values()
    assert finding.what == "IndexError: planted"
    seeds = target.inputs()
    assert finding.number >= len(seeds)
    first = finding.number - finding.number % engine.BLOCK
    assert [*islice(engine.made(target, seeds, 0, first), engine.BLOCK)][finding.number - first] == finding.data
    assert engine.check(target, finding.data) == finding.what
    parts = engine.Ran()
    for part in (1, 0):
        parts.add(engine.run(target, executions=20_000, seconds=60, part=part, parts=2))
    assert (parts.executions, [*parts.findings.values()]) == (20_000, [finding])


_GUIDED = """
import sys
from dataclasses import replace
from types import ModuleType
from fuzz import guided

def target(_):
    # Here, because guided instruments what is imported by its target alone.
    from dicomgate.wire.proxy import read_header
    from fuzz.targets import proxy_header
    def run(data):
        found = read_header(data)[1]
        if found is not None and found.unique_id[:1] == "x":
            raise IndexError("planted")
    return replace(proxy_header.TARGET, run=run)

planted = sys.modules["fuzz.targets.planted"] = ModuleType("planted")
planted.__getattr__ = target
sys.argv[1:] = ["0", "60", "0", sys.argv[1], "planted"]
guided.main()
"""


def test_the_guided_engine_finds_it_too(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    done = subprocess.run([sys.executable, "-c", _GUIDED, str(tmp_path)], cwd=ROOT, capture_output=True, check=False)
    assert b"AssertionError: IndexError: planted" in done.stderr + done.stdout
    (path,) = tmp_path.glob("planted-*")
    assert b"\5\0" in path.read_bytes()


def test_an_input_that_takes_long_is_found() -> None:
    target = replace(engine.load("associate_request"), run=_that_takes_long)
    (finding,) = engine.run(target, executions=2, seconds=30).findings.values()
    assert (finding.number, finding.data) == (1, target.seeds()[1])
    assert re.fullmatch(r"took \d+\.\d s of CPU time", finding.what)


def test_an_input_that_takes_memory_is_found() -> None:
    """In a process of its own: what is looked at is the largest size that a process ever had."""
    script = (
        "from dataclasses import replace; from fuzz import engine;"
        "run = lambda data: b'1' * (2 * engine.LARGEST * (data == b'GET / HTTP/1.1\\r\\n\\r\\n'));"
        "target = replace(engine.load('pdu_reader'), run=run);"
        "print(*((one.number, one.what) for one in engine.run(target, executions=9, seconds=9).findings.values()))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\(3, 'grew by \d{9} bytes'\)\n", done.stdout)


def test_an_input_that_ends_the_process_is_found(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", _ENDS, str(tmp_path)], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGSEGV
    ran = engine.Ran()
    processes._ended(tmp_path / "running", ran)
    (finding,) = ran.findings.values()
    assert (finding.data, [*tmp_path.iterdir()]) == (b"deadly", [])


_ENDS = """
import os, signal, sys
from pathlib import Path
from fuzz import engine
def run(data):
    if data == b"deadly":
        os.kill(os.getpid(), signal.SIGSEGV)
target = engine.Target("none", (), run, (), lambda: [b"harmless", b"deadly", b"other"], native=True)
engine.run(target, executions=3, seconds=9, running=Path(sys.argv[1]) / "running")
"""


def test_a_corpus_grows_by_what_reaches_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "_GROWN", tmp_path)
    target = engine.load("pdv_stream")
    growing.grow(target, seed=0, seconds=60, executions=2_000, found=[])
    grown = corpora.grown("pdv_stream")
    assert grown == sorted(grown, key=lambda data: (len(data), data))
    assert growing.chosen(target, grown, target.seeds()) == grown != []
    assert target.inputs()[-len(grown) :] == grown


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz", "pdu_reader", "tls_hello", "--findings", str(tmp_path), "--jobs"]
    for jobs in ("1", "2"):
        bounds = [jobs, "--executions", "1100"]
        done = subprocess.run([*command, *bounds], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert re.sub("[0-9]+ a CPU", "N a CPU", done.stdout) == (
            "pdu_reader: 1100 inputs, N a CPU second, 0 findings\ntls_hello: 1100 inputs, N a CPU second, 0 findings\n"
        )
    assert list(tmp_path.iterdir()) == []


def test_each_module_is_a_target_of_a_group() -> None:
    modules = {path.stem for path in (ROOT / "fuzz/targets").glob("*.py")} - {"__init__"}
    assert sorted(modules) == sorted(TARGETS) == sorted(name for group in GROUPS.values() for name in group)
