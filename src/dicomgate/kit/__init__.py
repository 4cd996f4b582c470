"""The second door: what authenticators share, and the core uses itself.

Modules:

    accounts      The system's users and groups by name; by number where they have none
    addresses     Addresses as an operator writes them: `pacs.hospital:104`, `[::1]:11112`; and the source of one
    authorities   Whom a client of ours trusts: the authorities in a file, or those of the system
    certificates  Certificates and private keys in files: what is in a file, and what to do about it
    connecting    A race for coroutines: what is opened at the first address of a host that answers
    credentials   The username and the passcode of an attempt, or why there are none (PS3.7 D.3.3.7.1)
    durations     Durations as an operator writes them: `500ms`, `2s`, `5m`, `1h`, `7d`
    equal_time    No refusal sooner than a verification takes: how long an answer took must not tell which users exist
    failover      Several servers in the operator's order; one that failed is asked last for a while
    fetch         One document over https from a URL in the configuration: one deadline, a size limit, no redirects
    files         Files on which a login depends: not writable by others, and secrets not readable by everybody
    host          A host by its name: its addresses, looked up in a thread, and which of them is tried first
    inspect       What is wrong with a credential: as the reason of a refusal, and as `dicomgate NAME inspect` shows it
    line          A waiting line for a few places: in the order of arrival, one of each source at a time
    networks      Networks as an operator writes them, and the addresses of peers
    patience      The time that an attempt waits for its turn is not the time that its authenticator works
    race          One connection to a host with several addresses: a silent one does not hold up the others (RFC 8305)
    refreshed     A value that is fetched again and again, for example an issuer's keys from its URL
    sizes         Sizes as an operator writes them: `512KiB`, `64MiB`, `1GiB`
    text          How text from outside may appear in a log line, an audit record or a name
    threads       Computations in threads, one for each core; when all are busy, the next computation waits in line
    verified      Credentials that were verified to be right: the same one again costs no second verification
    watched       A value read from files that may change; a good change counts at the next use
"""
