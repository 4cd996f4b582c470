"""One TOML file -> frozen, checked tables.

Modules:

    checks     What is wrong with a configuration although each key is right by itself
    load       One TOML file -> checked tables. All problems are told at once, with file, line, table and key
    positions  The line of a TOML file on which a key stands, for errors found after parsing
    schema     The tables of the configuration file: each table a class, each key a field with its default
"""
