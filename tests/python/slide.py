"""Reads regions of slides with wsidicom from a running kura and from the files on disk, which must be the same pixels.

Usage: slide.py BASE TOKEN FOLDER [FILE ...]

BASE is the DICOMweb root. The files are one slide, a level each, that is stored already. A second slide, of native tiles in four
levels, is made in FOLDER and stored here. Prints "regions N".
"""

import sys
from pathlib import Path

import numpy as np
import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from wsidicom import WsiDicom
from wsidicom.web import WsiDicomWebClient

SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
STUDY = "1.2.826.0.1.3680043.8.498.77"
TILE = 64
LEVELS = 4


class Web(WsiDicomWebClient):
    """The client gives native frames as a bytearray, which pydicom takes for a list of values."""

    def get_frames(self, *names):
        return map(bytes, super().get_frames(*names))


def item(**elements):
    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def code(value, scheme, meaning):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def picture(side):
    """A colour at each place that is found nowhere else around it."""
    rows, columns = np.mgrid[0:side, 0:side]
    planes = [columns * 7 + rows, rows * 5 ^ columns, (columns * rows) // 3]
    return np.stack([plane % 251 for plane in planes], axis=-1).astype(np.uint8)


def level(number):
    """One level of the slide, each half as wide as the one before."""
    side = 512 >> number
    uid = f"{STUDY}.1.{number + 1}"
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = SLIDE
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = uid
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, f"{STUDY}.1"
    made.FrameOfReferenceUID = f"{STUDY}.9"
    made.PatientName, made.PatientID = "Tanaka^Ichiro", "W1"
    made.Modality, made.SeriesNumber, made.InstanceNumber = "SM", 1, number + 1
    made.ImageType = ["ORIGINAL" if number == 0 else "DERIVED", "PRIMARY", "VOLUME", "NONE" if number == 0 else "RESAMPLED"]
    made.ContainerIdentifier = "C1"
    made.AcquisitionDateTime = "20260101120000"
    made.Rows = made.Columns = TILE
    made.TotalPixelMatrixRows = made.TotalPixelMatrixColumns = side
    made.ImagedVolumeWidth = made.ImagedVolumeHeight = 5.12
    made.ImagedVolumeDepth = 1.0
    made.TotalPixelMatrixFocalPlanes = made.NumberOfOpticalPaths = 1
    made.DimensionOrganizationType = "TILED_FULL"
    made.NumberOfFrames = (side // TILE) ** 2
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.LossyImageCompression, made.BurnedInAnnotation = "00", "NO"
    made.SpecimenLabelInImage, made.FocusMethod, made.ExtendedDepthOfField = "NO", "AUTO", "NO"
    made.VolumetricProperties = "VOLUME"
    made.ImageOrientationSlide = [0, 1, 0, 1, 0, 0]
    made.TotalPixelMatrixOriginSequence = Sequence([item(XOffsetInSlideCoordinateSystem=0, YOffsetInSlideCoordinateSystem=0)])
    measures = item(PixelSpacing=[5.12 / side, 5.12 / side], SliceThickness=1.0, SpacingBetweenSlices=1.0)
    made.SharedFunctionalGroupsSequence = Sequence([item(PixelMeasuresSequence=Sequence([measures]))])
    light = Sequence([code("111744", "DCM", "Brightfield illumination")])
    path = item(OpticalPathIdentifier="1", IlluminationTypeCodeSequence=light)
    made.OpticalPathSequence = Sequence([path])
    whole = picture(side)
    at = range(0, side, TILE)
    tiles = [whole[row : row + TILE, column : column + TILE].tobytes() for row in at for column in at]
    made.PixelData = b"".join(tiles)
    return made


def regions(of):
    """Regions of every level: inside of a tile, over several, at the edge."""
    for one in of.levels:
        width, height = one.size.width, one.size.height
        yield one.level, (3, 5), (20, 10)
        yield one.level, (width // 4 + 1, height // 4 - 1), (width // 2, height // 2)
        yield one.level, (width - 30, height - 40), (30, 40)


def compare(client, files):
    head = pydicom.dcmread(files[0], stop_before_pixels=True)
    # Else wsidicom asks for the first that it can read of those that the archive offers, lossy JPEG of native tiles too.
    stored = head.file_meta.TransferSyntaxUID
    count = 0
    with (
        WsiDicom.open(files) as disk,
        WsiDicom.open_web(client, head.StudyInstanceUID, head.SeriesInstanceUID, stored) as web,
    ):
        assert [one.size for one in web.levels] == [one.size for one in disk.levels], web
        assert len(web.levels) == len(files), web
        for number, at, size in regions(disk):
            expected = np.asarray(disk.read_region(at, number, size))
            found = np.asarray(web.read_region(at, number, size))
            assert found.shape == expected.shape and expected.std() > 1, (number, at, size)
            assert (found == expected).all(), (number, at, size)
            count += 1
        # By its size on the slide, from the level that fits.
        expected, found = (np.asarray(one.read_thumbnail((64, 64))) for one in (disk, web))
        assert (found == expected).all()
    return count + 1


def main(base, token, folder, *stored):
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {token}"
    client = DICOMwebClient(base, session=session)
    client.set_http_retry_params(retry=False)
    made = [level(number) for number in range(LEVELS)]
    files = []
    for dataset in made:
        files.append(Path(folder) / f"{dataset.InstanceNumber}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    client.store_instances(made)
    web = Web(client)
    count = compare(web, files)
    with WsiDicom.open_web(web, STUDY, f"{STUDY}.1", ExplicitVRLittleEndian) as slide:
        found = np.asarray(slide.read_region((100, 50), 0, (200, 300)))
        assert (found == picture(512)[50:350, 100:300]).all()
        count += 1
    if stored:
        count += compare(WsiDicomWebClient(client), stored)
    print(f"regions {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
