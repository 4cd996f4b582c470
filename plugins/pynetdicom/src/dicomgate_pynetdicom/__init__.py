"""dicomgate-pynetdicom: dicomgate's authenticators in a pynetdicom AE, and a pynetdicom handler in the gateway."""

from .adapter import adapt, configured
from .binding import Binding, bind
from .principals import Principal

__all__ = ["Binding", "Principal", "adapt", "bind", "configured"]
