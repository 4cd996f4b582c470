"""`dicomgate reload`: have the running gateway read its configuration again, and hear what came of it."""

from __future__ import annotations

import typer

from ..errors import ConfigError
from .at_the_socket import SocketOption, asked
from .options import DEFAULT_CONFIG, ConfigOption


def reload(config: ConfigOption = DEFAULT_CONFIG, socket: SocketOption = None) -> None:
    """Have the running gateway read its configuration again, and wait for that.

    Associations under way keep the configuration that they came in by. If
    the new one cannot be used, all that is wrong is printed, and nothing
    changes. The gateway is asked at its control socket.

    Exit status: 0 new associations use it, 2 it cannot be used, wrong usage,
    or no control socket is configured, 3 no gateway answers.
    """
    if problems := asked(config, socket, "reload")["problems"]:
        raise ConfigError("\n".join(problems))
    typer.echo("new associations use the configuration as it is now", err=True)
