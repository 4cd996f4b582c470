"""The sockets. Non-blocking, served by callbacks of one event loop; no task and no buffer for an idle association.

listener     accepts connections, and goes on when file descriptors run out
places       how many there may be: in all and of one source, before and after their login
descriptors  as many file descriptors as the limits need, or lower limits
session      one connection from its accept to its hand-over: carries out the effects of a Handshake
upstream     connects to the PACS
relay        one established association
leg          one side of an association: a socket, and what is still to be sent on it
tls          the contexts, and a TLS connection that looks like a non-blocking socket; `ssl` lives here alone
"""
