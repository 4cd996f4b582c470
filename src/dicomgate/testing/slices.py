"""Synthetic CT images: a round phantom that wanders from slice to slice (PS3.3 A.3, CT Image IOD)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import isqrt
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIDE = 512  # rows and columns, of two bytes each: half a mebibyte
_STEP = 4  # columns that the phantom wanders from one slice to the next
_INTERCEPT = -1024
_AIR, _WATER, _BONE = -1000, 0, 1000  # Hounsfield units
_SKULL, _BRAIN = 200 / 512, 180 / 512  # radii, as parts of the side


def ct_images(count: int, *, study: str = "", rows: int = SIDE) -> Iterator[Any]:
    """Make `count` slices of one series, each a Dataset with the file meta information that names its encoding.

    The same `study` makes the same bytes each time, UIDs included; with "" the UIDs are new. `rows` is the height and
    the width in pixels of two bytes each.
    """
    name = study or generate_uid()
    return (_image(name, number, rows) for number in range(1, count + 1))


def ct_slice(path: Path, number: int = 1, *, study: str = "study", rows: int = 64) -> Any:
    """Write slice `number` of a study to `path`, and return its Dataset; the same arguments write the same bytes."""
    image = _image(study, number, rows)
    image.save_as(path, enforce_file_format=True)
    return image


def ct_series(folder: Path, count: int, *, study: str = "study", rows: int = 64) -> list[Path]:
    """Write `count` slices of one study into the folder; return their paths in order."""
    paths = [folder / f"{study}-{number}.dcm" for number in range(1, count + 1)]
    for number, path in enumerate(paths, start=1):
        ct_slice(path, number, study=study, rows=rows)
    return paths


def _image(study: str, number: int, rows: int) -> Any:
    image = Dataset()
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = _uid(study, str(number))
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.StudyDate = image.SeriesDate = image.ContentDate = "20240102"
    image.StudyTime = image.SeriesTime = image.ContentTime = "030405"
    image.AccessionNumber = "A1"
    image.Modality = "CT"
    image.Manufacturer = "dicomgate demo"
    image.ReferringPhysicianName = ""
    image.PatientName = "Phantom^Round"
    image.PatientID = "DEMO"
    image.PatientBirthDate = ""
    image.PatientSex = "O"
    image.PatientPosition = "HFS"
    image.StudyInstanceUID = _uid(study)
    image.SeriesInstanceUID = _uid(study, "series")
    image.FrameOfReferenceUID = _uid(study, "frame")
    image.PositionReferenceIndicator = ""
    image.StudyID = "1"
    image.SeriesNumber = image.AcquisitionNumber = 1
    image.InstanceNumber = image.SliceLocation = number
    image.KVP = 120
    image.SliceThickness = 1
    image.PixelSpacing = [1, 1]
    image.ImagePositionPatient = [-rows / 2, -rows / 2, number]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows = image.Columns = rows
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 0
    image.RescaleIntercept = _INTERCEPT
    image.RescaleSlope = 1
    image.WindowCenter, image.WindowWidth = 0, 2000
    phantom = _phantom(rows)
    offset = 2 * _STEP * number % len(phantom)
    image.PixelData = phantom[offset:] + phantom[:offset]
    image["PixelData"].VR = "OW"
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def _uid(*names: str) -> UID:
    return generate_uid(entropy_srcs=["dicomgate", *names])


@cache
def _phantom(side: int) -> bytes:
    """Pixels of a disc of water in a ring of bone in air; by runs of equal pixels, which is quick enough as it is."""
    air, water, bone = ((value - _INTERCEPT).to_bytes(2, "little") for value in (_AIR, _WATER, _BONE))
    rows = []
    for row in range(side):
        outer, inner = (_half_width(int(radius * side), row - side // 2) for radius in (_SKULL, _BRAIN))
        edge, ring = air * (side // 2 - outer), bone * (outer - inner)
        rows.append(edge + ring + water * (2 * inner) + ring + edge)
    return b"".join(rows)


def _half_width(radius: int, row: int) -> int:
    """Half of the pixels that a centred disc has in this row."""
    return isqrt(max(radius**2 - row**2, 0))
