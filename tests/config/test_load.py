"""The configuration file: every mistake with file, line and key; all of them at once; no value repeated."""

from __future__ import annotations

import re
import tempfile
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dicomgate import ConfigError
from dicomgate.config.load import Configuration, load
from dicomgate.config.schema import EmbeddedTables
from dicomgate.errors import Problem
from dicomgate.testing.gateway import as_toml

SECRET = "canary-7f3a91"
GOOD = """\
[gateway]
node = "gate-1"

[[listener]]
name = "clinical"
bind = "0.0.0.0:11112"
tls = { certificate = "gate.pem", key = "gate.key" }

[[upstream]]
name = "pacs"
address = "127.0.0.1:4242"
called_ae_titles = ["ORTHANC"]

[[authenticator]]
use = "passcode"
name = "staff"
file = "users.htpasswd"
"""
RULES = GOOD + '[[rule]]\nname = "viewers"\nallow = ["echo", "worklist"]\n'
PIN, TLS = "ab" * 32, 'tls = { certificate = "gate.pem", key = "gate.key" }'


def read(folder: Path, text: str) -> Configuration:
    path = folder / "gate.toml"
    path.write_text(text, "utf-8")
    return load(path)


def wrong(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as it:
        read(folder, text)
    lines = str(it.value).splitlines()
    assert len(lines) == len(it.value.problems)
    return [line.replace(f"{folder}/", "") for line in lines]


def add(after: str, line: str, text: str = GOOD) -> str:
    assert text.count(after + "\n") == 1
    return text.replace(after + "\n", f"{after}\n{line}\n")


def swap(old: str, new: str, text: str = GOOD) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def test_the_good_one_is_read_and_the_defaults_are_the_safe_ones(tmp_path: Path) -> None:
    configuration = read(tmp_path, GOOD)
    assert configuration.folder == tmp_path
    tables = configuration.tables
    listener, upstream, authenticator = tables.listener[0], tables.upstream[0], tables.authenticator[0]
    assert tables.gateway.node == "gate-1"
    assert listener.bind == [("0.0.0.0", 11112)]
    assert upstream.address == ("127.0.0.1", 4242)
    assert (authenticator.title, authenticator.options) == ("staff", {"file": "users.htpasswd"})
    assert (listener.identity, listener.cleartext_passcodes, listener.fallback_encoding) == ("required", False, None)
    assert listener.tls is not None
    assert listener.tls.client_certificate == "required"
    assert (upstream.identity, authenticator.on_error) == ("strip", "stop")
    assert authenticator.timeout == timedelta(seconds=2), "a client may give up after 5 s"
    assert tables.gateway.max_request_bytes == 262_144


ONE_MISTAKE = {
    # -- the file
    "not TOML": ("[gateway\n", "1: not TOML: Expected ']' at the end of a table declaration (column 9)"),
    "a key twice": (
        add('node = "gate-1"', 'node = "x"'),
        "3: not TOML: this key is there twice in its table",
    ),
    "a number too long": (f"a = {'9' * 5000}", " not TOML: Exceeds the limit (4300 digits)"),
    "too deep": ("a = " + "[" * 99_999, " not TOML: "),
    "text without quotes": (swap('"gate-1"', SECRET), '2: not TOML: text must be in quotes: node = "..." (column 8)'),
    "True": (add('name = "clinical"', "cleartext_passcodes = True"), "6: not TOML: cleartext_passcodes = true or "),
    "yes": (add('name = "clinical"', "cleartext_passcodes = yes # x"), "6: not TOML: cleartext_passcodes = true or "),
    "nothing": (swap('"gate-1"', ""), "2: not TOML: node has no value (column 8)"),
    "smart quotes": (
        swap('"gate-1"', "\u201cgate-1\u201d"),
        "2: not TOML: a typographic quotation mark, \u201c: write straight ones",
    ),
    "a smart quote at the end": (
        swap('gate-1"', "gate-1\u201d"),
        "2: not TOML: a typographic quotation mark, \u201d: write straight ones",
    ),
    "smart quotes in a comment": (
        swap('"gate-1"', "gate-1 # \u201cone\u201d"),
        "2: not TOML: text must be in quotes: node = ",
    ),
    "a colon": (swap("node =", "node:"), "2: not TOML: write a key and its value as: key = value (column 5)"),
    "a Windows path": (swap("gate.pem", "C:\\gate.pem"), "7: not TOML: a backslash begins an escape"),
    "an open quote": (swap('gate-1"', "gate-1"), "2: not TOML: the quotes of this text are not closed"),
    "a table twice": ("[gateway]\n" + GOOD, "2: not TOML: this table is there twice"),
    "two keys on a line": (
        swap("[gateway]\n", '[gateway]\nx = 1, y = "a"\n'),
        "2: not TOML: more follows on",
    ),
    "an open list": (swap('["ORTHANC"]', '["ORTHANC"\n'), "15: not TOML: a list is not closed"),
    "a NUL": ("a = '\0'", "1: not TOML: "),
    # -- names of keys
    "an unknown table": (
        "[gatway]\n" + GOOD,
        "1: gatway: unknown table, did you mean 'gateway'?; known are: gateway, state, throttle, limits, control,",
    ),
    "several unknown tables": (
        GOOD + "[[listner]]\n",
        "18: listner: unknown table, did you mean 'listener'?",
    ),
    "in an inline table": (
        swap('key = "gate.key"', 'kee = "gate.key"'),
        "7: listener[0].tls.kee: unknown key, did you mean 'key'?; known are: certificate, key,",
    ),
    "in a table below": (
        swap(TLS, '[listener.tls]\ncertificate = "c"\ncient_ca = "d"'),
        "9: listener[0].tls.cient_ca: unknown key, did you mean 'client_ca'?; known are: certificate,",
    ),
    # -- what is missing
    "a key is missing": (swap('name = "clinical"\n', ""), "4: listener[0].name: is missing"),
    "a key of tls is missing": (swap('certificate = "gate.pem", ', ""), "7: listener[0].tls.certificate: is missing"),
    "no authenticator": (
        GOOD[: GOOD.index("[[authenticator")],
        "1: authenticator: is missing: write at least one [[authenticator]] table",
    ),
    "an empty array": (
        "authenticator = []\n" + GOOD[: GOOD.index("[[authenticator")],
        "1: authenticator: must have at least 1 entry",
    ),
    "one bracket": (swap("[[listener]]", "[listener]"), "4: listener: there can be several of these tables"),
    # -- values
    "a port too high": (
        swap(":11112", ":70000"),
        "6: listener[0].bind: 70000 is not a port: a port is",
    ),
    "no port": (swap(":4242", ""), '11: upstream[0].address: an address is "host:port"'),
    "IPv6 without brackets": (swap("0.0.0.0", "::1"), '6: listener[0].bind: an address is "host:port"'),
    "a number as address": (swap('"127.0.0.1:4242"', "4242"), '11: upstream[0].address: an address is "host:port"'),
    "no host name": (swap("127.0.0.1", "a..b"), "11: upstream[0].address: 'a..b' is not a host name"),
    "an AE title too long": (
        swap("ORTHANC", "SEVENTEEN_LETTERS"),
        "12: upstream[0].called_ae_titles[0]: 'SEVENTEEN_LETTERS' is not an AE title",
    ),
    "an AE title with a backslash": (
        swap('"ORTHANC"', "'A\\B'"),
        "12: upstream[0].called_ae_titles[0]: 'A\\\\B' is not an AE title",
    ),
    "an AE title with a space": (swap("ORTHANC", "ORTHANC "), "12: upstream[0].called_ae_titles[0]: 'ORTHANC ' is not"),
    "an empty AE title": (swap("ORTHANC", ""), "12: upstream[0].called_ae_titles[0]: '' is not an AE title"),
    "no AE titles": (swap('["ORTHANC"]', "[]"), "12: upstream[0].called_ae_titles: must have at least 1 entry"),
    "a name with a newline": (swap('"clinical"', '"clinical\\n"'), "5: listener[0].name: must be 1 to 64 letters"),
    "an empty name": (swap('"pacs"', '""'), "10: upstream[0].name: must be 1 to 64 letters"),
    # -- contradictions
    "a name twice": (
        GOOD + '[[authenticator]]\nuse = "jwt"\nname = "staff"\n',
        "20: authenticator[1].name: a second authenticator is called 'staff'",
    ),
    "a name twice by default": (
        GOOD + '[[authenticator]]\nuse = "staff"\n',
        "18: authenticator[1].name: a second authenticator is called 'staff'",
    ),
    "a route twice": (
        GOOD + '[[upstream]]\nname = "b"\naddress = "h:1"\ncalled_ae_titles = ["B", "ORTHANC"]\n',
        "21: upstream[1].called_ae_titles: called AE title 'ORTHANC' already goes to",
    ),
    "the rest twice": (
        swap("ORTHANC", "*") + '[[upstream]]\nname = "b"\naddress = "h:1"\ncalled_ae_titles = ["*"]\n',
        "21: upstream[1].called_ae_titles: any other called AE title already goes to upstream 'pacs'",
    ),
    "no address": (swap('address = "127.0.0.1:4242"\n', ""), "9: upstream[0].address: is missing"),
    "no called AE titles": (
        swap('called_ae_titles = ["ORTHANC"]\n', ""),
        "9: upstream[0].called_ae_titles: is missing",
    ),
    "one address and several": (
        swap('called_ae_titles = ["ORTHANC"]', 'addresses = { CT1 = "h:1" }'),
        "11: upstream[0].address: addresses has each title and its address: remove this",
    ),
    "one address and several of the same PACS": (
        GOOD.replace('called_ae_titles = ["ORTHANC"]', 'called_ae_titles = ["ORTHANC"]\naddresses = ["h:1", "h:2"]'),
        "11: upstream[0].address: addresses has all of them: remove this",
    ),
    "several addresses of a PACS without its titles": (
        GOOD + '[[upstream]]\nname = "b"\naddresses = ["h:1", "h:2"]\n',
        "18: upstream[1].called_ae_titles: is missing",
    ),
    "an address of a PACS that is none": (
        GOOD + '[[upstream]]\nname = "b"\naddresses = ["h:1", "h"]\ncalled_ae_titles = ["B"]\n',
        '20: upstream[1].addresses[1]: an address is "host:port"',
    ),
    "an address of a PACS twice": (
        GOOD + '[[upstream]]\nname = "b"\naddresses = ["h:1", "h:1"]\ncalled_ae_titles = ["B"]\n',
        "20: upstream[1].addresses: h:1 is there twice: remove one of them",
    ),
    "what is for checks, without any": (
        GOOD + '[[upstream]]\nname = "b"\naddresses = ["h:1"]\ncalled_ae_titles = ["B"]\nrise = 2\n',
        '22: upstream[1].rise: is for checks, and there are none: add check = "echo"',
    ),
    "what is for several addresses, with one": (
        GOOD + '[[upstream]]\nname = "b"\naddress = "h:1"\ncalled_ae_titles = ["B"]\nfall = 2\n',
        "22: upstream[1].fall: is for a PACS with several addresses: write them as a list",
    ),
    "an address for all others": (
        GOOD + '[[upstream]]\nname = "b"\naddresses = { "*" = "h:1" }\n',
        '20: upstream[1].addresses: "*" is no device: name each, or use address and called_ae_titles',
    ),
    "a device that is a PACS": (
        GOOD + '[[upstream]]\nname = "b"\naddresses = { CT1 = "h:1", ORTHANC = "h:2" }\n',
        "20: upstream[1].addresses: called AE title 'ORTHANC' already goes to upstream 'pacs'",
    ),
    "an address twice": (
        GOOD + '[[listener]]\nname = "b"\nbind = "0.0.0.0:11112"\n',
        "20: listener[1].bind: listener 'clinical' already has this address",
    ),
    "any port twice": (
        swap(":11112", ":0") + '[[listener]]\nname = "b"\nbind = "0.0.0.0:0"\n',
        "20: listener[1].bind: listener 'clinical' already has this address",
    ),
    "pin and ca": (
        add('address = "127.0.0.1:4242"', f'tls = {{ pin = "{PIN}", ca = "a" }}'),
        "12: upstream[0].tls.ca: ca and pin exclude each other",
    ),
    "client certificates without CA": (
        swap('key = "gate.key"', 'client_certificate = "required"'),
        "7: listener[0].tls.client_certificate: client certificates are verified against client_ca",
    ),
    "rules of nothing": (
        add('name = "clinical"', 'rules = "enforce"'),
        "6: listener[0].rules: there is no [[rule]], so nobody could do anything",
    ),
    "a rule twice": (
        RULES + '[[rule]]\nname = "viewers"\nallow = "echo"\n',
        "22: rule[1].name: a second rule is called 'viewers'",
    ),
    "whose group": (
        RULES + 'groups = ["x"]\n[[authenticator]]\nuse = "certificate"\n',
        "21: rule[0].groups: whose groups? name their authenticators beside them; there are: staff, certificate",
    ),
}


@pytest.mark.parametrize("name", ONE_MISTAKE)
def test_one_mistake_is_one_line_with_its_place(tmp_path: Path, name: str) -> None:
    text, message = ONE_MISTAKE[name]
    (line,) = wrong(tmp_path, text)
    assert line.startswith(f"gate.toml:{message}")


WRONG_LINES = [
    ("gateway", "nodes = 1", "nodes: unknown key, did you mean 'node'?; known are: node, audit,"),
    ("gateway", 'artim = "long"', "artim: a duration is a number with a unit"),
    ("gateway", 'artim = "0s"', "artim: must be longer than 0"),
    ("gateway", 'idle_timeout = "0s"', "idle_timeout: must be longer"),
    ("gateway", 'keepalive = "10h"', 'keepalive: must be "1s" to "9h", or "0s" for none'),
    ("gateway", "max_associations = 0", "max_associations: must be 1 or more"),
    ("gateway", "max_associations_per_source = 0", "max_associations_per_source: must be 1 or more"),
    ("gateway", "max_unauthenticated = 0", "max_unauthenticated: must be 1 or more"),
    ("gateway", "max_unauthenticated_per_source = 0", "max_unauthenticated_per_source: must be 1 or more"),
    ("listener[0]", "adress = 1", "adress: unknown key; known are: name, bind, identity,"),
    ("listener[0]", "identiy = 1", "identiy: unknown key, did you mean 'identity'?; known are: name,"),
    ("listener[0]", 'identity = "maybe"', 'identity: must be "required" or "optional"'),
    ("listener[0]", 'fallback_encoding = "latin-0"', "fallback_encoding: 'latin-0' is not the name of a text encoding"),
    ("listener[0]", 'fallback_encoding = "rot13"', "fallback_encoding: 'rot13' is not the name of a text encoding"),
    ("listener[0]", "authenticators = []", "authenticators: must have at least 1 entry"),
    ("listener[0]", 'authenticators = ["stuff"]', "authenticators: no authenticator is called 'stuff'"),
    (
        "upstream[0]",
        "tls = { pinn = 1 }",
        "tls.pinn: unknown key, did you mean 'pin'?; known are: ca, server_name, pin,",
    ),
    ("upstream[0]", 'tls = { pin = "ab" }', "tls.pin: a pin is the SHA-256"),
    ("upstream[0]", 'tls = { key = "a" }', "tls.key: a key without its certificate"),
    ("authenticator[0]", "timeout = 2", "timeout: a duration is a number with a unit"),
    ("authenticator[0]", 'on_error = "ignore"', 'on_error: must be "stop" or "next"'),
    ("authenticator[0]", "workers = 0", "workers: must be 1 or more"),
    ("authenticator[0]", 'revalidate = "900ms"', 'revalidate: must be "1s" or more'),
    ("listener[0]", 'rules = "on"', 'rules: must be "enforce" or "report"'),
    (
        "rule[0]",
        'destination = "own"',
        "destination: unknown key, did you mean 'destinations'?; known are: name, allow",
    ),
    ("rule[0]", 'listeners = "clinicl"', "listeners: no listener is called 'clinicl', did you mean 'clinical'?; there"),
    ("rule[0]", 'authenticators = ["stuff"]', "authenticators: no authenticator is called 'stuff', did you mean"),
    ("rule[0]", 'upstreams = ["x", "pacs"]', "upstreams: no upstream is called 'x'; there are: pacs"),
    ("rule[0]", 'called_ae_titles = ["ORTH"]', "called_ae_titles: no upstream takes the called AE title 'ORTH'; they"),
    ("rule[0]", "groups = []", "groups: must have at least 1 entry"),
    ("rule[0]", 'groups = [""]', "groups[0]: must"),
    ("rule[0]", "attributes = { department = 5 }", "attributes.department: must be"),
    ("rule[0]", 'networks = ["10.1.2.3/8"]', "networks[0]: '10.1.2.3/8' is an address in a network"),
    ("rule[0]", 'calling_ae_titles = "A*B*C*D*E*F*G*H*I"', "calling_ae_titles: 'A*B*C*D*E*F*G*H*I' is not an AE title"),
]
WRONG_GRANTS = [
    ('"fnd"\ndestinations = "own"', "allow: no service is called 'fnd', did you mean 'find'?; `dicomgate rules"),
    ('["find", "1.2.3.04"]', "allow[1]: no service is called '1.2.3.04'"),
    ('["find", "*"]', 'allow: "*" is everything: remove the others, or "*"'),
    ("[]", "allow: must have at least 1 entry"),
    ('"*"\ndestinations = "own"', 'destinations: allow = "*" includes all destinations'),
    ('["find", "move"]', 'destinations: is missing: write where move may send to: "own", AE titles, or "*"'),
    ('["1.2.840.10008.5.1.4.43.3"]', "destinations: is missing: write where"),
    ('["find", "1.2.3"]\ndestinations = "own"', 'destinations: only "move" needs them: add it to allow, or remove'),
]
# No value is taken for one of another type: not by the gateway, and not by an authenticator (tests/auth).
WRONG_TYPES = [
    ("listener[0]", "fallback_encoding = 5", "fallback_encoding: must be text, in quotes; this is a number"),
    ("gateway", "max_associations = true", "max_associations: must be a whole number, without quotes; this is true or"),
    ("gateway", 'max_associations = "5"', "max_associations: must be a whole number, without quotes; this is text"),
    ("gateway", "max_associations = 5.0", "max_associations: must be a whole number"),
    ("gateway", "audit = true", "audit: must be a path, in quotes; this is true or false"),
    ("listener[0]", 'cleartext_passcodes = "yes"', "cleartext_passcodes: must be true or false, without quotes; this"),
    ("listener[0]", "cleartext_passcodes = 1", "cleartext_passcodes: must be true or false, without quotes; this is a"),
    ("listener[0]", 'end_with_credential = "false"', "end_with_credential: must be true or false"),
    ("listener[0]", "identity = true", 'identity: must be "required" or "optional"; this is true or false'),
    ("listener[0]", 'authenticators = "staff"', "authenticators: must be a list, in square brackets"),
    ("upstream[0]", "tls = true", "tls: must be a table: { key = value }; this is true or false"),
    ("authenticator[0]", "workers = true", "workers: must be a whole number"),
]
WRONG_LINES += WRONG_TYPES
WHERE = {
    "gateway": ('node = "gate-1"', 3),
    "listener[0]": ('name = "clinical"', 6),
    "upstream[0]": ('address = "127.0.0.1:4242"', 12),
    "authenticator[0]": ('name = "staff"', 17),
    "rule[0]": ('name = "viewers"', 20),
}


@pytest.mark.parametrize(("table", "line", "message"), WRONG_LINES)
def test_a_wrong_line_is_told_with_its_place(tmp_path: Path, table: str, line: str, message: str) -> None:
    after, number = WHERE[table]
    (told,) = wrong(tmp_path, add(after, line, RULES))
    assert told.startswith(f"gate.toml:{number}: {table}.{message}")


@pytest.mark.parametrize(("allow", "message"), WRONG_GRANTS)
def test_a_wrong_grant_is_told_with_its_place(tmp_path: Path, allow: str, message: str) -> None:
    (told,) = wrong(tmp_path, swap('["echo", "worklist"]', allow, RULES))
    assert re.match(rf"gate.toml:(18|2[01]): rule\[0\]\.{re.escape(message)}", told)


@pytest.mark.parametrize(
    "text",
    [
        RULES,
        add('name = "clinical"', 'rules = "report"'),
        add('name = "clinical"', 'rules = "enforce"', RULES),
        swap('["ORTHANC"]', '["A", "ORTHANC"]', RULES)
        + 'listeners = "clinical"\nupstreams = "pacs"\ncalled_ae_titles = ["ORTH*"]\n',
        swap('["echo", "worklist"]', '["echo", "move"]\ndestinations = ["own", "WS_*"]', RULES),
        swap('["echo", "worklist"]', '"hanging-protocol"\ndestinations = "*"', RULES),
        RULES + 'groups = "x"\nattributes = { a = "b", c = ["d", "e"] }\nnetworks = ["10.1.2.3", "fd00::/8"]\n',
        swap("ORTHANC", "*", RULES) + 'called_ae_titles = "ANY"\n',
        swap('["echo", "worklist"]', '["1.2.840.10008.5.1.4.43.3"]\ndestinations = ["A"]', RULES),
        swap('["echo", "worklist"]', '"*"', RULES),
        RULES + 'users = "alice"\nauthenticators = "staff"\n[[authenticator]]\nuse = "certificate"\n',
        swap("0.0.0.0:11112", "[::]:11112"),
        swap('"0.0.0.0:11112"', '["127.0.0.1:1", "[::1]:1"]'),
        swap("127.0.0.1:4242", "pacs.example.org:104"),
        swap("ORTHANC", "SIXTEEN_LETTERS!"),
        swap('["ORTHANC"]', '["A B", "*"]'),
        add('name = "clinical"', 'fallback_encoding = "latin-1"\nauthenticators = ["staff"]'),
        add('name = "staff"', 'timeout = "500ms"\non_error = "next"\nworkers = 256'),
        add('address = "127.0.0.1:4242"', f'tls = {{ pin = "{":".join(["AB"] * 32)}" }}'),
        add('address = "127.0.0.1:4242"', 'tls = { ca = "ca.pem", certificate = "c", key = "k", server_name = "p" }'),
        GOOD + '[[authenticator]]\nuse = "passcode"\nname = "guests"\n',
        GOOD + '[[listener]]\nname = "b"\nbind = "0.0.0.0:11113"\n',
        "\n".join("# \u2028" for _ in range(3)) + "\n" + GOOD,
        GOOD.replace("\n", "\r\n"),
    ],
)
def test_what_is_right_is_taken(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).tables.listener


def test_the_rules_of_an_embedding_program_may_name_any_called_ae_title(tmp_path: Path) -> None:
    text = '[[authenticator]]\nuse = "x"\n[[rule]]\nname = "r"\nallow = "echo"\ncalled_ae_titles = "MINE"\n'
    (tmp_path / "gate.toml").write_text(text)
    assert load(tmp_path / "gate.toml", EmbeddedTables).tables.rule
    (tmp_path / "gate.toml").write_text(text + 'listeners = "a"\n')
    with pytest.raises(ConfigError, match=r"no listener is called 'a'; there are: none"):
        load(tmp_path / "gate.toml", EmbeddedTables)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path / "nowhere.toml", "cannot be read: there is no such file; --config names another one"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        with pytest.raises(ConfigError) as it:
            load(path)
        assert str(it.value).startswith(f"{path}: {why}")


@pytest.mark.parametrize(
    ("mode", "text", "said"),
    [
        (0o646, GOOD, ": everybody may write this file; chmod o-w"),
        (0o640, '[state]\nurl = "redis://:a-password@redis/0"\n' + GOOD, None),
        (0o644, '[state]\nurl = "redis://redis/0"\n' + GOOD, None),
        (0o644, '[state]\nurl = "redis://:a-password@redis/0"\n' + GOOD, ":2: state.url: holds a password, and everyb"),
        (0o644, '[state]\nurl = "unix:///r.sock?password=x"\n' + GOOD, ":2: state.url: holds a password, and everyb"),
        (0o644, add('name = "staff"', 'proxy = "http://u:p@proxy:1"'), ":17: authenticator[0].proxy: holds a password"),
    ],
)
def test_who_may_read_and_write_the_file(tmp_path: Path, mode: int, text: str, said: str | None) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(text)
    path.chmod(mode)
    if said is None:
        assert load(path).tables.listener
        return
    with pytest.raises(ConfigError) as it:
        load(path)
    assert str(it.value).startswith(f"{path}{said}")
    assert "password@" not in str(it.value)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8-sig", None),
        ("latin-1", "line 2 is not UTF-8 (probably Latin-1 or Windows-1252): save the file as UTF-8"),
        ("utf-16", "is UTF-16, not UTF-8: save the file as UTF-8"),
    ],
)
def test_a_file_is_utf_8_with_or_without_a_byte_order_mark(tmp_path: Path, encoding: str, said: str | None) -> None:
    path = tmp_path / "gate.toml"
    path.write_bytes(f"# a comment\r\n# Müller\r\n{GOOD}".encode(encoding))
    if said is None:
        assert load(path).tables.listener
        return
    with pytest.raises(ConfigError) as it:
        load(path)
    assert str(it.value) == f"{path}: {said}"


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = swap(":11112", "", add('name = "staff"', "timeout = 2\nworkers = 0", swap('"pacs"', "5", "[x]\n" + GOOD)))
    assert [line.partition(": ")[2].partition(":")[0] for line in wrong(tmp_path, text)] == [
        "listener[0].bind",
        "upstream[0].name",
        "authenticator[0].timeout",
        "authenticator[0].workers",
        "x",
    ]
    both = swap('"clinical"', '"clinical"\nauthenticators = ["a", "b"]') + GOOD[GOOD.index("[[up") : GOOD.index("[[au")]
    places = [line.partition(": ")[0].partition(":")[2] for line in wrong(tmp_path, both)]
    assert places == ["20", "22", "6", "6"]


def test_no_value_is_repeated(tmp_path: Path) -> None:
    """An authenticator's keys stand in the same file: what is wrong is told, what it was is not."""
    text = add('use = "passcode"', f'timeout = "{SECRET}"\nworkers = "{SECRET}"\nbind_passcode = "{SECRET}"')
    text = add('name = "staff"', f'on_error = "{SECRET}"', text)
    text = swap(TLS, f'tls = "{SECRET}"', text)
    wrong_keys = f'max_associations = "{SECRET}"\nidle_timeout = "{SECRET}"\naudit = ["{SECRET}"]'
    text = swap('node = "gate-1"', wrong_keys, text)
    lines = wrong(tmp_path, text)
    assert len(lines) == 7
    assert SECRET not in "\n".join(lines)


def test_the_tables_show_no_secret(tmp_path: Path) -> None:
    configuration = read(tmp_path, add('use = "passcode"', f'bind_passcode = "{SECRET}"'))
    assert configuration.tables.authenticator[0].options["bind_passcode"] == SECRET
    for value in (configuration, configuration.tables, configuration.tables.authenticator[0]):
        assert SECRET not in f"{value!r} {value}"
    assert "use='passcode'" in repr(configuration.tables)


def test_an_authenticators_own_keys_may_have_any_name(tmp_path: Path) -> None:
    names = [
        "json", "schema", "copy", "model_config", "model_extra", "title", "options", "dict", "__class__", "_x", "a.b",
    ]  # fmt: skip
    text = add('use = "passcode"', "\n".join(f'"{name}" = "of {name}"' for name in names))
    table = read(tmp_path, text).tables.authenticator[0]
    assert table.options == {"file": "users.htpasswd", **{name: f"of {name}" for name in names}}
    assert table.title == "staff"


def test_the_tables_are_frozen(tmp_path: Path) -> None:
    tables = read(tmp_path, GOOD).tables
    values: list[BaseModel] = [tables, tables.gateway, tables.listener[0], tables.upstream[0], tables.authenticator[0]]
    for value in values:
        with pytest.raises(ValueError, match="frozen"):
            setattr(value, next(iter(type(value).model_fields)), None)


def test_a_problem_that_is_found_later_has_its_place(tmp_path: Path) -> None:
    configuration = read(tmp_path, GOOD)
    error = ConfigError([Problem(("file",), "not there"), Problem(("nothing",), "is missing"), Problem((), "odd")])
    assert str(configuration.located(error, "authenticator", 0)).replace(f"{tmp_path}/", "").splitlines() == [
        "gate.toml:17: authenticator[0].file: not there",
        "gate.toml:14: authenticator[0].nothing: is missing",
        "gate.toml:14: authenticator[0]: odd",
    ]
    assert str(configuration.located(ConfigError("odd"))) == f"{tmp_path}/gate.toml: odd"


# -- generated --------------------------------------------------------------------------------------------------------

NAME = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
TITLE = st.from_regex(r"[A-Z0-9*_]{1,16}", fullmatch=True)
DURATION = st.builds("{}{}".format, st.integers(1, 9999), st.sampled_from(["ms", "s", "m", "h", "d"]))
PORT = st.integers(1, 65535)


def table(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


LISTENER = table(
    {"name": NAME, "bind": st.builds("10.0.0.1:{}".format, PORT)},
    {
        "identity": st.sampled_from(["required", "optional"]),
        "cleartext_passcodes": st.booleans(),
        "fallback_encoding": st.sampled_from(["latin-1", "cp1252", "iso-8859-15"]),
        "tls": table({"certificate": st.just("c.pem")}, {"key": st.just("k.pem"), "client_ca": st.just("ca.pem")}),
    },
)
UPSTREAM = table(
    {
        "name": NAME,
        "address": st.builds("pacs:{}".format, PORT),
        "called_ae_titles": st.lists(TITLE, min_size=1, max_size=2),
    },
    {"identity": st.sampled_from(["strip", "forward"]), "timeout": DURATION, "tls": table({}, {"pin": st.just(PIN)})},
)
AUTHENTICATOR = table(
    {"use": NAME, "name": NAME},
    {
        "timeout": DURATION,
        "on_error": st.sampled_from(["stop", "next"]),
        "workers": st.integers(1, 256),
        "free": st.text(),
    },
)
FILE = table(
    {
        "listener": st.lists(
            LISTENER, min_size=1, max_size=3, unique_by=(lambda it: it["name"], lambda it: it["bind"])
        ),
        "upstream": st.lists(UPSTREAM, min_size=1, max_size=2, unique_by=lambda it: it["name"]),
        "authenticator": st.lists(AUTHENTICATOR, min_size=1, max_size=3, unique_by=lambda it: it["name"]),
    },
    {"gateway": table({}, {"node": NAME, "artim": DURATION, "max_associations": st.integers(1, 9999)})},
)


@settings(deadline=None)
@given(FILE)
def test_a_generated_configuration_is_read_or_its_routes_collide(data: dict[str, Any]) -> None:
    text = as_toml(data)
    assert tomllib.loads(text) == data, "the control"
    titles = [title for upstream in data["upstream"] for title in upstream["called_ae_titles"]]
    with tempfile.TemporaryDirectory() as folder:
        if len(set(titles)) < len(titles):
            with pytest.raises(ConfigError, match="already"):
                read(Path(folder), text)
            return
        tables = read(Path(folder), text).tables
    assert [it.name for it in tables.listener] == [it["name"] for it in data["listener"]]
    assert [it.called_ae_titles for it in tables.upstream] == [it["called_ae_titles"] for it in data["upstream"]]
    for made, it in zip(tables.authenticator, data["authenticator"], strict=True):
        assert made.options == ({"free": it["free"]} if "free" in it else {})


@settings(deadline=None)
@given(FILE, st.data())
def test_a_spoilt_key_is_told_with_its_line(data: dict[str, Any], draw: st.DataObject) -> None:
    name = draw.draw(st.sampled_from(["listener", "upstream"]))
    index = draw.draw(st.integers(0, len(data[name]) - 1))
    data[name][index]["spoilt"] = SECRET
    text = as_toml(data)
    number = text.split("\n").index(f'spoilt = "{SECRET}"') + 1
    with tempfile.TemporaryDirectory() as folder:
        assert any(
            line.startswith(f"gate.toml:{number}: {name}[{index}].spoilt: unknown key")
            for line in wrong(Path(folder), text)
        )
