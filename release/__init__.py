"""What a release of dicomgate is made of, and how: `make release`, or `python -m release`.

Rule: the same commit, built twice, gives the same bytes. Every file that is made has the time of the commit, and no
name, order or mode that comes from the machine.

Modules:

    archive        Archives whose bytes depend on nothing but the files in them
    bundle         One archive to install dicomgate from, on a machine without a package index
    closure        What dicomgate needs: distributions, and their entries in the lock files
    compiled       Libraries that are compiled into wheels, which no package manager knows of: for the bill of materials
    debian         The Debian package: what the bundle installs, with what Debian expects around it
    documentation  The documentation as a site in an archive, to be read from the disk
    licences       On what terms everything in a release may be used: each wheel's licence, with its texts
    sbom           The software bill of materials: CycloneDX 1.6
    sums           SHA256SUMS of a folder, and its signature
    tree           The checkout that a release is made of: its version, its projects, the time of its commit
    wheels         Wheels: our own, and those of the lock files
"""
