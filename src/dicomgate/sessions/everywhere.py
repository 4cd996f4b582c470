"""The other gateways on the same Redis: their associations, and orders to all.

Once a second this gateway looks whether another one asks for its associations or orders something, and answers. So a
question takes about a second, and costs nothing while nobody asks. An answer that does not come in time is named: what
an operator is shown never looks whole if it is not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from itertools import islice

from ..errors import DicomgateError, StateUnavailable
from ..events.events import Operated
from ..state.cluster import Cluster, Order
from . import kick as kicks
from . import listed
from .asking import KICK, SESSIONS, Heard, ask
from .kick import Kick
from .listed import SessionStatus, session_status
from .namesakes import Namesakes
from .register import Register
from .shared import SharedPlaces
from .users import Users

_log = logging.getLogger("dicomgate.sessions")
_ROWS = 50
"""Associations in one piece of an answer, which is written and read without a pause."""


class Everywhere:
    """This gateway among the others. Without a cluster it does nothing, and nobody else is asked.

    `tell` is called with what was done here for an operator elsewhere.
    """

    def __init__(self, register: Register, users: Users, tell: Callable[[Operated], None]) -> None:
        self._register = register
        self._users = users
        self._places = SharedPlaces()
        self._tell = tell
        self._cluster: Cluster | None = None
        self._beating: asyncio.Task[None] | None = None
        self._heard: dict[str, float] = {}  # orders, and until when they stand, by the loop's clock
        self._away = False
        self._asking: asyncio.Task[Heard[SessionStatus]] | None = None

    @property
    def shared(self) -> bool:
        """True if there may be others."""
        return self._cluster is not None

    def use(self, cluster: Cluster | None, *, count: bool = False, alone: bool = True) -> None:
        """Be there from now on, in another cluster, or in none.

        `count`: the limits of users are those at all gateways together, but while that cannot be told, if `alone`, of
        this one.
        """
        self._places.cluster, self._places.alone = cluster, alone
        self._users.elsewhere = self._places if count else None
        if cluster is self._cluster:
            return
        if self._beating is not None:
            self._beating.cancel()
        self._cluster, self._beating = cluster, None
        if cluster is not None:
            self._beating = asyncio.ensure_future(self._beat_on(cluster))

    async def close(self) -> None:
        """Be there no more; the cluster is its owner's."""
        await self._places.close()
        beating = self._beating
        self.use(None)
        if beating is not None:
            await asyncio.wait((beating,))

    async def sessions(self) -> Heard[SessionStatus]:
        """The associations of the other gateways. Who asks while a question is under way gets its answer."""
        if self._cluster is None:
            return Heard()
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(ask(self._cluster, SESSIONS, listed.read))
        return await asyncio.shield(self._asking)

    async def kick(self, kick: Kick) -> Heard[str]:
        """Which associations each of the others has ended. One that does not answer does it once it hears of it."""
        if self._cluster is None:
            return Heard()
        stands = max(kick.refused_for or 0.0, self._cluster.times.catch_up)
        # Who is let in again must be so at gateways, too, that start later and hear that he was shut out.
        outlast = kick.refused_for == 0
        order = KICK + kicks.written(kick)
        return await ask(self._cluster, order, lambda text, _: kicks.ended_read(text), stands, outlast)

    async def _beat_on(self, cluster: Cluster) -> None:
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        namesakes = Namesakes(cluster.me)
        while True:
            began = loop.time()
            try:
                beat = await cluster.beat()
            except StateUnavailable as error:
                self._reached(str(error))
            else:
                back = self._away
                self._reached("")
                namesakes.look(beat.members)
                if back or beat.new or began - renewed >= cluster.times.lease / 3:
                    renewed = began
                    await self._places.renew()
                for order in beat.orders:
                    if order.id not in self._heard and order.by != cluster.me.run:
                        await self._answer(cluster, order)
                    self._heard[order.id] = began + order.left
            for order_id in [one for one, until in self._heard.items() if until < began]:
                del self._heard[order_id]
            await asyncio.sleep(max(0.0, began + cluster.times.beat - loop.time()))

    async def _answer(self, cluster: Cluster, order: Order) -> None:
        """Do what is ordered. That is done once, even if the answer cannot be told."""
        try:
            if order.text.startswith(KICK):
                await cluster.answer(order.id, 1, kicks.ended_written(self._carry_out(order)), last=True)
            elif order.text == SESSIONS:
                await self._list(cluster, order)
        except StateUnavailable as error:
            self._reached(str(error))
        except Exception:  # noqa: BLE001 (it must hear what comes after this)
            _log.exception("a defect of the gateway, in its answer to another one")

    async def _list(self, cluster: Cluster, order: Order) -> None:
        until = asyncio.get_running_loop().time() + cluster.times.answer - order.age
        pieces = self._pieces(cluster.me.name)
        number, piece = 1, next(pieces)
        while asyncio.get_running_loop().time() < until:
            after = next(pieces, None)
            await cluster.answer(order.id, number, piece, last=after is None)
            if after is None:
                break
            number, piece = number + 1, after

    def _pieces(self, node: str) -> Iterator[str]:
        """At least one; each is made when it is asked for."""
        sessions = (one for one in self._register if not one.over)
        some = list(islice(sessions, _ROWS))
        yield listed.written(session_status(one, node) for one in some)
        while some := list(islice(sessions, _ROWS)):
            yield listed.written(session_status(one, node) for one in some)

    def _carry_out(self, order: Order) -> list[str]:
        try:
            kick = kicks.read(order.text.removeprefix(KICK))
        except ValueError:
            _log.warning("an order of another gateway cannot be read, and is not carried out: has it another version?")
            return []
        try:
            ended = kicks.carry_out(kick, self._register, self._users.shut_outs, order.age)
        except DicomgateError as error:
            self._tell(kick.operated(problem=str(error)))
            return []
        if kick.user and (ended or kick.refused_for is not None):
            self._tell(kick.operated())
        for session_id in ended if kick.session_ids else ():
            self._tell(kick.operated(session_id))
        return ended

    def _reached(self, trouble: str) -> None:
        if trouble and not self._away:
            _log.error("other gateways cannot be asked, nor ask this one, for now: %s", trouble)
        elif self._away and not trouble:
            _log.info("other gateways can be asked again")
        self._away = bool(trouble)
