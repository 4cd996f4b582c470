"""dicomgate-jwt: logins with JSON Web Tokens, User-Identity-Type 5 (RFC 7519, OpenID Connect)."""

from .authenticator import Jwt
from .client_credentials import ClientCredentials
from .introspection import Introspection
from .minted import Minted
from .token_exchange import TokenExchange
from .token_file import TokenFile

__all__ = ["ClientCredentials", "Introspection", "Jwt", "Minted", "TokenExchange", "TokenFile"]
