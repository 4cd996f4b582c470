"""dicomgate-saml: logins with SAML 2.0 assertions, User-Identity-Type 4 (PS3.15 B.7).

authenticator   `Saml`, the authenticator for `use = "saml"`
verification    received bytes -> a verified assertion: structure, signature, schema
document        bytes -> a tree in which nothing can hide; names of elements
structure       which assertion a document contains, and that it is the only one
signature       every part of a Signature checked, then xmlsec; then what was signed
claims          what an assertion must say to be a login
principal       an assertion -> user, groups, the audit's attributes
decryption      an EncryptedAssertion -> the assertion
trust           trusted certificates, from PEM or metadata
sources         where those come from: files that may change, or a URL
response        the gateway's response, and its own metadata
commands        `dicomgate saml inspect | metadata`
explanation     an authenticator's findings on an assertion, part by part
"""

from .authenticator import Saml

__all__ = ["Saml"]
