"""docs/jwt.md says what the keys are and what is logged, and its tables make authenticators."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import dicomgate_jwt
from dicomgate import ConfigError
from dicomgate.kit import fetch
from dicomgate.testing.page_contract import AuthenticatorPage, Keys, defaults, documented
from dicomgate.testing.pages import DOCS, authenticators, configurations, words
from dicomgate_jwt import (
    ClientCredentials,
    Introspection,
    Jwt,
    Minted,
    TokenExchange,
    TokenFile,
    keys,
    response,
    sources,
    token,
)
from dicomgate_jwt.asked_once import MOST_ASKED
from dicomgate_jwt.client_credentials import COOL_DOWN
from plugins.jwt.tests.mint import P256, key_set, mint, written

PAGE, CREDENTIALS = DOCS / "jwt.md", DOCS / "credentials.md"


class TestPage(AuthenticatorPage):
    page, package = PAGE, dicomgate_jwt
    keys = (Keys(Jwt, under="Configuration"), Keys(Introspection, under="Tokens that only the provider can read"))
    words = {"the system's": None, "the host name": None, "all for that kind of keys": ()}  # noqa: RUF012


class TestCredentials(AuthenticatorPage):
    page, package, logs = CREDENTIALS, dicomgate_jwt, False
    keys = (
        Keys(Minted, under="minted"),
        Keys(ClientCredentials, under="client-credentials"),
        Keys(TokenFile, under="token-file"),
    )
    words = {"the system's": None}  # noqa: RUF012


def test_an_exchange_has_the_keys_of_client_credentials_and_its_own() -> None:
    tables = Keys(ClientCredentials, under="client-credentials"), Keys(TokenExchange, under="token-exchange")
    shown = [documented(CREDENTIALS, one, {"the system's": None}) for one in tables]
    assert {**shown[0], **shown[1]} == defaults(TokenExchange)
    assert len(shown[1]) == 2


def test_the_tables_of_the_page_make_authenticators(tmp_path: Path) -> None:
    written(tmp_path / "research.jwks.json", key_set(P256))
    written(tmp_path / "dicomgate.secret", b"a secret of the gateway's", 0o600)
    tables = authenticators(PAGE)
    kinds = {"jwt": Jwt, "introspection": Introspection}
    made = [kinds[table["use"]](**_options(table, tmp_path)) for table in tables]
    assert [type(one).__name__ for one in made] == [*["Jwt"] * 9, "Introspection"]
    with pytest.raises(ConfigError, match="audience"):
        Jwt(**{**_options(tables[0], tmp_path), "audience": ""})


def _options(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """As the gateway reads them."""
    options = {key: value for key, value in table.items() if key not in ("use", "name")}
    options |= {key: folder / Path(value).name for key, value in options.items() if key.endswith("_file")}
    return options | ({"maximum_lifetime": timedelta(hours=1)} if "maximum_lifetime" in options else {})


def test_the_tables_of_the_credentials_make_them(tmp_path: Path) -> None:
    written(tmp_path / "minted.key", P256.private_pem, 0o600)
    written(tmp_path / "client.secret", b"a secret", 0o600)
    kinds = {
        "minted": Minted,
        "client-credentials": ClientCredentials,
        "token-exchange": TokenExchange,
        "token-file": TokenFile,
    }
    written(tmp_path / "pacs.token", mint().encode(), 0o600)
    tables = [one for tables in configurations(CREDENTIALS) for one in tables.get("credential", [])]
    ours = [table for table in tables if table["use"] in kinds]
    assert [type(kinds[table["use"]](**_options(table, tmp_path))) for table in ours] == list(kinds.values())


def test_the_figures() -> None:
    page = words(PAGE)
    assert f"At most {MOST_ASKED} tokens are exchanged" in words(CREDENTIALS)
    assert f"it is asked every {COOL_DOWN:g} seconds at most" in words(CREDENTIALS)
    assert f"at most {token.LONGEST // 1000} kB" in page
    assert f"at most {fetch.LARGEST // 1024} KiB" in page
    assert f"not within {sources.COOL_DOWN:g} seconds" in page
    assert "a minute later" in page
    assert response.LIFETIME == 60
    assert response.TYPE in page
    assert [name for name in (*keys.PUBLIC_KEY_ALGORITHMS, *keys.SECRET_ALGORITHMS) if f"`{name}`" not in page] == []
