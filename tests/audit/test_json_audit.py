"""The audit: exactly its fields, one ASCII line for each record, whatever the peer calls itself."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
from datetime import timedelta, timezone
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from dicomgate import StartError
from dicomgate.audit.json_audit import Audit
from dicomgate.events.audit import record
from dicomgate.events.backlog import MOST
from dicomgate.events.events import Event, Facts
from tests.events.examples import (
    ACCEPTED,
    ADDRESS,
    CLOSED,
    DENIED,
    ESTABLISHED,
    NASTY,
    NOW,
    OPENED,
    REFUSED,
    naughty,
    printable,
)

EVENTS: list[Event] = [OPENED, ACCEPTED, REFUSED, ESTABLISHED, DENIED, CLOSED]


def poisoned(event: Event, text: str) -> list[Event]:
    """The event once for each of its fields that is made of strings, with the text in that place."""
    evil: dict[type, Any] = {str: text, tuple: (text, "b"), dict: {text: text}}
    kinds = {name: type(value) for name, value in event._asdict().items()}
    of_the_event = [event._replace(**{name: evil[kind]}) for name, kind in kinds.items() if kind in evil]
    facts: dict[str, Any] = event.facts._asdict()
    text_facts = [{name: text} for name, value in facts.items() if isinstance(value, str)]
    return [*of_the_event, *(event._replace(facts=Facts(**facts | evil_fact)) for evil_fact in text_facts)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def kept(audit: Audit, event: Event) -> str:
    """Write its record and wait for the answer."""
    answers: SimpleQueue[str] = SimpleQueue()
    audit.keep(event, answers.put)
    return answers.get(timeout=30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def audit(path: Path) -> Any:
    audit = Audit(path, "gate-1")
    yield audit
    audit.close()


def test_the_fields_are_exactly_these(audit: Audit, path: Path) -> None:
    for event in EVENTS:
        audit(event)
    audit.close()
    address = {"listener": "clinical", "address": "192.0.2.1", "port": 50000}
    claimed = {"calling_ae_title": "CT1", "called_ae_title": "PACS", "identity_type": 2, "claimed": "alice"}
    unknown = {"calling_ae_title": "", "called_ae_title": "", "identity_type": None, "claimed": None}
    nobody = {"user": None, "authenticator": "", "upstream": ""}
    alice = {"user": "alice.liddell", "authenticator": "staff", "upstream": ""}
    head, time = {"node": "gate-1", "id": "a1", **address}, {"time": "2026-01-02T03:04:05.678+00:00"}
    time = {"via": "10.0.0.5", "unique_id": "C0A8", **time}
    assert lines(path) == [
        {"event": "Opened", **head, **unknown, **nobody, **time},
        {
            "event": "Decided", **head, **claimed, **alice, **time, "outcome": "accept", "reason": "",
            "groups": ["ct", "mr"], "attributes": {"dn": "cn=alice"}, "rules": [],
        },
        {
            "event": "Refused", **head, **claimed, **nobody, **time, "answer": "A-ASSOCIATE-RJ 1,2,1",
            "reason": "staff: wrong passcode", "reason_class": "wrong_credential",
        },
        {
            "event": "Established", **head, **claimed, **alice, "upstream": "pacs", **time,
            "accepted": ["1.2.3"], "rejected": ["1.2.4"], "left_out": ["a name"], "withheld": ["store"],
            "credential": "ours", "shown_ae_titles": ["GATE", "ARC"],
            "upstream_address": "pacs-b:104", "connect_seconds": 0.012,
        },
        {
            "event": "Denied", **head, **claimed, **alice, "upstream": "pacs", **time, "service": "store",
            "operation": "C-STORE-RQ", "missing": 'allow = "store"', "enforced": True, "rules": ["readers"],
        },
        {
            "event": "Closed", **head, **claimed, **alice, "upstream": "pacs", **time, "cause": "released",
            "detail": "", "seconds": 1.235, "bytes_from_client": 1, "bytes_from_upstream": 2, "pdus_from_client": 3,
            "pdus_from_upstream": 4, "used": None, "denied": None,
        },
    ]  # fmt: skip
    assert all(list(line)[:5] == ["event", "node", "id", "listener", "address"] for line in lines(path))


def test_times_keep_their_offset() -> None:
    east = OPENED._replace(time=NOW.astimezone(timezone(timedelta(hours=2))))
    assert record(east)["time"] == "2026-01-02T05:04:05.678+02:00"


def test_no_text_forges_a_record(audit: Audit, path: Path) -> None:
    written: list[Event] = [evil for event in EVENTS for text in NASTY for evil in poisoned(event, text)]
    for event in written:
        audit(event)
    audit.close()
    raw = path.read_bytes()
    assert printable(raw)
    assert raw.count(b"\n") == len(written)
    assert lines(path) == [{"node": "gate-1", **record(event)} for event in written]
    assert any(it.get("claimed") == "line\nfeed" for it in lines(path)), "what was said is kept, escaped"


def test_no_naughty_string_forges_a_record(audit: Audit, path: Path) -> None:
    strings = naughty()
    for text in strings:
        facts = ACCEPTED.facts._replace(claimed=text)
        audit(ACCEPTED._replace(facts=facts, reason=text, groups=(text,), attributes={"name": text}))
    audit.close()
    raw = path.read_bytes()
    assert printable(raw)
    read = lines(path)
    assert len(read) == len(strings)
    for text, it in zip(strings, read, strict=True):
        assert it["claimed"] == it["reason"] == it["attributes"]["name"] == it["groups"][0]
        assert it["claimed"] == (text if len(text) <= 256 else text[:255] + "…")


@pytest.mark.parametrize(("length", "kept"), [(255, 255), (256, 256), (257, 256), (70_000, 256)])
def test_strings_are_cut_at_256_characters(length: int, kept: int) -> None:
    text = "ä" * length
    for event in EVENTS:
        for evil in poisoned(event, text):
            assert max(len(it) for it in texts(record(evil))) == kept
    cut = record(REFUSED._replace(reason=text))["reason"]
    assert isinstance(cut, str)
    assert cut.endswith("…") == (length > 256), "what is cut shows it"


def texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for it in pair for text in texts(it)]
    return [text for it in value for text in texts(it)] if isinstance(value, list) else []


def test_records_are_appended_and_readable_by_owner_and_group_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        for _ in range(2):
            audit = Audit(path, "n")
            audit(OPENED)
            audit.close()
    finally:
        os.umask(before)
    assert len(lines(path)) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_after_a_rotation_the_path_is_opened_anew_and_else_its_writer_goes_on(audit: Audit, path: Path) -> None:
    audit(OPENED)
    same = Audit(path, "gate-1", running=audit)
    assert audit.goes_on_in(same), "nothing was rotated: no second writer gets between the records of the first"
    same(REFUSED)
    rotated = path.rename(path.with_suffix(".1"))
    audit(ACCEPTED)
    # What a reload does: the new one is there before the old one is closed.
    fresh = Audit(path, "gate-1", running=same)
    assert not same.goes_on_in(fresh)
    same.close()
    fresh(CLOSED)
    fresh.close()
    assert [it["event"] for it in lines(rotated)] == ["Opened", "Refused", "Decided"]
    assert [it["event"] for it in lines(path)] == ["Closed"]


@pytest.mark.parametrize("how", ["truncated", "deleted"])
def test_a_file_that_is_truncated_or_deleted_under_it_is_written_all_the_same(
    how: str, audit: Audit, path: Path
) -> None:
    kept(audit, OPENED)
    path.write_bytes(b"")
    if how == "deleted":
        path.unlink()
    assert kept(audit, CLOSED) == ""
    assert [it["event"] for it in lines(path)] == ["Closed"]


@pytest.mark.parametrize("name", ["nowhere/audit.jsonl", ".", "file/audit.jsonl"])
def test_a_file_that_cannot_be_written_is_a_start_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"the audit file .* cannot be written: "):
        Audit(tmp_path / name, "n")


def test_a_full_disk_is_logged_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit(Path("/dev/full"), "n")
    audit(OPENED)
    assert kept(audit, ACCEPTED) == audit.trouble == "No space left on device"
    audit.close()
    assert caplog.messages == [
        "the audit file /dev/full cannot be written: No space left on device; at most 10000 records wait for it",
        "the audit file /dev/full: 2 audit records are lost at its end: No space left on device",
    ]
    assert {it.levelno for it in caplog.records} == {logging.ERROR}


def test_a_pipe_with_a_name_needs_a_reader_and_may_lose_it(tmp_path: Path) -> None:
    fifo = tmp_path / "audit"
    os.mkfifo(fifo)
    with pytest.raises(StartError, match="nobody reads this pipe"):
        Audit(fifo, "n")
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    audit = Audit(fifo, "n")
    assert kept(audit, OPENED) == ""
    os.close(reader)
    assert kept(audit, ACCEPTED) == "Broken pipe"
    with fifo.open("rb") as again:
        assert kept(audit, CLOSED) == ""
        audit.close()
        told = [json.loads(line)["event"] for line in again]
    assert told == ["Opened", "Decided", "Closed"], "what nobody had read waited for a reader"


def test_records_that_nobody_takes_are_counted_and_told_in_their_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fifo = tmp_path / "audit"
    os.mkfifo(fifo)
    with os.fdopen(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        os.set_blocking(reader.fileno(), True)
        audit = Audit(fifo, "gate-1")
        while not caplog.messages:
            audit(OPENED)
        for _ in range(99):
            audit(OPENED)
        assert len(caplog.messages) == 1, "once, not for each record"
        told: list[dict[str, Any]] = []
        while not told or told[-1]["event"] != "Lost":
            told.append(json.loads(reader.readline()))
        audit(CLOSED)
        assert json.loads(reader.readline())["event"] == "Closed"
        audit.close()
        assert audit.lost == 100
    lost = told.pop()
    assert (lost["node"], lost["count"], lost["since"] <= lost["until"] <= lost["time"]) == ("gate-1", 100, True)
    assert len(told) >= MOST
    assert {it["event"] for it in told} == {"Opened"}
    assert caplog.messages[0].startswith(f"the audit file {fifo} cannot be written: ")
    assert f"the audit file {fifo}: 100 records are lost, from " in caplog.messages[1]


def test_a_disk_that_takes_half_a_record_tears_no_other(path: Path) -> None:
    """In a process of its own, whose files may grow to 650 bytes and then again."""
    script = f"""
import resource
from pathlib import Path
from datetime import UTC, datetime
from dicomgate.audit.json_audit import Audit
from dicomgate.events.events import Facts, Opened
audit = Audit(Path({str(path)!r}), "n")
told = lambda id: audit(Opened(Facts(id, "clinical", "192.0.2.1", 1), datetime.now(UTC)))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (650, hard))
[told(id) for id in "abcd"]
while not audit.trouble:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
told("e")
audit.close()
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    whole, torn = [], 0
    for line in path.read_bytes().splitlines():
        try:
            whole.append(json.loads(line)["id"])
        except ValueError:
            torn += 1
    assert whole == ["a", "b", "c", "d", "e"], "each in its place, whole"
    assert torn == 1, "the positive control: there was half a record"
    assert "cannot be written: File too large" in ended.stderr
    assert "can be written again" in ended.stderr


def test_without_a_path_records_go_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for event in (OPENED._replace(facts=ADDRESS._replace(listener="\x1b\u202e\x7f")), CLOSED):
        audit = Audit(None, "n")
        audit(event)
        audit.close()
    out = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in out] == ["Opened", "Closed"], "closing leaves standard output open"
    assert out[0].isascii()
    assert b"\x1b" not in out[0]
