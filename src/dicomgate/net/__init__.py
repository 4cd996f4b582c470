"""The sockets: non-blocking, served by the callbacks of one event loop.

An idle association has no task and no buffer of its own.

Modules:

    arrival        From the accept to a client whose address and certificate are known: TLS, where the listener has it
    capacity       How many connections there may be: in all and of one source, before and after their login
    connection     One side of an association: a non-blocking stream, and what is still to be sent on it
    descriptors    File descriptors: raise the soft limit to what the limits need, or lower the limits to what there is
    dial           Connect to the PACS: its addresses beside each other, with TLS; nothing blocks the event loop
    lifetime       One association from its accept to the close of both connections: slot, records, expiry
    listener       Accept connections; when the system runs out of file descriptors, pause and go on
    relay          One established association on its sockets: carries out the effects of an `Association`
    server_state   What all associations share, and how the listener of each one is configured
    session        One association until it is established or refused: carries out the effects of its `Handshake`
    tls            TLS over a socket, on both sides; what it may be is in `tls_context`
    tls_context    What TLS may be on both sides, after PS3.15 B.12 (BCP 195), with what is in files
    tls_handshake  A TLS handshake in steps, each a callback of the event loop: a peer that stalls holds up no other
"""
