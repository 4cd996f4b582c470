"""Synthetic CT images: a round phantom that wanders from slice to slice (PS3.3 A.3, CT Image IOD)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from math import isqrt
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIDE = 512  # rows and columns, of two bytes each: half a mebibyte
_STEP = 4  # columns that the phantom wanders from one slice to the next
_INTERCEPT = -1024
_AIR, _WATER, _BONE = -1000, 0, 1000  # Hounsfield units
_SKULL, _BRAIN = 200, 180  # radii in pixels


def ct_series(count: int) -> Iterator[Any]:
    """Make `count` slices of one new series, each a Dataset with the file meta information that names its encoding."""
    phantom = _phantom()
    common = _common()
    for number in range(1, count + 1):
        image = Dataset()
        image.update(common)
        image.SOPInstanceUID = generate_uid()
        image.InstanceNumber = number
        image.SliceLocation = number
        image.ImagePositionPatient = [-SIDE / 2, -SIDE / 2, number]
        offset = 2 * _STEP * number % len(phantom)
        image.PixelData = phantom[offset:] + phantom[:offset]
        image["PixelData"].VR = "OW"
        image.file_meta = FileMetaDataset()
        image.file_meta.MediaStorageSOPClassUID = CTImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        yield image


def _common() -> Any:
    """What all images of a series share."""
    now = datetime.now().astimezone()
    image = Dataset()
    image.SOPClassUID = CTImageStorage
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.StudyDate = image.SeriesDate = image.ContentDate = now.strftime("%Y%m%d")
    image.StudyTime = image.SeriesTime = image.ContentTime = now.strftime("%H%M%S")
    image.AccessionNumber = ""
    image.Modality = "CT"
    image.Manufacturer = "dicomgate demo"
    image.ReferringPhysicianName = ""
    image.PatientName = "Phantom^Round"
    image.PatientID = "DEMO"
    image.PatientBirthDate = ""
    image.PatientSex = "O"
    image.PatientPosition = "HFS"
    image.StudyInstanceUID = generate_uid()
    image.SeriesInstanceUID = generate_uid()
    image.FrameOfReferenceUID = generate_uid()
    image.PositionReferenceIndicator = ""
    image.StudyID = "1"
    image.SeriesNumber = 1
    image.AcquisitionNumber = 1
    image.KVP = 120
    image.SliceThickness = 1
    image.PixelSpacing = [1, 1]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows = image.Columns = SIDE
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 0
    image.RescaleIntercept = _INTERCEPT
    image.RescaleSlope = 1
    image.WindowCenter, image.WindowWidth = 0, 2000
    return image


def _phantom() -> bytes:
    """Pixels of a disc of water in a ring of bone in air; by runs of equal pixels, which is quick enough as it is."""
    air, water, bone = ((value - _INTERCEPT).to_bytes(2, "little") for value in (_AIR, _WATER, _BONE))
    rows = []
    for row in range(SIDE):
        outer, inner = _half_width(_SKULL, row), _half_width(_BRAIN, row)
        side, ring = air * (SIDE // 2 - outer), bone * (outer - inner)
        rows.append(side + ring + water * (2 * inner) + ring + side)
    return b"".join(rows)


def _half_width(radius: int, row: int) -> int:
    """Half of the pixels that a centred disc has in this row."""
    return isqrt(max(radius**2 - (row - SIDE // 2) ** 2, 0))
