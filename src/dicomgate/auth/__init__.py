"""From an Attempt to a decision. No PDU is known here, and no socket.

discovery    entry points -> authenticators, their options checked against their signature
calling      makes every authenticator awaitable: threads of its own or await, deadline, answer checked
chain        the operator's order; the first answer that is not Pass
"""
