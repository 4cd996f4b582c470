"""docs/rights.md: its configurations load, and let do what the questions below them say."""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from dicomgate import PluginError
from dicomgate.association.admission import nothing_granted
from dicomgate.auth.loading import find
from dicomgate.events.events import Denied, Established, Facts, Refused
from dicomgate.events.log import write_log
from dicomgate.rights.operations import Denial
from dicomgate.rights.rights import Rights
from dicomgate.rights.services import SERVICES
from dicomgate.run.assembly import assemble
from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.pages import DOCS, Block, blocks
from dicomgate.testing.peers.certificates import Certificates

PAGE = DOCS / "rights.md"
_QUESTION = re.compile(r"dicomgate (ask .*?) +# (yes|no)")


def examples() -> list[tuple[Block, list[tuple[str, str]]]]:
    """Each complete configuration, with its questions and their answers."""
    shown = blocks(PAGE)
    return [
        (block, _QUESTION.findall(following.text)) for block, following in pairwise(shown) if block.note == "example"
    ]


@pytest.mark.parametrize("number", range(3))
def test_the_examples_answer_as_the_page_says(
    number: int, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, questions = examples()[number]
    for use in re.findall(r'^use = "(\w+)"', block.text, re.MULTILINE):
        try:
            find(use)
        except PluginError as error:
            pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    Path("dicomgate.toml").write_text(block.text, "utf-8")
    shutil.copy(certificates.server.certificate, "gate.pem")
    shutil.copy(certificates.server.key, "gate.key")
    shutil.copy(certificates.ca, "hospital-ca.pem")
    for name in ("gate.secret", "users.htpasswd"):
        Path(name).write_text("secret\n" if name == "gate.secret" else "")
        Path(name).chmod(0o600)
    results = [dicomgate(*shlex.split(question)) for question, _ in questions]
    assert [("yes", "no")[result.exit_code] for result in results] == [answer for _, answer in questions]
    assert {answer for _, answer in questions} == {"yes", "no"}
    assert [doubt for doubt in assemble(Path("dicomgate.toml")).doubts if doubt.startswith("rule ")] == []
    if number == 0:
        shown = next(block.text for block in blocks(PAGE, "text") if block.text.startswith("readers"))
        assert results[2].output.split() == shown.split()


def test_there_are_three_and_every_service_is_one_that_there_is() -> None:
    assert len(examples()) == 3
    allowed = re.findall(r"^allow = \[(.*)\]", "".join(block.text for block in blocks(PAGE, "toml")), re.MULTILINE)
    assert {word.strip('" ') for words in allowed for word in words.split(",")} <= set(SERVICES)


def test_the_lines_of_the_log_are_those_that_the_gateway_writes(caplog: pytest.LogCaptureFixture) -> None:
    bob = Facts("c52e08d1f7a6", "reading", "192.0.2.23", 51022, "WS_4", "ARCHIVE", 2, "bob", "bob", "staff", "pacs")
    denial, now = Denial("move", "C-MOVE-RQ", 'allow = "move", destinations = "WS_1"'), datetime.now(UTC)
    caplog.set_level("INFO")
    write_log(
        Established(bob, now, ("1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.2.1"), (), (), ("store", "worklist"))
    )
    write_log(Denied(bob, now, *denial, enforced=True, rules=("readers",)))
    refuse = nothing_granted((Denial("store", "presentation context", 'allow = "store"'),), Rights(rules=("readers",)))
    early = bob._replace(id="886c6b763472", port=51040, upstream="")
    write_log(Refused(early, now, str(refuse.refusal), refuse.reason, refuse.reason_class))
    shown = [block.text.strip() for block in blocks(PAGE, "text") if block.text.startswith(("INFO", "WARNING"))]
    assert [f"{record.levelname} {record.message}" for record in caplog.records] == shown
