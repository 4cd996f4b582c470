"""dicomgate-kerberos: logins with Kerberos, User-Identity-Type 3 (RFC 4120, RFC 4121).

authenticator   `Kerberos`, what `use = "kerberos"` makes
form            which form of the field it is, and what its AP-REQ says in the clear
der             as much of DER as that needs
acceptor        keytab, principal, encryption; one way for each form
gss             the GSS-API's tokens, by python-gssapi
libkrb5         raw AP-REQs, by ctypes
errors          what libkrb5 says, in words
keytab          what a keytab holds, and the part of it that libkrb5 is to use
replay          where the replay cache is
principal       a principal -> the user
clock           the KDC's clock, for
commands        `dicomgate kerberos check`
"""

from .authenticator import Kerberos

__all__ = ["Kerberos"]
