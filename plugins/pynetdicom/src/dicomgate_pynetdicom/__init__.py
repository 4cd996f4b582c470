"""dicomgate-pynetdicom: dicomgate's authenticators in a pynetdicom AE, and a pynetdicom handler in the gateway.

binding       `bind(...)`: a chain of authenticators that answers EVT_USER_ID of any pynetdicom AE
handlers      the event handlers that `bind` gives to pynetdicom
login_thread  the thread and the event loop in which the chain is asked
request       a pynetdicom association -> the attempt that the chain is asked about
adapter       `adapt(handler)`: a handler of EVT_USER_ID as an authenticator; `configured`: the same from a table
event         an attempt -> the event that such a handler is called with
"""

from .adapter import adapt, configured
from .binding import Binding, bind

__all__ = ["Binding", "adapt", "bind", "configured"]
