"""dicomgate-saml: SAML 2.0 logins, User-Identity-Type 4, of clients and at upstreams (PS3.15 B.7)."""

from .assertion_file import AssertionFile
from .authenticator import Saml

__all__ = ["AssertionFile", "Saml"]
