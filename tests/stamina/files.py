"""The files that a gateway reads, changed as operators and their tools change them: rightly, and wrongly."""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import trustme
from cryptography import x509

from bench.messages import PASSCODE
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.peers.loopback import HOST, free_port
from dicomgate_passcode.hashing import make_hash

SHORT, LONG = 1024, 131_072


@dataclass
class Files:
    """A configuration, users files, a certificate with its key. What is changed here `write` brings to the disk.

    Beside the listeners in `tables` there is `secured`, with the certificate; `hashed`, which asks the users
    file; and, if `spare`, one more. The users file has `user`, and not `former`. `longest` is the longest request read.
    """

    folder: Path
    tables: dict[str, Any]
    user: str = "nobody"
    spare: bool = False
    longest: int = LONG

    def __post_init__(self) -> None:
        self.file = self.folder / "dicomgate.toml"
        self.spare_port = free_port()
        self._taken = socket.create_server((HOST, 0))
        self._ca = trustme.CA()
        self._chance = Random(7)
        self._written = self._generation = 0
        tls = {"certificate": "server.pem", "key": "server.key"}
        self.tables["listener"] += [
            {"name": "secured", "bind": f"{HOST}:{free_port()}", "authenticators": ["quick"], "tls": tls},
            _plain("hashed", free_port(), "staff"),
        ]
        self.renew_users()
        self.renew_certificate()
        self.write()

    def close(self) -> None:
        """Give back the port that is in use."""
        self._taken.close()

    @property
    def authority(self) -> str:
        """The certificate that clients trust, in PEM."""
        return self._ca.cert_pem.bytes().decode()

    def renew_certificate(self) -> None:
        """Another certificate of the same authority, with another key."""
        self._leaf = self._ca.issue_cert(HOST)
        self.serial = x509.load_pem_x509_certificate(self._leaf.cert_chain_pems[0].bytes()).serial_number

    def renew_users(self) -> None:
        """Another users file, with another user."""
        self._generation += 1
        self.former, self.user = self.user, f"user-{self._generation}"
        self._users = f"users-{self._generation}.htpasswd"
        (self.folder / self._users).touch(mode=0o600)
        (self.folder / self._users).write_text(f"{self.user}:{make_hash(PASSCODE)}\n")

    def write(self) -> None:
        """Write everything: the configuration file in place, as another file, or as a link to one, in turn."""
        self._write_certificate(self._leaf)
        self._write_key(self._leaf)
        text = self._text(self.tables["listener"] + [_plain("spare", self.spare_port, "quick")] * self.spare)
        self._written += 1
        new = self.folder / f"dicomgate-{self._written}.toml"
        match self._written % 3:
            case 0:
                self.file.write_text(text)
            case 1:
                new.write_text(text)
                new.replace(self.file)
            case 2:
                new.write_text(text)
                (self.folder / "link.toml").symlink_to(new.name)
                (self.folder / "link.toml").replace(self.file)

    def _text(self, listeners: list[dict[str, Any]]) -> str:
        staff, *others = self.tables["authenticator"]
        staff = staff | {"file": self._users}
        gateway = self.tables["gateway"] | {"max_request_bytes": self.longest}
        return as_toml(self.tables | {"gateway": gateway, "listener": listeners, "authenticator": [staff, *others]})

    def _write_certificate(self, leaf: trustme.LeafCert) -> None:
        (self.folder / "server.pem").write_bytes(leaf.cert_chain_pems[0].bytes())

    def _write_key(self, leaf: trustme.LeafCert) -> None:
        (self.folder / "server.key").touch(mode=0o600)
        leaf.private_key_pem.write_to_path(self.folder / "server.key")

    # -- what goes wrong: each returns a pattern of what the log has to say -------------------------------------------

    def key_of_another(self) -> str:
        """The certificate is renewed, its key is not yet."""
        self._write_certificate(self._ca.issue_cert(HOST))
        return self._key_at("tls = ", "listener[2].tls.key") + ".*is not the key of"

    def unknown_key(self) -> str:
        self._replace("drain_timeout", "drain_timeuot")
        return self._key_at("drain_timeuot", "gateway.drain_timeuot") + ".*unknown key"

    def half_a_file(self) -> str:
        """What is there while it is being written; what is missing is told, or where it breaks off."""
        text = self.file.read_text()
        self.file.write_text(text[: self._chance.randrange(text.index("[[authenticator]]"))])
        return re.escape(f"{self.file}:")

    def wrong_value(self) -> str:
        self._replace(f"max_request_bytes = {self.longest}", "max_request_bytes = 12")
        return self._key_at("max_request_bytes", "gateway.max_request_bytes")

    def no_file(self) -> str:
        self.file.unlink()
        return re.escape(f"{self.file}: cannot be read: there is no such file")

    def no_toml(self) -> str:
        self.file.write_text(f"{self.file.read_text()}= =\n")
        return self._key_at("= =", "not TOML")

    def no_certificate(self) -> str:
        (self.folder / "server.pem").unlink()
        return self._key_at("tls = ", "listener[2].tls.certificate") + ".*No such file"

    def no_users(self) -> str:
        self._replace(self._users, "nobody.htpasswd")
        return self._key_at("[[authenticator]]", "authenticator[0]: ") + ".*No such file"

    def no_such_authenticator(self) -> str:
        self._replace('"stamina-quick"', '"stamina-quack"')
        return self._key_at("[[authenticator]]", "authenticator[2]: no authenticator is called", 2)

    def not_an_authenticator(self) -> str:
        self._replace('authenticators = ["quick"]', 'authenticators = ["quack"]')
        return self._key_at('authenticators = ["quack"]', "listener[0].authenticators")

    def port_in_use(self) -> str:
        """And one that could be opened, which must be closed again; or one that is open, which must stay."""
        port = self._taken.getsockname()[1]
        spare = [] if self.spare else [_plain("spare", self.spare_port, "quick")]
        self.file.write_text(self._text([*self.tables["listener"], *spare, _plain("taken", port, "quick")]))
        return re.escape(f"[[listener]] taken: cannot listen on {HOST}:{port}: Address already in use")

    def empty_file(self) -> str:
        self.file.write_text("")
        return re.escape(f"{self.file}:1: listener: is missing")

    def _replace(self, old: str, new: str) -> None:
        text = self.file.read_text()
        assert old in text, old
        self.file.write_text(text.replace(old, new, 1))

    def _key_at(self, line: str, key: str, passed_over: int = 0) -> str:
        """What the log says of a key: the file, the number of the line that begins like this, and the key."""
        lines = enumerate(self.file.read_text().splitlines(), start=1)
        numbers = [number for number, found in lines if found.startswith(line)]
        return re.escape(f"{self.file}:{numbers[passed_over]}: {key}")


# The first two leave the most open if something is done before everything is known to be right.
BROKEN: tuple[Callable[[Files], str], ...] = (
    Files.port_in_use, Files.key_of_another, Files.unknown_key, Files.half_a_file, Files.wrong_value, Files.no_file,
    Files.no_certificate, Files.no_users, Files.no_toml, Files.no_such_authenticator, Files.not_an_authenticator,
    Files.empty_file,
)  # fmt: skip


def _plain(name: str, port: int, asked: str) -> dict[str, Any]:
    return {"name": name, "bind": f"{HOST}:{port}", "cleartext_passcodes": True, "authenticators": [asked]}
