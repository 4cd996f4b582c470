"""What is told about associations: frozen records, and the sinks that write them down.

events     Opened, Decided, Refused, Established, Closed
audit      one JSON line for each record
log        one line for the operator's eyes
"""
