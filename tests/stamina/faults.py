"""Faults of everything that gateways need, and of gateways, in an order of chance; several at once, if wanted."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from dicomgate.testing.peers.process import Service
from tests.stamina.three_gateways import House
from tests.stamina.visit import Login

AFTERWARDS = 3.0
"""Seconds after a fault in which it may still be the cause: connections are made again, checks find their peer."""


@dataclass(frozen=True)
class Fault:
    """What was done to whom, from when to when."""

    target: str
    act: str
    began: float
    ended: float

    def overlaps(self, login: Login) -> bool:
        """Whether it may be the cause of what became of this client."""
        return self.began - 0.1 <= login.ended and login.began <= self.ended + AFTERWARDS


class Faults:
    """Threads that make faults for so many seconds, up to so many `at_once`. `done` are those that were."""

    def __init__(self, house: House, seed: int, seconds: float, at_once: int = 1) -> None:
        self.done: list[Fault] = []
        self.error: BaseException | None = None
        self._until = time.monotonic() + seconds
        self._targets: dict[str, Service] = {gate.name: gate for gate in house.gates}
        self._targets |= {f"pacs-{at}": pacs for at, pacs in enumerate(house.pacs, 1)}
        self._targets |= {"redis": house.redis, "rsyslog": house.rsyslog}
        self._ill = {name: threading.Lock() for name in self._targets}
        chances = [random.Random(seed + at) for at in range(at_once)]
        self._threads = [threading.Thread(target=self._run, args=(chance,)) for chance in chances]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Return once all is well again. Raises what a fault could not be undone for."""
        for thread in self._threads:
            thread.join()
        if self.error:
            raise self.error

    def _run(self, chance: random.Random) -> None:
        acts: list[Callable[[Service, float], None]] = [_killed, _stopped, _cut_off]
        pairs = [(name, act) for name in self._targets for act in acts]
        try:
            while time.monotonic() < self._until:
                chance.shuffle(pairs)  # each of them once before any comes again
                for name, act in pairs:
                    if time.monotonic() >= self._until:
                        break
                    with self._ill[name]:  # two faults of one would undo each other
                        began = time.monotonic()
                        act(self._targets[name], chance.uniform(0.5, 3))
                        said = act.__name__.strip("_").replace("_", " ")
                        self.done.append(Fault(name, said, began, time.monotonic()))
                    time.sleep(chance.uniform(0, 2))
        except BaseException as error:  # noqa: BLE001 (`join` raises it)
            self.error = error


def _killed(service: Service, seconds: float) -> None:
    service.stop()
    time.sleep(seconds)
    service.start()


def _stopped(service: Service, seconds: float) -> None:
    service.hang()
    time.sleep(seconds)
    service.go_on()


def _cut_off(service: Service, seconds: float) -> None:
    """Every connection to its ports is reset, again and again: ss(8) --kill, both ends."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for port in service._ports:
            command = ["ss", "--kill", "--tcp", "state", "established", f"( dport = :{port} or sport = :{port} )"]
            subprocess.run(command, check=True, capture_output=True)
        time.sleep(0.1)
