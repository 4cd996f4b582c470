"""dicomgate-sql: username and passcode logins, from a SQL database.

dicomgate_passcode reads, verifies and makes the hashes, as it does for the users file.
"""

from .authenticator import Sql

__all__ = ["Sql"]
