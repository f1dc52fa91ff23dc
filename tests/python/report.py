"""Makes a measurement report (PS3.16 TID 1500) about an image: one length, drawn on it.

Usage: report.py IMAGE OUT. The report belongs to the study of the image.
"""

import sys

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
# What Cornerstone's tools write, so that viewers made of them can go on measuring.
TOOL = "Cornerstone3DTools@^0.1.0:Length"


def item(**elements):
    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def code(value, scheme, meaning):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def content(relation, kind, name=None, **elements):
    made = item(RelationshipType=relation, ValueType=kind, **elements)
    if name:
        made.ConceptNameCodeSequence = [name]
    return made


def group(image, points, length):
    """A measurement group: what was measured, by which tool, and where."""
    reference = item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)
    shown = content("SELECTED FROM", "IMAGE", ReferencedSOPSequence=[reference])
    line = content("INFERRED FROM", "SCOORD", GraphicType="POLYLINE", GraphicData=points, ContentSequence=[shown])
    measured = item(NumericValue=length, MeasurementUnitsCodeSequence=[code("mm", "UCUM", "millimeter")])
    number = content("CONTAINS", "NUM", code("410668003", "SCT", "Length"), MeasuredValueSequence=[measured], ContentSequence=[line])
    tool = content("HAS OBS CONTEXT", "TEXT", code("112039", "DCM", "Tracking Identifier"), TextValue=TOOL)
    uid = content("HAS OBS CONTEXT", "UIDREF", code("112040", "DCM", "Tracking Unique Identifier"), UID=f"{image.StudyInstanceUID}.7.1")
    return content(
        "CONTAINS", "CONTAINER", code("125007", "DCM", "Measurement Group"), ContinuityOfContent="SEPARATE", ContentSequence=[tool, uid, number]
    )


def report(image):
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = COMPREHENSIVE_SR
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = f"{image.StudyInstanceUID}.7.2"
    for name in ("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime"):
        if name in image:
            setattr(made, name, image[name].value)
    made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = f"{image.StudyInstanceUID}.7", 70, 1
    made.Modality, made.SeriesDescription = "SR", "Measurements"
    made.ContentDate, made.ContentTime = "20260101", "120000"
    made.CompletionFlag, made.VerificationFlag = "COMPLETE", "UNVERIFIED"
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [code("126000", "DCM", "Imaging Measurement Report")]
    made.ContentTemplateSequence = [item(MappingResource="DCMR", TemplateIdentifier="1500")]
    reference = item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)
    series = item(SeriesInstanceUID=image.SeriesInstanceUID, ReferencedSOPSequence=[reference])
    made.CurrentRequestedProcedureEvidenceSequence = [item(StudyInstanceUID=image.StudyInstanceUID, ReferencedSeriesSequence=[series])]
    language = content(
        "HAS CONCEPT MOD",
        "CODE",
        code("121049", "DCM", "Language of Content Item and Descendants"),
        ConceptCodeSequence=[code("eng", "RFC5646", "English")],
    )
    right, bottom = image.Columns - 1, image.Rows - 1
    points = [right * 0.25, bottom * 0.25, right * 0.75, bottom * 0.7]
    measurements = content(
        "CONTAINS", "CONTAINER", code("126010", "DCM", "Imaging Measurements"), ContinuityOfContent="SEPARATE", ContentSequence=[group(image, points, "42.5")]
    )
    made.ContentSequence = [language, measurements]
    return made


def main(image, out):
    report(pydicom.dcmread(image, stop_before_pixels=True)).save_as(out, enforce_file_format=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
