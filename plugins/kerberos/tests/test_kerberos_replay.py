"""A token logs in once: in whatever form it comes again, to whichever thread, process or gateway, and when."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import pytest

from dicomgate import Accept, ConfigError, Pass, Reject, Unavailable
from dicomgate.testing.kdc import REALM, SERVICE
from dicomgate_kerberos.form import read_field
from plugins.kerberos.tests.conftest import PAGE, Make, accepted, ask
from plugins.kerberos.tests.craft import FORMS, ap_req, new_key, write_keytab
from plugins.kerberos.tests.initiator import Gss

COUNT = 200
STRANGE = "not a regular file that belongs to this user"
JUDGE = """
import sys
from pathlib import Path
from dicomgate.testing.kdc import SERVICE
from dicomgate_kerberos import Kerberos
from plugins.kerberos.tests.conftest import ask
judge = Kerberos(keytab=Path(sys.argv[1]), principal=SERVICE, forms=("gss", "raw", "spnego"))
for line in sys.stdin:
    print(getattr(ask(judge, bytes.fromhex(line)), "reason", "Accept"), flush=True)
"""
REPLAY = "a replay: this token was seen before"


def in_form(form: str, token: bytes) -> bytes:
    """The AP-REQ of a token, in another form."""
    return FORMS[form](read_field(token).ap_req)


def fresh(form: str = "gss") -> bytes:
    return in_form(form, Gss().token)


def tokens() -> list[bytes]:
    """The forms in turn."""
    return [fresh(form) for form in islice(cycle(FORMS), COUNT)]


@contextmanager
def judging(keytab: Path) -> Iterator[tuple[Callable[[bytes], object], Callable[[], str]]]:
    """A process of its own that judges tokens: give it one; read `Accept`, or why not."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(PAGE.parents[1]), *filter(None, sys.path)))}
    command, pipe = [sys.executable, "-c", JUDGE, str(keytab)], subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        give, answer = process.stdin.write, process.stdout.readline
        try:
            yield lambda token: give(token.hex().encode() + b"\n"), lambda: answer().decode().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("again", FORMS)
@pytest.mark.parametrize("form", FORMS)
def test_in_another_form(kerberos: Make, form: str, again: str) -> None:
    judge, other = kerberos(), kerberos()
    for _ in range(10):
        token = fresh(form)
        accept = accepted(judge, token)
        for one in (judge, other):
            assert ask(one, in_form(again, token)) == Reject(REPLAY)
        # To the other gateways it is the same one as well.
        assert accept.once is not None
        assert accept.once.key.endswith(read_field(in_form(again, token)).fingerprint)


def test_at_the_same_instant(kerberos: Make) -> None:
    judge = kerberos()
    all_of_them = tokens()
    with ThreadPoolExecutor(4) as threads:
        twice = [(token, threads.submit(ask, judge, in_form(form, token))) for token in all_of_them for form in FORMS]
    decisions = Counter(token for token, decision in twice if isinstance(decision.result(), Accept))
    assert decisions == Counter(all_of_them)
    assert {decision.result() for _, decision in twice if not isinstance(decision.result(), Accept)} == {Reject(REPLAY)}


def test_in_another_process_and_after_a_restart(kerberos: Make, keytab: Path) -> None:
    here = kerberos()
    all_of_them = tokens()
    with judging(keytab) as (give, answer), judging(keytab) as (give_other, other_answer):
        # Half of them to both at the same instant, the others one after the other.
        for token in all_of_them[: COUNT // 2]:
            give(token)
            give_other(token)
            assert sorted((answer(), other_answer())) == ["Accept", REPLAY]
        for token in all_of_them[COUNT // 2 :]:
            give(token)
            assert answer() == "Accept"
            give_other(token)
            assert other_answer() == REPLAY
        assert ask(here, all_of_them[0]) == Reject(REPLAY)
    with judging(keytab) as (give, answer):
        for token in (*all_of_them, fresh()):
            give(token)
        assert [answer() for _ in range(COUNT + 1)] == [REPLAY] * COUNT + ["Accept"]


@pytest.mark.parametrize("form", FORMS)
def test_a_truncated_token(kerberos: Make, form: str) -> None:
    judge = kerberos()
    token = fresh(form)
    for end in range(len(token)):
        assert isinstance(ask(judge, token[:end]), Reject)
    assert isinstance(ask(judge, token + b"\0"), Reject)
    assert accepted(judge, token)


@pytest.mark.parametrize("form", FORMS)
def test_a_flipped_bit(kerberos: Make, tmp_path: Path, form: str) -> None:
    """Every bit outside of the authenticator, and a thousand in it: no second login, and none of somebody else.

    Accepted are those bits of an AP-REQ that nothing protects: the options, one of which asks for the AP-REP
    (RFC 4120 5.5.1), the kind of the service's name (6.2) and the case of its letters, and key version 0, which stands
    for any. Who can change them has the token, and could as well send it as it is.
    """
    key = new_key()
    judge = kerberos(keytab=write_keytab(tmp_path / "crafted.keytab", (SERVICE, 1, key)))
    token = FORMS[form](ap_req(key))  # one of a KDC would be a byte longer or shorter now and then
    sealed = read_field(token).authenticator
    begins = 8 * token.index(sealed)
    inside = range(begins, begins + 8 * len(sealed))
    outside = [bit for bit in range(8 * len(token)) if bit not in inside]
    fields: Counter[str] = Counter()
    for bit in outside + random.Random(7).sample(inside, 1000):
        flipped = bytearray(token)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        decision = ask(judge, bytes(flipped))
        assert isinstance(decision, Accept | Reject | Pass), (bit, decision)
        if isinstance(decision, Accept):
            assert decision.user == f"alice@{REALM}"
            assert ask(judge, token) == Reject(REPLAY)
            fields[_unprotected(token, bit // 8)] += 1
            token = FORMS[form](ap_req(key))
    assert accepted(judge, token)
    # The name of Kerberos in SPNEGO and the one that old Windows gives it are one bit apart.
    letters = sum(map(str.isalpha, SERVICE.partition("@")[0]))
    assert fields == Counter(options=35, kind=8, version=1, letter=letters, mechanism=int(form == "spnego"))


def _unprotected(token: bytes, at: int) -> str:
    """The name of the field in which this byte is."""
    raw = read_field(token).ap_req
    at -= token.index(raw)
    options = raw.index(bytes.fromhex("a2 07 03 05 00")) + 4
    kind = raw.index(bytes.fromhex("a0 03 02 01 01"), options) + 4
    version = raw.index(bytes.fromhex("a1 03 02 01 01"), kind) + 4
    if at < 0:
        return "mechanism"
    if raw.index(b"dicom", kind) <= at < version and raw[at : at + 1].isalpha():
        return "letter"
    return {kind: "kind", version: "version"}.get(at, "options" if options <= at < options + 5 else f"byte {at}")


@pytest.mark.parametrize("name", ["none:", "none", "memory:", "FILE:/dev/null"])
def test_no_start_without_a_replay_cache(kerberos: Make, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("KRB5RCACHENAME", name)
    with pytest.raises(ConfigError, match="without a replay cache"):
        kerberos()
    monkeypatch.delenv("KRB5RCACHENAME")
    kerberos()
    assert os.environ["KRB5RCACHENAME"] == "dfl:"


@pytest.mark.parametrize("named", [False, True])
def test_nothing_else_turns_it_off(
    kerberos: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_default: Callable[[str], None], named: bool
) -> None:
    set_default('default_rcache_name = "none:"')
    monkeypatch.setenv("KRB5RCACHETYPE", "none")
    cache = tmp_path / "named" if named else tmp_path / f"krb5_{os.geteuid()}.rcache2"
    judge = kerberos(replay_cache=cache) if named else kerberos()
    for form in FORMS:
        token = fresh(form)
        assert accepted(judge, token)
        assert ask(judge, token) == Reject(REPLAY)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    assert cache.stat().st_size > 0


def test_one_cache_for_all_tables(kerberos: Make, tmp_path: Path) -> None:
    first = kerberos(replay_cache=tmp_path / "cache")
    assert kerberos(replay_cache=tmp_path / "cache").acceptor.replay_cache == first.acceptor.replay_cache
    assert kerberos().acceptor.replay_cache == first.acceptor.replay_cache == f"file2:{tmp_path}/cache"
    with pytest.raises(ConfigError, match="replay_cache: this process uses another one"):
        kerberos(replay_cache=tmp_path / "another")


def test_a_file_that_is_not_safe(kerberos: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    open_folder.chmod(0o777)

    def refused(path: Path) -> str:
        with pytest.raises(ConfigError) as refusal:
            kerberos(replay_cache=path)
        assert "KRB5RCACHENAME" not in os.environ or os.environ["KRB5RCACHENAME"] != f"file2:{path}"
        return str(refusal.value)

    assert "No such file or directory" in refused(tmp_path / "gone" / "cache")
    assert STRANGE in refused(open_folder)
    cache.symlink_to(tmp_path / "elsewhere")
    assert STRANGE in refused(cache)
    cache.unlink()
    assert "everybody may write the folder" in refused(open_folder / "cache")
    os.mkfifo(cache, 0o600)
    assert STRANGE in refused(cache)
    cache.unlink()
    cache.touch(mode=0o600)
    cache.chmod(0o622)
    assert STRANGE in refused(cache)
    cache.chmod(0o600)
    with monkeypatch.context() as another:  # as if a stranger had made it: in /tmp, say
        real, strange = Path.lstat, os.stat_result((0o100600, 1, 1, 1, 4711, 0, 0, 0, 0, 0))
        another.setattr(Path, "lstat", lambda path: strange if path == cache else real(path))
        assert STRANGE in refused(cache)
    with monkeypatch.context() as unwritable:
        unwritable.setattr(os, "access", lambda path, mode: False)
        assert "cannot be written" in refused(cache)
    kerberos(replay_cache=cache)


@pytest.mark.parametrize("form", FORMS)
def test_a_cache_that_cannot_be_written_lets_nobody_in(kerberos: Make, tmp_path: Path, form: str) -> None:
    cache = tmp_path / "cache"
    judge = kerberos(replay_cache=cache)
    assert accepted(judge, fresh(form))
    cache.unlink()
    cache.mkdir()
    decision = ask(judge, fresh(form))
    assert isinstance(decision, Unavailable)
    assert decision.reason
    cache.rmdir()
    assert accepted(judge, fresh(form))


@pytest.mark.parametrize("damage", [b"damaged" * 1000, b"x"])
def test_a_damaged_cache_costs_no_login_and_remembers_the_next_one(
    kerberos: Make, tmp_path: Path, damage: bytes
) -> None:
    cache = tmp_path / "cache"
    cache.write_bytes(damage)
    cache.chmod(0o600)
    judge, token = kerberos(replay_cache=cache), fresh()
    accepted(judge, token)
    assert ask(judge, token) == Reject(REPLAY)
