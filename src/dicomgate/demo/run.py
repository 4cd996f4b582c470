"""The demonstration from its first file to its last socket: set up, run the scenarios, print, take down."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from rich.console import Console

from ..net.listener import Address
from ..run.page import missing_packages
from ..testing.peers.loopback import free_port
from ..testing.running import RunningGateway
from ..testing.slices import ct_images
from .client import Visit, visit
from .egress import write_egress
from .folder import (
    ACCOUNT,
    EGRESS,
    MODALITY,
    SLICE,
    USER,
    VIEWER,
    add_user,
    audited,
    gateway_log,
    work_folder,
    write_configuration,
)
from .issuers import Issuer, Provider, Tickets, missing
from .output import Result, by_hand, by_hand_here, print_results, print_throughput, progress_bar
from .pacs import EmbeddedPacs, Sighting, closed_port, silent_pynetdicom
from .scenarios import SCENARIOS, TICKET_SCENARIOS, Login, Scenario

_RIGHT = "Every row is as it should be, and every slice was stored byte for byte as it was sent."
_WRONG = "NOT every row is as it should be."


def perform(
    console: Console,
    slices: int,
    *,
    keep: bool = False,
    folder: Path | None = None,
    scenarios: Sequence[Scenario] | None = None,
) -> bool:
    """Run all scenarios, or these; with `keep`, go on serving until Ctrl-C. True if every result is right.

    Raises ConfigError (PluginError among them) or StartError when it cannot be set up.
    """
    with ExitStack() as stack:
        stack.enter_context(silent_pynetdicom())
        where = stack.enter_context(work_folder(folder, keep=keep))
        stack.enter_context(gateway_log(where))
        pacs = stack.enter_context(EmbeddedPacs())
        tickets = _kerberos(console, stack, where)
        if scenarios is None:
            scenarios = SCENARIOS if tickets is None else (*SCENARIOS, *TICKET_SCENARIOS)
        others = {user: add_user(where, user) for user in (VIEWER, MODALITY)}
        login = Login(USER, add_user(where, USER), Issuer(where, USER), Provider(where, USER), others, tickets)
        account = add_user(where, ACCOUNT)
        # Who goes on by hand may reload the gateway, and then its file must have the ports that it has.
        port, egress_port = (free_port(), free_port()) if keep else (0, 0)
        page = free_port() if keep and not missing_packages() else None
        configuration = write_configuration(
            where,
            port=port,
            pacs=pacs.port,
            down=stack.enter_context(closed_port()),
            service=tickets.service if tickets else None,
            keep=keep,
            page=page,
        )
        gateway = stack.enter_context(RunningGateway(configuration))
        host, port = gateway.address
        egress = stack.enter_context(RunningGateway(write_egress(where, account, port, egress_port)))
        console.out(f"A gateway on {host}:{port}, in front of a PACS that knows nothing of users; four may enter.")
        addresses = [egress.address if one.egress else gateway.address for one in scenarios]
        seen = _carry_out(console, scenarios, slices, login, addresses, pacs)
        told = _audited(where, scenarios)
        results = [Result(one, *what, why) for one, what, why in zip(scenarios, seen, told, strict=True)]
        print_results(console, results)
        print_throughput(console, results)
        # A connection that came too late for its scenario is counted here.
        late = pacs.take().connections
        if late:
            console.out(f"WRONG: {late} connections reached the PACS after the last row")
        right = not late and not any(result.problems for result in results)
        console.out(_RIGHT if right else _WRONG)
        if keep:
            _keep_serving(console, where, login, gateway.address, egress.address, page)
    if not keep:
        console.out(f"\n{by_hand(folder)}")
    return right


def _kerberos(console: Console, stack: ExitStack, folder: Path) -> Tickets | None:
    """A KDC and a user with a ticket; None, and a line that says what to install, where there is none."""
    if lacking := missing():
        console.out(f"The rows with Kerberos are left out: they need {lacking}.")
        return None
    return stack.enter_context(Tickets(folder, USER))


def _carry_out(
    console: Console,
    scenarios: Sequence[Scenario],
    slices: int,
    login: Login,
    addresses: Sequence[tuple[str, int]],
    pacs: EmbeddedPacs,
) -> list[tuple[Visit, Sighting]]:
    """Carry out the scenarios one after another, so that what the PACS sees in between belongs to one of them."""
    storing = sum(scenario.stores for scenario in scenarios)
    seen, left = [], slices
    with progress_bar(console) as progress:
        task = progress.add_task("CT slices through the gateway", total=slices)
        for scenario, address in zip(scenarios, addresses, strict=True):
            share = -(-left // storing) if scenario.stores else 0
            if scenario.stores:
                left, storing = left - share, storing - 1
            visited = visit(scenario, login, address, ct_images(share), lambda: progress.advance(task))
            seen.append((visited, pacs.take()))
    return seen


def _audited(folder: Path, scenarios: Sequence[Scenario]) -> list[str]:
    """What the gateway's audit says of each scenario, after what the audit of the egress says if it went through it."""
    at_gateway = audited(folder, len(scenarios))
    at_egress = iter(audited(folder / EGRESS, sum(one.egress for one in scenarios)))
    return [f"{next(at_egress)}; {why}" if one.egress else why for one, why in zip(scenarios, at_gateway, strict=True)]


def _keep_serving(
    console: Console, folder: Path, login: Login, address: Address, egress: Address, page: int | None
) -> None:
    for image in ct_images(1):
        image.save_as(folder / SLICE, enforce_file_format=True)
    try:
        console.out(f"\n{by_hand_here(folder, address, egress, page, login)}")
        Event().wait()
    except KeyboardInterrupt:
        console.out(f"\nThe files stay in {folder}.")
