"""A small DICOM client: it logs in, echoes and stores, for the commands and the tests.

Modules:

    client          A small SCU of the Verification service class (PS3.4 annex A), over a blocking socket
    dimse           DIMSE messages in P-DATA-TF PDUs: command sets and fragments (PS3.7 6.3.1, PS3.8 annex E)
    kerberos_login  A login with the user's Kerberos tickets: `dicomgate echo --kerberos` (RFC 4121 4.1, PS3.15 B.6)
    verification    What a login without a purpose of its own asks for: the Verification SOP class (PS3.4 annex A)
"""
