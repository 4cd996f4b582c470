"""The commands that try by hand what the demonstration showed."""

from __future__ import annotations

from pathlib import Path

from .folder import AUDIT, CONFIGURATION, PACS, SLICE
from .scenarios import Login


def by_hand(kept: Path | None) -> str:
    """For when the demonstration is over: a gateway of one's own. `kept` is the folder that is still there."""
    files = f"The files stay in {kept}; nobody knows the passcode" if kept else "The users file is gone"
    return f"""\
{files}. `dicomgate demo --keep` goes on serving, and prints the passcode.
By hand, in front of a PACS of your own:

  dicomgate init gate && cd gate           # {CONFIGURATION}; the users file, with one generated passcode for alice
  dicomgate passcode add bob               # asks for the passcode
  dicomgate check                          # what is wrong with {CONFIGURATION}, with file, line and key
  dicomgate serve                          # until Ctrl-C; then, in another terminal:
  dicomgate echo 127.0.0.1:11112 --user alice
  storescu -usr alice -pwd PASSCODE 127.0.0.1 11112 SLICE.dcm"""


def by_hand_here(folder: Path, address: tuple[str, int], login: Login) -> str:
    """For while PACS and gateway of the demonstration go on serving; the one place that shows the passcode."""
    host, port = address
    return f"""\
The gateway serves on {host}:{port} until Ctrl-C; the files stay in {folder}.
The user is {login.user}, the passcode {login.passcode}. By hand, in another terminal:

  cd {folder}
  dicomgate check                          # what is wrong with {CONFIGURATION}, with file, line and key
  dicomgate passcode add alice             # asks for the passcode; alice can log in at once
  dicomgate echo {host}:{port} -r --user {login.user} --called {PACS}
  storescu -usr {login.user} -pwd {login.passcode} -aec {PACS} {host} {port} {SLICE}
  tail -f {AUDIT}                      # who was let in, who was not, and why

For a gateway in front of a PACS of your own: dicomgate init, dicomgate check, dicomgate serve."""
