"""What only the KDC knows: its time, and whether it still has the key that is in the keytab. For `check` alone."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack
from ctypes import byref, c_int32, c_void_p

from .libkrb5 import checked, load, opened

_LONGEST_CREDENTIAL = 1024
"""Bytes; krb5.h: sizeof(krb5_creds) is less than 200."""


def seconds_ahead(keytab: str, service: str) -> int:
    """By how much the KDC's clock is ahead of ours; it is asked for a ticket for the service. Raises KerberosError."""
    krb5 = load()
    with ExitStack() as freed:
        context = opened(krb5, freed)
        principal, keys, ahead, rest = c_void_p(), c_void_p(), c_int32(), c_int32()
        checked(krb5, context, krb5.krb5_parse_name(context, service.encode(), byref(principal)))
        freed.callback(krb5.krb5_free_principal, context, principal)
        checked(krb5, context, krb5.krb5_kt_resolve(context, keytab.encode(), byref(keys)))
        freed.callback(krb5.krb5_kt_close, context, keys)
        ticket = ctypes.create_string_buffer(_LONGEST_CREDENTIAL)
        pointer = ctypes.addressof(ticket)
        code = krb5.krb5_get_init_creds_keytab(context, pointer, principal, keys, 0, None, None)
        checked(krb5, context, code)
        freed.callback(krb5.krb5_free_cred_contents, context, pointer)
        # RFC 4120 3.1.5: the library has learnt it with the answer (kdc_timesync of krb5.conf).
        checked(krb5, context, krb5.krb5_get_time_offsets(context, byref(ahead), byref(rest)))
        return ahead.value
