"""Small CT images, the same bytes each time they are asked for (PS3.3 A.3 without what no peer here looks at)."""

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid


def ct_slice(path: Path, number: int = 1, *, study: str = "study", patient: str = "P1", rows: int = 64) -> Dataset:
    """Write CT image `number` of a study to `path`, and return its data set.

    `study` is any name, from which the UIDs of study, series and instance follow; `rows` is the height and width in
    pixels of two bytes each, so 512 makes a data set of half a mebibyte.
    """
    image = Dataset()
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = _uid(study, str(number))
    image.StudyDate = "20240102"
    image.StudyTime = "030405"
    image.AccessionNumber = "A1"
    image.Modality = "CT"
    image.ReferringPhysicianName = ""
    image.PatientName = f"{patient}^Test"
    image.PatientID = patient
    image.PatientBirthDate = ""
    image.PatientSex = "O"
    image.StudyInstanceUID = _uid(study)
    image.SeriesInstanceUID = _uid(study, "series")
    image.StudyID = "1"
    image.SeriesNumber = 1
    image.InstanceNumber = number
    image.ImagePositionPatient = [0, 0, number]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows = image.Columns = rows
    image.PixelSpacing = [1, 1]
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 0
    image.PixelData = b"".join((column + number & 0xFFFF).to_bytes(2, "little") for column in range(rows)) * rows

    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.save_as(path, enforce_file_format=True)
    return image


def ct_series(folder: Path, count: int, *, study: str = "study", rows: int = 64) -> list[Path]:
    """Write `count` slices of one study into the folder; return their paths in order."""
    paths = [folder / f"{study}-{number}.dcm" for number in range(1, count + 1)]
    for number, path in enumerate(paths, start=1):
        ct_slice(path, number, study=study, rows=rows)
    return paths


def _uid(*names: str) -> UID:
    return generate_uid(entropy_srcs=["dicomgate", *names])
