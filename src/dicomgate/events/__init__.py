"""What is told about associations: frozen records, and the sinks that write them down.

Modules:

    audit   The audit: one JSON object a line, for machines to keep
    events  The records of an association's life
    log     The operator's log: one line for each thing worth reading, with the association's id in front
"""
