"""libkrb5 by ctypes: raw AP-REQs, the clock skew, the KDC's clock, caches. No maintained binding has krb5_rd_req.

Rule: every object is freed whatever happens, in the order that MIT's documentation gives. No pointer leaves this file.
"""

from __future__ import annotations

import ctypes
from contextlib import ExitStack, suppress
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_int32, c_uint, c_void_p
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from dicomgate import ConfigError

from .errors import KerberosError

_MUTUAL_REQUIRED = 0x20000000  # krb5.h: AP_OPTS_MUTUAL_REQUIRED
_LONGEST_CREDENTIAL = 1024  # bytes; krb5.h: sizeof(krb5_creds) is less than 200
_CLOCK_SKEW = 300  # seconds, if krb5.conf does not set it
_AT_ONCE = ("krb5_parse_name", "krb5_unparse_name", "krb5_kt_resolve", "krb5_cc_resolve", "krb5_free_unparsed_name",
            "krb5_free_principal", "krb5_free_ticket", "krb5_free_data_contents", "krb5_auth_con_free", "krb5_kt_close",
            "krb5_free_context")  # fmt: skip
"""What neither reads a file nor computes: to give Python's lock away for it, and wait for it, takes far longer."""


class _Data(Structure):
    _fields_ = (("magic", c_int32), ("length", c_uint), ("data", c_void_p))


class _EncData(Structure):
    _fields_ = (("magic", c_int32), ("enctype", c_int32), ("kvno", c_uint), ("ciphertext", _Data))


class _Transited(Structure):
    _fields_ = (("magic", c_int32), ("type", ctypes.c_ubyte), ("contents", _Data))


class _Times(Structure):
    _fields_ = (("authtime", c_int32), ("starttime", c_int32), ("endtime", c_int32), ("renew_till", c_int32))


class _EncTicketPart(Structure):
    _fields_ = (
        ("magic", c_int32), ("flags", c_int32), ("session", c_void_p), ("client", c_void_p),
        ("transited", _Transited), ("times", _Times), ("caddrs", c_void_p), ("authorization_data", c_void_p),
    )  # fmt: skip


class _Ticket(Structure):
    _fields_ = (
        ("magic", c_int32), ("server", c_void_p), ("enc_part", _EncData), ("enc_part2", POINTER(_EncTicketPart)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Accepted:
    """A genuine AP-REQ: the client's principal, the ticket's end (Unix time), the AP-REP if the client asked for it."""

    client: str
    ends: float
    answer: bytes = field(repr=False)


@cache
def load() -> Any:
    """The library. Raises ConfigError if it is not installed."""
    try:
        library, keeping_the_lock = ctypes.CDLL("libkrb5.so.3"), ctypes.PyDLL("libkrb5.so.3")
    except OSError as error:
        raise ConfigError(f"{error}; install libkrb5-3 (Debian) or krb5-libs (Fedora)") from None
    for function in _AT_ONCE:
        setattr(library, function, getattr(keeping_the_lock, function))
    library.krb5_get_error_message.restype = c_void_p
    library.krb5_get_error_message.argtypes = (c_void_p, c_int32)
    for function in ("krb5_free_error_message", "krb5_free_unparsed_name", "krb5_free_principal",
                     "krb5_free_ticket", "krb5_free_data_contents"):  # fmt: skip
        getattr(library, function).argtypes = (c_void_p, c_void_p)
        getattr(library, function).restype = None
    library.krb5_free_context.argtypes = (c_void_p,)
    library.krb5_free_context.restype = None
    library.krb5_auth_con_free.argtypes = (c_void_p, c_void_p)
    library.krb5_kt_close.argtypes = (c_void_p, c_void_p)
    library.krb5_parse_name.argtypes = (c_void_p, c_char_p, POINTER(c_void_p))
    library.krb5_unparse_name.argtypes = (c_void_p, c_void_p, POINTER(c_void_p))
    library.krb5_kt_resolve.argtypes = (c_void_p, c_char_p, POINTER(c_void_p))
    library.krb5_cc_resolve.argtypes = (c_void_p, c_char_p, POINTER(c_void_p))
    library.krb5_cc_destroy.argtypes = (c_void_p, c_void_p)
    library.krb5_rd_req.argtypes = (
        c_void_p, POINTER(c_void_p), POINTER(_Data), c_void_p, c_void_p, POINTER(c_int32), POINTER(POINTER(_Ticket)),
    )  # fmt: skip
    library.krb5_mk_rep.argtypes = (c_void_p, c_void_p, POINTER(_Data))
    library.krb5_get_profile.argtypes = (c_void_p, POINTER(c_void_p))
    library.profile_get_integer.argtypes = (c_void_p, c_char_p, c_char_p, c_char_p, c_int, POINTER(c_int))
    library.profile_release.argtypes = (c_void_p,)
    library.profile_release.restype = None
    library.krb5_get_init_creds_keytab.argtypes = (
        c_void_p, c_void_p, c_void_p, c_void_p, c_int32, c_void_p, c_void_p,
    )  # fmt: skip
    library.krb5_free_cred_contents.argtypes = (c_void_p, c_void_p)
    library.krb5_get_time_offsets.argtypes = (c_void_p, POINTER(c_int32), POINTER(c_int32))
    return library


def clock_skew() -> int:
    """By how many seconds clocks may differ (krb5.conf). Raises ConfigError: no library, or a broken krb5.conf."""
    krb5 = load()
    with ExitStack() as freed:
        try:
            context = _open_context(krb5, freed)
        except KerberosError as error:
            raise ConfigError(str(error)) from None
        profile, seconds = c_void_p(), c_int()
        if krb5.krb5_get_profile(context, byref(profile)):
            return _CLOCK_SKEW
        freed.callback(krb5.profile_release, profile)
        wrong = krb5.profile_get_integer(profile, b"libdefaults", b"clockskew", None, _CLOCK_SKEW, byref(seconds))
        return _CLOCK_SKEW if wrong else seconds.value


def accept(ap_req: bytes, keytab: str, service: str) -> Accepted:
    """Verify an AP-REQ for this service by a keytab ("FILE:/...") and the replay cache. Raises KerberosError."""
    krb5 = load()
    with ExitStack() as freed:
        context = _open_context(krb5, freed)
        check = partial(_check, krb5, context)
        server, keys, connection = c_void_p(), c_void_p(), c_void_p()
        check(krb5.krb5_parse_name(context, service.encode(), byref(server)))
        freed.callback(krb5.krb5_free_principal, context, server)
        check(krb5.krb5_kt_resolve(context, keytab.encode(), byref(keys)))
        freed.callback(krb5.krb5_kt_close, context, keys)
        buffer = ctypes.create_string_buffer(ap_req, len(ap_req))
        request = _Data(0, len(ap_req), ctypes.cast(buffer, c_void_p))
        options, ticket = c_int32(), POINTER(_Ticket)()
        freed.callback(lambda: krb5.krb5_auth_con_free(context, connection) if connection else None)
        check(krb5.krb5_rd_req(context, byref(connection), byref(request), server, keys, byref(options), byref(ticket)))
        freed.callback(krb5.krb5_free_ticket, context, ticket)
        part = ticket.contents.enc_part2.contents
        name = c_void_p()
        check(krb5.krb5_unparse_name(context, part.client, byref(name)))
        freed.callback(krb5.krb5_free_unparsed_name, context, name)
        client = ctypes.string_at(name.value or 0).decode("utf-8", "backslashreplace")
        answer = b""
        if options.value & _MUTUAL_REQUIRED:
            reply = _Data()
            check(krb5.krb5_mk_rep(context, connection, byref(reply)))
            freed.callback(krb5.krb5_free_data_contents, context, byref(reply))
            answer = ctypes.string_at(reply.data, reply.length)
        # krb5_timestamp is 32 bits wide and, since 1.16, without a sign: until 2106.
        return Accepted(client, float(part.times.endtime & 0xFFFFFFFF), answer)


def seconds_ahead(keytab: str, service: str) -> int:
    """By how many seconds the KDC's clock is ahead of ours, from a ticket it issues. Raises KerberosError."""
    krb5 = load()
    with ExitStack() as freed:
        context = _open_context(krb5, freed)
        check = partial(_check, krb5, context)
        principal, keys, ahead, rest = c_void_p(), c_void_p(), c_int32(), c_int32()
        check(krb5.krb5_parse_name(context, service.encode(), byref(principal)))
        freed.callback(krb5.krb5_free_principal, context, principal)
        check(krb5.krb5_kt_resolve(context, keytab.encode(), byref(keys)))
        freed.callback(krb5.krb5_kt_close, context, keys)
        ticket = ctypes.create_string_buffer(_LONGEST_CREDENTIAL)
        pointer = ctypes.addressof(ticket)
        check(krb5.krb5_get_init_creds_keytab(context, pointer, principal, keys, 0, None, None))
        freed.callback(krb5.krb5_free_cred_contents, context, pointer)
        # RFC 4120 3.1.5: the library takes the offset from the KDC's answer (kdc_timesync of krb5.conf).
        check(krb5.krb5_get_time_offsets(context, byref(ahead), byref(rest)))
        return ahead.value


def destroy_cache(name: str) -> None:
    """Destroy a credential cache in memory and the tickets in it. If that cannot be done, it ends with the process."""
    krb5 = load()
    with suppress(KerberosError), ExitStack() as freed:
        context, cache = _open_context(krb5, freed), c_void_p()
        if not krb5.krb5_cc_resolve(context, name.encode(), byref(cache)):
            krb5.krb5_cc_destroy(context, cache)


def _open_context(krb5: Any, freed: ExitStack) -> c_void_p:
    """A context of the library, freed with `freed`. Raises KerberosError."""
    context = c_void_p()
    if code := krb5.krb5_init_context(byref(context)):
        raise KerberosError("libkrb5 cannot read its configuration, krb5.conf", code)
    freed.callback(krb5.krb5_free_context, context)
    return context


def _check(krb5: Any, context: c_void_p, code: int) -> None:
    """Raises KerberosError, with the library's message, if a call returned an error code."""
    if not code:
        return
    message = krb5.krb5_get_error_message(context, code)
    try:
        raise KerberosError(ctypes.string_at(message).decode("utf-8", "replace"), code)
    finally:
        krb5.krb5_free_error_message(context, message)
