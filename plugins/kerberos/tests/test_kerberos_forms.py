"""What comes in the field and is no AP-REQ: all of it refused, at once, with a reason; and the DER that this needs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomgate import Accept, Pass, Reject, Unavailable
from dicomgate.testing import attempt, passcode
from dicomgate.testing.kdc import SERVICE
from dicomgate_kerberos import der
from dicomgate_kerberos.errors import KerberosError
from dicomgate_kerberos.form import Form, read_field
from plugins.kerberos.tests.conftest import Make, accepted, ask
from plugins.kerberos.tests.craft import GSS_KERBEROS, ap_req, framed, integer, named, negotiated, octets, sequence, tlv
from plugins.kerberos.tests.initiator import SPNEGO, Gss, Raw
from plugins.kerberos.tests.matrix import STRANGER

CORPUS = Path(__file__).parents[4] / "shared" / "corpora" / "kerberos-seeds"
LONGEST = 65_535  # what the field's length can say (PS3.7 table D.3-14)
MOST_CPU = 0.05 * 4  # seconds; the machine may be busy
NTLM, IAKERB = bytes.fromhex("060a2b06010401823702020a"), bytes.fromhex("06062b0601050205")
NEGOEX, OLD_WINDOWS = bytes.fromhex("060a2b06010401823702021e"), bytes.fromhex("06092a864882f712010202")
NTLM_MESSAGE = b"NTLMSSP\0\1\0\0\0" + bytes(40)
FIVE = tlv(0xA0, integer(5))
RAW = ap_req(STRANGER)
GSS = framed(RAW)
TICKET = tlv(0x61, sequence(integer(5), *named(SERVICE), sequence(integer(18), integer(1), octets(bytes(300)))))
NOT_FIRST = "SPNEGO whose first mechanism is not Kerberos"
WITHOUT = "a GSS-API token of Kerberos without an AP-REQ in it"
NOT_OURS = {
    "empty": (b"", "not a Kerberos message"),
    "NTLM": (NTLM_MESSAGE, "NTLM"),
    "NTLM in the GSS-API's frame": (tlv(0x60, NTLM + NTLM_MESSAGE), "a GSS-API token of NTLM"),
    "SPNEGO, NTLM first": (negotiated(NTLM_MESSAGE, NTLM, GSS_KERBEROS), NOT_FIRST),
    "SPNEGO, NegoEx first": (negotiated(b"NEGOEXTS", NEGOEX, GSS_KERBEROS), NOT_FIRST),
    "SPNEGO of nothing": (negotiated(GSS, b"\x05\x00"), NOT_FIRST),
    "SPNEGO with another token within": (negotiated(NTLM_MESSAGE), "malformed"),
    "SPNEGO with IAKERB within": (negotiated(tlv(0x60, IAKERB + b"\5\1")), WITHOUT),
    "SPNEGO with a raw AP-REQ within": (negotiated(RAW), "malformed"),
    "SPNEGO with an endless mechanism": (negotiated(GSS, tlv(0x06, bytes(300))), NOT_FIRST),
    "IAKERB": (tlv(0x60, IAKERB + b"\5\1" + bytes(40)), "a GSS-API token of IAKERB"),
    "NegoEx": (tlv(0x60, NEGOEX + b"NEGOEXTS"), "a GSS-API token of NegoEx"),
    "Kerberos of old Windows": (framed(RAW, OLD_WINDOWS), "a GSS-API token of Kerberos with the identifier of old"),
    "an unknown mechanism": (tlv(0x60, b"\x06\x03\x2a\x03\x04" + RAW), "a GSS-API token of an unknown mechanism"),
    "an AP-REP in the frame": (framed(RAW, identifier=b"\2\0"), WITHOUT),
    "a KRB-ERROR in the frame": (framed(RAW, identifier=b"\3\0"), WITHOUT),
    "a bare ticket": (TICKET, "a bare Ticket, which proves nothing: anyone who saw it can send it again"),
    "an AS-REP": (tlv(0x6B, sequence(integer(5), integer(11))), "an AS-REP"),
    "a TGS-REP": (tlv(0x6D, sequence(integer(5), integer(13))), "a TGS-REP"),
    "an AP-REP": (tlv(0x6F, sequence(integer(5), integer(15))), "an AP-REP"),
    "a KRB-CRED": (tlv(0x76, sequence(integer(5), integer(22))), "a KRB-CRED"),
    "a KRB-ERROR": (tlv(0x7E, sequence(integer(5), integer(30))), "a KRB-ERROR"),
    "an AS-REQ": (tlv(0x6A, sequence(None, integer(5), integer(10))), "not a Kerberos message"),
    "Kerberos 4": (b"\x04\x06" + bytes(60), "not a Kerberos message"),
    "another version": (tlv(0x6E, RAW[4:].replace(integer(5), integer(4), 1)), "not an AP-REQ of Kerberos 5"),
    "something behind it": (RAW + b"\0", "malformed"),
    "an indefinite length": (b"\x6e\x80" + RAW[4:] + b"\0\0", "malformed"),
    "a long length": (b"\x6e\x84\x00\x00" + RAW[2:], "malformed"),
    "64 KiB of nothing": (bytes(LONGEST), "not a Kerberos message"),
    "64 KiB of an AP-REQ": (b"\x6e" * LONGEST, "malformed"),
    "64 KiB of frames": (b"\x60\x83" * (LONGEST // 2), "malformed"),
    "32,000 mechanisms": (negotiated(b"", *[b"\x06\x00"] * 32_000), NOT_FIRST),
}  # fmt: skip


def _ap_req(parts: bytes = b"", sealed: bytes = b"") -> bytes:
    """One that is right in form alone, for a service of these parts, or with a ticket that is sealed so."""
    realm, name = named(SERVICE)
    names = sequence(integer(1), tlv(0x30, parts)) if parts else name
    ticket = tlv(0x61, sequence(integer(5), realm, names, sequence(integer(18), integer(1), octets(sealed))))
    authenticator = sequence(integer(18), None, octets(bytes(1000) if sealed else b""))
    return tlv(0x6E, sequence(integer(5), integer(14), tlv(0x03, bytes(5)), ticket, authenticator))


ALL = NOT_OURS | {
    "a service of 20,000 parts": (_ap_req(parts=b"\x1b\x01a" * 20_000), ""),
    "64 KiB of ticket": (_ap_req(sealed=bytes(64_000)), ""),
    "64 KiB in a frame": (framed(_ap_req(sealed=bytes(64_000))), ""),
}


@pytest.mark.parametrize(("field", "reason"), ALL.values(), ids=ALL)
def test_what_is_no_ap_req(kerberos: Make, field: bytes, reason: str) -> None:
    judge = kerberos()
    began = time.thread_time()
    decision = ask(judge, field)
    assert time.thread_time() - began < MOST_CPU
    assert isinstance(decision, Reject if reason else (Reject, Pass))
    assert not isinstance(decision, Accept | Unavailable)
    assert decision.reason.startswith(reason)
    assert len(decision.reason) < 500
    assert accepted(judge, Gss().token)


def test_the_tickets_of_an_honest_client_alone(kerberos: Make) -> None:
    """A ticket of its own service, of which the KDC is the author, is no login without the authenticator."""
    token = Gss().token
    raw = read_field(token).ap_req
    ticket = dict(der.elements(der.read(der.read(raw, 0x6E), 0x30)))[0xA3]
    assert ask(kerberos(), ticket) == Reject(NOT_OURS["a bare ticket"][1])
    assert accepted(kerberos(), token)


@pytest.mark.parametrize("forms", [("gss",), ("raw",), ("spnego",), ("gss", "raw"), ("raw", "spnego")])
def test_forms_that_are_not_asked_for(kerberos: Make, forms: tuple[str, ...]) -> None:
    judge = kerberos(forms=forms)
    tokens = {"gss": Gss().token, "raw": Raw().token, "spnego": Gss(mechanism=SPNEGO).token}
    words = {"gss": "GSS-API token", "raw": "AP-REQ", "spnego": "SPNEGO token"}
    for form, token in tokens.items():
        decision = ask(judge, token)
        if form in forms:
            assert isinstance(decision, Accept)
        else:
            assert decision == Reject(f"{words[form]}: this form is not among the configured forms")


def test_spnego_as_windows_sends_it(kerberos: Make) -> None:
    accept = accepted(kerberos(), negotiated(Gss().token, OLD_WINDOWS, GSS_KERBEROS, NEGOEX, NTLM))
    assert accept.server_response is not None
    fields = der.fields(der.read(der.read(accept.server_response, 0xA1), 0x30))
    assert fields[0] == b"\x0a\x01\x00"  # accept-completed
    assert fields[1] == OLD_WINDOWS
    assert fields.keys() == {0, 1, 2}


def test_another_identity_is_not_its_to_judge(kerberos: Make) -> None:
    judge = kerberos()
    assert judge.authenticate(attempt(passcode("alice", "correct horse"))) == Pass("not a Kerberos token")
    assert judge.authenticate(attempt(None)) == Pass("not a Kerberos token")


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not here")
def test_the_corpus(kerberos: Make) -> None:
    judge = kerberos()
    seeds = [path for path in sorted(CORPUS.rglob("*")) if path.is_file()]
    assert len(seeds) > 90
    for path in seeds:
        seed = path.read_bytes()[:LONGEST]
        for field in (seed, framed(seed)[:LONGEST], negotiated(framed(seed))[:LONGEST]):
            began = time.thread_time()
            decision = ask(judge, field)
            assert time.thread_time() - began < MOST_CPU, path
            assert isinstance(decision, Reject | Pass), path
    assert accepted(judge, Gss().token)


@given(
    st.binary(max_size=300)
    | st.builds(lambda head, tail: head + tail, st.sampled_from([RAW[:60], GSS[:80]]), st.binary())
)
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    try:
        request = read_field(data)
    except KerberosError:
        return
    assert request.form in Form


@given(st.integers(0, len(RAW) - 1), st.integers(0, 255))
def test_one_byte_changed(at: int, value: int) -> None:
    changed = RAW[:at] + bytes((value,)) + RAW[at + 1 :]
    for field in (changed, framed(changed), negotiated(framed(changed))):
        try:
            request = read_field(field)
        except KerberosError:
            continue
        assert changed.endswith(request.ap_req)
        assert request.authenticator in changed


@given(st.integers(0, 30), st.binary(max_size=70_000))
def test_der_written_is_der_read(number: int, content: bytes) -> None:
    tag = 0xA0 + number
    element = der.write(tag, content)
    assert element == tlv(tag, content)
    assert der.read(element, tag) == content
    assert list(der.elements(element * 2)) == [(tag, content)] * 2
    assert der.fields(element) == {number: content}
    for wrong in (element[:-1], element + b"\0"):
        with pytest.raises(der.DerError):
            der.read(wrong, tag)


@given(st.binary(max_size=40))
def test_der_is_read_in_one_way_only(data: bytes) -> None:
    """What can be read is what would be written: no second spelling of the same."""
    try:
        found = list(der.elements(data))
    except der.DerError:
        return
    assert b"".join(der.write(tag, content) for tag, content in found) == data


@pytest.mark.parametrize("data", [b"", b"\x02\x00", b"\x02\x09" + bytes(9), b"\x04\x01\x05", b"\x02\x01\x05\x00"])
def test_what_is_no_number(data: bytes) -> None:
    assert der.number(b"\x02\x01\xff") == -1
    with pytest.raises(der.DerError):
        der.number(data)


@pytest.mark.parametrize("data", [FIVE + FIVE, FIVE + integer(5), tlv(0xBF, b""), b"\xbf\x1f\x00"])
def test_what_are_no_fields(data: bytes) -> None:
    assert der.fields(FIVE) == {0: integer(5)}
    with pytest.raises(der.DerError):
        der.fields(data)
