"""dicomgate-jwt: logins with JSON Web Tokens, User-Identity-Type 5 (RFC 7519, OpenID Connect).

authenticator        `Jwt`, the authenticator for `use = "jwt"`
token                the received field -> a token that is not yet verified
strict_json          JSON that every reader understands in the same way
keys                 key sets, PEM and shared secrets -> keys, each for its own algorithms
local_keys           keys from a file, which may change
remote_keys          keys from a URL or by discovery
verification         the signature, with PyJWT; then the claims
claims               the claims that a token must have to be a login
principal            the claims -> user, groups, the audit's attributes
introspection        `Introspection`, the authenticator for `use = "introspection"`: opaque tokens
introspection_cache  what the introspection server says of a token, and for how long that counts
discovery            an issuer's discovery document, and the introspection endpoint in it
response             the token that the gateway signs in response
explanation          an authenticator's findings on a token, claim by claim
commands             `dicomgate jwt inspect`
"""

from .authenticator import Jwt
from .introspection import Introspection

__all__ = ["Introspection", "Jwt"]
