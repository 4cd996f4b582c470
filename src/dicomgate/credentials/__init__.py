"""As whom the gateway presents itself to an upstream. No PDU is sent here.

Modules:

    link             A credential under its configured name: whatever it does, there is an answer in time
    presented_check  Hold a credential's answer against the contract, and its identity against the standard
    table            The `[[credential]]` table, and where credentials come from
"""
