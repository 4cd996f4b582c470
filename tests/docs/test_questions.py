"""docs/for-pacs-administrators.md: questions whose answers are read in a minute, and lead to the whole."""

from __future__ import annotations

import re

import pytest

from dicomgate.testing.pages import DOCS, text

_, *PARTS = re.split(r"^### (.+)$", text(DOCS / "for-pacs-administrators.md"), flags=re.MULTILINE)
ANSWERS = {question: body.partition("\n## ")[0] for question, body in zip(PARTS[::2], PARTS[1::2], strict=True)}
MOST = 150  # words; somebody who knows none of it reads so many in a minute


@pytest.mark.parametrize("question", ANSWERS)
def test_an_answer_is_short_and_leads_on(question: str) -> None:
    answer = ANSWERS[question]
    assert 10 < len(answer.split()) <= MOST
    assert re.search(r"\]\([\w-]+\.md", answer)


@pytest.mark.parametrize(
    "word",
    ["one modality first", "cannot send a login", "two nodes", "security officer", "refused last night", "one user out",
     "certificate expires", "upgrade, and go back", "directory is down", "disk of the audit is full"],
)  # fmt: skip
def test_what_is_asked_is_a_heading(word: str) -> None:
    """The search counts headings most."""
    assert [question for question in ANSWERS if word in question]
