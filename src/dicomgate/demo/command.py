"""The command `dicomgate demo`: its options and its exit status.

Exit status 0: every result is right; 1: one is not; 2: wrong usage, or something is not installed; 3: the machine or
network prevents it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ..auth.loading import installed
from ..errors import DicomgateError, StartError


def demo(
    slices: Annotated[int, typer.Option(min=1, help="How many CT slices to send, of half a mebibyte each.")] = 200,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the files, and go on serving until Ctrl-C; prints the passcode.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Write the files to this new or empty folder, and keep them.")
    ] = None,
) -> None:
    """Start a PACS and a gateway in front of it, and show which clients are admitted and which are refused.

    Exit status: 0 every result is right, 1 one is not, 2 wrong usage or
    something is not installed, 3 the machine or network prevents it.
    """
    if missing := _missing():
        how = "pip install . ./plugins/passcode ./plugins/jwt ./plugins/saml ./plugins/network pynetdicom"
        typer.echo(f"the demonstration needs {missing}. The bundle has it; from the checkout: {how}", err=True)
        raise typer.Exit(2)
    # Imported here: these need pynetdicom, and the command line imports this file without it.
    from .output import make_console
    from .run import perform

    try:
        right = perform(make_console(), slices, keep=keep, folder=folder)
    except DicomgateError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3 if isinstance(error, StartError) else 2) from None
    if not right:
        raise typer.Exit(1)


def _missing() -> str:
    """What is not installed, in words; empty if all is there."""
    wanted = {
        "pynetdicom": find_spec("pynetdicom") is not None,
        "the passcode plugin (dicomgate-passcode)": "passcode" in installed(),
        "the token plugin (dicomgate-jwt)": "jwt" in installed() and find_spec("jwt") is not None,
        "the assertion plugin (dicomgate-saml)": "saml" in installed() and find_spec("onelogin") is not None,
        "the plugin for AE titles in their networks (dicomgate-network)": "network" in installed(),
    }
    return " and ".join(name for name, there in wanted.items() if not there)
