"""dicomgate-sql: username and passcode logins, from a SQL database.

statement       the operator's statements, checked before any database is asked
target          which database, and how it is connected: SQLite or PostgreSQL
greeting        the first byte that a server says: is it PostgreSQL?
database        asked with a deadline and a bound
failure         what goes wrong, in words
account         the rows of an answer -> one user
hashing         hashes computed in threads of their own, with a bound
pace            how long a login takes: the same for everybody
authenticator   `Sql`, what `use = "sql"` makes

A hash is read, verified and made by dicomgate_passcode, as one of the users file is.
"""

from .authenticator import Sql

__all__ = ["Sql"]
