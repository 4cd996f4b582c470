"""The sockets: non-blocking, served by the callbacks of one event loop.

An idle association has no task and no buffer of its own.

Modules:

    announcement   The PROXY header with which a load balancer hands a connection on: only then it is known whose it is
    arrival        From the accept to a client whose address and certificate are known: TLS, where the listener has it
    capacity       How many connections there may be: in all and of one source, before and after their login
    checking       Ask an address of a PACS whether it is there: by TCP, or by a C-ECHO on an association of its own
    connection     One side of an association: a non-blocking stream, and what is still to be sent on it
    deadlines      Deadlines of the few lengths that all associations share, such as ARTIM
    descriptors    File descriptors: raise the soft limit to what the limits need, or lower the limits to what there is
    dial           Connect to the PACS: its addresses in parallel, with TLS; nothing blocks the event loop
    direction      One direction of an association on its sockets: from one connection to the other
    inherited      Listening sockets that systemd has opened before the gateway started: sd_listen_fds(3)
    keepalive      TCP keepalive: notice a peer that has vanished without a word, such as one that was switched off
    lifetime       One association from its accept to the close of both connections: slot, records, expiry
    lingering      The last seconds of a connection: what is unsent goes out, and what still comes is discarded
    listener       Accept connections; when the system runs out of file descriptors, pause and go on
    loop           asyncio's event loop, with callbacks for sockets that cost less than half
    negotiation    One association until it is established or refused: carries out the effects of its `Handshake`
    pool           Several addresses of one PACS: which of them is asked next, and which are down. No sockets, no clock
    pooled         A PACS with several addresses, and the way of one association to it: one address after the other
    relay          One established association on its sockets: carries out the effects of an `Association`
    server_state   What all associations share, and how the listener of each one is configured
    tally          Connections that have no records of their own: one line of the log tells how many there were
    tls            The errors of TLS on both sides, and those of connections in words. The stream is in `tls_stream`
    tls_blocking   A TLS stream that waits, with the methods of a socket: for a client without an event loop
    tls_context    What TLS may be on both sides, after PS3.15 B.12 (BCP 195), with what is in files
    tls_handshake  A TLS handshake in steps, each a callback of the event loop: a peer that stalls holds up no other
    tls_hello      The first message of a TLS handshake, before OpenSSL computes: no key exchange in a finite field
    tls_stream     TLS over a socket, on both sides: `recv_into` and `send` raise BlockingIOError where they would wait
    tls_words      What went wrong in a TLS handshake, in words for the operator
    turns          Those who have not logged in take turns: after a while of work for them, the others are served
"""
