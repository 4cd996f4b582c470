#!/usr/bin/python3
"""Stands where systemctl does on a machine without systemd: it starts, reloads and ends what the installed unit says.

It knows the one unit, and of that User, WorkingDirectory, RuntimeDirectory, ExecStart, ExecReload and Type=notify.
"""

import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS = (Path("/etc/systemd/system/dicomgate.service"), Path("/lib/systemd/system/dicomgate.service"))
PID, ENABLED = Path("/run/dicomgate.pid"), Path("/etc/systemd/system/multi-user.target.wants/dicomgate.service")
READY, ENDS = 60.0, 60.0


def unit() -> Path:
    """The unit in force: the administrator's before the package's."""
    for path in UNITS:
        if path.exists():
            return path
    sys.exit("Unit dicomgate.service not found.")


def keys() -> dict[str, str]:
    """The keys of the unit; of one that is there twice, the last."""
    return dict(line.split("=", 1) for line in unit().read_text().splitlines() if "=" in line and line[0] != "#")


def running() -> int:
    """The service's process id, or 0."""
    try:
        pid = int(PID.read_text())
        return pid if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" else 0
    except (OSError, ValueError):
        return 0


def start() -> None:
    """Start the service, and wait until it is ready, as for Type=notify."""
    of = keys()
    user = pwd.getpwnam(of["User"])
    if name := of.get("RuntimeDirectory"):
        Path("/run", name).mkdir(exist_ok=True)
        os.chown(Path("/run", name), user.pw_uid, user.pw_gid)
    notified = "/run/notify"
    Path(notified).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening, Path("/var/log/journal").open("ab") as log:
        listening.bind(notified)
        Path(notified).chmod(0o666)
        listening.settimeout(0.2)
        environment = {"NOTIFY_SOCKET": notified, "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen(
            of["ExecStart"].split(), cwd=of["WorkingDirectory"], env=environment, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
            user=user.pw_uid, group=user.pw_gid, extra_groups=[], umask=0o027,
        )  # fmt: skip
        PID.write_text(str(process.pid))
        end = time.monotonic() + READY
        if of.get("Type") != "notify":
            return
        while time.monotonic() < end and process.poll() is None:
            try:
                if "READY=1" in listening.recv(4096).decode().splitlines():
                    return
            except TimeoutError:
                pass
    stop()
    sys.exit("Job for dicomgate.service failed. See /var/log/journal.")


def stop() -> None:
    """End the service, and wait until it has ended."""
    if pid := running():
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + ENDS
        while running() and time.monotonic() < end:
            time.sleep(0.05)
    PID.unlink(missing_ok=True)


def main() -> None:
    """Do what is asked, with systemctl's exit status."""
    with Path("/var/log/systemctl").open("a") as log:
        log.write(" ".join(sys.argv[1:]) + "\n")
    verb, *_ = [word for word in sys.argv[1:] if not word.startswith("-")]
    if verb == "is-active":
        if "--quiet" not in sys.argv:
            sys.stdout.write("active\n" if running() else "inactive\n")
        sys.exit(0 if running() else 3)
    if verb == "is-enabled":
        sys.exit(0 if ENABLED.is_symlink() else 1)
    if verb in ("enable", "disable"):
        ENABLED.unlink(missing_ok=True)
        if verb == "enable":
            ENABLED.parent.mkdir(exist_ok=True)
            ENABLED.symlink_to(unit())
    was, now = running(), "--now" in sys.argv
    if verb in ("stop", "restart", "try-restart") or (verb == "disable" and now):
        stop()
    if (
        verb in ("start", "restart") or (verb == "enable" and now) or (verb == "try-restart" and was)
    ) and not running():
        start()
    if verb == "reload":
        sys.exit(subprocess.run(keys()["ExecReload"].split(), check=False).returncode)


if __name__ == "__main__":
    main()
