"""A real Active Directory: Samba as the domain controller of one hospital, with LDAP and a KDC.

Samba cannot be told other ports than LDAP's and Kerberos' own. So each has an address of its own out of 127.0.0.0/8,
and ports below 1024 need root. All its files are below one folder.
"""

import base64
import os
import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from ..evidence import ALICE
from ..kdc import krb5_conf
from .certificates import issue_leaf
from .process import Service, require
from .slapd import SERVICE, program

REALM = "HOSPITAL.EXAMPLE"
BASE = "DC=hospital,DC=example"
STAFF, GROUPS = f"OU=Staff,{BASE}", f"OU=Groups,{BASE}"
GATE = "gate@hospital.example"
PRINCIPAL = f"dicom/gateway.hospital.example@{REALM}"
THRESHOLD = 3
"""Wrong passcodes that lock an account (lockoutThreshold)."""

_PACKAGES = "samba-ad-dc samba-ad-provision"
_NEEDED = ("share/samba/setup/provision.ldif", "lib/*/samba/ldb/samba_dsdb.so", "lib/*/samba/vfs/acl_xattr.so")
_ADMINISTRATOR = "Administrator-4vQ"
_PORTS = {"ldap": 389, "ldaps": 636, "kdc": 88}
_CONFIGURATION = """\
[global]
workgroup = HOSPITAL
realm = {realm}
netbios name = DC1
server role = active directory domain controller
server services = ldap, kdc
interfaces = {address}/8
bind interfaces only = yes
private dir = {folder}/private
lock directory = {folder}/lock
state directory = {folder}/state
cache directory = {folder}/cache
pid directory = {folder}
ncalrpc dir = {folder}/ncalrpc
binddns dir = {folder}/bind-dns
tls certfile = {certificate}
tls keyfile = {key}
tls cafile = {ca}
ldb:nosync = true
vfs objects =
[sysvol]
path = {folder}/state/sysvol
[netlogon]
path = {folder}/state/sysvol/hospital.example/scripts
"""

# userAccountControl ([MS-ADTS] 2.2.16).
_DISABLED, _NORMAL, _NO_EXPIRY, _SMARTCARD, _AES = 0x2, 0x200, 0x10000, 0x40000, 24
_LONG_AGO = 125_000_000_000_000_000
"""A FILETIME, of the year 1997."""


def _entry(dn: str, *lines: str) -> str:
    return "\n".join([f"dn: {dn}", "changetype: add", *lines, "\n"])


def _change(dn: str, **values: str | int) -> str:
    lines = "".join(f"replace: {name}\n{name}: {value}\n-\n" for name, value in values.items())
    return f"dn: {dn}\nchangetype: modify\n{lines}\n"


def _passcode(passcode: str) -> str:
    # [MS-ADTS] 3.1.1.3.1.5.1: in quotes, in UTF-16.
    quoted = f'"{passcode}"'
    return f"unicodePwd:: {base64.b64encode(quoted.encode('utf-16-le')).decode()}"


def person(name: str, *lines: str, passcode: str = ALICE.decode(), control: int = _NORMAL | _NO_EXPIRY) -> str:
    """The LDIF of one account."""
    own = [f"sAMAccountName: {name}", f"userAccountControl: {control}", _passcode(passcode), *lines]
    return _entry(f"CN={name.title()},{STAFF}", "objectClass: user", *own)


def _group(name: str, *members: str) -> str:
    return _entry(f"CN={name},{GROUPS}", "objectClass: group", *(f"member: {member}" for member in members))


_A_YEAR = -365 * 86_400 * 10_000_000
"""[MS-ADTS] 2.3.4: a negative number of 100 ns is a length of time."""
_PASSCODES = {"pwdProperties": 0, "minPwdLength": 0, "minPwdAge": 0, "maxPwdAge": _A_YEAR}
HOSPITAL = "".join(
    [
        _change(BASE, **_PASSCODES, lockoutThreshold=THRESHOLD),
        *(_entry(dn, "objectClass: organizationalUnit") for dn in (STAFF, GROUPS)),
        person("gate", f"userPrincipalName: {GATE}", passcode=SERVICE),
        person("svc-dicomgate", f"servicePrincipalName: {PRINCIPAL.partition('@')[0]}",
               f"msDS-SupportedEncryptionTypes: {_AES}"),
        person("alice", "userPrincipalName: alice@hospital.example"),
        person("ameier", "userPrincipalName: Anna.Meier@hospital.example"),
        person("bert", control=_NORMAL | _DISABLED),
        person("carl", control=_NORMAL),  # see `_OLD_PASSCODE`
        person("dora", "pwdLastSet: 0", control=_NORMAL),
        person("emil", f"accountExpires: {_LONG_AGO}"),
        person("fritz"),
        person("gert", f"logonHours:: {base64.b64encode(bytes(21)).decode()}"),
        person("hugo", "userWorkstations: PC1"),
        person("ines", control=_NORMAL | _NO_EXPIRY | _SMARTCARD),
        person("otto", "userPrincipalName: rita@clinic.example"),
        person("rita", "userPrincipalName: rita.meier@hospital.example", passcode="rita"),
        _group("radiology", f"CN=Alice,{STAFF}"),
        _group("imaging", f"CN=radiology,{GROUPS}"),
    ]
)  # fmt: skip


_OLD_PASSCODE = """
import sys, ldb
database = ldb.Ldb(sys.argv[1], options=["modules:"])
change = ldb.Message(ldb.Dn(database, sys.argv[2]))
change["pwdLastSet"] = ldb.MessageElement(sys.argv[3], ldb.FLAG_MOD_REPLACE, "pwdLastSet")
database.modify(change)
"""
"""Over LDAP nobody may set the time of a passcode: in the file of the database, without the modules that forbid it."""


class Samba(Service):
    """A domain controller. `tls` and `plain` are the URLs of LDAP, `krb5_conf` is the file for clients of the KDC."""

    def __init__(self, folder: Path) -> None:
        samba, self._tool = _require()
        self.address = _free_address()
        self.plain, self.tls = f"ldap://{self.address}", f"ldaps://{self.address}"
        self.ca, self.configuration, self.krb5_conf = folder / "ca.pem", folder / "smb.conf", folder / "krb5.conf"
        self.service_file = folder / "service.secret"
        self.service_file.touch(mode=0o600)
        self.service_file.write_text(SERVICE + "\n")
        self._folder = folder
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        leaf = issue_leaf(authority, folder, "dc1", self.address, "dc1.hospital.example")
        paths = {"folder": folder, "certificate": leaf.certificate, "key": leaf.key, "ca": self.ca}
        self.configuration.write_text(_CONFIGURATION.format(realm=REALM, address=self.address, **paths))
        self.krb5_conf.write_text(krb5_conf(REALM, f"{self.address}:{_PORTS['kdc']}"))
        self._provision()
        command = [samba, "--foreground", "--model=single", "--no-process-group", "--debug-stdout"]
        super().__init__([*command, f"--configfile={self.configuration}"], log=folder / "log", ready=self._answers)

    def keys(self, **others: Any) -> dict[str, Any]:
        """What `Ldap` is made with to look for users and bind, apart from the keys of the page."""
        keys: dict[str, Any] = {"servers": [self.tls], "base": BASE, "ca": self.ca, "deadline": timedelta(seconds=20)}
        return keys | {"bind_dn": GATE, "bind_password_file": self.service_file} | others

    def change(self, ldif: str) -> None:
        """Change entries of the running directory with LDIF."""
        command = [program("ldapmodify"), "-x", "-H", self.tls, "-D", f"administrator@{REALM.lower()}"]
        environment = {**os.environ, "LDAPTLS_CACERT": str(self.ca)}
        self._run([*command, "-w", _ADMINISTRATOR], given=ldif, environment=environment)

    def set_passcode(self, name: str, passcode: str) -> None:
        """Give an account another passcode, and its Kerberos keys another version."""
        lines = f"changetype: modify\nreplace: unicodePwd\n{_passcode(passcode)}\n"
        self.change(f"dn: CN={name.title()},{STAFF}\n{lines}")

    def keytab(self, principal: str) -> Path:
        """A keytab with the keys of this service."""
        path = self._folder / "gateway.keytab"
        exported = [self._tool, "domain", "exportkeytab", path, f"--principal={principal}"]
        self._run([*exported, f"--configfile={self.configuration}"])
        path.chmod(0o600)
        return path

    def log_in(self, *options: str) -> dict[str, str]:
        """Run kinit, whose last option is the name, and return the environment of a user that has the ticket."""
        kinit = require("kinit", "krb5-user")
        environment = {"KRB5_CONFIG": str(self.krb5_conf), "KRB5CCNAME": f"FILE:{self._folder}/tickets"}
        self._run([kinit, *options], given=ALICE.decode() + "\n", environment={**os.environ, **environment})
        return environment

    def _provision(self) -> None:
        for name in ("private", "lock", "state", "cache"):
            (self._folder / name).mkdir()
        command = [self._tool, "domain", "provision", f"--configfile={self.configuration}", f"--realm={REALM}"]
        command += ["--domain=HOSPITAL", "--server-role=dc", "--dns-backend=NONE", "--host-name=dc1"]
        self._run([*command, f"--host-ip={self.address}", f"--adminpass={_ADMINISTRATOR}"])

    def make_a_passcode_old(self) -> None:
        """Let carl's passcode be older than the domain allows."""
        database = self._folder / "private" / "sam.ldb.d" / f"{BASE.upper()}.ldb"
        # Debian's own Python has the modules of samba-tool.
        self._run(["/usr/bin/python3", "-c", _OLD_PASSCODE, database, f"CN=Carl,{STAFF}", str(_LONG_AGO)])

    def _run(self, command: list[Any], given: str = "", environment: dict[str, str] | None = None) -> None:
        done = subprocess.run(command, input=given, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _answers(self) -> bool:
        for port in _PORTS.values():
            with closing(socket.socket()) as connection:
                if connection.connect_ex((self.address, port)):
                    return False
        return True


def _require() -> tuple[str, str]:
    """The paths of samba and samba-tool. A file server's Samba has both, and not what a domain controller needs."""
    samba, tool = (require(program, _PACKAGES) for program in ("samba", "samba-tool"))
    if not all(map(any, (Path("/usr").glob(needed) for needed in _NEEDED))):
        pytest.skip(f"Samba is installed without what a domain controller needs: apt-get install {_PACKAGES}")
    return samba, tool


def _free_address() -> str:
    """An address of the loopback network where these ports are free. Skips the test if they may not be listened on."""
    while True:
        address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        try:
            for port in _PORTS.values():
                with closing(socket.socket()) as probe:
                    probe.bind((address, port))
        except PermissionError:
            pytest.skip("Samba listens on ports 88, 389 and 636, which only root may")
        except OSError:
            continue
        return address


@contextmanager
def run_samba(folder: Path) -> Iterator[Samba]:
    """Run a domain controller with the accounts and groups of HOSPITAL until the block ends."""
    with Samba(folder) as samba:
        samba.change(HOSPITAL)
        samba.make_a_passcode_old()
        yield samba
