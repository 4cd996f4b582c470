"""What an operator can get wrong, what the defaults are, and what each relaxation lets in that they do not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from dicomgate import Accept, Attempt, ConfigError, IdentityType, Pass, Reject
from dicomgate.testing import AuthenticatorContract, attempt, jwt, saml
from dicomgate_saml import Saml
from plugins.saml.tests import mint as m
from plugins.saml.tests.mint import ISSUER, P256, RSA, STRANGER, ask, authenticator, conditions, mint, subject, written

WEAK = m.signer(rsa.generate_private_key(65537, 1024))  # noqa: S505 (that is the point)
URL = {"certificates": None, "metadata_url": "https://idp.example/", "unsigned_metadata": True}
Make = Callable[..., Saml]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make it with all that is required, and these options beside or instead."""
    certificate = written(tmp_path / "idp.pem", RSA.pem)

    def make(**options: Any) -> Saml:
        usual = {"issuer": ISSUER, "entity_id": m.ENTITY_ID, "certificates": [certificate], **options}
        return Saml(**{name: value for name, value in usual.items() if value is not None})

    return make


def test_the_defaults(make: Make) -> None:
    made = make()
    assert made.handles == {IdentityType.SAML}
    assert made.rules.recipient == m.ENTITY_ID
    assert (made.rules.skew, made.rules.maximum_lifetime) == (60.0, 3600.0)
    assert (made.rules.recipient_required, made.rules.address_checked, made.rules.authentication_required) == (
        True,
    ) * 3
    assert (made.single_use, made.unsigned_metadata) == (True, False)
    assert make(recipient="https://gate.example/login").rules.recipient == "https://gate.example/login"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"issuer": ""}, "issuer and entity_id: must not be empty"),
        ({"entity_id": ""}, "issuer and entity_id: must not be empty"),
        ({"recipient": ""}, "recipient: must not be empty"),
        ({"clock_skew": timedelta(seconds=-1)}, "clock_skew: at most 3m"),
        ({"clock_skew": timedelta(minutes=3, microseconds=1)}, "clock_skew: at most 3m"),
        ({"maximum_lifetime": timedelta(0)}, "maximum_lifetime: must be more"),
        ({"certificates": None}, "certificates, metadata_file, metadata_url: one"),
        ({"certificates": []}, "certificates, metadata_file, metadata_url: one"),
        ({"metadata_file": Path("x")}, "certificates, metadata_file, metadata_url: one"),
        ({"metadata_url": "https://idp.example/"}, "certificates, metadata_file, metadata_url: one"),
        ({**URL, "unsigned_metadata": False}, "metadata_signers: required"),
        ({**URL, "metadata_url": "http://idp.example/"}, "metadata_url: must be https"),
        ({**URL, "refresh": timedelta(seconds=59)}, "refresh: a minute or more"),
        ({**URL, "fetch_timeout": timedelta(minutes=2)}, "fetch_timeout: "),
        ({**URL, "proxy": "socks://proxy"}, "proxy: must be http"),
        ({"certificate_file": Path("x")}, "certificate_file: needs the key_file"),
    ],
)
def test_what_is_refused(make: Make, options: dict[str, Any], message: str) -> None:
    make()
    make(**URL)
    with pytest.raises(ConfigError) as raised:
        make(**options)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (b"", 0o644, "no certificates in PEM"),
        (WEAK.pem, 0o644, "too weak"),
        (RSA.pem, 0o646, "everybody may write"),
        (RSA.pem + b" " * 600_000, 0o644, "longer than 524288"),
    ],
)
@pytest.mark.parametrize("key", ["certificates", "metadata_signers"])
def test_certificates(make: Make, tmp_path: Path, key: str, content: bytes, mode: int, message: str) -> None:
    path = written(tmp_path / "given.pem", content, mode)
    url = {"certificates": None, "metadata_url": "https://idp.example/", "metadata_signers": path}
    options = {"certificates": [path]} if key == "certificates" else url
    with pytest.raises(ConfigError, match=message):
        make(**options)
    written(path, P256.pem)
    make(**options)
    path.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        make(**options)


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (b"", 0o600, "the file is empty"),
        (RSA.pem, 0o600, "contains a certificate, and no private key"),
        (RSA.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")), 0o600, "passph"),
        (P256.private_pem, 0o600, "must be an RSA key of 2048 bits or more"),
        (WEAK.private_pem, 0o600, "must be an RSA key of 2048 bits or more"),
        (RSA.private_pem, 0o604, "everybody may read"),
    ],
)
def test_key_files(make: Make, tmp_path: Path, content: bytes, mode: int, message: str) -> None:
    path = written(tmp_path / "gate.key", content, mode)
    with pytest.raises(ConfigError, match=message) as raised:
        make(key_file=path)
    assert "PRIVATE" not in str(raised.value)
    assert make(key_file=written(path, RSA.private_pem, 0o600)).decryptor is not None


@pytest.mark.parametrize("content", [STRANGER.pem, P256.pem, b""])
def test_the_certificate_of_the_key(make: Make, tmp_path: Path, content: bytes) -> None:
    key, path = written(tmp_path / "gate.key", RSA.private_pem, 0o600), tmp_path / "gate.pem"
    for good in (RSA.pem, RSA.pem + P256.pem):
        make(key_file=key, certificate_file=written(path, good))
    with pytest.raises(ConfigError, match=r"gate\.pem: not the certificate, in PEM, of the key in .*gate\.key"):
        make(key_file=key, certificate_file=written(path, content))


def test_nothing_secret_in_its_repr(make: Make, tmp_path: Path) -> None:
    made = make(
        key_file=written(tmp_path / "gate.key", RSA.private_pem, 0o600), proxy="http://user:hunter2@proxy:1",
        certificate_file=written(tmp_path / "gate.pem", RSA.pem),
    )  # fmt: skip
    assert "hunter2" not in repr(made)
    assert "PRIVATE" not in repr(made)


@pytest.mark.parametrize(
    ("relaxed", "parts"),
    [
        ({"require_recipient": False}, lambda: {"subject": subject("ada", m.confirmation(recipient=None))}),
        ({"recipient": "https://x"}, lambda: {"subject": subject("ada", m.confirmation(recipient="https://x"))}),
        ({"check_address": False}, lambda: {"subject": subject("ada", m.confirmation(address="192.0.2.9"))}),
        ({"require_authentication": False}, lambda: {"authentication": ""}),
        ({"clock_skew": timedelta(minutes=3)}, lambda: {"conditions": conditions(ends=-120)}),
        ({"maximum_lifetime": timedelta(hours=2)}, lambda: {"conditions": conditions(ends=7000)}),
        ({"user_attribute": "uid"}, lambda: {"subject": subject(None), "attributes": m.attributes({"uid": ["ada"]})}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_relaxation_is_a_key(make: Make, relaxed: dict[str, Any], parts: Callable[[], dict[str, Any]]) -> None:
    strict = make()
    assert isinstance(ask(strict, mint()), Accept)
    signed = mint(**parts())
    assert isinstance(ask(strict, signed), Reject)
    assert isinstance(ask(make(**relaxed), signed), Accept)


@pytest.mark.parametrize(
    ("stricter", "parts"),
    [
        ({"authentication_contexts": [m.PASSWORD]}, lambda: {"authentication": m.authentication("urn:x")}),
        ({"holder_of_key": True}, dict),
        ({"clock_skew": timedelta(0)}, lambda: {"conditions": conditions(ends=-1)}),
        ({"maximum_lifetime": timedelta(minutes=4)}, dict),
        ({"user_attribute": "uid"}, dict),
    ],
)
def test_each_restriction_is_a_key(make: Make, stricter: dict[str, Any], parts: Callable[[], dict[str, Any]]) -> None:
    signed = mint(**parts())
    assert isinstance(ask(make(), signed, certificate=m.der(P256)), Accept)
    assert isinstance(ask(make(**stricter), signed, certificate=m.der(RSA)), Reject)


def test_one_time_use(make: Make) -> None:
    """By default each assertion is; without, the one that says so."""
    plain, once = mint(id="_a1"), mint(id="_a2", conditions=conditions(more="<saml:OneTimeUse/>"))
    for single_use, signed, expected in (
        (True, plain, "_a1"), (True, once, "_a2"), (False, plain, None), (False, once, "_a2")
    ):  # fmt: skip
        answer = m.accepted(make(single_use=single_use), signed)
        assert (answer.once and answer.once.key) == (expected and f"{ISSUER}\0{expected}")


def test_what_is_no_assertion_is_passed_on(make: Make) -> None:
    made = make()
    assert isinstance(made.authenticate(m.login(mint())), Accept)
    for identity in (None, jwt("a.b.c")):
        assert isinstance(made.authenticate(attempt(identity)), Pass)


class TestSaml(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self, tmp_path: Path) -> Saml:
        key = written(tmp_path / "gate.key", STRANGER.private_pem, 0o600)
        certificate = written(tmp_path / "gate.pem", STRANGER.pem)
        return authenticator(tmp_path, single_use=False, key_file=key, certificate_file=certificate)

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(saml(mint(), positive_response_requested=True))

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(saml(mint(key=STRANGER)))
