"""One TOML file -> frozen, checked tables.

Modules:

    audit        `[[audit]]`: where the records of associations go
    checks       Contradictions: what is wrong with a configuration although each key by itself is right
    fields       What the keys of the configuration file may hold, and how its tables are checked
    load         One TOML file -> checked tables. Reports all problems at once, each with file, line, table and key
    operation    The tables of a service that people look after: limits of users, the control socket, the status page
    positions    The line of a key in a TOML file. TOML libraries drop it, but errors found after parsing need it
    schema       The tables of the configuration file: each table a class, each key a field with its default
    toml_errors  What is wrong with a file that is not TOML, in the words of an administrator, with line and column
"""
