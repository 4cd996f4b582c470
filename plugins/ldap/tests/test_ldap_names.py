from __future__ import annotations

import pytest

from dicomgate_ldap.names import escape, fill, filter_problem, is_below, read_dn, template_problem

BASE = "dc=hospital,dc=example"


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("alice", "alice"),
        ("Alice7", "Alice7"),
        ("a*(b)\\c\0", r"a\2a\28b\29\5cc\00"),
        ('a,b+c"d<e>f;g=h#', r"a\2cb\2bc\22d\3ce\3ef\3bg\3dh\23"),
        (" a ", r"\20a\20"),
        ("zoë", r"zo\c3\ab"),
        ("\u0661²", r"\d9\a1\c2\b2"),  # digits to str.isdigit and str.isalnum
        ("", ""),
    ],
)
def test_a_value_is_letters_digits_and_escaped_bytes(value: str, escaped: str) -> None:
    assert escape(value) == escaped
    if value:
        assert read_dn(f"cn={escaped},{BASE}")[0] == ("cn", value)


def test_what_is_filled_in_is_not_a_placeholder() -> None:
    assert fill("(&(uid={name})(dn={dn}))", {"name": "{dn}", "dn": "{name}"}) == "(&(uid={dn})(dn={name}))"


@pytest.mark.parametrize(
    ("template", "right"),
    [
        ("(uid={name})", True),
        ("(|(uid={name})(mail={name}))", True),
        ("(uid=alice)", False),
        ("(uid={user})", False),
        ("(uid={})", False),
        ("(uid={name)", False),
        ("(uid={{name}})", False),
        ("(member={dn})", False),
    ],
)
def test_templates(template: str, right: bool) -> None:
    assert (template_problem(template, ("name",)) == "") is right
    assert template_problem("(member={dn})", ("dn", "name")) == ""


@pytest.mark.parametrize(
    ("template", "right"),
    [
        ("(uid={name})", True),
        ("(&(a=b)(!(c=d)))", True),
        ("uid={name}", False),
        ("(uid={name}", False),
        ("(uid={name}))", False),
        ("(a=b)(c=d)", False),
        ("(a=b) ", False),
        (")(", False),
        ("", False),
    ],
)
def test_filters(template: str, right: bool) -> None:
    assert (filter_problem(template) == "") is right


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
    assert read_dn(dn)[0] == first
    assert read_dn(dn)[1:] == [("dc", "hospital"), ("dc", "example")]


@pytest.mark.parametrize("dn", ["", "alice", ",", "cn=a,,dc=b", "=a", "a b=c", "cn=a,dc"])
def test_what_is_no_dn(dn: str) -> None:
    with pytest.raises(ValueError, match="not a DN"):
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
def test_what_stands_below_a_base(dn: str, below: bool) -> None:
    assert is_below(dn, BASE) is below
