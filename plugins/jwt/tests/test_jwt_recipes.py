"""docs/jwt.md's recipe for each identity provider, as it stands there, with tokens of that provider's shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dicomgate import Accept, ConfigError, Pass, Reject
from dicomgate.testing.pages import DOCS, configurations
from dicomgate_jwt import Jwt
from plugins.jwt.tests.mint import GONE, ask, authenticator, key_set, mint, written

TENANT = "11111111-2222-3333-4444-555555555555"
APPLICATION = "66666666-7777-8888-9999-000000000000"
ENTRA = {"oid": "0f1e", "sub": "0f1e", "tid": TENANT, "roles": ["Dicom.Store"], "jti": GONE, "uti": "x"}
COGNITO = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE"


class Shape(NamedTuple):
    """A device's access token of a provider: its `typ`, what it says, whose it is; and changes that others have."""

    typ: object
    says: Mapping[str, Any]
    user: str
    groups: frozenset[str]
    others: tuple[tuple[str, Mapping[str, Any]], ...]
    """Why a token with these changes is not a login: an ID token of the same provider, one for somebody else."""


SHAPES = {
    "keycloak": Shape(
        "JWT",
        {
            "iss": "https://sso.hospital.example/realms/radiology", "aud": ["dicomgate", "account"], "typ": "Bearer",
            "azp": "ct1", "preferred_username": "service-account-ct1", "realm_access": {"roles": ["dicom"]},
            "groups": ["modalities"], "scope": "dicom", "acr": "1",
        },
        "service-account-ct1", frozenset({"dicom", "modalities"}),
        (("typ: ['ID']", {"typ": "ID"}), ("aud: ", {"aud": "account"}), ("realm_access.roles: ", {"realm_access": {}})),
    ),
    "entra": Shape(
        "JWT",
        {
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "aud": APPLICATION, "azp": "ct1", "ver": "2.0",
            **ENTRA,
        },
        "0f1e", frozenset({"Dicom.Store"}),
        (
            ("its issuer is ", {"iss": f"https://sts.windows.net/{TENANT}/"}), ("aud: ", {"aud": f"api://{APPLICATION}"}),
            ("roles: ", {"roles": GONE, "hasgroups": True}),
        ),
    ),
    "entra_v1": Shape(
        "JWT",
        {
            "iss": f"https://sts.windows.net/{TENANT}/", "aud": f"api://{APPLICATION}", "appid": "ct1", "ver": "1.0",
            **ENTRA,
        },
        "0f1e", frozenset({"Dicom.Store"}),
        (("its issuer is ", {"iss": f"https://sts.windows.net/{TENANT}"}), ("ver: ", {"ver": "2.0"})),
    ),
    "adfs": Shape(
        "JWT",
        {
            "iss": "http://sts.hospital.example/adfs/services/trust", "aud": "https://dicomgate.hospital.example",
            "sub": GONE, "jti": GONE, "appid": "ct1", "apptype": "Confidential", "ver": "1.0",
        },
        "ct1", frozenset(),
        (
            ("its issuer is ", {"iss": "https://sts.hospital.example/adfs"}),
            ("aud: ", {"aud": "microsoft:identityserver:x"}),
        ),
    ),
    "cognito": Shape(
        GONE,
        {
            "iss": COGNITO, "aud": GONE, "client_id": "1example23456789", "sub": "1example23456789", "version": 2,
            "token_use": "access", "scope": "dicomgate/store",
        },
        "1example23456789", frozenset({"dicomgate/store"}),
        (
            ("client_id: ['3example'], none", {"client_id": "3example"}),
            ("client_id: is missing", {"client_id": GONE}),
            ("client_id: is missing", {"client_id": GONE, "aud": "1example23456789", "token_use": "id"}),
            ("aud: ", {"aud": "https://elsewhere.example"}), ("aud: is missing, or neither", {"aud": None}),
            ("token_use: ", {"token_use": "id"}), ("scope: ", {"scope": "aws.cognito.signin.user.admin"}),
        ),
    ),
    "lemonldap": Shape(
        "JWT",
        {
            "iss": "https://auth.hospital.example", "aud": ["ct1", "dicomgate"], "client_id": "ct1", "sub": None,
            "scope": "dicom",
        },
        "ct1", frozenset({"dicom"}),
        (
            ("its issuer is 'https://auth.hospital.example/', not ", {"iss": "https://auth.hospital.example/"}),
            ("scope: is missing", {"scope": GONE, "sub": "ada"}), ("sub: not text", {"sub": 5}),
        ),
    ),
    "glewlwyd": Shape(
        "at+JWT",
        {
            "iss": "https://glewlwyd.hospital.example/api/oidc", "aud": "https://dicomgate.hospital.example",
            "sub": GONE, "client_id": "ct1", "type": "client_token", "scope": "dicom",
        },
        "ct1", frozenset({"dicom"}),
        (("aud: ['dicom'], none of ", {"aud": "dicom"}), ("scope: ", {"scope": "openid"})),
    ),
}  # fmt: skip


def recipe(name: str, folder: Path, **changes: Any) -> Jwt:
    """The page's table, with local keys in place of the provider's."""
    (page,) = configurations(DOCS / "jwt.md", name)
    (table,) = page["authenticator"]
    remote = {"use", "name", "discovery", "jwks_url"}
    assert len(remote & table.keys()) == 3
    options = {key: value for key, value in table.items() if key not in remote}
    return Jwt(jwks_file=written(folder / "keys.json", key_set()), **{**options, **changes})


@pytest.mark.parametrize("name", SHAPES)
def test_a_token_of_the_provider_is_a_login(tmp_path: Path, name: str) -> None:
    typ, says, user, groups, others = SHAPES[name]
    judge = recipe(name, tmp_path)
    answer = ask(judge, mint(header={"typ": typ}, **says))
    assert isinstance(answer, Accept), answer
    assert (answer.user, answer.groups) == (user, groups)
    for why, changes in others:
        answer = ask(judge, mint(header={"typ": typ}, **{**says, **changes}))
        assert isinstance(answer, Reject | Pass), (why, answer)
        assert answer.reason.startswith(why), (why, answer)


def test_without_a_resource_the_audience_is_the_scope(tmp_path: Path) -> None:
    typ, says, *_ = SHAPES["glewlwyd"]
    token = mint(header={"typ": typ}, **{**says, "aud": "dicom"})
    assert isinstance(ask(recipe("glewlwyd", tmp_path, audience="dicom"), token), Accept)


def test_the_claim_in_place_of_the_audience_is_an_explicit_choice(tmp_path: Path) -> None:
    token = mint(header={"typ": GONE}, **SHAPES["cognito"].says)
    answer = ask(recipe("cognito", tmp_path, audience_claim="aud"), token)
    assert isinstance(answer, Reject)
    assert answer.reason == "aud: is missing, or neither text nor a list of texts"
    with pytest.raises(ConfigError, match="audience_claim"):
        recipe("cognito", tmp_path, audience_claim="")
    within = authenticator(tmp_path, audience="gate", audience_claim="made.by")
    assert isinstance(ask(within, mint(aud=GONE, made={"by": ["gate"]})), Accept)


@pytest.mark.parametrize("said", ["Bearer", "bearer", "BEARER"])
def test_of_the_token_type_letters_do_not_count(tmp_path: Path, said: str) -> None:
    """RFC 6749 5.1. Of all other claims they do."""
    judge = authenticator(tmp_path, required_claims={"token_type": "Bearer", "kind": "Device"})
    assert isinstance(ask(judge, mint(token_type=said, kind="Device")), Accept)
    for token_type, kind in ((f"{said}s", "Device"), (1, "Device"), (said, "device")):
        assert isinstance(ask(judge, mint(token_type=token_type, kind=kind)), Reject)
