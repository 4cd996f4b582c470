"""The records of associations, and the sinks that write them: audit and log.

Modules:

    audit    The records of the audit as JSON, one object a line, for other programs to keep and search
    backlog  What waits to be written, and the thread that writes it: for the log, and for each place of the audit
    events   The records of an association's life
    log      The operator's log: one line for each outcome, with everything that is known of the association
    moments  Times as records tell them: ISO 8601 with milliseconds
    writer   Lines for a file, a pipe or a socket, written by a thread of their own
"""
