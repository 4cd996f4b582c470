"""`dicomgate demo`: a PACS, the gateway in front of it, and who gets in.

`command` alone may be imported without the packages of the extra "demo": it says what to install.

Modules:

    by_hand    The commands that try by hand what the demonstration showed
    client     The client of a row: pynetdicom; or a bare socket, where a row sends what pynetdicom would not
    command    The command `dicomgate demo`: its options and its exit status
    folder     The files of the demonstration: a configuration, a user, the keys of two issuers
    issuer     The token issuer of the demonstration: a key made at the start
    log_files  What the gateway of the demonstration says: its log, in a file, and its audit
    pacs       An embedded PACS that knows nothing of users: it takes what it gets, and tells what that was
    provider   The identity provider of the demonstration: it signs SAML assertions
    run        The demonstration from its first file to its last socket: set up, carry out the rows, print, take down
    scenarios  The rows of the demonstration: what is sent, and what the client must see
    table      How it looks: a table on a terminal; plain lines in a pipe or a file
    tickets    The Kerberos of the demonstration, where a KDC is installed: a user who has logged in to it
    verdict    A row, what the client saw, what the PACS saw, what the audit says -> what is not as it should be
"""
