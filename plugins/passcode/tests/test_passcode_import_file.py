from __future__ import annotations

import pytest

from dicomgate_passcode import import_file
from dicomgate_passcode.import_file import Entry, parse
from plugins.passcode.tests.users import cheap_hash


def _parse(text: str | bytes, refused: tuple[str, ...] = (), minimum_length: int = 8) -> tuple[list[Entry], list[str]]:
    return parse(text.encode() if isinstance(text, str) else text, refused, minimum_length)


@pytest.mark.parametrize(
    ("line", "name", "passcode"),
    [
        ("carol,long enough", "carol", "long enough"),
        ("ct 1,with spaces in it", "ct 1", "with spaces in it"),
        ('"Doe, Jane","comma, quote "" and all"', "Doe, Jane", 'comma, quote " and all'),
        ('carol,"a "", and b"', "carol", 'a ", and b'),
        ('carol," spaces kept "', "carol", " spaces kept "),
        ("zoë,pässwörd", "zoë", "pässwörd"),
        ("carol,colon: and $6$ in it", "carol", "colon: and $6$ in it"),
        ("carol,it's long; enough", "carol", "it's long; enough"),
    ],
)
def test_a_name_and_a_passcode(line: str, name: str, passcode: str) -> None:
    for end in ("", "\n", "\r\n"):
        assert _parse(line + end) == ([Entry(name, passcode=passcode.encode())], [])


@pytest.mark.parametrize("scheme", ["argon2id", "bcrypt", "sha512-crypt", "sha256-crypt"])
def test_a_name_and_a_hash(scheme: str) -> None:
    text = cheap_hash(scheme=scheme)
    for name in ("carol", "Doe, Jane", "cn=jane,ou=staff"):
        assert _parse(f"{name}:{text}\n") == ([Entry(name, hash=text)], [])


def test_both_kinds_and_what_is_ignored() -> None:
    text = cheap_hash()
    entries, problems = _parse(f"\ufeffcarol,long enough\r\n\r\n# a comment,line\ndora:{text}\n")
    assert [entry.name for entry in entries] == ["carol", "dora"]
    assert problems == []
    assert "long enough" not in repr(entries)
    assert "$argon2id" not in repr(entries)
    for nobody in ("", "\n\n", "# nobody\n"):
        assert _parse(nobody) == ([], ["the file has no users"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("carol", "neither name,passcode nor name:hash"),
        ("carol;long enough", "neither name,passcode nor name:hash"),
        ("carol,long enough,", "neither name,passcode nor name:hash"),
        ("carol,one,two of them", "neither name,passcode nor name:hash"),
        ('carol,"not closed', "neither name,passcode nor name:hash"),
        ('carol,in the "middle"', "neither name,passcode nor name:hash"),
        ('carol, "behind a space"', "neither name,passcode nor name:hash"),
        ('carol,"one "two" three"', "neither name,passcode nor name:hash"),
        ("carol:plain text of it", "neither name,passcode nor name:hash"),
        ("carol:!$2b$04$disabled", "neither name,passcode nor name:hash"),
        ("carol:$2b$04$cutoff", "the bcrypt hash is damaged"),
        ("carol:$argon2id$v=19$m=2097152,t=1,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "too expensive"),
        ("carol, long enough", "a space at an end"),
        ("carol,long enough ", "a space at an end"),
        ("carol,\u00a0long enough", "a space at an end"),
        ("carol,$2b$04$a hash of some kind", "a hash in the place of the passcode"),
        ("carol,$apr1$salt$digest", "a hash in the place of the passcode"),
        ("carol,{SSHA}bm90IGEgcGFzc2NvZGU=", "a hash in the place of the passcode"),
        ("cn=jane,ou=staff:{SSHA}bm90IGEg", "a hash in the place of the passcode"),
        ('carol,"$y$j9T$salt$digest"', "a hash in the place of the passcode"),
        ("carol,", "the passcode is empty"),
        ('carol,""', "the passcode is empty"),
        ("carol,7 chars", "shorter than 8"),
        ("carol,with\ra return", "control character"),
        (",long enough", "has no name"),
        (" carol,long enough", "begins or ends with a space"),
        ('"a:b",long enough', "has a colon"),
        ('"#carol",long enough', "begins with #"),
        ("ca\trol,long enough", "control character"),
        (b"carol,l\xf6ng enough", "not UTF-8"),
        (b"carol\xff,long enough", "not UTF-8"),
        ("name,passcode", "a common one"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_nothing_of_it(line: str | bytes, said: str) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    entries, problems = _parse(b"dora,long enough\n" + raw + b"\neve,long enough\n")
    assert [entry.name for entry in entries] == ["dora", "eve"]
    (problem,) = problems
    assert problem.startswith("line 2: ")
    assert said in problem
    assert problem.count("\n") == 0
    assert not [word for word in ("carol", "jane", "enough", "$", "{") if word in problem]


def test_a_hash_has_a_name_that_the_file_can_have() -> None:
    assert _parse(f":{cheap_hash()}") == ([], ["line 1: the user has no name"])
    assert _parse(f" carol:{cheap_hash()}") == ([], ["line 1: the name of the user begins or ends with a space"])


def test_a_user_is_there_once() -> None:
    entries, problems = _parse(f"carol,long enough\n#\ncarol:{cheap_hash()}\nCAROL,long enough\ncarol,another one\n")
    assert [entry.name for entry in entries] == ["carol", "CAROL"]
    assert problems == ["line 3: the user is already on line 1", "line 5: the user is already on line 1"]


def test_names_that_may_not_be_there() -> None:
    entries, problems = _parse("carol,long enough\ndora,long enough\n", refused=("dora", "eve"))
    assert [entry.name for entry in entries] == ["carol"]
    (problem,) = problems
    assert problem.startswith("line 2: the user exists already; --replace")


def test_the_minimum_length_is_the_operators() -> None:
    text = f"carol,fourteen chars\ndora:{cheap_hash(b'short')}\n"
    assert len(_parse(text, minimum_length=14)[0]) == 2
    assert _parse(text, minimum_length=15)[1] == ["line 1: the passcode is shorter than 15 characters"]


def test_a_file_is_read_up_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_file, "LARGEST_FILE", 18)
    assert _parse("carol,long enough\n")[1] == []
    assert _parse("carol,long enough\n\n") == ([], ["the file is larger than 18 bytes"])
