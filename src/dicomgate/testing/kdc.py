"""A real KDC on loopback: MIT's krb5kdc as a plain process, with a realm of its own.

It neither reads nor writes the system's configuration: KRB5_CONFIG and KRB5_KDC_PROFILE name files of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REALM = "HOSPITAL.EXAMPLE"
SERVICE = f"dicom/gateway.hospital.example@{REALM}"
OTHER_SERVICE = f"http/gateway.hospital.example@{REALM}"
PASSWORD = "correct horse"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
NEEDED = [
    tool for tool in ("krb5kdc", "kdb5_util", "kadmin.local", "kinit", "kvno") if not shutil.which(tool, path=_PATH)
]
"""The tools that are missing. Debian has them in krb5-kdc, krb5-admin-server and krb5-user."""

_KRB5_CONF = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
    {extra}
[realms]
    {realm} = {{
        kdc = {kdc}
    }}
"""
_KDC_CONF = """\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/kadm5.acl
        max_life = 10h
        supported_enctypes = {enctypes}
    }}
[logging]
    kdc = FILE:{folder}/kdc.log
"""


def krb5_conf(realm: str, kdc: str, extra: str = "") -> str:
    """The krb5.conf of a client of this realm, whose KDC is at an address with a port."""
    return _KRB5_CONF.format(realm=realm, kdc=kdc, extra=extra)


@dataclass
class Kdc:
    """A running KDC. `environment` has the variables that its tools and clients need."""

    folder: Path
    realm: str
    port: int
    clock: str = ""
    process: subprocess.Popen[bytes] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def configuration(self) -> Path:
        """The krb5.conf of this realm."""
        return self.folder / "krb5.conf"

    def admin(self, *queries: str) -> None:
        """Run queries of kadmin.local."""
        for query in queries:
            self.run("kadmin.local", "-r", self.realm, "-q", query)

    def keytab(self, *principals: str, name: str = "gateway.keytab", norandkey: bool = True) -> Path:
        """A keytab with the keys of these services."""
        path = self.folder / name
        keep = "-norandkey " if norandkey else ""
        for principal in principals:
            self.admin(f"ktadd -k {path} {keep}{principal}")
        path.chmod(0o600)
        return path

    def log_in(self, user: str, *, cache: str = "cache", options: Sequence[str] = ()) -> dict[str, str]:
        """Run kinit for a ticket of one hour, and return the environment of a user that has it."""
        environment = {**self.environment, "KRB5CCNAME": f"FILE:{self.folder}/{cache}"}
        command, answer = ["kinit", "-l", "1h", *options, user], f"{PASSWORD}\n".encode()
        subprocess.run(command, env=environment, input=answer, check=True, capture_output=True)
        return environment

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """The standard output of one of its tools. Raises RuntimeError with its output if it fails."""
        done = subprocess.run(command, env=environment or self.environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout} {done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Start, and wait until it listens. Raises RuntimeError with its log if it does not within 20 s."""
        command = ["krb5kdc", "-n", "-P", str(self.folder / "pid")]
        if self.clock:
            command = ["faketime", "-f", self.clock, *command]
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with closing(socket.socket()) as connection:
                if connection.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError((self.folder / "kdc.log").read_text())

    def stop(self) -> None:
        """Stop. Tickets that it issued stay valid."""
        if self.process is not None:
            pid = self.folder / "pid"
            # The pid of the KDC, not of faketime, which waits for it and then cleans up.
            os.kill(int(pid.read_text()) if pid.exists() else self.process.pid, signal.SIGKILL)
            self.process.wait()
            pid.unlink(missing_ok=True)
            self.process = None


@contextmanager
def run_kdc(
    folder: Path,
    realm: str = REALM,
    *,
    enctypes: str = "aes256-cts:normal aes128-cts:normal",
    extra: str = "",
    clock: str = "",
    users: Sequence[str] = ("alice", "zoe"),
) -> Iterator[Kdc]:
    """A KDC with these users, all with `PASSWORD`, and the services `SERVICE` and `OTHER_SERVICE`.

    `clock` sets its clock off, for example by "+200s"; that needs faketime.
    """
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "krb5.conf").write_text(krb5_conf(realm, f"127.0.0.1:{port}", extra))
    (folder / "kdc.conf").write_text(_KDC_CONF.format(realm=realm, port=port, folder=folder, enctypes=enctypes))
    (folder / "kadm5.acl").touch()
    environment = {
        "PATH": _PATH,
        "KRB5_CONFIG": str(folder / "krb5.conf"),
        "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
        "KRB5RCACHENAME": f"file2:{folder}/rcache",
        "HOME": str(folder),
    }
    kdc = Kdc(folder, realm, port, clock, environment=environment)
    kdc.run("kdb5_util", "create", "-s", "-r", realm, "-P", "master")
    services = (SERVICE, OTHER_SERVICE)
    kdc.admin(
        *(f'addprinc -pw "{PASSWORD}" {user}' for user in users),
        *(f"addprinc -randkey {service.partition('@')[0]}@{realm}" for service in services),
    )
    try:
        kdc.start()
        yield kdc
    finally:
        kdc.stop()
