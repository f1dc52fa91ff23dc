"""Drives kura with the dicomweb-client of the Python world, as a script of a researcher would, and counts its calls.

Usage: client.py BASE TOKEN FOREIGN_TOKEN. Each call is one line; the last says how many passed. Exit code 1 if one did not.
"""

import sys
import traceback
import warnings

import numpy
import openjpeg
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

warnings.simplefilter("ignore")

ROOT = "1.2.826.0.1.3680043.10.1000"
NAME = "Yamada^Hanako=山田^花子=やまだ^はなこ"

calls = []


def call(name, ask):
    """Runs one call; what it asserts or raises fails it alone."""
    try:
        ask()
        calls.append(True)
        print(f"ok   {name}")
    except Exception:  # whatever the client raises is a failure of the call
        calls.append(False)
        print(f"FAIL {name}")
        traceback.print_exc(limit=-3, file=sys.stdout)


def refused(status, ask):
    """The call must fail with this status."""
    try:
        ask()
    except requests.HTTPError as error:
        found = error.response
        assert found.status_code == status, f"{found.status_code} {found.text}"
        return found
    raise AssertionError(f"no {status}")


def image(study, series, number, name=NAME, date="20240131", frames=1, syntax=ExplicitVRLittleEndian):
    """A CT image with a pattern of its own in its pixels."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    dataset.StudyInstanceUID = f"{ROOT}.{study}"
    dataset.SeriesInstanceUID = f"{ROOT}.{study}.{series}"
    dataset.StudyDate, dataset.StudyTime = date, "101500"
    dataset.Modality, dataset.AccessionNumber = ("CT", "MR")[series % 2], f"ACC{study}"
    dataset.StudyDescription = f"Study {study}"
    dataset.PatientName, dataset.PatientID = name, f"P{study}"
    dataset.PatientBirthDate, dataset.PatientSex = "19600102", "F"
    dataset.SeriesNumber, dataset.InstanceNumber = series, number
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SliceThickness = "1.25"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-D1100", "SRT", "頭部"
    dataset.ProcedureCodeSequence = [code]
    pixels = numpy.arange(frames * 32 * 48, dtype="<u2").reshape(frames, 32, 48) + number
    dataset.Rows, dataset.Columns = 32, 48
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.preamble = bytes(128)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


FIRST = image(1, 1, 1)
MANY = [image(2, series, number) for series in (1, 2) for number in (1, 2, 3)]
FRAMES = image(3, 1, 1, name="Smith^John", date="20230615", frames=3, syntax=ImplicitVRLittleEndian)
NAMED = [image(4, 1, number, name="Müller^Jürgen", date="20221224") for number in (1, 2)]


def path(dataset):
    """Study, series and instance UID, as the calls want them."""
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID


def uids(rows, keyword):
    """One UID of each result."""
    return [str(Dataset.from_json(row)[keyword].value) for row in rows]


def same(found, sent):
    """The data set came back with every value; the file meta information is the server's business."""
    assert found.to_json_dict() == sent.to_json_dict()


def stored(answer, datasets):
    """The answer names each instance and nothing failed."""
    expected = [dataset.SOPInstanceUID for dataset in datasets]
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == expected
    assert all(item.RetrieveURL for item in answer.ReferencedSOPSequence)
    assert "FailedSOPSequence" not in answer, answer


def store(client):
    call("store one", lambda: stored(client.store_instances([FIRST]), [FIRST]))
    call("store the same again", lambda: stored(client.store_instances([FIRST]), [FIRST]))
    call("store many", lambda: stored(client.store_instances(MANY), MANY))
    call("store frames in implicit", lambda: stored(client.store_instances([FRAMES]), [FRAMES]))
    into = NAMED[0].StudyInstanceUID
    call("store into a study", lambda: stored(client.store_instances(NAMED, into), NAMED))
    call("store into a wrong study", lambda: refused(409, lambda: client.store_instances([image(5, 1, 1)], into)))

    def mixed():
        answer = client.store_instances([image(4, 1, 3), image(6, 1, 1)], into)
        assert len(answer.ReferencedSOPSequence) == 1
        assert [item.FailureReason for item in answer.FailedSOPSequence] == [0xA900]

    call("store one that fits and one that does not", mixed)

    def changed():
        other = image(1, 1, 1, name="Other^Name")
        refused(409, lambda: client.store_instances([other]))

    call("store other content under a stored UID", changed)


def search(client):
    one, two, three, four = (f"{ROOT}.{study}" for study in (1, 2, 3, 4))

    def studies(name, expected, **query):
        def ask():
            found = uids(client.search_for_studies(**query), "StudyInstanceUID")
            assert sorted(found) == sorted(expected), found

        call(f"search studies {name}", ask)

    studies("all", [one, two, three, four])
    studies("by UID", [two], search_filters={"StudyInstanceUID": two})
    studies("by keyword", [one], search_filters={"PatientID": "P1"})
    studies("by tag", [one], search_filters={"00100020": "P1"})
    studies("by wildcard", [three], search_filters={"PatientName": "Sm?th^J*"})
    studies("in lower case", [three], search_filters={"PatientName": "smith^john"})
    studies("by kanji", [one, two], search_filters={"PatientName": "山田*"})
    studies("by kana", [one, two], search_filters={"PatientName": "やまだ*"})
    studies("without umlauts", [four], search_filters={"PatientName": "muller*"})
    studies("fuzzy", [three], fuzzymatching=True, search_filters={"PatientName": "john smith"})
    studies("by date", [three], search_filters={"StudyDate": "20230615"})
    studies("by a range of dates", [three, four], search_filters={"StudyDate": "20220101-20231231"})
    studies("from a date on", [one, two], search_filters={"StudyDate": "20240101-"})
    studies("by modality", [two], search_filters={"ModalitiesInStudy": "CT"})
    studies("that are none", [], search_filters={"PatientID": "nobody"})

    def pages():
        seen = []
        for offset in range(5):
            seen += uids(client.search_for_studies(limit=1, offset=offset), "StudyInstanceUID")
        whole = uids(client.search_for_studies(), "StudyInstanceUID")
        assert seen == whole and len(whole) == 4, seen

    call("search studies by page", pages)

    def remaining():
        found = client.search_for_instances(limit=2, get_remaining=True)
        assert len(found) == 11, len(found)

    call("search instances and all that remain", remaining)

    def fields():
        query = {"search_filters": {"PatientID": "P1"}}
        plain = client.search_for_studies(**query)[0]
        assert "00080062" not in plain
        shown = client.search_for_studies(fields=["00080062", "InstitutionName"], **query)[0]
        assert shown["00080062"]["Value"] == [CTImageStorage], shown
        name = Dataset.from_json(shown).PatientName
        assert (name.ideographic, name.phonetic) == ("山田^花子", "やまだ^はなこ")
        assert Dataset.from_json(shown).NumberOfStudyRelatedInstances == 1

    call("search studies with fields", fields)

    def counted(name, number, ask):
        def run():
            found = ask()
            assert len(found) == number, len(found)

        call(name, run)

    series = MANY[0].SeriesInstanceUID
    counted("search series", 5, client.search_for_series)
    counted("search series of a study", 2, lambda: client.search_for_series(two))
    modality = {"search_filters": {"Modality": "MR"}}
    counted("search series by modality", 1, lambda: client.search_for_series(two, **modality))
    counted("search series with a limit", 1, lambda: client.search_for_series(two, limit=1, offset=1))
    counted("search instances", 11, client.search_for_instances)
    counted("search instances of a study", 6, lambda: client.search_for_instances(two))
    counted("search instances of a series", 3, lambda: client.search_for_instances(two, series))
    number = {"search_filters": {"InstanceNumber": 2}}
    counted("search instances by number", 1, lambda: client.search_for_instances(two, series, **number))
    call("search series of an unknown study", lambda: refused(404, lambda: client.search_for_series(f"{ROOT}.9")))
    call("search with a bad date", lambda: refused(400, lambda: client.search_for_studies(search_filters={"StudyDate": "yesterday"})))


def metadata(client):
    def read(found, sent):
        found = Dataset.from_json(found)
        assert found.PatientName == sent.PatientName
        assert found.ProcedureCodeSequence[0].CodeMeaning == "頭部"
        for element in sent:
            if element.keyword not in ("PixelData", "SpecificCharacterSet"):
                assert found[element.tag].value == element.value, element
        assert "PixelData" in found

    call("metadata of an instance", lambda: read(client.retrieve_instance_metadata(*path(FIRST)), FIRST))
    call("metadata of frames", lambda: read(client.retrieve_instance_metadata(*path(FRAMES)), FRAMES))

    def several(rows, sent):
        rows = sorted(rows, key=lambda row: row["00080018"]["Value"][0])
        assert len(rows) == len(sent), len(rows)
        for found, one in zip(rows, sent):
            read(found, one)

    study, series, _ = path(MANY[0])
    call("metadata of a series", lambda: several(client.retrieve_series_metadata(study, series), MANY[:3]))
    call("metadata of a study", lambda: several(client.retrieve_study_metadata(study), MANY))


def instances(client):
    study, series, _ = path(MANY[0])
    first = [("application/dicom", ExplicitVRLittleEndian)]
    call("instance", lambda: same(client.retrieve_instance(*path(FIRST)), FIRST))
    call("instance in implicit", lambda: same(client.retrieve_instance(*path(FRAMES)), FRAMES))

    def converted():
        found = client.retrieve_instance(*path(FRAMES), media_types=tuple(first))
        assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        same(found, FRAMES)

    call("instance as explicit", converted)

    def several(found, sent):
        found = sorted(found, key=lambda dataset: dataset.SOPInstanceUID)
        assert len(found) == len(sent), len(found)
        for one, other in zip(found, sent):
            same(one, other)

    call("series", lambda: several(client.retrieve_series(study, series), MANY[:3]))
    call("series, one by one", lambda: several(client.iter_series(study, series), MANY[:3]))
    call("study", lambda: several(client.retrieve_study(study), MANY))
    call("study, one by one", lambda: several(client.iter_study(study), MANY))


def frames(client):
    size = 32 * 48 * 2
    cut = [FRAMES.PixelData[at * size : (at + 1) * size] for at in range(3)]

    def equal(found, numbers):
        assert list(found) == [cut[number - 1] for number in numbers]

    octets = {"media_types": ("application/octet-stream",)}
    get = client.retrieve_instance_frames
    call("frame", lambda: equal(get(*path(FRAMES), [1]), [1]))
    call("two frames", lambda: equal(get(*path(FRAMES), [1, 3]), [1, 3]))
    call("frames out of order", lambda: equal(get(*path(FRAMES), [3, 2]), [3, 2]))
    call("frame as octets", lambda: equal(get(*path(FRAMES), [2], **octets), [2]))
    both = {"media_types": (("image/jpeg", "1.2.840.10008.1.2.4.50"), "application/octet-stream")}
    call("frame as JPEG or octets", lambda: equal(get(*path(FRAMES), [2], **both), [2]))
    call("frames, one by one", lambda: equal(client.iter_instance_frames(*path(FRAMES), [1, 2]), [1, 2]))
    call("frame beyond the end", lambda: refused(404, lambda: get(*path(FRAMES), [4])))
    call("frames, one beyond the end", lambda: refused(404, lambda: get(*path(FRAMES), [1, 4])))
    jpeg_ls = {"media_types": (("image/jls", "1.2.840.10008.1.2.4.80"),)}

    def starts(found):
        # SOI and the SOF of JPEG-LS.
        assert [frame[:4] for frame in found] == [b"\xff\xd8\xff\xf7"], [frame[:4] for frame in found]

    call("frame as JPEG-LS", lambda: starts(get(*path(FRAMES), [1], **jpeg_ls)))
    jpeg_2000 = {"media_types": (("image/jp2", "1.2.840.10008.1.2.4.90"),)}

    def decoded(found):
        # OpenJPEG in C.
        assert [openjpeg.decode(frame).astype("<u2").tobytes() for frame in found] == [cut[0], cut[2]]

    call("frames as JPEG 2000", lambda: decoded(get(*path(FRAMES), [1, 3], **jpeg_2000)))
    lossy = {"media_types": (("image/jp2", "1.2.840.10008.1.2.4.91"),)}
    call("frame as something else", lambda: refused(406, lambda: get(*path(FRAMES), [1], **lossy)))


def bulk_data(client):
    uri = client.retrieve_instance_metadata(*path(FRAMES))["7FE00010"]["BulkDataURI"]
    octets = {"media_types": ("application/octet-stream",)}

    def whole(found):
        assert b"".join(found) == FRAMES.PixelData

    call("bulk data", lambda: whole(client.retrieve_bulkdata(uri)))
    call("bulk data as octets", lambda: whole(client.retrieve_bulkdata(uri, **octets)))
    call("bulk data, one by one", lambda: whole(client.iter_bulkdata(uri)))
    call("bulk data that is not there", lambda: refused(404, lambda: client.retrieve_bulkdata(f"{uri}/0/00100010")))


def refusals(client, foreign, nobody):
    study, series, instance = path(FIRST)
    unknown = f"{ROOT}.9"
    call("unknown study", lambda: refused(404, lambda: client.retrieve_study(unknown)))
    call("unknown metadata", lambda: refused(404, lambda: client.retrieve_study_metadata(unknown)))
    call("unknown instance", lambda: refused(404, lambda: client.retrieve_instance(study, series, unknown)))
    call("a study of another facility", lambda: refused(404, lambda: foreign.retrieve_study(study)))
    call("metadata of another facility", lambda: refused(404, lambda: foreign.retrieve_instance_metadata(study, series, instance)))

    def empty():
        assert foreign.search_for_studies() == []

    call("the list of another facility", empty)

    def asked(answer):
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), answer.headers

    call("search without a token", lambda: asked(refused(401, nobody.search_for_studies)))
    call("study without a token", lambda: asked(refused(401, lambda: nobody.retrieve_study(study))))
    call("store without a token", lambda: asked(refused(401, lambda: nobody.store_instances([FIRST]))))


def client(base, token):
    """A client as its manual sets one up; nothing is tried twice, since every status here is meant."""
    session = requests.Session()
    session.trust_env = False
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    made = DICOMwebClient(base, session=session)
    made.set_http_retry_params(retry=False)
    return made


def main(base, token, foreign):
    own = client(base, token)
    store(own)
    search(own)
    metadata(own)
    instances(own)
    frames(own)
    bulk_data(own)
    refusals(own, client(base, foreign), client(base, ""))
    print(f"calls {len(calls)}, passed {sum(calls)}")
    return 0 if all(calls) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
