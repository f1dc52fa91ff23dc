"""Drives kura with dicomtrolley, the download tool that searches over MINT, and counts its calls.

Usage: trolley.py MINT_ROOT TOKEN. The last line says how many calls passed. Exit code 1 if one did not.
"""

import datetime
import sys
import traceback
import warnings

warnings.simplefilter("ignore")

import requests
from dicomtrolley.core import Query, QueryLevels
from dicomtrolley.mint import Mint, MintQuery

root, token = sys.argv[1:]
session = requests.Session()
session.headers["Authorization"] = f"Bearer {token}"
client = Mint(session, root)
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


def find(**query):
    return list(client.find_studies(MintQuery(**query)))


def studies():
    found = list(client.find_studies(Query(PatientName="Yamada*")))
    assert {study.uid for study in found} == {"1.2.3.1", "1.2.4.1"}
    assert all(study.data.PatientID == "P1" for study in found)


def series():
    found = find(
        StudyInstanceUID="1.2.3.1",
        query_level=QueryLevels.SERIES,
        include_fields=["Modality", "StudyDate"],
        limit=1,
    )
    assert [one.data.Modality for one in found[0].series] == ["CT", "MR"]
    assert found[0].data.StudyDate == "20240131"


def instances():
    found = find(SeriesInstanceUID="1.2.3.1.1", query_level=QueryLevels.INSTANCE)
    numbers = [len(one.instances) for one in found[0].series]
    assert numbers == [2], numbers


def days():
    day = datetime.datetime(2024, 1, 31)
    assert len(find(min_study_date=day, max_study_date=day)) == 2
    before = day - datetime.timedelta(days=1)
    assert not find(min_study_date=before, max_study_date=before)


call("studies by name", studies)
call("series with attributes", series)
call("instances", instances)
call("days", days)
passed = sum(calls)
print(f"calls {len(calls)}, passed {passed}")
sys.exit(passed != len(calls))
