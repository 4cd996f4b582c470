"""dicomgate-certificate: logins by TLS client certificate, for attempts without a user identity.

authenticator   `Certificate`, what `use = "certificate"` makes
names           the names of a certificate, and those that an operator writes, in one spelling

Nothing in here asks anybody: TLS has verified the certificate before, against the listener's `client_ca`.
"""

from .authenticator import Certificate, Device

__all__ = ["Certificate", "Device"]
