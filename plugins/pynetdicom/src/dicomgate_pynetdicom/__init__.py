"""dicomgate-pynetdicom: at home in pynetdicom, both ways.

binding     `bind(...)`: the chain behind EVT_USER_ID of any pynetdicom AE
bench       what pynetdicom's events are answered with
judging     the thread and the event loop in which the chain is asked
request     a pynetdicom association -> what the chain is asked about
adapter     `adapt(handler)`: a handler of EVT_USER_ID as an authenticator; `configured`: what a table makes of one
event       what the gateway received -> the event that such a handler is given
"""

from .adapter import adapt, configured
from .binding import Binding, bind

__all__ = ["Binding", "adapt", "bind", "configured"]
