"""Where records are kept for auditors: files, the journal, syslog, ATNA.

Modules:

    atna          The sink of kind "atna": DICOM Audit Messages for an Audit Record Repository, by way of a spool
    codes         The codes that audit messages are made of: PS3.16 CID 400, 401 and 402, in the words of PS3.15 A.5.3
    connection    A connection to a collector: syslog over TLS (RFC 5425), in a thread that may wait
    datagrams     Sockets that take one record in one datagram: the journal of systemd, and a syslog over UDP (RFC 5426)
    floods        Refusals that come in numbers: the first of a kind is told at once, the others are counted
    json_audit    The sink of kind "json": lines for a file, standard output, the journal, or a syslog over UDP
    messages      Records -> DICOM Audit Messages (PS3.15 A.5), as XML
    segment       One file of a spool: records behind each other, each with a checksum
    sender        The thread that brings what is in a spool to a collector, over all outages
    sinks         All sinks of the audit as one: each record goes to all, and a login waits for those that are required
    spool         Messages on disk until a collector has them
    spool_folder  The folder of a spool: one process has it, and a file in it says up to where all is delivered
    spooler       Audit messages of records, and the thread that puts them into a spool
    syslog        The envelope of an audit message: RFC 5424, and for a stream RFC 5425
    tail          What a collector has for certain
"""
