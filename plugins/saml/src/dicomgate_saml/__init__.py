"""dicomgate-saml: logins with SAML 2.0 assertions, User-Identity-Type 4 (PS3.15 B.7).

authenticator   `Saml`, what `use = "saml"` makes
verification    received bytes -> a verified assertion: structure, signature, schema
document        bytes -> a tree in which nothing can hide
structure       which assertion it is about, and that there is no other
signature       every part of a Signature checked, then xmlsec; then what was signed
schema          the schema of SAML assertions
claims          what an assertion must say to be a login
principal       an assertion -> user, groups, what the audit is told
decryption      an EncryptedAssertion -> the assertion
trust           whose signatures count: certificates, metadata
sources         where those come from, now
response        what the gateway answers
metadata        the gateway's own metadata
commands        `dicomgate saml inspect | metadata`
explanation     what an authenticator thinks of an assertion, part by part
names           namespaces and identifiers
"""

from .authenticator import Saml

__all__ = ["Saml"]
