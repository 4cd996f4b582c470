"""`dicomgate demo`: a PACS, the gateway in front of it, and who gets in.

`command` alone may be imported without the packages of the extra "demo": it says what to install.

Modules:

    client     The client of a scenario: pynetdicom, or a bare socket for what pynetdicom would not send
    command    The command `dicomgate demo`: its options and its exit status
    egress     The egress of the demonstration: a gateway that logs in to the other one, for a tool that cannot log in
    folder     The files of the demonstration: its configuration, its user, the gateway's log and audit
    issuers    Issuers of tokens, SAML assertions and, where a KDC is installed, Kerberos tickets
    output     What the demonstration prints: its results and what is wrong with them, and how to go on by hand
    pacs       An embedded PACS that knows nothing of users: it accepts everything, and reports what it saw
    run        The demonstration from its first file to its last socket: set up, run the scenarios, print, take down
    scenarios  The scenarios of the demonstration: what is sent, and what the client must see
"""
