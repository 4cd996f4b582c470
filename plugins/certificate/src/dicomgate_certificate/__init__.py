"""dicomgate-certificate: logins by TLS client certificate, for attempts without a user identity.

TLS has verified the certificate before, against the listener's `client_ca`: nothing here has to ask a server.
"""

from .authenticator import Certificate, Device

__all__ = ["Certificate", "Device"]
