from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from typing import Any

import pytest
import trustme
from typer.testing import Result

from dicomgate import Accept, Reject
from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.peers.oidc_provider import OidcProvider
from dicomgate_jwt.claims import thumbprint
from plugins.jwt.tests.mint import (
    AUDIENCE,
    ED25519,
    GONE,
    ISSUER,
    OTHER_RSA,
    P256,
    STRANGER,
    ask,
    authenticator,
    encoded,
    key_set,
    mint,
    signed,
    written,
)

GATEWAY = """
[[listener]]
name = "clinical"
bind = "127.0.0.1:0"

[[upstream]]
name = "pacs"
address = "127.0.0.1:4242"
called_ae_titles = ["*"]
"""
CANARY = "canary-4f1d-value"

Inspect = Callable[..., Result]


@pytest.fixture
def inspect(tmp_path: Path) -> Inspect:
    """Run the command on a token, with these tables; without any, with the one of the issuer and its options."""
    written(tmp_path / "keys.json", key_set())

    def inspect(token: str | bytes, *arguments: object, tables: str = "", **options: Any) -> Result:
        path = tmp_path / "token.jwt"
        path.write_bytes(token.encode() if isinstance(token, str) else token)
        config = tmp_path / "dicomgate.toml"
        config.write_text(GATEWAY + (tables or table(jwks_file="keys.json", **options)))
        result = dicomgate("jwt", "inspect", path, "--config", config, *arguments)
        for part in (token.encode() if isinstance(token, str) else token).strip().split(b"."):
            assert len(part) < 12 or part.decode("ascii", "replace") not in result.output
        return result

    return inspect


def table(name: str = "sso", **options: Any) -> str:
    keys = {"use": "jwt", "name": name, "issuer": ISSUER, "audience": AUDIENCE, **options}
    return "\n[[authenticator]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in keys.items())


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {toml(one)}' for key, one in value.items()) + " }"
    return json.dumps(value)


def rows(result: Result, name: str = "sso") -> dict[str, list[tuple[str, str]]]:
    """What was checked -> each verdict and detail on it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in result.stdout.splitlines():
        who, what, verdict, detail = line.split("\t")
        if who == name:
            found.setdefault(what, []).append((verdict, detail))
    return found


def wrong(result: Result) -> set[str]:
    return {what for what, found in rows(result).items() if any(verdict == "wrong" for verdict, _ in found)}


def test_a_good_token_claim_by_claim(inspect: Inspect) -> None:
    ends = int(time.time()) + 300
    token = mint(exp=ends, nbf=ends - 400, scope="dicom.read dicom.write", acr=CANARY, roles=["ct", "mr"])
    result = inspect(token, group_claims=["roles"], required_claims={"scope": "dicom.read"})
    assert result.exit_code == 0
    assert result.stderr == ""
    found = rows(result)
    until = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(ends))
    assert list(found) == [
        *("alg", "kid", "typ", "signature", "iss", "aud", "exp", "iat", "nbf", "jti", "cnf", "scope", "roles", "sub"),
        *("others", "login"),
    ]
    assert found["alg"] == [("ok", "RS256")]
    assert found["kid"] == [("ok", "keys that fit: 'rsa'")]
    assert found["typ"] == [("ok", "'at+jwt'")]
    assert found["signature"] == [("ok", "verified")]
    assert found["iss"] == [("ok", repr(ISSUER))]
    assert found["aud"] == [("ok", repr(AUDIENCE))]
    assert found["exp"][0][1].startswith(f"{until}, in ")
    assert found["nbf"][0][1].endswith(" s ago")
    assert found["jti"] == [("ok", "'9f1c'")]
    assert found["cnf"] == [("-", "not there")]
    assert found["scope"] == [("ok", "['dicom.read', 'dicom.write']")]
    assert found["roles"] == [("ok", "['ct', 'mr']")]
    assert found["sub"] == [("ok", "'ada'")]
    assert found["others"] == [("-", "not checked: ['acr']")]
    assert found["login"] == [("yes", f'user "ada", groups "ct", "mr", until {until}')]


def test_no_value_of_another_claim_is_shown(inspect: Inspect) -> None:
    others: dict[str, Any] = {
        "email": CANARY,
        "name": {"x": CANARY},
        "cnf": {CANARY: CANARY},
        "events": {"e": CANARY},
        "typ": CANARY,
    }
    result = inspect(mint(header={"x5c": [CANARY], "jwk": {"k": CANARY}}, **others))
    assert result.exit_code == 1
    assert CANARY not in result.output
    assert rows(result)["others"] == [("-", "not checked: ['email', 'name', 'typ']")]
    assert wrong(result) == {"cnf", "events"}


def test_all_that_is_wrong_is_shown(inspect: Inspect) -> None:
    past = int(time.time()) - 3600
    token = mint(
        aud="https://elsewhere.example", exp=past, iat=str(past), nbf=past + 7200, jti=5, sub="", scope="other"
    )
    result = inspect(token, required_claims={"scope": "dicom"})
    assert result.exit_code == 1
    assert wrong(result) == {"aud", "exp", "iat", "nbf", "jti", "sub", "scope"} | wrong(result) & {"token"}
    assert rows(result)["aud"] == [("wrong", f"['https://elsewhere.example'], none of {AUDIENCE!r}")]
    assert rows(result)["exp"][0][1].startswith("expired at ")
    assert rows(result)["login"][-1][0] == "no"
    assert result.stderr == "no authenticator accepts this token\n"


def test_a_claim_may_have_two_problems(inspect: Inspect) -> None:
    now = int(time.time())
    result = inspect(mint(iat=now - 90_000, exp=now - 60), maximum_lifetime="1h")
    assert [verdict for verdict, _ in rows(result)["exp"]] == ["wrong", "wrong"]


def test_claims_are_explained_behind_a_bad_signature(inspect: Inspect) -> None:
    result = inspect(mint(STRANGER, aud="https://elsewhere.example"))
    assert result.exit_code == 1
    assert {"signature", "aud"} <= wrong(result)
    assert rows(result)["sub"] == [("ok", "'ada'")]
    assert rows(result)["login"] == [("no", "signature: not made with this key, or the token was changed")]


def test_a_key_that_is_not_there(inspect: Inspect) -> None:
    result = inspect(mint(header={"kid": "k2"}))
    assert result.exit_code == 1
    assert wrong(result) == {"kid"}
    assert rows(result)["kid"] == [("wrong", "no key of the issuer is called 'k2'")]
    assert rows(result)["signature"] == [("-", "not verified")]


def test_claims_that_are_not_there(inspect: Inspect) -> None:
    gone: dict[str, Any] = dict.fromkeys(("aud", "exp", "iat", "sub"), GONE)
    result = inspect(mint(iss=GONE, **gone))
    assert rows(result) == {"login": [("not mine", f"its issuer is None, not {ISSUER!r}")]}
    result = inspect(mint(**gone))
    assert {"aud", "exp", "iat", "sub"} <= wrong(result)
    assert [rows(result)[name] for name in ("exp", "iat")] == [[("wrong", "is missing")]] * 2


def test_groups_for_which_there_is_a_link(inspect: Inspect) -> None:
    """As Entra ID does with more than 200 groups."""
    for linked in ({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}}, {"hasgroups": True}):
        found = rows(inspect(mint(**linked), group_claims=["groups", "roles"]))
        assert found["groups"][0][1].startswith("left out by the provider")
        assert found["roles"] == [("-", "not there")]


def test_an_algorithm_that_is_not_allowed(inspect: Inspect) -> None:
    result = inspect(mint(), algorithms=["ES256"])
    assert result.exit_code == 1
    assert wrong(result) == {"alg"}
    assert rows(result)["signature"][0][0] == "ok"
    assert inspect(mint(P256), algorithms=["ES256"]).exit_code == 0


VARIANTS = {
    "good": lambda: mint(),
    "ES256": lambda: mint(P256),
    "EdDSA": lambda: mint(ED25519),
    "no kid": lambda: mint(header={"kid": GONE}),
    "the other key": lambda: mint(OTHER_RSA, header={"kid": "rsa"}),
    "a stranger's": lambda: mint(STRANGER),
    "alg none": lambda: f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{mint().split('.')[1]}.AAAA",
    "no typ": lambda: mint(header={"typ": GONE}),
    "no exp": lambda: mint(exp=GONE),
    "no iat": lambda: mint(iat=GONE),
    "text as exp": lambda: mint(exp="9999999999"),
    "no aud": lambda: mint(aud=GONE),
    "no sub": lambda: mint(sub=GONE),
    "long": lambda: mint(exp=int(time.time()) + 10**7),
    "just expired": lambda: mint(exp=int(time.time()) - 5, iat=int(time.time()) - 60),
    "bound": lambda: mint(cnf={"x5t#S256": "A" * 43}),
    "aud as a list": lambda: mint(aud=["x", AUDIENCE]),
    "iat to come": lambda: mint(iat=int(time.time()) + 200),
}


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS)
def test_the_verdict_is_that_of_a_login(
    inspect: Inspect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], str]
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # the reasons say how many seconds it is
    token = make()
    decision = ask(authenticator(tmp_path), token)
    result = inspect(token)
    assert result.exit_code == {Accept: 0, Reject: 1}[type(decision)]
    assert bool(wrong(result)) == isinstance(decision, Reject)
    if isinstance(decision, Reject):
        assert rows(result)["login"][-1] == ("no", decision.reason)


def test_each_authenticator_has_its_say_in_the_order_of_the_configuration(inspect: Inspect) -> None:
    elsewhere = "https://elsewhere.example"
    tables = (
        table("far", jwks_file="keys.json", issuer=elsewhere)
        + '\n[[authenticator]]\nuse = "passcode"\nfile = "no-such-file"\n'
        + table("strict", jwks_file="keys.json", required_claims={"scope": "admin"})
        + table("lax", jwks_file="keys.json")
    )
    result = inspect(mint(), tables=tables)
    assert result.exit_code == 0
    names = [line.split("\t")[0] for line in result.stdout.splitlines()]
    assert list(dict.fromkeys(names)) == ["far", "strict", "lax"]
    assert rows(result, "far") == {
        "login": [("not mine", f"its issuer is {ISSUER!r}, not 'https://elsewhere.example'")]
    }
    assert rows(result, "strict")["login"] == [("no", "scope: is missing; required is 'admin'")]
    assert rows(result, "lax")["login"][0][0] == "yes"
    assert inspect(mint(iss="https://third.example"), tables=tables).exit_code == 1


def test_keys_that_cannot_be_had(inspect: Inspect) -> None:
    with socket.socket() as nobody:  # bound, and never listens
        nobody.bind(("127.0.0.1", 0))
        down = table("down", jwks_url=f"https://127.0.0.1:{nobody.getsockname()[1]}/keys")
        result = inspect(mint(), tables=down)
        assert result.exit_code == 3
        assert list(rows(result, "down")) == ["login"]
        assert rows(result, "down")["login"][0][0] == "could not look"
        assert "cannot be fetched" in result.stderr
        assert inspect(mint(), tables=down + table(jwks_file="keys.json")).exit_code == 0
        refused = inspect(mint(header={"alg": "HS256"}), tables=down)  # for that no key is needed
        assert refused.exit_code == 1
        assert list(rows(refused, "down")) == ["kid", "login"]


def test_the_certificate_that_a_token_is_bound_to(inspect: Inspect, tmp_path: Path) -> None:
    paths = []
    for name in ("client.pem", "another.pem"):
        pem = trustme.CA().issue_cert("client.example").cert_chain_pems[0].bytes()
        paths.append(written(tmp_path / name, pem))
    der = PEM_cert_to_DER_cert(paths[0].read_text())
    token = mint(cnf={"x5t#S256": thumbprint(der).decode()})
    good = inspect(token, "--certificate", paths[0])
    assert good.exit_code == 0
    assert rows(good)["cnf"] == [("ok", "bound to the client certificate that was presented")]
    result = inspect(token, "--certificate", paths[1])
    assert result.exit_code == 1
    assert rows(result)["cnf"] == [("wrong", "bound to another client certificate than the one presented")]
    assert inspect(token).exit_code == 1
    assert inspect(token, "--certificate", tmp_path / "token.jwt").exit_code == 2


JWE = ".".join(encoded({"alg": "dir", "enc": "A256GCM"} if part == 0 else b"x" * 12) for part in range(5))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "the file has no token in it"), ("Bearer \n", "the file has no token in it"),
        (f" {mint()}", "white space"), (f"{mint()}\n\n", "white space"), ("2YotnFZFEjr1zCsicMWpAA", "an opaque one"),
        ("ya29.a0AfH6SMBx", "an opaque one"), (JWE, "encrypted token (JWE)"), ("a.b.c.d", "three parts"),
        (f"{mint()}=", "not base64url"), (f"{mint()[:40]}\n{mint()[40:]}", "not base64url"), ("a.b.c", "not base64url"),
        (signed({"alg": "RS256", "crit": ["x"]}, {}), "'crit'"),
        (signed({"alg": "RS256", "cty": "JWT"}, {}), "a token within a token"),
        (b"\xff\xfe" * 20, "not a signed token"), ("a." + "b" * 40_000 + ".c", "more than 32768"),
    ],
)  # fmt: skip
def test_what_is_no_token_is_named(inspect: Inspect, data: str | bytes, said: str) -> None:
    result = inspect(data)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


def test_files_that_are_wrong(inspect: Inspect, tmp_path: Path) -> None:
    assert inspect(mint()).exit_code == 0
    config = tmp_path / "dicomgate.toml"
    for token, where, said in (
        (tmp_path / "gone.jwt", config, "gone.jwt: cannot be read: No such file or directory"),
        (tmp_path, config, "cannot be read: Is a directory"),
        (tmp_path / "token.jwt", tmp_path / "gone.toml", "gone.toml: cannot be read"),
    ):
        result = dicomgate("jwt", "inspect", token, "--config", where)
        assert result.exit_code == 2
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    assert (
        "no [[authenticator]]" in inspect(mint(), tables='\n[[authenticator]]\nuse = "passcode"\nfile = "x"\n').stderr
    )
    bad = inspect(mint(), tables=table(jwks_file="gone.json"))
    assert bad.exit_code == 2
    assert "gone.json" in bad.stderr
    assert dicomgate("jwt", "inspect").exit_code == 2
    for sent, status in ((mint(), 0), (mint(STRANGER), 1)):
        assert inspect(sent).exit_code == status
        assert dicomgate("jwt", "inspect", "-", "--config", config, stdin=sent.encode()).exit_code == status


def test_a_providers_token(inspect: Inspect, oidc_provider: OidcProvider) -> None:
    tables = table(
        issuer=oidc_provider.issuer,
        discovery=True,
        ca=str(oidc_provider.ca),
        user_claim="client_id",
        fetch_timeout="20s",
    )
    token = oidc_provider.token(AUDIENCE)
    result = inspect(token, tables=tables)
    assert result.exit_code == 0
    assert rows(result)["client_id"] == [("ok", repr(oidc_provider.client_id))]
    oidc_provider.rotate()
    result = inspect(token, tables=tables)
    assert result.exit_code == 1
    assert wrong(result) == {"kid"}
    oidc_provider.stop()
    assert inspect(token, tables=tables).exit_code == 3
