"""The second door: what authenticators share, and the core uses itself.

Modules:

    addresses  Addresses as an operator writes them: `pacs.hospital:104`, `[::1]:11112`; and the source of one
    durations  Durations as an operator writes them: `500ms`, `2s`, `5m`, `1h`, `7d`
    fetch      One document from a URL of the operator's: https, one deadline, a limit, no detours
    files      Files on which a login depends: not writable by everybody, and secrets not readable by everybody
"""
