"""The running gateway as its operators see it, and what they may do to it.

Law: nothing here is needed for a login, and nothing here holds one up: what takes long is done in a thread of its own.

Modules:

    operator  What an operator may ask of the running gateway, and do to it; each deed is in the audit
    status    What is going on, as values: for the command line, the status page and metrics
"""
