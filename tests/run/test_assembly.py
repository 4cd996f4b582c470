"""A configuration -> chains, policies and certificates; what does not fit together is told with its place."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from dicomgate import Accept, Attempt, ConfigError, Decision, IdentityType, StartError
from dicomgate.auth import loading
from dicomgate.net.dial import Upstream
from dicomgate.rights.rule import Who
from dicomgate.run.assembly import Assembly, assemble
from dicomgate.testing.peers.certificates import Certificates
from tests.run.fake import LIFE, Fake

FINGERPRINT = "ab" * 32


class Lazy:
    """One that takes passcodes, and nothing else to say."""

    def __init__(self, *, file: Path) -> None:
        if not file.exists():
            raise FileNotFoundError(2, "No such file or directory", str(file))

    def authenticate(self, attempt: Attempt) -> Decision:
        return Accept("alice")


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    LIFE.clear()
    real = loading.find
    made = {"fake": Fake, "lazy": Lazy}
    monkeypatch.setattr(loading, "find", lambda use, *kind: made.get(use) or real(use, *kind))


UPSTREAM = '[[upstream]]\nname = "pacs"\naddress = "127.0.0.1:4242"\ncalled_ae_titles = ["PACS"]\n'
FAKE = '[[authenticator]]\nuse = "fake"\n'


def listener(*lines: str, name: str = "clinical", port: int = 11112) -> str:
    return "\n".join(["[[listener]]", f'name = "{name}"', f'bind = "127.0.0.1:{port}"', *lines, ""])


def build(folder: Path, *parts: str) -> Assembly:
    path = folder / "gate.toml"
    path.write_text("\n".join(parts), "utf-8")
    return assemble(path)


def wrong(folder: Path, *parts: str) -> list[str]:
    with pytest.raises(ConfigError) as it:
        build(folder, *parts)
    return str(it.value).replace(f"{folder}/", "").splitlines()


# -- passcodes in the clear -------------------------------------------------------------------------------------------

HANDLES = {"all": None, "passcodes": [2], "tokens": [3, 4, 5], "names and none": [0, 1]}


@pytest.mark.parametrize(("tls", "allowed", "handled"), [*product((False, True), (False, True), HANDLES)])
def test_passcodes_need_tls_or_permission(
    tmp_path: Path, certificates: Certificates, tls: bool, allowed: bool, handled: str
) -> None:
    handles = HANDLES[handled]
    lines = [f'tls = {{ certificate = "{certificates.server.certificate}", key = "{certificates.server.key}" }}'] * tls
    lines += ["cleartext_passcodes = true"] * allowed
    fake = FAKE if handles is None else f"{FAKE}handles = {handles}\n"
    takes_passcodes = handled in ("all", "passcodes")
    if takes_passcodes and not tls and not allowed:
        (line,) = wrong(tmp_path, listener(*lines), UPSTREAM, fake)
        assert line.startswith(
            "gate.toml:1: listener[0].tls: without tls, passcodes would cross the network in the clear"
        )
        assert "authenticator fake takes them" in line
    else:
        ((_, snapshot),) = build(tmp_path, listener(*lines), UPSTREAM, fake).listeners.items()
        assert snapshot.policy.passcodes_allowed == (tls or allowed)
        assert (snapshot.tls is not None) == tls
        assert snapshot.chain.links[0].handles(IdentityType.USERNAME_AND_PASSCODE) == takes_passcodes


@pytest.mark.parametrize("trust", [False, True])
def test_passcodes_may_come_by_the_tls_of_a_load_balancer_alone(tmp_path: Path, trust: bool) -> None:
    believed = ', tls = "trust"' * trust
    gate = listener(f'proxy_protocol = {{ from = ["10.0.0.5", "2001:db8::/64"]{believed}, others = "refuse" }}')
    if not trust:
        (line,) = wrong(tmp_path, gate, UPSTREAM, FAKE)
        assert "without tls, passcodes would cross the network in the clear" in line
        return
    ((_, snapshot),) = build(tmp_path, gate, UPSTREAM, FAKE).listeners.items()
    assert not snapshot.policy.passcodes_allowed
    assert snapshot.balancers is not None
    assert (snapshot.balancers.believed, snapshot.balancers.alone) == (True, True)
    found = [address in snapshot.balancers for address in ("10.0.0.5", "::ffff:10.0.0.5", "2001:db8::1", "10.0.0.6")]
    assert found == [True, True, True, False]


@pytest.mark.parametrize(
    ("names", "fits"), [(None, False), ('["fake"]', False), ('["tokens"]', True), ('["tokens", "fake"]', False)]
)
def test_only_the_authenticators_of_the_listener_count(tmp_path: Path, names: str | None, fits: bool) -> None:
    tokens = '[[authenticator]]\nuse = "fake"\nname = "tokens"\nhandles = [5]\n'
    parts = (listener(*([f"authenticators = {names}"] if names else [])), UPSTREAM, FAKE, tokens)
    if fits:
        ((_, snapshot),) = build(tmp_path, *parts).listeners.items()
        assert [link.name for link in snapshot.chain.links] == ["tokens"]
        assert not snapshot.policy.passcodes_allowed
    else:
        (line,) = wrong(tmp_path, *parts)
        assert "authenticator fake takes them" in line


def test_each_listener_is_judged_for_itself(tmp_path: Path) -> None:
    bench = listener("cleartext_passcodes = true", name="bench", port=11113)
    (line,) = wrong(tmp_path, listener(), bench, UPSTREAM, FAKE)
    assert line.startswith("gate.toml:1: listener[0].tls: ")
    assert "clinical" not in line
    assert build(tmp_path, bench, UPSTREAM, FAKE).listeners


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (
            'revalidate = "60s"',
            "gate.toml:13: authenticator[0].revalidate: this authenticator cannot say whether a user",
        ),
        (
            'on_unavailable = "end"',
            'gate.toml:11: authenticator[0]: on_unavailable = "end" is about what revalidate asks',
        ),
    ],
)
def test_users_are_asked_about_again_only_where_somebody_can_tell(tmp_path: Path, keys: str, says: str) -> None:
    (line,) = wrong(tmp_path, listener("cleartext_passcodes = true"), UPSTREAM, FAKE + keys)
    assert line.startswith(says)


# -- what is made -----------------------------------------------------------------------------------------------------


def test_what_is_made_is_what_the_file_says(tmp_path: Path) -> None:
    made = build(
        tmp_path,
        '[gateway]\nartim = "7s"\nidle_timeout = "1m"\nmax_request_bytes = 2048\n',
        listener('identity = "optional"', "cleartext_passcodes = true", 'authenticators = ["second", "first"]'),
        listener('fallback_encoding = "latin-1"', "cleartext_passcodes = true", name="other", port=11113),
        UPSTREAM + 'identity = "forward"\ntimeout = "3s"\n',
        '[[upstream]]\nname = "archive"\naddress = "[::1]:105"\ncalled_ae_titles = ["*", "ARCHIVE"]\n',
        '[[authenticator]]\nuse = "fake"\nname = "first"\ntimeout = "500ms"\non_error = "next"\n',
        '[[authenticator]]\nuse = "fake"\nname = "second"\n',
    )
    clinical, other = made.listeners.values()
    assert [link.name for link in clinical.chain.links] == ["second", "first"], "the listener's order"
    assert [link.name for link in other.chain.links] == ["first", "second"], "the file's order"
    first, second = other.chain.links
    assert (first.deadline, first.next_on_error, second.deadline, second.next_on_error) == (0.5, True, 2, False)
    assert (clinical.policy.identity_required, other.policy.identity_required) == (False, True)
    assert (clinical.policy.fallback_encoding, other.policy.fallback_encoding) == (None, "iso8859-1")
    assert (clinical.policy.artim, clinical.idle_timeout, clinical.policy.request_limit) == (7, 60, 2048)
    assert clinical.policy.decision_timeout > 2.5, "the chain has the time of all its links"
    pacs, archive = clinical.policy.route("PACS"), clinical.policy.route("ANYTHING")
    assert pacs is not None
    assert archive is not None
    assert (pacs.upstream, pacs.forward_identity, pacs.answer_timeout) == ("pacs", True, 3)
    assert (archive.upstream, archive.forward_identity) == ("archive", False)
    dialled = made.upstreams["archive"]
    assert isinstance(dialled, Upstream)
    assert (dialled.host.name, dialled.host.port) == ("::1", 105)
    assert made.warnings == ()


@pytest.mark.parametrize(("handles", "warned"), [("[2, 5]", True), ("[0, 2]", False)])
def test_identity_optional_that_nobody_takes_is_warned_of(tmp_path: Path, handles: str, warned: bool) -> None:
    lines = listener('identity = "optional"', "cleartext_passcodes = true")
    made = build(tmp_path, lines, UPSTREAM, f"{FAKE}handles = {handles}\n")
    assert [("clinical" in it, "identity is optional" in it) for it in made.warnings] == [(True, True)] * warned
    assert build(tmp_path, listener("cleartext_passcodes = true"), UPSTREAM, FAKE).warnings == ()


def test_problems_of_all_parts_come_together_with_their_lines(tmp_path: Path) -> None:
    lines = wrong(
        tmp_path,
        listener('tls = { certificate = "nowhere.pem" }'),  # 1 to 4
        UPSTREAM + 'tls = { ca = "nowhere.pem" }\n',  # 6 to 10
        '[[authenticator]]\nuse = "fake"\nhandels = [1]\nhandles = "x"\n',  # 12 to 15
        '[[authenticator]]\nuse = "fakke-that-is-not-there"\n',  # 17
        '[[authenticator]]\nuse = "lazy"\nfile = "nowhere.htpasswd"\n',  # 20
        '[[authenticator]]\nuse = "fake"\nname = "bad"\nhandles = [9]\n',  # 24
    )
    starts = [line.partition(": ")[0] for line in lines]
    assert starts == [f"gate.toml:{number}" for number in (15, 14, 17, 20, 24, 10, 4)]
    for line, said in zip(
        lines,
        [
            'authenticator[0].handles: must be a list, in square brackets: ["one", "two"]; this is text',
            "authenticator[0].handels: unknown key, did you mean 'handles'?; known are: handles, fails",
            "authenticator[1]: no authenticator is called 'fakke-that-is-not-there'",
            "authenticator[2]: [Errno 2] No such file or directory: 'nowhere.htpasswd'",
            "authenticator[3]: bad: handles must be a collection of IdentityType and None",
            "upstream[0].tls.ca: nowhere.pem: cannot be read: No such file or directory",
            "listener[0].tls.certificate: nowhere.pem: cannot be read: No such file or directory",
        ],
        strict=True,
    ):
        assert line.partition(": ")[2].startswith(said)


# -- rules ------------------------------------------------------------------------------------------------------------

RULES = """
[[rule]]
name = "viewers"
allow = ["echo", "find"]
[[rule]]
name = "ward"
authenticators = "fake"
listeners = "ward"
allow = "store"
"""
WHO = Who("ward", "fake", "alice", frozenset(), {}, "10.1.2.7", "WS_1", "PACS", "pacs")


def test_each_listener_has_the_rules_that_can_concern_it(tmp_path: Path) -> None:
    tokens = FAKE + 'name = "tokens"\nhandles = [5]\n'
    made = build(
        tmp_path,
        listener('authenticators = ["fake"]', "cleartext_passcodes = true", name="ward"),
        listener('authenticators = ["tokens"]', 'rules = "report"', name="other", port=11113),
        UPSTREAM, FAKE, tokens, RULES,
    )  # fmt: skip
    ward, other = (snapshot.policy for snapshot in made.listeners.values())
    assert (ward.enforce_rights, other.enforce_rights) == (True, False)
    assert ward.rights is not None
    assert other.rights is not None
    assert ward.rights(WHO).rules == ("viewers", "ward")
    assert ward.rights(WHO._replace(authenticator="x")).rules == ("viewers",)
    assert other.rights(WHO).rules == ("viewers",), "what the listener is, the gateway knows"


@pytest.mark.parametrize(("line", "rules", "limited", "enforced"), [
    ("", "", False, True),
    ('rules = "report"', "", True, False),
    ("", RULES.replace("ward", "clinical"), True, True),
    ('rules = "enforce"', RULES.replace("ward", "clinical"), True, True),
])  # fmt: skip
def test_rules_are_enforced_where_there_are_any(
    tmp_path: Path, line: str, rules: str, limited: bool, enforced: bool
) -> None:
    ((_, snapshot),) = build(
        tmp_path, listener(line, "cleartext_passcodes = true"), UPSTREAM, FAKE, rules
    ).listeners.items()
    assert (snapshot.policy.rights is not None, snapshot.policy.enforce_rights) == (limited, enforced)


# -- certificates -----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, certificates: Certificates) -> dict[str, Path]:
    """Files by what is wrong with them."""
    locked = tmp_path / "locked.key"
    key = load_pem_private_key(certificates.server.key.read_bytes(), None)
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")))
    old = tmp_path / "old.key"
    old.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"passphrase"))
    )
    for secret in (locked, old):
        secret.chmod(0o600)
    content = {
        "open.key": certificates.server.key, "changeable.pem": certificates.ca, "both.pem": certificates.server.key,
    }  # fmt: skip
    for name, copied in content.items():
        (tmp_path / name).write_bytes(copied.read_bytes())
    (tmp_path / "both.pem").write_bytes(certificates.server.certificate.read_bytes() + copied.read_bytes())
    (tmp_path / "backwards.pem").write_bytes(
        certificates.ca.read_bytes() + certificates.server.certificate.read_bytes()
    )
    for name, mode in (("open.key", 0o644), ("both.pem", 0o644), ("changeable.pem", 0o666)):
        (tmp_path / name).chmod(mode)
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "text.pem").write_text("-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n")
    return {
        "certificate": certificates.server.certificate, "key": certificates.server.key, "ca": certificates.ca,
        "other": certificates.client.key, "locked": locked, "locked-traditionally": old,
        "empty": tmp_path / "empty.pem", "text": tmp_path / "text.pem", "folder": tmp_path,
        "nowhere": tmp_path / "nowhere.pem", "open": tmp_path / "open.key", "both-open": tmp_path / "both.pem",
        "changeable": tmp_path / "changeable.pem", "backwards": tmp_path / "backwards.pem",
    }  # fmt: skip


def tls(files: dict[str, Path], names: str) -> str:
    """The keys and files of `names`, such as "certificate=certificate key=key"."""
    pairs = (pair.split("=") for pair in names.split())
    return "tls = { " + ", ".join(f'{key} = "{files[name]}"' for key, name in pairs) + " }"


LISTENER_TLS = [
    ("certificate=nowhere key=key", "certificate", "nowhere.pem: cannot be read: No such file or directory"),
    ("certificate=folder key=key", "certificate", "Is a directory"),
    ("certificate=certificate key=nowhere", "key", "nowhere.pem: cannot be read: No such file or directory"),
    ("certificate=certificate key=other", "key", "client.key is not the key of "),
    ("certificate=certificate", "certificate", "server.pem: contains a certificate, and no private key"),
    ("certificate=backwards key=key", "key", "the certificate of this key must be the first in the file"),
    ("certificate=empty key=key", "certificate", "empty.pem: the file is empty"),
    ("certificate=key key=certificate", "certificate", "server.key: contains a private key, and no certificate"),
    ("certificate=certificate key=locked", "key", "locked.key: the key has a passphrase"),
    ("certificate=certificate key=locked-traditionally", "key", "old.key: the key has a passphrase"),
    ("certificate=certificate key=open", "key", "open.key: everybody may read or write this file; chmod o-rw"),
    ("certificate=both-open", "certificate", "both.pem: everybody may read or write this file; chmod o-rw"),
    ("certificate=certificate key=key client_ca=nowhere", "client_ca", "No such file or directory"),
    ("certificate=certificate key=key client_ca=changeable", "client_ca", "everybody may write this file; chmod o-w"),
    ("certificate=certificate key=key client_ca=text", "client_ca", "text.pem: a certificate in it is damaged"),
    ("certificate=certificate key=key client_ca=key", "client_ca", "contains a private key, and no certificate"),
]
UPSTREAM_TLS = [
    ("ca=nowhere", "ca", "No such file or directory"),
    ("ca=empty", "ca", "the file is empty"),
    ("certificate=certificate key=other", "key", "is not the key of"),
    ("certificate=certificate key=locked", "key", "the key has a passphrase"),
]


@pytest.mark.parametrize(
    ("table", "names", "key", "said"),
    [*(("listener", *row) for row in LISTENER_TLS), *(("upstream", *row) for row in UPSTREAM_TLS)],
)
def test_a_file_that_cannot_be_used_is_told_by_its_key(
    tmp_path: Path, files: dict[str, Path], table: str, names: str, key: str, said: str
) -> None:
    lines = tls(files, names)
    if table == "listener":
        (line,) = wrong(tmp_path, listener(lines), UPSTREAM, FAKE)
    else:
        (line,) = wrong(tmp_path, listener("cleartext_passcodes = true"), UPSTREAM + lines, FAKE)
    assert line.startswith(f"gate.toml:{4 if table == 'listener' else 10}: {table}[0].tls.{key}: ")
    assert said in line


def test_certificates_that_can_be_used_are_taken(tmp_path: Path, files: dict[str, Path]) -> None:
    files["both-open"].chmod(0o640)  # root:dicomgate, for example
    for lines in (
        tls(files, "certificate=certificate key=key"),
        tls(files, "certificate=certificate key=key client_ca=ca"),
        'tls = { certificate = "both.pem" }',
    ):
        ((_, snapshot),) = build(tmp_path, listener(lines), UPSTREAM, FAKE).listeners.items()
        assert snapshot.tls is not None


def test_a_key_with_a_passphrase_never_asks_on_the_terminal(tmp_path: Path, files: dict[str, Path]) -> None:
    """In a process with a terminal of its own, on which no one types."""
    lines = tls(files, "certificate=certificate key=locked")
    (tmp_path / "gate.toml").write_text("\n".join([listener(lines), UPSTREAM, '[[authenticator]]\nuse = "x"\n']))
    script = (
        "import sys; from pathlib import Path; from dicomgate.run.assembly import assemble; assemble(Path(sys.argv[1]))"
    )
    ours, theirs = pty.openpty()
    try:
        ended = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "gate.toml")], stdin=theirs, stdout=theirs,
            stderr=subprocess.PIPE, timeout=60, start_new_session=True, check=False,
        )  # fmt: skip
        os.set_blocking(ours, False)
        with pytest.raises(BlockingIOError):
            os.read(ours, 100)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"the key has a passphrase" in ended.stderr
    assert b"Enter PEM pass phrase" not in ended.stderr


def test_an_upstream_is_verified_by_ca_or_by_pin(tmp_path: Path, files: dict[str, Path]) -> None:
    def upstream(line: str) -> Any:
        return build(tmp_path, listener("cleartext_passcodes = true"), UPSTREAM + line, FAKE).upstreams["pacs"]

    for line in (tls(files, "ca=ca"), "tls = {}", tls(files, "certificate=certificate key=key")):
        context = upstream(line)._tls
        assert (context.check_hostname, context.verify_mode.name) == (True, "CERT_REQUIRED"), line
    pinned = upstream(f'tls = {{ pin = "{FINGERPRINT}" }}')
    assert (pinned._pin, pinned._tls.verify_mode.name) == (FINGERPRINT, "CERT_NONE")
    assert upstream("")._tls is None
    assert upstream('tls = { server_name = "pacs.test" }')._server_name == "pacs.test"
    assert upstream("tls = {}")._server_name == "127.0.0.1"


# -- its life ---------------------------------------------------------------------------------------------------------

PLAIN = (listener("cleartext_passcodes = true"), UPSTREAM)


@pytest.mark.anyio
async def test_it_is_opened_and_retired_when_no_association_needs_it(tmp_path: Path) -> None:
    made = build(tmp_path, *PLAIN, FAKE, FAKE + 'name = "b"\n')
    assert LIFE == []
    await made.open()
    assert LIFE == ["enter", "enter"]
    ((_, snapshot),) = made.listeners.items()
    snapshot.acquire()
    snapshot.acquire()
    retired = asyncio.ensure_future(made.retire())
    snapshot.release()
    await asyncio.sleep(0.01)
    assert not retired.done()
    assert LIFE == ["enter", "enter"], "one association still needs them"
    snapshot.release()
    await retired
    assert LIFE == ["enter", "enter", "leave", "leave"]


@pytest.mark.anyio
async def test_one_that_cannot_be_entered_leaves_the_others(tmp_path: Path) -> None:
    made = build(tmp_path, *PLAIN, FAKE, FAKE + 'name = "b"\nfails = true\n')
    with pytest.raises(StartError, match="authenticator b failed to start"):
        await made.open()
    assert LIFE == ["enter", "enter", "leave"]
