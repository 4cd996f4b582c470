from __future__ import annotations

from pathlib import Path

import pytest

from dicomgate import ConfigError
from dicomgate_passcode import users_file as module
from dicomgate_passcode.users_file import name_problem, parse, read_users_file
from plugins.passcode.tests.users import cheap_hash

PATH = Path("/etc/dicomgate/users.htpasswd")


@pytest.fixture(scope="module")
def good() -> bytes:
    return cheap_hash().encode()


def test_users_comments_and_empty_lines(good: bytes) -> None:
    users = parse(PATH, b"# staff\n\nalice:" + good + b"\r\nJos\xc3\xa9 Luis:" + good).users
    assert list(users) == ["alice", "José Luis"]
    assert users["alice"].line == 3
    assert users["alice"].hash == good.decode()
    assert users["alice"].cost is not None
    assert good.decode() not in repr(users)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"alice", "no colon"),
        (b"alice$argon2id$v=19", "no colon"),
        (b":HASH", "no name"),
        (b" alice:HASH", "begins or ends with a space"),
        (b"alice :HASH", "begins or ends with a space"),
        (b"alice\xc2\xa0:HASH", "begins or ends with a space"),
        (b"\talice:HASH", "begins or ends with a space"),
        (b"al\x00ice:HASH", "control character"),
        (b"al\x0bice:HASH", "control character"),
        (b"al\xe2\x80\xa8ice:HASH", "control character"),
        (b"a" * 256 + b":HASH", "longer than 255 bytes"),
        (b"\xc3\xa9" * 128 + b":HASH", "longer than 255 bytes"),
        (b"ren\xe9:HASH", "not UTF-8"),
        (b"alice:$argon2id$v=19$m=8,t=1,p=1$c2Fsd", "damaged or cut off"),
        (b"alice:HASH ", "damaged or cut off"),
        (b"alice:HASH\rroot:HASH", "damaged or cut off"),
        (b"alice:$2b$31$" + b"." * 53, "too expensive"),
    ],
)
def test_a_wrong_line_refuses_the_file_and_is_named(line: bytes, said: str, good: bytes) -> None:
    line = line.replace(b"HASH", good)
    before = b"# comment\nzoe:" + good + b"\n"
    with pytest.raises(ConfigError, match=said) as raised:
        parse(PATH, before + line + b"\n")
    problem = str(raised.value)
    assert "\n" not in problem
    assert problem.startswith(f"{PATH}, line 3: ")
    assert good.decode() not in problem
    assert "c2Fsd" not in problem
    assert list(parse(PATH, before + b"\n").users) == ["zoe"]


def test_a_byte_order_mark_is_passed_over(good: bytes) -> None:
    assert list(parse(PATH, b"\xef\xbb\xbfalice:" + good + b"\r\n").users) == ["alice"]
    with pytest.raises(ConfigError, match="is UTF-16, not UTF-8: save the file as UTF-8"):
        parse(PATH, f"alice:{good.decode()}".encode("utf-16"))


def test_a_user_twice_is_refused_with_both_lines(good: bytes) -> None:
    with pytest.raises(ConfigError, match="line 3: user 'alice' is already on line 1"):
        parse(PATH, b"alice:" + good + b"\nbert:" + good + b"\nalice:!\n")
    # Names that only look alike are two users.
    assert len(parse(PATH, b"alice:" + good + b"\nAlice:" + good + b"\n").users) == 2


def test_all_that_is_wrong_is_said_at_once_but_not_without_end(good: bytes) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(PATH, b"one\ntwo\n")
    assert str(raised.value).count("no colon") == 2
    with pytest.raises(ConfigError) as raised:
        parse(PATH, b"nonsense\n" * 100)
    assert str(raised.value).count("no colon") == 10
    assert str(raised.value).endswith("; and 90 more")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!", "disabled"),
        ("*", "disabled"),
        ("!HASH", "disabled"),
        ("", "the scheme of its hash is unknown, none of"),
        ("hunter2", "the scheme of its hash is unknown, none of"),
        ("$apr1$salt$aaaaaaaaaaaaaaaaaaaaaa", "the scheme of its hash is apr1 (MD5), none of"),
        ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "the scheme of its hash is SHA-1, none of"),
        ("realm:0123456789abcdef", "the scheme of its hash is unknown, none of"),
    ],
)
def test_an_unreadable_scheme_disables_one_user_with_one_warning(text: str, said: str, good: bytes) -> None:
    text = text.replace("HASH", good.decode())
    found = parse(PATH, b"alice:" + good + b"\nbert:" + text.encode() + b"\n")
    assert found.users["alice"].cost is not None
    assert found.users["bert"].cost is None
    (warning,) = found.warnings
    assert warning.startswith(f"{PATH}, line 2: user 'bert' cannot log in: {said}")
    assert len(text) < 2 or text not in warning


@pytest.mark.parametrize("data", [b"", b"# nobody\n", b"\n\n"])
def test_an_empty_file_is_allowed_with_a_warning(data: bytes) -> None:
    found = parse(PATH, data)
    assert found.users == {}
    assert found.warnings == (f"{PATH}: no users, so all logins will fail",)


def test_a_file_that_everybody_may_read_is_a_warning(users_file: Path) -> None:
    quiet = read_users_file(users_file).warnings
    users_file.chmod(0o644)
    (more,) = set(read_users_file(users_file).warnings) - set(quiet)
    assert "everybody may read" in more


def test_a_file_that_is_far_too_large_is_refused(users_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE", 20)
    with pytest.raises(ConfigError, match="longer than 20 bytes"):
        read_users_file(users_file)


def test_names_that_can_and_cannot_be() -> None:
    assert name_problem("a" * 255) == ""
    assert name_problem("Dr. José Luis") == ""
    for name in ("", " a", "a ", "a:b", "#a", "a\nb", "a\x7fb", "a\x85b", "\udcff", "a" * 256):
        assert name_problem(name), name
