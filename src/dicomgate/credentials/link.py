"""A credential under its configured name: whatever it does, there is an answer in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from ..auth.link import DEFAULT_DEADLINE, DEFAULT_WORKERS
from ..auth.plugged import Method, Pending, Plugged, answered
from ..contract import Admission, Credential, Presented, Unavailable
from .presented_check import check_presented


class CredentialLink(Plugged):
    """One credential. It has its deadline to work, and an association waits as long again for a worker."""

    def __init__(
        self,
        name: str,
        credential: Credential,
        *,
        deadline: timedelta = DEFAULT_DEADLINE,
        workers: int = DEFAULT_WORKERS,
    ) -> None:
        """Raises PluginError for an object that is not a credential."""
        seconds = deadline.total_seconds()
        super().__init__("credential", name, credential, seconds, seconds, workers)
        self._present: Method[Presented | Unavailable] = self.method("present", check_presented)

    @property
    def answers_in(self) -> float:
        """The seconds after which there is an answer, whatever the credential does."""
        return self.deadline + self.patience

    async def ask(self, admission: Admission) -> Presented | Unavailable:
        """What to present, or `Unavailable` within the deadline. Raises only if cancelled."""
        return await answered(partial(self.begin, admission))

    def begin(self, admission: Admission, done: Callable[[Presented | Unavailable], None]) -> Pending:
        """As `ask`, but calls `done` with the answer: once, and never before this returns."""
        return self.ask_about(self._present, (admission,), admission.id, "", done)
