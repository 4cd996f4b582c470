"""The configuration file: every mistake with file, line and key; all of them at once; no value repeated."""

from __future__ import annotations

import json
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
from dicomgate.errors import Problem

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
PIN = "ab" * 32


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


def with_line(after: str, line: str, text: str = GOOD) -> str:
    assert text.count(after + "\n") == 1
    return text.replace(after + "\n", f"{after}\n{line}\n")


def instead(old: str, new: str, text: str = GOOD) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def test_the_good_one_is_read(tmp_path: Path) -> None:
    configuration = read(tmp_path, GOOD)
    tables = configuration.tables
    assert configuration.folder == tmp_path
    assert tables.gateway.node == "gate-1"
    assert tables.listener[0].bind == [("0.0.0.0", 11112)]
    assert tables.upstream[0].address == ("127.0.0.1", 4242)
    assert (tables.authenticator[0].title, tables.authenticator[0].options) == ("staff", {"file": "users.htpasswd"})


def test_the_defaults_are_the_safe_ones(tmp_path: Path) -> None:
    tables = read(tmp_path, GOOD).tables
    listener, upstream, authenticator = tables.listener[0], tables.upstream[0], tables.authenticator[0]
    assert (listener.identity, listener.cleartext_passcodes, listener.fallback_encoding) == ("required", False, None)
    assert listener.tls is not None
    assert listener.tls.client_certificate == "required"
    assert (upstream.identity, authenticator.on_error) == ("strip", "stop")
    assert authenticator.timeout == timedelta(seconds=2), "a client may give up after 5 s"
    assert tables.gateway.max_request_bytes == 131_072


ONE_MISTAKE = {
    # -- the file
    "not TOML": ("[gateway\n", "gate.toml:1: not TOML: Expected ']' at the end of a table declaration (column 9)"),
    "a key twice": (
        with_line('node = "gate-1"', 'node = "x"'),
        "gate.toml:3: not TOML: Cannot overwrite a value (column 11)",
    ),
    "a number too long": (f"a = {'9' * 5000}", "gate.toml: not TOML: Exceeds the limit (4300 digits)"),
    "too deep": ("a = " + "[" * 99_999, "gate.toml: not TOML: "),
    "a NUL": ("a = '\0'", "gate.toml:1: not TOML: "),
    # -- names of keys
    "an unknown table": (
        "[gatway]\n" + GOOD,
        "gate.toml:1: gatway: unknown key, did you mean 'gateway'?; known are: gateway, state, throttle, listener,",
    ),
    "an unknown key": (
        with_line('name = "clinical"', "adress = 1"),
        "gate.toml:6: listener[0].adress: unknown key; known are: name, bind, identity,",
    ),
    "a mistyped key": (
        with_line('name = "clinical"', "identiy = 1"),
        "gate.toml:6: listener[0].identiy: unknown key, did you mean 'identity'?; known are: name,",
    ),
    "in an inline table": (
        instead('key = "gate.key"', 'kee = "gate.key"'),
        "gate.toml:7: listener[0].tls.kee: unknown key, did you mean 'key'?; known are: certificate, key,",
    ),
    "in a table below": (
        instead(
            'tls = { certificate = "gate.pem", key = "gate.key" }', '[listener.tls]\ncertificate = "c"\ncient_ca = "d"'
        ),
        "gate.toml:9: listener[0].tls.cient_ca: unknown key, did you mean 'client_ca'?; known are: certificate,",
    ),
    "in the tls of an upstream": (
        with_line('address = "127.0.0.1:4242"', "tls = { pinn = 1 }"),
        "gate.toml:12: upstream[0].tls.pinn: unknown key, did you mean 'pin'?; known are: ca, server_name, pin,",
    ),
    "in the gateway": (
        with_line('node = "gate-1"', "nodes = 1"),
        "gate.toml:3: gateway.nodes: unknown key, did you mean 'node'?; known are: node, audit,",
    ),
    # -- what is missing
    "a key is missing": (instead('name = "clinical"\n', ""), "gate.toml:4: listener[0].name: is missing"),
    "a key of tls is missing": (
        instead('certificate = "gate.pem", ', ""),
        "gate.toml:7: listener[0].tls.certificate: is missing",
    ),
    "no authenticator": (GOOD[: GOOD.index("[[authenticator")], "gate.toml:1: authenticator: is missing"),
    "an empty array": (
        "authenticator = []\n" + GOOD[: GOOD.index("[[authenticator")],
        "gate.toml:1: authenticator: List should have at least 1 item",
    ),
    "one bracket": (instead("[[listener]]", "[listener]"), "gate.toml:4: listener: "),
    # -- values
    "a port too high": (instead(":11112", ":65536"), 'gate.toml:6: listener[0].bind[0]: an address is "host:port"'),
    "no port": (instead(":4242", ""), 'gate.toml:11: upstream[0].address: an address is "host:port"'),
    "IPv6 without brackets": (instead("0.0.0.0", "::1"), 'gate.toml:6: listener[0].bind[0]: an address is "host:port"'),
    "a number as address": (
        instead('"127.0.0.1:4242"', "4242"),
        'gate.toml:11: upstream[0].address: an address is "host:port"',
    ),
    "no host name": (instead("127.0.0.1", "a..b"), "gate.toml:11: upstream[0].address: 'a..b' is not a host name"),
    "an AE title too long": (
        instead("ORTHANC", "SEVENTEEN_LETTERS"),
        "gate.toml:12: upstream[0].called_ae_titles[0]: 'SEVENTEEN_LETTERS' is not an AE title",
    ),
    "an AE title with a backslash": (
        instead('"ORTHANC"', "'A\\B'"),
        "gate.toml:12: upstream[0].called_ae_titles[0]: 'A\\\\B' is not an AE title",
    ),
    "an AE title with a space": (
        instead("ORTHANC", "ORTHANC "),
        "gate.toml:12: upstream[0].called_ae_titles[0]: 'ORTHANC ' is not",
    ),
    "an empty AE title": (
        instead("ORTHANC", ""),
        "gate.toml:12: upstream[0].called_ae_titles[0]: '' is not an AE title",
    ),
    "no AE titles": (
        instead('["ORTHANC"]', "[]"),
        "gate.toml:12: upstream[0].called_ae_titles: List should have at least 1 item",
    ),
    "a name with a newline": (
        instead('"clinical"', '"clinical\\n"'),
        "gate.toml:5: listener[0].name: String should match pattern",
    ),
    "an empty name": (instead('"pacs"', '""'), "gate.toml:10: upstream[0].name: String should match pattern"),
    "a duration without unit": (
        with_line('name = "staff"', "timeout = 2"),
        "gate.toml:17: authenticator[0].timeout: a duration is a number with a unit",
    ),
    "a duration in words": (
        with_line('node = "gate-1"', 'artim = "long"'),
        "gate.toml:3: gateway.artim: a duration is a number with a unit",
    ),
    "neither of two": (
        with_line('name = "clinical"', 'identity = "maybe"'),
        "gate.toml:6: listener[0].identity: Input should be 'required' or 'optional'",
    ),
    "on_error": (
        with_line('name = "staff"', 'on_error = "ignore"'),
        "gate.toml:17: authenticator[0].on_error: Input should be 'stop' or 'next'",
    ),
    "no worker": (
        with_line('name = "staff"', "workers = 0"),
        "gate.toml:17: authenticator[0].workers: Input should be greater than or equal to 1",
    ),
    "no association": (
        with_line('node = "gate-1"', "max_associations = 0"),
        "gate.toml:3: gateway.max_associations: Input should be greater",
    ),
    "no association from a source": (
        with_line('node = "gate-1"', "max_associations_per_source = 0"),
        "gate.toml:3: gateway.max_associations_per_source: Input should be greater",
    ),
    "nobody before the login": (
        with_line('node = "gate-1"', "max_unauthenticated = 0"),
        "gate.toml:3: gateway.max_unauthenticated: Input should be greater",
    ),
    "nobody of a source before the login": (
        with_line('node = "gate-1"', "max_unauthenticated_per_source = 0"),
        "gate.toml:3: gateway.max_unauthenticated_per_source: Input should be greater",
    ),
    "an encoding that is none": (
        with_line('name = "clinical"', 'fallback_encoding = "latin-0"'),
        "gate.toml:6: listener[0].fallback_encoding: 'latin-0' is not the name of a text encoding",
    ),
    "a codec that is none of text": (
        with_line('name = "clinical"', 'fallback_encoding = "rot13"'),
        "gate.toml:6: listener[0].fallback_encoding: 'rot13' is not the name of a text encoding",
    ),
    "a short pin": (
        with_line('address = "127.0.0.1:4242"', 'tls = { pin = "ab" }'),
        "gate.toml:12: upstream[0].tls.pin: a pin is the SHA-256",
    ),
    "nobody at all": (
        with_line('name = "clinical"', "authenticators = []"),
        "gate.toml:6: listener[0].authenticators: List should have at least 1 item",
    ),
    # -- contradictions
    "a name twice": (
        GOOD + '[[authenticator]]\nuse = "jwt"\nname = "staff"\n',
        "gate.toml:20: authenticator[1].name: a second authenticator is called 'staff'",
    ),
    "a name twice by default": (
        GOOD + '[[authenticator]]\nuse = "staff"\n',
        "gate.toml:18: authenticator[1].name: a second authenticator is called 'staff'",
    ),
    "a route twice": (
        GOOD + '[[upstream]]\nname = "b"\naddress = "h:1"\ncalled_ae_titles = ["B", "ORTHANC"]\n',
        "gate.toml:21: upstream[1].called_ae_titles: called AE title 'ORTHANC' goes to upstream",
    ),
    "the rest twice": (
        instead("ORTHANC", "*") + '[[upstream]]\nname = "b"\naddress = "h:1"\ncalled_ae_titles = ["*"]\n',
        "gate.toml:21: upstream[1].called_ae_titles: the rest goes to upstream 'pacs' already",
    ),
    "an address twice": (
        GOOD + '[[listener]]\nname = "b"\nbind = "0.0.0.0:11112"\n',
        "gate.toml:20: listener[1].bind: listener 'clinical' has this address already",
    ),
    "any port twice": (
        instead(":11112", ":0") + '[[listener]]\nname = "b"\nbind = "0.0.0.0:0"\n',
        "gate.toml:20: listener[1].bind: listener 'clinical' has this address already",
    ),
    "an authenticator that is not there": (
        with_line('name = "clinical"', 'authenticators = ["stuff"]'),
        "gate.toml:6: listener[0].authenticators: no authenticator is called 'stuff'",
    ),
    "pin and ca": (
        with_line('address = "127.0.0.1:4242"', f'tls = {{ pin = "{PIN}", ca = "a" }}'),
        "gate.toml:12: upstream[0].tls.ca: either ca or pin decides, not both",
    ),
    "a key without certificate": (
        with_line('address = "127.0.0.1:4242"', 'tls = { key = "a" }'),
        "gate.toml:12: upstream[0].tls.key: a key without a certificate",
    ),
    "client certificates without CA": (
        instead('key = "gate.key"', 'client_certificate = "required"'),
        "gate.toml:7: listener[0].tls.client_certificate: client certificates are verified against client_ca",
    ),
}


@pytest.mark.parametrize("name", ONE_MISTAKE)
def test_one_mistake_is_one_line_with_its_place(tmp_path: Path, name: str) -> None:
    text, message = ONE_MISTAKE[name]
    (line,) = wrong(tmp_path, text)
    assert line.startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        instead("0.0.0.0:11112", "[::]:11112"),
        instead('"0.0.0.0:11112"', '["127.0.0.1:1", "[::1]:1"]'),
        instead("127.0.0.1:4242", "pacs.example.org:104"),
        instead("ORTHANC", "SIXTEEN_LETTERS!"),
        instead('["ORTHANC"]', '["A B", "*"]'),
        with_line('name = "clinical"', 'fallback_encoding = "latin-1"\nauthenticators = ["staff"]'),
        with_line('name = "staff"', 'timeout = "500ms"\non_error = "next"\nworkers = 256'),
        with_line('address = "127.0.0.1:4242"', f'tls = {{ pin = "{":".join(["AB"] * 32)}" }}'),
        with_line(
            'address = "127.0.0.1:4242"', 'tls = { ca = "ca.pem", certificate = "c", key = "k", server_name = "p" }'
        ),
        GOOD + '[[authenticator]]\nuse = "passcode"\nname = "guests"\n',
        GOOD + '[[listener]]\nname = "b"\nbind = "0.0.0.0:11113"\n',
        "\n".join("# \u2028" for _ in range(3)) + "\n" + GOOD,
        GOOD.replace("\n", "\r\n"),
    ],
)
def test_what_is_right_is_taken(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).tables.listener


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "nowhere.toml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as it:
            load(path)
        assert str(it.value) == f"{path}: cannot be read: {why}"
    (tmp_path / "latin.toml").write_bytes("# Müller".encode("latin-1"))
    with pytest.raises(ConfigError, match="cannot be read: not UTF-8"):
        load(tmp_path / "latin.toml")


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = instead(
        ":11112", "", with_line('name = "staff"', "timeout = 2\nworkers = 0", instead('"pacs"', "5", "[x]\n" + GOOD))
    )
    assert [line.partition(": ")[2].partition(":")[0] for line in wrong(tmp_path, text)] == [
        "listener[0].bind[0]",
        "upstream[0].name",
        "authenticator[0].timeout",
        "authenticator[0].workers",
        "x",
    ]
    both = (
        instead('"clinical"', '"clinical"\nauthenticators = ["a", "b"]') + GOOD[GOOD.index("[[up") : GOOD.index("[[au")]
    )
    assert [line.partition(": ")[0] for line in wrong(tmp_path, both)] == ["gate.toml:20"] + ["gate.toml:22"] + [
        "gate.toml:6"
    ] * 2


def test_no_value_is_repeated(tmp_path: Path) -> None:
    """An authenticator's keys stand in the same file: what is wrong is told, what it was is not."""
    text = with_line('use = "passcode"', f'timeout = "{SECRET}"\nworkers = "{SECRET}"\nbind_passcode = "{SECRET}"')
    text = with_line('name = "staff"', f'on_error = "{SECRET}"', text)
    text = instead('tls = { certificate = "gate.pem", key = "gate.key" }', f'tls = "{SECRET}"', text)
    text = instead(
        'node = "gate-1"', f'max_associations = "{SECRET}"\nidle_timeout = "{SECRET}"\naudit = ["{SECRET}"]', text
    )
    lines = wrong(tmp_path, text)
    assert len(lines) == 7
    assert SECRET not in "\n".join(lines)


def test_the_tables_show_no_secret(tmp_path: Path) -> None:
    configuration = read(tmp_path, with_line('use = "passcode"', f'bind_passcode = "{SECRET}"'))
    assert configuration.tables.authenticator[0].options["bind_passcode"] == SECRET
    for value in (configuration, configuration.tables, configuration.tables.authenticator[0]):
        assert SECRET not in f"{value!r} {value}"
    assert "use='passcode'" in repr(configuration.tables)


def test_an_authenticators_own_keys_may_have_any_name(tmp_path: Path) -> None:
    names = [
        "json",
        "schema",
        "copy",
        "model_config",
        "model_extra",
        "title",
        "options",
        "dict",
        "__class__",
        "_x",
        "a.b",
    ]
    text = with_line('use = "passcode"', "\n".join(f'"{name}" = "of {name}"' for name in names))
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


def as_toml(data: dict[str, Any]) -> str:
    def value(it: Any) -> str:
        if isinstance(it, dict):
            return "{ " + ", ".join(f"{key} = {value(item)}" for key, item in it.items()) + " }"
        return (
            json.dumps(it, ensure_ascii=False).replace("\x7f", "\\u007f")
            if not isinstance(it, list)
            else f"[{', '.join(map(value, it))}]"
        )

    lines = []
    for name, tables in data.items():
        for it in tables if isinstance(tables, list) else [tables]:
            lines += [f"[[{name}]]" if isinstance(tables, list) else f"[{name}]"]
            lines += [f"{key} = {value(item)}" for key, item in it.items()]
    return "\n".join(lines)


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


@pytest.mark.parametrize("key", ["artim", "idle_timeout"])
def test_a_deadline_of_no_time_is_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(f'[gateway]\n{key} = "0s"\n')
    with pytest.raises(ConfigError, match=rf"gate.toml:2: gateway.{key}: a deadline of no time at all"):
        load(path)


def test_a_table_with_one_bracket_too_few(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text('[listener]\nname = "clinical"\n')
    with pytest.raises(ConfigError, match=r"gate.toml:1: listener: there can be several of these tables"):
        load(path)
