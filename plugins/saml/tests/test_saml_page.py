"""docs/saml.md says what the keys are and what is logged, and its table makes an authenticator."""

from __future__ import annotations

from pathlib import Path

import dicomgate_saml
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate.testing.pages import DOCS, authenticators, words
from dicomgate_saml import Saml, document, principal
from plugins.saml.tests.mint import RSA, written

PAGE = DOCS / "saml.md"


class TestPage(AuthenticatorPage):
    page, package = PAGE, dicomgate_saml
    keys = (Keys(Saml),)
    words = {"the system's": None, "the `entity_id`": None}  # noqa: RUF012


def test_the_table_of_the_page_makes_an_authenticator(tmp_path: Path) -> None:
    (table,) = authenticators(PAGE)
    assert table.pop("use") == "saml"
    assert table.pop("name")
    certificates = [written(tmp_path / name, RSA.pem) for name in table.pop("certificates")]
    assert Saml(**table, certificates=certificates).rules.entity_id == table["entity_id"]


def test_the_figures_and_the_attributes() -> None:
    assert f"at most {document.LONGEST:,} bytes" in words(PAGE)
    assert [name for name in set(principal._TOLD.values()) if f"`{name}`" not in words(PAGE)] == []
