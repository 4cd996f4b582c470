"""`dicomgate demo`: a PACS, the gateway in front of it, and who gets in.

attempts    the rows: what is sent, and what must come of it; a new row is one entry here
folder      the configuration and the users file of the demonstration
issuer      issues tokens
provider    issues assertions
tickets     a KDC and a user with a ticket, where Kerberos is installed
records     what the gateway says: its log and its audit
pacs        an embedded PACS that tells what reached it
client      carries out a row, and tells what the client saw
verdict     a row, what the client saw, what the PACS saw -> what is not as it should be
table       how it looks
byhand      the commands that try it by hand
command     `demo`, the command itself

`command` alone may be imported without the packages of the extra "demo": it says what to install.
"""
