"""What is allowed, but probably not meant, is a warning."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from dicomgate import Accept, Attempt, Decision
from dicomgate.auth import loading
from dicomgate.run.assembly import assemble
from dicomgate.testing.peers.certificates import Certificates, Leaf

UPSTREAM = '[[upstream]]\nname = "pacs"\naddress = "127.0.0.1:4242"\ncalled_ae_titles = ["PACS"]\n'
STAFF = '[[authenticator]]\nuse = "fake"\nname = "staff"\n'
DEVICES = '[[authenticator]]\nuse = "fake"\nname = "devices"\nhandles = [0]\n'
CARDS = '[[authenticator]]\nuse = "fake"\nname = "cards"\ncertificate = true\n'


class Fake:
    """An authenticator whose table says what it says of itself."""

    def __init__(
        self,
        *,
        handles: tuple[int, ...] = (2, 5),
        certificate: bool = False,
        within: timedelta | None = None,
        locks_after: int = 0,
    ) -> None:
        self.locks_after = locks_after
        self.handles = [kind or None for kind in handles]
        self.needs_client_certificate = certificate
        self.answers_within = within

    async def groups_of(self, user: str) -> frozenset[str]:
        return frozenset()

    def authenticate(self, attempt: Attempt) -> Decision:
        return Accept("alice")


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find", lambda use, _: {"fake": Fake}[use])


def listener(*lines: str, bind: str = "127.0.0.1:0") -> str:
    return "\n".join(["[[listener]]", 'name = "clinical"', f'bind = "{bind}"', *lines, ""])


PLAIN = listener("cleartext_passcodes = true")
RIGHT = PLAIN + UPSTREAM + STAFF


def warnings(folder: Path, text: str) -> list[str]:
    path = folder / "gate.toml"
    path.write_text(text, "utf-8")
    return [line.replace(f"{folder}/", "") for line in assemble(path).warnings]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RIGHT, []),
        (PLAIN + UPSTREAM + STAFF + "timeout = '2s'\nwithin = '1.9s'\n", []),
        (PLAIN + UPSTREAM + STAFF + "groups_from = 'more'\n" + STAFF.replace("staff", "more"), []),
        (RIGHT + "locks_after = 6\n", []),
        (
            RIGHT + "locks_after = 5\n",
            ["authenticator staff: 5 wrong passcodes lock an account for all that it is used for, and throttle lets 5"],
        ),
        (RIGHT + "locks_after = 3\n[throttle]\nfree = 2\n", []),
        (
            RIGHT + "locks_after = 9\n[throttle]\nenabled = false\n",
            ["authenticator staff: 9 wrong passcodes lock an ac"],
        ),
        (
            listener('identity = "optional"', "cleartext_passcodes = true") + UPSTREAM + STAFF,
            ["listener clinical: identity is optional, but no authenticator takes attempts without one"],
        ),
        (RIGHT + DEVICES, ["listener clinical: authenticator devices takes requests without an identity alone"]),
        (
            listener() + UPSTREAM + DEVICES,
            ["listener clinical: nobody can log in here: authenticator devices takes requests without an"],
        ),
        (
            PLAIN + UPSTREAM + CARDS + DEVICES,
            ["listener clinical: nobody can log in here: authenticator cards needs a client certificate, and without"],
        ),
        (RIGHT + CARDS, ["listener clinical: authenticator cards needs a client certificate, and without client_ca"]),
        (listener('proxy_protocol = { from = ["10.0.0.5"], tls = "trust" }') + UPSTREAM + STAFF + CARDS, []),
        (
            listener("cleartext_passcodes = true", 'proxy_protocol = { from = ["0.0.0.0/1", "128.0.0.0/1"] }')
            + UPSTREAM
            + STAFF,
            ["listener clinical: proxy_protocol.from is every address: whoever connects says himself whose address he"],
        ),
        (
            listener("cleartext_passcodes = true", 'authenticators = ["staff"]') + UPSTREAM + STAFF + DEVICES,
            ["authenticator devices: no listener asks it"],
        ),
        (
            listener("cleartext_passcodes = true", 'authenticators = ["staff"]')
            + UPSTREAM
            + STAFF
            + STAFF.replace("staff", "it")
            + '[admin]\nbind = "127.0.0.1:0"\nauthenticators = ["it"]\nviewers = ["group:it"]\n',
            [],
        ),
        (
            PLAIN + UPSTREAM + STAFF + "timeout = '2s'\nwithin = '2s'\n",
            ["authenticator staff: timeout is 2 s, and its own deadlines allow 2 s: set a longer timeout"],
        ),
        (
            listener("cleartext_passcodes = true", bind="0.0.0.0:0") + UPSTREAM + STAFF,
            ["listener clinical: cleartext_passcodes: passcodes cross the network to 0.0.0.0:0 in the clear"],
        ),
        (
            RIGHT.replace('["PACS"]', '["CT*", "PACS", "pacs"]'),
            [
                "upstream pacs: called AE title 'CT*' is taken letter by letter: only \"*\" alone",
                "upstream pacs: called AE titles 'PACS' and 'pacs' differ in upper and lower case alone",
            ],
        ),
        (
            RIGHT.replace("[[auth", f'tls = {{ pin = "{"ab" * 32}", server_name = "pacs" }}\n[[auth'),
            ["upstream pacs: with a pin, server_name has no effect"],
        ),
        ('[state]\npath = "a"\nurl = "redis://127.0.0.1"\n' + RIGHT, ["state: with a url, path has no effect"]),
        (
            "[gateway]\nmax_associations = 10\nmax_associations_per_source = 11\n" + RIGHT,
            ["gateway: max_associations_per_source is more than max_associations, and has no effect"],
        ),
    ],
)
def test_a_doubt_is_a_warning(tmp_path: Path, text: str, said: list[str]) -> None:
    found = warnings(tmp_path, text)
    assert len(found) == len(said), found
    for line, begin in zip(found, said, strict=True):
        assert line.startswith(begin)


def test_certificates_that_peers_will_not_like_are_told_with_their_keys(
    tmp_path: Path, certificates: Certificates
) -> None:
    expired, server = certificates.wrong["expired"], certificates.server

    def text(leaf: Leaf, ca: Path) -> str:
        made = f'tls = {{ certificate = "{leaf.certificate}", key = "{leaf.key}", client_ca = "{ca}" }}'
        back = f'tls = {{ certificate = "{leaf.certificate}", key = "{leaf.key}", ca = "{ca}" }}\n'
        return listener(made) + UPSTREAM + back + CARDS

    assert warnings(tmp_path, text(server, certificates.ca)) == []
    found = warnings(tmp_path, text(expired, server.certificate))
    assert [line.partition(": /")[0] for line in found] == [
        "listener clinical: tls.certificate",
        "listener clinical: tls.client_ca",
        "upstream pacs: tls.certificate",
        "upstream pacs: tls.ca",
    ]
    assert "has expired on" in found[0]
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"".join(trustme.CA().cert_pem.bytes() for _ in range(11)) + server.certificate.read_bytes())
    assert warnings(tmp_path, text(server, bundle)) == [], "a bundle is not the operator's"
