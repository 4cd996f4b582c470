"""A PACS of pynetdicom that has a worklist too, with one patient, and takes performed procedure steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import ModalityPerformedProcedureStep, ModalityWorklistInformationFind

from .pynetdicom_pacs import PynetdicomPacs


@dataclass
class PynetdicomRis(PynetdicomPacs):
    """As `PynetdicomPacs`. It takes every performed procedure step (PS3.4 annex F)."""

    services: ClassVar = [*PynetdicomPacs.services, ModalityWorklistInformationFind, ModalityPerformedProcedureStep]

    def handlers(self) -> list[tuple[Any, Any]]:
        """What answers each request."""
        return [*super().handlers(), (evt.EVT_N_CREATE, self._take), (evt.EVT_N_SET, self._take)]

    def find(self, event: Any) -> Iterator[tuple[int, Dataset]]:
        """Answer a C-FIND of a worklist with one patient (PS3.4 annex K)."""
        if event.request.AffectedSOPClassUID != ModalityWorklistInformationFind:
            yield from super().find(event)
            return
        scheduled = Dataset()
        scheduled.PatientID = "SCHEDULED"
        yield 0xFF00, scheduled

    def _take(self, event: Any) -> tuple[int, None]:
        return 0x0000, None
