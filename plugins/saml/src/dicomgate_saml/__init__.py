"""dicomgate-saml: logins with SAML 2.0 assertions, User-Identity-Type 4 (PS3.15 B.7)."""

from .authenticator import Saml

__all__ = ["Saml"]
