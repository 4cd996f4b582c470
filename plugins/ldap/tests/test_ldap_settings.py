"""What is wrong in the configuration is said at the start, by key; and how templates and DNs are read."""

from __future__ import annotations

import inspect
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate import ConfigError
from dicomgate.testing.peers.certificates import Certificates
from dicomgate_ldap import Ldap
from dicomgate_ldap.directory import is_below
from dicomgate_ldap.settings import fill, read_dn

BASE = "dc=hospital,dc=example"
GATE = f"cn=gate,{BASE}"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "service.secret"
    file.touch(mode=0o600)
    file.write_text("canary-of-the-file\n")
    return file


@pytest.fixture
def keys(secret: Path) -> dict[str, Any]:
    return {"servers": ["ldaps://dc1.hospital.example"], "base": BASE, "bind_dn": GATE, "bind_password_file": secret}


def test_the_dataclass_is_its_own_configuration_schema() -> None:
    parameters = inspect.signature(Ldap).parameters
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters.values())
    assert [name for name, parameter in parameters.items() if parameter.default is parameter.empty] == [
        "servers",
        "base",
    ]


@pytest.mark.parametrize(
    "right",
    [
        {},
        {"servers": ["ldap://dc1", "ldaps://10.0.0.1:6360", "ldaps://[::1]:636", "ldaps://dc1/"]},
        {"bind_dn": "gate@hospital.example"},
        {"bind_dn": "HOSPITAL\\gate"},
        {"bind_dn": None, "bind_password_file": None},
        {"bind_dn": None, "bind_password_file": None, "direct_bind": f"uid={{name}},{BASE}"},
        {"bind_dn": None, "bind_password_file": None, "direct_bind": "{name}@hospital.example"},
        {"groups": "nested", "group_base": f"OU=Groups,{BASE}", "required_group": "radiology"},
        {"servers": ["ldap://dc1"], "cleartext": True},
        {"domain": "HOSPITAL"},
        {"filter": "(&(objectClass=user)(|(uid={name})(mail={name}))(!(x=y)))", "group_filter": "(member={dn})"},
        {"deadline": timedelta(seconds=60), "connections": 64},
    ],
)
def test_what_is_right(keys: dict[str, Any], right: dict[str, Any]) -> None:
    assert Ldap(**keys | right).base == BASE


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"servers": []}, "servers: at least one"),
        *(
            ({"servers": [server]}, "servers: ")
            for server in ("dc1", "ldap://", "ldapi://x", "https://dc1", "ldap://dc1/dc=x", "ldap://dc1:0")
        ),
        *(({"servers": [f"ldap://{end}"]}, "servers: ") for end in ("dc1:99999", "a@dc1", "dc1?x", "dc1#x", "[::1")),
        ({"servers": ["ldaps://dc1", "dc2"]}, "'dc2' is not like"),
        ({"base": ""}, "base: is not a DN"),
        ({"base": "hospital.example"}, "base: is not a DN"),
        ({"group_base": "groups"}, "group_base: is not a DN"),
        ({"bind_dn": "gate"}, "bind_dn: is not a DN"),
        ({"filter": "uid={name}"}, "filter: is not one filter"),
        ({"filter": "(uid=alice)"}, "filter: must have {name}"),
        *(
            ({"filter": template}, "filter: is not one filter")
            for template in ("(uid={name})(x=y)", "(uid={name}", "(uid={name}))", "(uid={name}) ", ")uid={name}(")
        ),
        *(
            ({"filter": template}, "filter: must have {name}, and no other braces")
            for template in ("", "(uid={user})", "(uid={})", "(uid={name)", "(uid={{name}})", "(member={dn})")
        ),
        ({"group_filter": "(member={user})"}, "group_filter: must have {dn} or {name}"),
        ({"name_attribute": "uid)"}, "name_attribute: "),
        ({"name_attribute": ""}, "name_attribute: "),
        ({"required_group": "x", "groups": "none"}, "required_group: "),
        ({"required_group": ""}, "required_group: "),
        *(({"domain": domain}, "domain: ") for domain in ("", "HOSPITAL\\", "hospital.example.org", "a@b")),
        ({"bind_dn": None}, "one of them without the other"),
        ({"bind_password_file": None}, "one of them without the other"),
        ({"direct_bind": f"uid={{name}},{BASE}"}, "direct_bind and bind_dn"),
        ({"bind_dn": None, "bind_password_file": None, "direct_bind": f"uid=alice,{BASE}"}, "direct_bind: must have"),
        ({"bind_dn": None, "bind_password_file": None, "direct_bind": "uid={name},people"}, "direct_bind: is not a DN"),
        ({"cleartext": True}, "cleartext: "),
        ({"deadline": timedelta(0)}, "deadline: "),
        ({"deadline": timedelta(seconds=61)}, "deadline: "),
        ({"connections": 0}, "connections: "),
        ({"connections": 65}, "connections: "),
    ],
)
def test_what_is_wrong(keys: dict[str, Any], wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        Ldap(**keys | wrong)
    assert said in str(error.value)


def test_authorities(keys: dict[str, Any], certificates: Certificates, tmp_path: Path) -> None:
    assert not Ldap(**keys, ca=certificates.ca)._tls.current().verify_flags & ssl.VERIFY_X509_STRICT
    empty = tmp_path / "empty.pem"
    empty.touch()
    for file, said in ((tmp_path / "none.pem", "No such file"), (empty, "the file is empty"), (tmp_path, "ca: ")):
        with pytest.raises(ConfigError, match=said):
            Ldap(**keys, ca=file)


class TestTheSecret:
    def test_it_is_one_line_of_utf_8_that_only_its_owner_may_read(self, keys: dict[str, Any], secret: Path) -> None:
        assert Ldap(**keys)
        secret.chmod(0o604)
        with pytest.raises(ConfigError, match="everybody may read or write this file; chmod o-rw"):
            Ldap(**keys)
        secret.chmod(0o600)
        for wrong in (b"", b"a\nb", b"\xff"):
            secret.write_bytes(wrong)
            with pytest.raises(ConfigError, match=str(secret)):
                Ldap(**keys)

    def test_it_shows_nowhere(self, keys: dict[str, Any]) -> None:
        ldap = Ldap(**keys)
        assert "canary" not in repr(ldap) + repr(vars(ldap))
        assert "service.secret" in repr(ldap)


def test_what_is_filled_in_is_not_a_placeholder() -> None:
    assert fill("(&(uid={name})(dn={dn}))", name="{dn}", dn="{name}") == "(&(uid={dn})(dn={name}))"


@pytest.mark.parametrize(
    ("dn", "first"),
    [
        (f"cn=radiology,{BASE}", ("cn", "radiology")),
        (f"CN=Staff\\, all,{BASE}", ("CN", "Staff, all")),
        (f"cn=M\\C3\\BCller \\\\ \\2C,{BASE}", ("cn", "Müller \\ ,")),
        (f"cn=Müller+uid=x,{BASE}", ("cn", "Müller")),
        (f"cn=a\\+b,{BASE}", ("cn", "a+b")),
        (f"cn=a=b #1, {BASE}", ("cn", "a=b #1")),
        (f"2.5.4.3=x,{BASE}", ("2.5.4.3", "x")),
        (f"cn=ends with a backslash\\\\,{BASE}", ("cn", "ends with a backslash\\")),
    ],
)
def test_a_dn_is_read_as_rfc_4514_writes_it(dn: str, first: tuple[str, str]) -> None:
    assert read_dn(dn) == [first, ("dc", "hospital"), ("dc", "example")]


@pytest.mark.parametrize("dn", ["", "alice", ",", "cn=a,,dc=b", "=a", "a b=c", "cn=a,dc", "cn=\\FF,dc=b"])
def test_what_is_not_a_dn(dn: str) -> None:
    with pytest.raises(ValueError, match=r"not a DN|invalid start byte"):
        read_dn(dn)
    assert not is_below(dn, BASE)


@pytest.mark.parametrize(
    ("dn", "below"),
    [
        (f"cn=a,{BASE}", True),
        ("CN=a,OU=b, DC=Hospital,DC=EXAMPLE", True),
        (BASE, False),
        ("cn=a,dc=example", False),
        ("cn=a,dc=other,dc=example", False),
        ("cn=a\\,dc=hospital,dc=example", False),
        ("cn=dc\\=hospital\\,dc\\=example,dc=evil", False),
        ("cn=a,xdc=hospital,dc=example", False),
    ],
)
def test_what_is_below_a_base(dn: str, below: bool) -> None:
    assert is_below(dn, BASE) is below
