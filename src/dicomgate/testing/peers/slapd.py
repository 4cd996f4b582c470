"""A real OpenLDAP server on 127.0.0.1: one hospital, its people, its groups, its password policy."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..evidence import ALICE
from .certificates import Certificates, Leaf
from .loopback import HOST, free_port
from .process import Service, require

BASE = "dc=hospital,dc=example"
PEOPLE, STUDENTS = f"ou=people,{BASE}", f"ou=students,{BASE}"
GATE = f"cn=gate,{BASE}"
SERVICE = "canary-service-Qp7mT2xe"
"""The secret of the gateway's own account."""

_ROOT, _ROOT_SECRET = f"cn=root,{BASE}", "root"
_SCHEMAS = ("core", "cosine", "inetorgperson", "nis")
_UNITS = ("people", "students", "groups", "clubs")
_MODULES = ("back_mdb", "ppolicy", "memberof")
LOCKED = "pwdAccountLockedTime: 000001010000Z"  # draft-behera-ldap-password-policy 5.3.3: for ever
_EXPIRED = "pwdChangedTime: 20200101000000Z"


def program(name: str) -> str:
    """Return the path of one of OpenLDAP's programs, or skip the test with what to install."""
    return require(name, "slapd ldap-utils")


def _entry(dn: str, *lines: str) -> str:
    return "\n".join([f"dn: {dn}", *lines, "\n"])


def person(name: str, *lines: str, passcode: str = ALICE.decode(), rdn: str = "", below: str = PEOPLE) -> str:
    """The LDIF of one person."""
    shown = ["objectClass: inetOrgPerson", f"uid: {name}", "sn: x", *lines]
    shown += [f"userPassword: {passcode}"] if passcode else []
    return _entry(f"{rdn or f'uid={name}'},{below}", *shown, *([] if rdn.startswith("cn=") else [f"cn: {name}"]))


def _policy(name: str, *lines: str) -> str:
    own = ["objectClass: person", "objectClass: pwdPolicy", "sn: x", "pwdAttribute: userPassword"]
    return _entry(f"cn={name},{BASE}", *own, "pwdMaxAge: 31536000", "pwdLockout: TRUE", *lines)


HOSPITAL = "".join(
    [
        _entry(BASE, "objectClass: organization", "objectClass: dcObject", "o: Hospital"),
        *(_entry(f"ou={ou},{BASE}", "objectClass: organizationalUnit") for ou in _UNITS),
        _policy("policy", "pwdMaxFailure: 3000", "pwdMustChange: TRUE"),
        _policy("service", "pwdMustChange: FALSE"),
        _policy("lenient", "pwdGraceAuthNLimit: 1000"),
        _policy("strict", "pwdMaxFailure: 2"),
        _entry(
            GATE,
            *("objectClass: person", "sn: x", f"userPassword: {SERVICE}", f"pwdPolicySubentry: cn=service,{BASE}"),
        ),
        person("alice"),
        person("bob"),
        person("bert", LOCKED),
        person("carl", _EXPIRED),
        person("dora", "pwdReset: TRUE"),
        person("emil", _EXPIRED, f"pwdPolicySubentry: cn=lenient,{BASE}"),
        person("fritz", f"pwdPolicySubentry: cn=strict,{BASE}"),
        person("nopasscode", passcode=""),
        person("twin"),
        person("twin", below=STUDENTS),
        person("0x10"),
        person("16"),
        person("anna", "uid: anni"),
        person("jm", rdn='cn=M\\C3\\BCller\\2C \\22J\\2BM\\22 \\5C2C #1', below=PEOPLE),
    ]
)  # fmt: skip

GROUPS = "".join(
    _entry(f"cn={name},{below},{BASE}", f"objectClass: {kind}", *lines)
    for name, below, kind, lines in (
        ("radiology", "ou=groups", "groupOfNames", [f"member: uid=alice,{PEOPLE}"]),
        ("x-ray \\23 1", "ou=groups", "groupOfNames", [f"member: uid=alice,{PEOPLE}"]),
        ("imaging", "ou=groups", "groupOfNames", [f"member: cn=radiology,ou=groups,{BASE}"]),
        ("chess", "ou=clubs", "groupOfNames", [f"member: uid=alice,{PEOPLE}"]),
        ("unix", "ou=groups", "posixGroup", ["gidNumber: 100", "memberUid: alice"]),
        ("unique", "ou=groups", "groupOfUniqueNames", [f"uniqueMember: uid=alice,{PEOPLE}"]),
    )
)


class Slapd(Service):
    """A server on two ports of its own, for ldap:// and ldaps://, which stay the same when it is started again."""

    def __init__(self, folder: Path, certificates: Certificates, ldif: str = HOSPITAL) -> None:
        ports = free_port(), free_port()
        self.plain, self.tls = f"ldap://{HOST}:{ports[0]}", f"ldaps://{HOST}:{ports[1]}"
        self.ca = certificates.ca
        self.service_file = folder / "service.secret"
        self.service_file.touch(mode=0o600)
        self.service_file.write_text(SERVICE + "\n")
        self._folder, self._configuration = folder, folder / "slapd.conf"
        (folder / "data").mkdir()
        (folder / "hospital.ldif").write_text(ldif)
        self._configure(certificates.server)
        self._tool("slapadd", "-f", self._configuration, "-l", folder / "hospital.ldif")
        urls = f"{self.plain} {self.tls}"
        command: list[str | Path] = [program("slapd"), "-d", "0", "-f", self._configuration, "-h", urls]
        super().__init__(command, log=folder / "log", ports=ports)

    def keys(self, **others: Any) -> dict[str, Any]:
        """What `Ldap` is made with to look for users and bind; cores may be busy, so the deadline is a long one."""
        keys: dict[str, Any] = {"servers": [self.plain], "base": BASE, "ca": self.ca, "deadline": timedelta(seconds=20)}
        return keys | {"bind_dn": GATE, "bind_password_file": self.service_file} | others

    def direct_keys(self, template: str = f"uid={{name}},{PEOPLE}", **others: Any) -> dict[str, Any]:
        """What `Ldap` is made with to let users bind themselves."""
        return self.keys(bind_dn=None, bind_password_file=None, direct_bind=template, **others)

    def restart(self, certificate: Leaf | None = None) -> None:
        """Stop and start, with another certificate if one is given."""
        self.stop()
        if certificate is not None:
            self._configure(certificate)
        self.start()

    def change(self, ldif: str) -> None:
        """Change entries of the running server with LDIF; one without `changetype` is added."""
        self._tool("ldapmodify", "-a", "-x", "-H", self.plain, "-D", _ROOT, "-w", _ROOT_SECRET, given=ldif)

    def _configure(self, certificate: Leaf) -> None:
        lines = [f"include /etc/ldap/schema/{schema}.schema" for schema in _SCHEMAS]
        lines += ["modulepath /usr/lib/ldap", *(f"moduleload {module}" for module in _MODULES)]
        lines += [f"TLSCertificateFile {certificate.certificate}", f"TLSCertificateKeyFile {certificate.key}"]
        lines += ["database mdb", f"suffix {BASE}", f"rootdn {_ROOT}", f"rootpw {_ROOT_SECRET}"]
        lines += [f"directory {self._folder / 'data'}", "maxsize 10485760"]
        lines += ["overlay ppolicy", f"ppolicy_default cn=policy,{BASE}", "ppolicy_use_lockout", "overlay memberof"]
        # Everybody may read the students; the gateway's account may read all people, and users their own entry.
        lines += ["access to attrs=userPassword by anonymous auth", f"access to dn.subtree={STUDENTS} by * read"]
        lines += [f'access to * by dn="{GATE}" read by self read']
        self._configuration.write_text("\n".join(lines) + "\n")

    def _tool(self, tool: str, *arguments: str | Path, given: str = "") -> None:
        done = subprocess.run([program(tool), *arguments], input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@contextmanager
def run_slapd(folder: Path, certificates: Certificates, ldif: str = HOSPITAL) -> Iterator[Slapd]:
    """Run a server with the GROUPS until the block ends."""
    with Slapd(folder, certificates, ldif) as slapd:
        slapd.change(GROUPS)
        yield slapd
