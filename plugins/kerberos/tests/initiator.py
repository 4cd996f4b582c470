"""The client's side: tokens of the GSS-API by python-gssapi, AP-REQs by libkrb5, with the ticket cache that
KRB5CCNAME names. Both verify the AP-REP that comes back.
"""

from __future__ import annotations

import ctypes
import weakref
from ctypes import byref, c_void_p
from typing import Any

import gssapi

from dicomgate.testing.kdc import SERVICE
from dicomgate_kerberos.libkrb5 import _Data

SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
MUTUAL = gssapi.RequirementFlag.mutual_authentication


class Gss:
    """A context of the GSS-API: its `token`, and `verify` for the answer."""

    def __init__(
        self, service: str = SERVICE, *, mechanism: Any = gssapi.MechType.kerberos, flags: Any = MUTUAL, **options: Any
    ) -> None:
        name = gssapi.Name(service, gssapi.NameType.kerberos_principal)
        self.context = gssapi.SecurityContext(name=name, usage="initiate", mech=mechanism, flags=flags, **options)
        self.token: bytes = self.context.step()

    def verify(self, answer: bytes | None) -> bool:
        """True if the AP-REP comes from the service."""
        try:
            self.context.step(answer)
        except gssapi.exceptions.GSSError:
            return False
        return bool(self.context.complete)


class Raw:
    """An AP-REQ of libkrb5: its `token`, and `verify` for the answer."""

    def __init__(self, service: str = SERVICE, *, mutual: bool = True) -> None:
        self._krb5 = krb5 = ctypes.CDLL("libkrb5.so.3")
        self._context, self._connection, cache = c_void_p(), c_void_p(), c_void_p()
        assert krb5.krb5_init_context(byref(self._context)) == 0
        assert krb5.krb5_cc_default(self._context, byref(cache)) == 0
        made = _Data()
        options = 0x20000000 if mutual else 0
        names = [part.encode() for part in service.partition("@")[0].split("/")]
        code = krb5.krb5_mk_req(self._context, byref(self._connection), options, *names, None, cache, byref(made))
        krb5.krb5_cc_close(self._context, cache)
        assert code == 0, code
        self.token = ctypes.string_at(made.data, made.length)
        krb5.krb5_free_data_contents(self._context, byref(made))
        weakref.finalize(self, _free, krb5, self._context, self._connection).atexit = False

    def verify(self, answer: bytes | None) -> bool:
        """True if the AP-REP comes from the service."""
        buffer = ctypes.create_string_buffer(answer or b"", len(answer or b""))
        data, part = _Data(0, len(answer or b""), ctypes.cast(buffer, c_void_p)), c_void_p()
        if self._krb5.krb5_rd_rep(self._context, self._connection, byref(data), byref(part)):
            return False
        self._krb5.krb5_free_ap_rep_enc_part(self._context, part)
        return True


def _free(krb5: ctypes.CDLL, context: c_void_p, connection: c_void_p) -> None:
    krb5.krb5_auth_con_free(context, connection)
    krb5.krb5_free_context(context)
