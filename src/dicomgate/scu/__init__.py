"""A small DICOM client: it logs in, echoes and stores, for the commands and the tests.

Modules:

    client  A small SCU of the Verification service class (PS3.4 annex A), over a blocking socket
    dimse   DIMSE messages in P-DATA-TF PDUs: command sets and fragments (PS3.7 6.3.1, PS3.8 annex E)
    login   What a login sends: an identity made of Kerberos tickets
"""
