"""dicomgate-certificate: logins by TLS client certificate, for attempts without a user identity.

authenticator   `Certificate`, what `use = "certificate"` makes
names           the names of a certificate, and those that an operator writes, in one spelling

TLS has verified the certificate before, against the listener's `client_ca`: nothing here has to ask a server.
"""

from .authenticator import Certificate, Device

__all__ = ["Certificate", "Device"]
