"""The real peers of the system tests: programs and libraries of others, on loopback and free ports.

    loopback          free ports, who listens, waiting for something to become true
    process           a server program: started, waited for, hung, stopped
    certificates      two certification authorities and the certificates they issued
    orthanc           Debian's Orthanc, plain and TLS: the PACS
    dcmtk             DCMTK's storescp and storescu
    pynetdicom_pacs   a PACS of pynetdicom that remembers what it was told
    pynetdicom_scu    pynetdicom as a client
    dcmjs             dcmjs-dimse on node, as a client
    slapd             an OpenLDAP server with one hospital's people and groups
    samba             Active Directory: a domain controller with LDAP and a KDC
    postgresql        a PostgreSQL server that stops, starts and hangs
    issuer            an https server that answers each path as a test tells it to
    answers           what that server may answer, good or bad
    oidc_provider     an OpenID provider on node that rotates its keys
    freeradius        a FreeRADIUS server, configured as docs/radius.md shows
    spy               a scripted PACS that records every byte

Rule: a fixture stops what it starts; a program that is not installed is a skip that says how to install it.
The fixtures are in `dicomgate.testing.fixtures`.
"""

import logging
import socket
from contextlib import suppress

from pynetdicom import _config
from pynetdicom.transport import AssociationSocket

# pynetdicom writes passcodes to its log at DEBUG: neither its handlers nor its loggers take part in these tests.
_config.LOG_HANDLER_LEVEL = "none"
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


def _shut_down_and_close(self: AssociationSocket) -> None:
    if self.socket is not None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


# pynetdicom 3.0.4 leaves a socket open when its shutdown fails, which it does after a reset or a refused connection.
AssociationSocket._shutdown_socket = _shut_down_and_close
