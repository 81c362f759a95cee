"""A real archive, and the portal's own account of it."""

import pytest

from diagnosis.models import PacsPeer
from diagnosis.pacs import dimse_archive
from ml.phantom import phantom_dicom
from tests.harness.orthanc import AE_TITLE, Orthanc

SMALL = {"rows": 96, "columns": 90}


def dicom(seed: int = 1, **options) -> bytes:
    said = {
        "patient_id": "MRN-1",
        "patient_name": "Example^Ana",
        "study_instance_uid": "1.2.3.1",
        "accession_number": "ACC-1",
        "study_date": "20200402",
    }
    return phantom_dicom(seed, **SMALL, **{**said, **options})


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch):
    """A machine that is short of time is no archive that does not answer."""
    for name in ("CONNECT_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(dimse_archive, name, 60)


@pytest.fixture
def filled(orthanc: Orthanc) -> Orthanc:
    """Two images of one study of Ana Example, and a study of somebody else."""
    orthanc.store(dicom(1))
    orthanc.store(dicom(2))
    orthanc.store(
        dicom(
            3,
            patient_id="MRN-2",
            patient_name="Yamada^Tarou=山田^太郎",
            study_instance_uid="1.2.3.2",
            accession_number="ACC-2",
            study_date="20210115",
        )
    )
    return orthanc


@pytest.fixture(params=["dicomweb", "c_get"])
def archive(request, site, doctor, filled) -> PacsPeer:
    """The archive by each of the protocols that bring the objects to whoever asks."""
    return make_archive(request.param, site, doctor, filled)


@pytest.fixture
def moving(site, doctor, filled, listen, settings) -> PacsPeer:
    """The archive that sends by C-MOVE, to a listener of this test that it knows by title, host and port."""
    archive = make_archive("c_move", site, doctor, filled)
    archive.may_send, archive.networks = True, "127.0.0.1"
    archive.save()
    settings.CXR_DICOM_PORT = listen().port
    filled.know_modality("portal", settings.CXR_DICOM_AE_TITLE, settings.CXR_DICOM_PORT)
    return archive


def make_archive(kind, site, account, orthanc) -> PacsPeer:
    protocol = (
        {"query_protocol": "dicomweb", "dicomweb_url": orthanc.dicomweb_url}
        if kind == "dicomweb"
        else {
            "query_protocol": "dimse",
            "ae_title": AE_TITLE,
            "host": "127.0.0.1",
            "port": orthanc.dicom_port,
            "retrieve_method": kind,
        }
    )
    return PacsPeer.objects.create(site=site, name="Archive", account=account, **protocol)
