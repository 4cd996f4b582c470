"""dicomgate-sql: username and passcode logins, from a SQL database.

Modules:

    account        The rows of an answer -> one user
    authenticator  `Sql`, what `use = "sql"` makes
    connection     How a database is connected: an SQLite file or a PostgreSQL server
    database       The database, asked with a deadline and a bound
    equal_time     How long a login takes
    errors         What goes wrong when the database is asked, in words for the operator
    statement      The operator's statements, checked before any database is asked

dicomgate_passcode reads, verifies and makes the hashes, as it does for the users file.
"""

from .authenticator import Sql

__all__ = ["Sql"]
