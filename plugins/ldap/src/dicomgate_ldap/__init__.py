"""dicomgate-ldap: username and passcode logins, from an LDAP directory or Active Directory.

In the gateway, in its event loop:

    authenticator   `Ldap`, what `use = "ldap"` makes
    settings        what the operator wrote, checked; what a worker is told
    servers         several in order, and which of them was down a moment ago
    workers         the processes that ask one server: so many at a time, each with a deadline
    floor           no refusal comes sooner than looking takes
    messages        what is said between the gateway and a worker

In a worker, which may block:

    worker          the process: a question a line, an answer a line
    directory       one server: search, bind, groups
    refusals        what a directory's error says about a login
    diagnosis       why a server cannot be reached
    names           names as parts of a filter or of a DN

libldap blocks while it looks up a name, connects, shakes hands for TLS, or has read half a message; bonsai keeps the
interpreter's lock meanwhile. In whichever thread it were called, one server that hangs would hold up every association.
So servers are asked in processes of their own, and one that hangs is killed.
"""

from .authenticator import Ldap

__all__ = ["Ldap"]
