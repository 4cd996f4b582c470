"""The keytab comes, goes, changes and breaks; the KDC does as well."""

from __future__ import annotations

import gc
import logging
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from errno import EMFILE
from pathlib import Path
from unittest.mock import Mock

import pytest

from dicomgate import Accept, ConfigError, Reject, Unavailable
from dicomgate.testing.kdc import OTHER_SERVICE, SERVICE, Kdc
from dicomgate.testing.watching import no_descriptor_left
from dicomgate_kerberos import Kerberos, gss
from dicomgate_kerberos.errors import KerberosError
from dicomgate_kerberos.keytab import Keys, read_keytab
from plugins.kerberos.tests.conftest import Make, accepted, ask
from plugins.kerberos.tests.craft import FORMS, RC4, Key, ap_req, new_key, write_keytab
from plugins.kerberos.tests.initiator import Gss, Raw

OLD, NEW = new_key(), new_key()
TRUNCATED = "the keytab is truncated: it ends in the middle of a key"


def logs_in(judge: Kerberos, key: Key, version: int) -> bool:
    """Whether a login with this key works, whatever its form."""
    decisions = [ask(judge, form(ap_req(key, version=version))) for form in FORMS.values()]
    assert all(isinstance(decision, Accept | Reject) for decision in decisions), decisions
    accepted = {isinstance(decision, Accept) for decision in decisions}
    assert len(accepted) == 1, decisions
    return accepted.pop()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The service's old key alone."""
    return write_keytab(tmp_path / "keytab", (SERVICE, 1, OLD))


@pytest.fixture
def judge(kerberos: Make, own: Path) -> Kerberos:
    return kerberos(keytab=own)


def test_the_kdc_stops(kerberos: Make, own_kdc: Kdc) -> None:
    keytab = own_kdc.keytab(SERVICE)
    own_kdc.log_in("alice")
    judge = kerberos(keytab=keytab)
    Gss()
    own_kdc.stop()
    with pytest.raises(Exception, match="Cannot contact any KDC"):
        Gss(OTHER_SERVICE)  # of which she has no ticket yet: it is down
    for one_more in (judge, kerberos(keytab=keytab)):
        for client in (Gss(), Raw()):
            assert client.verify(accepted(one_more, client.token).server_response)


@pytest.mark.parametrize("client", [Gss, Raw])
def test_the_kdcs_keys_rotate(
    kerberos: Make, own_kdc: Kdc, caplog: pytest.LogCaptureFixture, client: type[Gss | Raw]
) -> None:
    caplog.set_level(logging.INFO)
    keytab = own_kdc.keytab(SERVICE)
    own_kdc.log_in("alice")
    judge = kerberos(keytab=keytab)
    old = [client().token for _ in range(3)]
    assert accepted(judge, old[0])
    own_kdc.keytab(SERVICE, name="next.keytab", norandkey=False)
    own_kdc.log_in("alice")
    early = client().token
    assert isinstance(ask(judge, early), Reject)
    own_kdc.keytab(SERVICE)  # the new keys are added to the old ones
    assert accepted(judge, client().token)
    assert accepted(judge, old[1])
    keytab.unlink()
    own_kdc.keytab(SERVICE)  # the new ones alone
    assert accepted(judge, client().token)
    gone = ask(judge, old[2])
    assert isinstance(gone, Reject)
    assert gone.reason.startswith(f"Cannot find key for {SERVICE} kvno 1 in keytab")
    assert caplog.messages == [f"{keytab}: loaded, key versions 2, 1", f"{keytab}: loaded, key versions 2"]


@pytest.mark.parametrize("failing", ["open", "memfd_create", "credentials"])
def test_a_removed_key_is_not_trusted_because_something_failed_once(
    judge: Kerberos, own: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    write_keytab(own.with_name("next"), (SERVICE, 2, NEW)).replace(own)
    if failing == "open":
        with no_descriptor_left():
            assert isinstance(ask(judge, ap_req(OLD)), Unavailable)  # the replay cache cannot be opened either
    else:
        error = OSError(EMFILE, "Too many open files") if failing == "memfd_create" else KerberosError("", EMFILE)
        with monkeypatch.context() as once:
            once.setattr(os if failing == "memfd_create" else gss, failing, Mock(side_effect=error))
            assert logs_in(judge, OLD, 1)
    assert (logs_in(judge, OLD, 1), logs_in(judge, NEW, 2)) == (False, True)


def _write_more(keytab: Path, more: bytes) -> None:
    keytab.write_bytes(keytab.read_bytes() + more)


HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "cannot be read: No such file or directory"),
    "readable by everybody": (lambda keytab: keytab.chmod(0o604), "everybody may read or write this file"),
    "empty": (lambda keytab: keytab.write_bytes(b""), "this is not a keytab"),
    "truncated": (lambda keytab: keytab.write_bytes(keytab.read_bytes()[:-9]), TRUNCATED),
    "a hole too far": (lambda keytab: _write_more(keytab, (-1000).to_bytes(4, signed=True)), TRUNCATED),
    "too long": (lambda keytab: _write_more(keytab, bytes(1_048_577)), "longer than 1048576 bytes"),
    "of another service": (
        lambda keytab: write_keytab(keytab, (OTHER_SERVICE, 1, OLD)), f"has no key of {SERVICE}; it has {OTHER_SERVICE}"
    ),
    "weak": (lambda keytab: write_keytab(keytab, (SERVICE, 1, new_key(RC4))), f"has no AES key of {SERVICE}"),
}  # fmt: skip


@pytest.mark.parametrize(("harm", "words"), HARM.values(), ids=HARM)
def test_the_last_good_one_stays(
    kerberos: Make,
    judge: Kerberos,
    own: Path,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Path], object],
    words: str,
) -> None:
    harm(own)
    with pytest.raises(ConfigError, match=re.escape(f"{own}: {words}")):
        kerberos(keytab=own)
    assert logs_in(judge, OLD, 1)
    assert logs_in(judge, OLD, 1)
    (message,) = caplog.messages  # once, not for each login
    assert message.startswith(f"not loaded, the last good version stays in use: {own}: {words}")
    write_keytab(own.with_name("next"), (SERVICE, 2, NEW)).replace(own)
    assert (logs_in(judge, NEW, 2), logs_in(judge, OLD, 1)) == (True, False)


def test_a_keytab_that_changes_under_a_crowd(kerberos: Make, tmp_path: Path) -> None:
    keytab = write_keytab(tmp_path / "keytab", (SERVICE, 1, OLD), (SERVICE, 2, NEW))
    judge = kerberos(keytab=keytab)
    before = _keytabs_in_memory()
    with ThreadPoolExecutor(4) as threads:
        crowd = [threads.submit(logs_in, judge, *((OLD, 1), (NEW, 2))[number % 2]) for number in range(300)]
        for number in range(40):
            order = ((SERVICE, 1, OLD), (SERVICE, 2, NEW))[:: 1 - 2 * (number % 2)]
            write_keytab(tmp_path / "next", *order).replace(keytab)
        assert all(one.result() for one in crowd)
    assert _keytabs_in_memory() == before  # of all those in between none is left


def _keytabs_in_memory() -> int:
    gc.collect()
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found += str(descriptor.readlink()).startswith("/memfd:keytab")
    return found


def test_what_a_keytab_holds(keytab: Path) -> None:
    found = read_keytab(keytab)
    assert {(entry.principal, entry.version, entry.encryption) for entry in found} == {
        (principal, 1, encryption) for principal in (SERVICE, OTHER_SERVICE) for encryption in (17, 18)
    }
    keys = Keys(found)
    assert Path(keys.name.removeprefix("FILE:")).read_bytes() == keytab.read_bytes()


def test_a_key_that_was_removed_leaves_a_hole(kerberos: Make, tmp_path: Path) -> None:
    keytab = write_keytab(tmp_path / "keytab", (OTHER_SERVICE, 1, NEW), (SERVICE, 300, OLD))
    data = keytab.read_bytes()
    size = int.from_bytes(data[2:6], signed=True)
    keytab.write_bytes(data[:2] + (-size).to_bytes(4, signed=True) + bytes(size) + data[6 + size :])
    (entry,) = read_keytab(keytab)
    assert (entry.principal, entry.version) == (SERVICE, 300)
    assert logs_in(kerberos(keytab=keytab), OLD, 300)


def test_a_damaged_keytab_is_a_message(own: Path) -> None:
    whole = own.read_bytes()
    (entry,) = read_keytab(own)
    assert entry.principal == SERVICE
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes((whole[at] ^ 0xFF,)) + whole[at + 1 :]):
            own.write_bytes(damaged)
            try:
                read_keytab(own)
            except ConfigError as error:
                assert str(own) in str(error)  # noqa: PT017
