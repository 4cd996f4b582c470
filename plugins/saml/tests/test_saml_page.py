"""docs/saml.md says what the keys are and what is logged, and its tables make authenticators."""

from __future__ import annotations

from pathlib import Path

import dicomgate_saml
from dicomgate.kit.durations import parse_duration
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate.testing.pages import DOCS, authenticators, words
from dicomgate_saml import Saml, algorithms, document, principal
from plugins.saml.tests.mint import RSA, written

PAGE = DOCS / "saml.md"


class TestPage(AuthenticatorPage):
    page, package = PAGE, dicomgate_saml
    keys = (Keys(Saml),)
    words = {"the system's": None, "the `entity_id`": None}  # noqa: RUF012


def test_the_tables_of_the_page_make_authenticators(tmp_path: Path) -> None:
    tables = authenticators(PAGE)
    assert [table.pop("name") for table in tables] == ["sso", "adfs", "entra", "keycloak"]
    for table in tables:
        assert table.pop("use") == "saml"
        options = {
            **table,
            "certificates": [written(tmp_path / name, RSA.pem) for name in table.get("certificates", [])],
        }
        if "ca" in table:
            options["ca"] = written(tmp_path / table["ca"], RSA.pem)
        if "maximum_lifetime" in table:
            options["maximum_lifetime"] = parse_duration(table["maximum_lifetime"])
        assert Saml(**options).rules.entity_id == table["entity_id"]


def test_the_page_names_what_is_accepted_and_what_is_not() -> None:
    page = words(PAGE)
    assert f"**{algorithms.INSTEAD_OF_ENCRYPTION}**" in page
    assert all(name in page for name in ("AES-CBC", "Triple DES", "PKCS #1 v1.5"))


def test_the_figures_and_the_attributes() -> None:
    assert f"at most {document.LONGEST:,} bytes" in words(PAGE)
    assert [name for name in set(principal._TOLD.values()) if f"`{name}`" not in words(PAGE)] == []
