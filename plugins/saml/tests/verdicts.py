"""Which file refused a hostile document: for its form or its signature, not for what it claims."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

import pytest

from dicomgate_saml import Saml
from dicomgate_saml.document import RefusedError
from dicomgate_saml.verification import read_assertion, verify
from plugins.saml.tests.mint import USER, accepted, refused

NOT_THE_ISSUERS = "not signed with a key of the issuer, or changed after that"
BEFORE_THE_SCHEMA = frozenset(("document", "structure", "signature"))


def refusal(judge: Saml, document: bytes) -> tuple[str, str]:
    """The file that refuses the document before a claim of it is looked at, and its words. Fails if none does."""
    reason = refused(judge, document)
    with pytest.raises(RefusedError) as raised:
        verify(read_assertion(document, judge.decryptor)[1], judge.source.trusted(time.time()).certificates)
    assert str(raised.value) == reason
    return Path(traceback.extract_tb(raised.tb)[-1].filename).stem, reason


def assert_accepted(judge: Saml, document: bytes) -> None:
    """The usual user logs in with it."""
    assert accepted(judge, document).user == USER


def assert_forged(judge: Saml, genuine: bytes, hostile: bytes) -> str:
    """The genuine one is accepted, the hostile one refused for its form or its signature; the words."""
    assert_accepted(judge, genuine)
    file, words = refusal(judge, hostile)
    assert file in BEFORE_THE_SCHEMA, (file, words)
    return words
