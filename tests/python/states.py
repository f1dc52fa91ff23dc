"""Presentation states: made with pydicom, and compared with what numpy makes of them from the text of the standard.

    states.py make FOLDER        writes image.dcm, colour.dcm and NAME.state.dcm for each state
    states.py compare FOLDER     reads NAME.png for each, prints a line of the mean absolute difference each, and counts
"""

import os
import sys

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.1000.77"
ROWS, COLUMNS = 80, 96
LIMIT = 1.5
CLASS = "1.2.840.10008.5.1.4.1.1"


def begin(sop_class, number):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{ROOT}.{number}"
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PatientName, ds.PatientID, ds.StudyDate, ds.StudyTime = "State^Test", "ST1", "20240131", "101500"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2" if number < 20 else f"{ROOT}.3"
    ds.Modality, ds.InstanceNumber = ("OT" if number < 20 else "PR"), number
    return ds


def grey():
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return (x * 37 + y * 11).astype(np.uint16)


def colour():
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return np.stack([x * 2, y * 3, (x + y) % 200], axis=-1).astype(np.uint8)


def image(number, pixels):
    ds = begin(f"{CLASS}.7", number)
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    ds.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    bits = pixels.itemsize * 8
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit, ds.PixelRepresentation = bits - 1, 0
    ds.PixelData = pixels.tobytes()
    return ds


def item(**attributes):
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def state(number, of, sop_class=f"{CLASS}.11.1", window=True, **attributes):
    ds = begin(sop_class, number)
    ds.update(item(**attributes))
    reference = item(ReferencedSOPClassUID=f"{CLASS}.7", ReferencedSOPInstanceUID=f"{ROOT}.{of}")
    ds.ReferencedSeriesSequence = [item(SeriesInstanceUID=f"{ROOT}.2", ReferencedImageSequence=[reference])]
    if window:
        ds.SoftcopyVOILUTSequence = [item(WindowCenter=2000, WindowWidth=3000)]
    return ds


def windowed():
    """The window of the states, 0 to 1 (PS3.3 C.11.2.1.2.1)."""
    return np.clip((grey() - 1999.5) / 2999 + 0.5, 0, 1)


def levels(shades):
    return np.floor(np.clip(shades, 0, 1) * 255 + 0.5).astype(np.uint8)


def places():
    y, x = np.mgrid[1 : ROWS + 1, 1 : COLUMNS + 1]
    return x, y


def round_and_square():
    x, y = places()
    inside = (x > 10) & (x < 90) & (y > 5) & (y < 70) & (np.hypot(x - 50, y - 40) <= 35)
    return np.where(inside, levels(windowed()), 117)  # 30069 / 257


PENTAGON = [(5, 48), (30, 90), (75, 70), (75, 20), (30, 6)]  # row and column


def five_corners():
    x, y = places()
    inside = np.ones((ROWS, COLUMNS), bool)
    for (ar, ac), (br, bc) in zip(PENTAGON, PENTAGON[1:] + PENTAGON[:1]):
        inside &= (bc - ac) * (y - ar) - (br - ar) * (x - ac) > 0
    shut = np.where(inside, levels(windowed()), 0)
    return np.rot90(shut, -1)[:, ::-1]


def dots():
    x, y = places()
    return (x + 2 * y) % 7 == 0


def through_bitmap():
    return np.where(dots(), 200, levels(windowed()))  # 51400 / 257


def rainbow():
    at = np.arange(256)
    return [at * 257, np.abs(at - 128) * 500, (255 - at) * 257]


def pseudo():
    at = np.floor(windowed() * 255 + 0.5).astype(int)
    return levels(np.stack([channel[at] / 65535 for channel in rainbow()], axis=-1))


def table():
    return (4095 * (np.arange(512) / 511) ** 2 + 0.5).astype(int)


def through_table():
    return levels(table()[np.floor(windowed() * 511 + 0.5).astype(int)] / 4095)


def red_outside():
    x, y = places()
    inside = (x > 20) & (x < 60) & (y > 10) & (y < 50)
    return np.where(inside[..., None], colour(), np.array([255, 0, 0], np.uint8))


def lab(light, a, b):
    return [round(light * 655.35), round((a + 128) * 257), round((b + 128) * 257)]


def shutter(*shapes, **attributes):
    return {"ShutterShape": list(shapes), **attributes}


EDGES = {
    "ShutterLeftVerticalEdge": 10,
    "ShutterRightVerticalEdge": 90,
    "ShutterUpperHorizontalEdge": 5,
    "ShutterLowerHorizontalEdge": 70,
}


def made():
    """Every state with the picture that it makes, by name."""
    round_one = shutter("RECTANGULAR", "CIRCULAR", **EDGES, CenterOfCircularShutter=[40, 50], RadiusOfCircularShutter=35)
    corners = shutter("POLYGONAL", VerticesOfThePolygonalShutter=[n for pair in PENTAGON for n in pair])
    bitmap = state(22, 1, **shutter("BITMAP", ShutterOverlayGroup=0x6002, ShutterPresentationValue=51400))
    packed = np.packbits(dots().ravel(), bitorder="little").tobytes()
    for element, vr, value in [(0x10, "US", ROWS), (0x11, "US", COLUMNS), (0x40, "CS", "G"), (0x50, "SS", [1, 1]),
                               (0x100, "US", 1), (0x102, "US", 0), (0x3000, "OW", packed)]:
        bitmap.add_new((0x6002, element), vr, value)
    palette = state(23, 1, f"{CLASS}.11.3")
    for color, channel in zip(("Red", "Green", "Blue"), rainbow()):
        setattr(palette, f"{color}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(palette, f"{color}PaletteColorLookupTableData", np.minimum(channel, 65535).astype("<u2").tobytes())
    steps = item(LUTDescriptor=[512, 0, 12])
    steps.add_new("LUTData", "OW", table().astype("<u2").tobytes())
    edges = dict(zip(EDGES, (20, 60, 10, 50)))
    red = shutter("RECTANGULAR", **edges, ShutterPresentationColorCIELabValue=lab(54.29, 80.81, 69.89))
    return {
        "round": (state(20, 1, **round_one, ShutterPresentationValue=30069), round_and_square),
        "corners": (state(21, 1, **corners, ImageRotation=90, ImageHorizontalFlip="Y"), five_corners),
        "bitmap": (bitmap, through_bitmap),
        "pseudo": (palette, pseudo),
        "table": (state(24, 1, PresentationLUTSequence=[steps]), through_table),
        "red": (state(25, 2, f"{CLASS}.11.2", window=False, **red), red_outside),
        "texts": (texts(), None),
    }


def texts():
    """Figures and texts in the colours of their layers: for somebody who looks."""
    layers = [
        item(GraphicLayer="NOTES", GraphicLayerOrder=1, GraphicLayerRecommendedDisplayCIELabValue=lab(97.6, -15.7, 93.3)),
        item(GraphicLayer="MARKS", GraphicLayerOrder=2, GraphicLayerRecommendedDisplayGrayscaleValue=40000),
    ]
    text = item(UnformattedTextValue="T12 あ\r\n5.3 mm", BoundingBoxAnnotationUnits="PIXEL", AnchorPointAnnotationUnits="PIXEL",
                BoundingBoxTopLeftHandCorner=[4, 60], BoundingBoxBottomRightHandCorner=[60, 78],
                BoundingBoxTextHorizontalJustification="LEFT", AnchorPoint=[70, 30], AnchorPointVisibility="Y")
    corner = item(UnformattedTextValue="L", AnchorPointAnnotationUnits="DISPLAY", AnchorPoint=[0.8, 0.05], AnchorPointVisibility="N")
    figure = item(GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=4, GraphicType="ELLIPSE",
                  GraphicData=[60, 30, 80, 30, 70, 25, 70, 35], GraphicFilled="Y")
    notes = item(GraphicLayer="NOTES", TextObjectSequence=[text, corner])
    marks = item(GraphicLayer="MARKS", GraphicObjectSequence=[figure])
    return state(26, 1, GraphicLayerSequence=layers, GraphicAnnotationSequence=[marks, notes], ImageRotation=90,
                 ImageHorizontalFlip="N", SpecificCharacterSet="ISO_IR 192")


def main():
    task, folder = sys.argv[1:]
    states = made()
    if task == "make":
        files = {"image": image(1, grey()), "colour": image(2, colour())}
        files |= {f"{name}.state": ds for name, (ds, _) in states.items()}
        for name, ds in files.items():
            ds.save_as(os.path.join(folder, f"{name}.dcm"), enforce_file_format=True)
        return
    within = 0
    compared = {name: picture for name, (_, picture) in states.items() if picture}
    for name, picture in compared.items():
        theirs, ours = np.asarray(Image.open(os.path.join(folder, f"{name}.png"))), picture()
        if theirs.shape != ours.shape:
            print(f"shapes {theirs.shape} {ours.shape} {name}")
            continue
        difference = np.abs(theirs.astype(int) - ours.astype(int)).mean()
        within += difference <= LIMIT
        print(f"{difference:.3f} {name}")
    print(f"compared {len(compared)}, within {within}")


main()
