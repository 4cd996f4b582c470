"""dicomgate-jwt: logins with JSON Web Tokens, User-Identity-Type 5 (RFC 7519, OpenID Connect).

authenticator   `Jwt`, what `use = "jwt"` makes
token           the received field -> a token, read and not yet believed
strict_json     JSON that is understood in one way only
keys            key sets, PEM and shared secrets -> keys, each for its own algorithms
local_keys      keys from a file, which may change
remote_keys     keys from a URL or by discovery
verification    the signature, with PyJWT; then the claims
claims          what a token must say to be a login
principal       the claims -> user, groups, what the audit is told
introspection   `Introspection`, what `use = "introspection"` makes: opaque tokens
answers         what a server says of a token, and for how long that counts
discovery       what an issuer says of itself
response        what the gateway signs in return
explanation     what an authenticator thinks of a token, claim by claim
commands        `dicomgate jwt inspect`
"""

from .authenticator import Jwt
from .introspection import Introspection

__all__ = ["Introspection", "Jwt"]
