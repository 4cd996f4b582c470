"""The `tls` table of a listener, the page's too -> what new connections use."""

from __future__ import annotations

from ..config.load import Configuration
from ..config.operation import AdminTls
from ..config.schema import ListenerTls
from ..errors import ConfigError
from ..net.tls import TlsContext
from ..net.tls_context import server_context


def listener_tls(configuration: Configuration, tls: ListenerTls | AdminTls | None) -> TlsContext | None:
    """None without a table; may block on its files. Raises ConfigError, with `tls` before the keys."""
    if tls is None:
        return None
    folder = configuration.folder
    optional = isinstance(tls, ListenerTls) and tls.client_certificate == "optional"
    try:
        return server_context(
            folder / tls.certificate,
            folder / tls.key if tls.key else None,
            folder / tls.client_ca if tls.client_ca else None,
            not optional,
        )
    except ConfigError as error:
        raise error.under("tls") from error
