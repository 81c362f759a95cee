"""Searching a real archive and fetching from it, by both protocols."""

import datetime as dt
import subprocess

import numpy as np
import pytest

from diagnosis.errors import NotPossible
from diagnosis.models import AuditEvent, Image, OutboxMessage, PacsPeer, PacsRetrieval
from diagnosis.pacs.archive import ArchiveUnavailable, StudyQuery
from diagnosis.policies import NotAllowed
from diagnosis.services.pacs import (
    TIME_LIMIT_SECONDS,
    pacs_retrieval_request,
    pacs_retrieval_run,
    pacs_retrievals_requeue_stale,
    pacs_search,
)
from ml.imaging import load_image
from tests.harness.binaries import require
from tests.harness.orthanc import AE_TITLE
from tests.harness.portal import until
from tests.harness.processes import free_port
from tests.pacs.conftest import dicom, make_archive

pytestmark = pytest.mark.xdist_group("orthanc")


def findscu(orthanc, **keys) -> int:
    """How many studies DCMTK's own program finds."""
    command = [require("findscu"), "-v", "-S", "-aec", AE_TITLE, "127.0.0.1", str(orthanc.dicom_port)]
    for keyword, value in {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", **keys}.items():
        command += ["-k", f"{keyword}={value}"]
    result = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=True,
        timeout=60,
    )
    return result.stdout.count("(Pending)")


def fetched(study_instance_uid, *, from_archive, by):
    """The retrieval of a study, asked for and run to its end."""
    retrieval = pacs_retrieval_request(actor=by, peer=from_archive, study_instance_uid=study_instance_uid)
    pacs_retrieval_run(retrieval_id=str(retrieval.pk))
    retrieval.refresh_from_db()
    return retrieval


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"patient_id": "MRN-1"}, {"1.2.3.1"}),
        ({"patient_name": "Yamada*"}, {"1.2.3.2"}),
        ({"accession_number": "ACC-2"}, {"1.2.3.2"}),
        ({"date_from": dt.date(2020, 4, 2), "date_to": dt.date(2020, 4, 2)}, {"1.2.3.1"}),
        ({"date_from": dt.date(2020, 12, 31)}, {"1.2.3.2"}),
        ({"date_to": dt.date(2020, 12, 31)}, {"1.2.3.1"}),
        ({"patient_id": "NOBODY"}, set()),
    ],
    ids=str,
)
def test_a_search_finds_what_dcmtk_finds(archive, filled, doctor, query, found):
    asked = StudyQuery(**query)
    studies = pacs_search(actor=doctor, peer=archive, query=asked)
    assert {study.study_instance_uid for study in studies} == found
    assert findscu(filled, **asked.keys) == len(found)


def test_a_study_is_described_as_the_archive_has_it(archive, doctor):
    [study] = pacs_search(actor=doctor, peer=archive, query=StudyQuery(patient_id="MRN-2"))
    assert study.patient_name == "Yamada^Tarou=山田^太郎"
    assert study.study_date == dt.date(2021, 1, 15)
    assert study.modalities == "CR"
    assert study.accession_number == "ACC-2"


def test_a_search_is_on_record_with_what_was_asked(archive, doctor):
    pacs_search(actor=doctor, peer=archive, query=StudyQuery(patient_id="MRN-1"))
    event = AuditEvent.objects.get(action="pacs_searched")
    assert (event.actor, event.site, event.details) == (doctor, archive.site, {"query": "PatientID=MRN-1"})


def test_a_study_is_fetched_into_the_record(archive, doctor):
    retrieval = pacs_retrieval_request(actor=doctor, peer=archive, study_instance_uid="1.2.3.1")
    assert OutboxMessage.objects.filter(
        task="diagnosis.tasks.retrieve_study", kwargs={"retrieval_id": str(retrieval.pk)}
    ).exists()
    pacs_retrieval_run(retrieval_id=str(retrieval.pk))
    retrieval.refresh_from_db()
    assert (retrieval.status, retrieval.outcomes) == ("done", {"stored": 2}), retrieval.reason
    images = Image.objects.filter(study__study_instance_uid="1.2.3.1")
    assert {(image.road, image.site, image.uploaded_by) for image in images} == {
        ("retrieve", archive.site, doctor)
    }
    shown = sorted(float(load_image(image.file.read()).pixels.sum()) for image in images)
    np.testing.assert_allclose(
        shown, sorted(float(load_image(dicom(seed)).pixels.sum()) for seed in (1, 2)), rtol=1e-6
    )
    assert AuditEvent.objects.get(action="pacs_retrieved").details == {"study_instance_uid": "1.2.3.1"}


def test_fetching_again_stores_nothing_twice(archive, doctor):
    for expected in ({"stored": 2}, {"duplicate": 2}):
        retrieval = fetched("1.2.3.1", from_archive=archive, by=doctor)
        assert (retrieval.status, retrieval.outcomes) == ("done", expected), retrieval.reason
    assert Image.objects.count() == 2


def test_a_study_that_the_archive_does_not_hold_is_said_so(archive, doctor):
    retrieval = fetched("1.2.3.99", from_archive=archive, by=doctor)
    assert retrieval.status == "failed"
    assert retrieval.reason
    assert not Image.objects.exists()


def test_an_archive_that_is_down_is_said_so(archive, doctor):
    port = free_port()
    PacsPeer.objects.filter(pk=archive.pk).update(dicomweb_url=f"http://127.0.0.1:{port}", port=port)
    archive.refresh_from_db()
    with pytest.raises(ArchiveUnavailable, match="does not answer"):
        pacs_search(actor=doctor, peer=archive, query=StudyQuery(patient_id="MRN-1"))
    retrieval = fetched("1.2.3.1", from_archive=archive, by=doctor)
    assert retrieval.status == "failed"
    assert "does not answer" in retrieval.reason


def test_an_archive_that_does_not_know_the_portal_is_said_so(site, doctor, filled):
    archive = make_archive("c_get", site, doctor, filled)
    archive.ae_title = "SOMEBODY"
    said = []

    def says_so() -> bool:
        # On a busy machine the connection may be gone before its rejection was read.
        with pytest.raises(ArchiveUnavailable) as unavailable:
            pacs_search(actor=doctor, peer=archive, query=StudyQuery(patient_id="MRN-1"))
        said.append(str(unavailable.value))
        return "does not know this portal" in said[-1]

    until(says_so, "the sentence that the archive does not know this portal", seconds=60)
    assert {"does not answer" in sentence for sentence in said[:-1]} <= {True}


def test_by_c_move_nothing_is_asked_for_without_a_listener_that_it_could_be_sent_to(site, doctor, filled):
    archive = make_archive("c_move", site, doctor, filled)
    retrieval = fetched("1.2.3.1", from_archive=archive, by=doctor)
    assert retrieval.status == "failed"
    assert "DICOM listener" in retrieval.reason


# C-MOVE: the objects come to the listener, over an association that the archive opens


def test_by_c_move_a_study_comes_through_the_listener_into_the_record(moving, doctor):
    retrieval = fetched("1.2.3.1", from_archive=moving, by=doctor)
    assert (retrieval.status, retrieval.outcomes) == ("done", {"sent": 2}), retrieval.reason
    images = Image.objects.filter(study__study_instance_uid="1.2.3.1")
    assert {(image.road, image.site, image.uploaded_by) for image in images} == {
        ("c_store", moving.site, moving.account)
    }
    shown = sorted(float(load_image(image.file.read()).pixels.sum()) for image in images)
    np.testing.assert_allclose(
        shown, sorted(float(load_image(dicom(seed)).pixels.sum()) for seed in (1, 2)), rtol=1e-6
    )
    assert AuditEvent.objects.get(action="pacs_retrieved").actor == doctor
    assert not Image.objects.exclude(study__study_instance_uid="1.2.3.1").exists()


def test_by_c_move_fetching_again_stores_nothing_twice(moving, doctor):
    for _ in range(2):
        retrieval = fetched("1.2.3.1", from_archive=moving, by=doctor)
        assert (retrieval.status, retrieval.outcomes) == ("done", {"sent": 2}), retrieval.reason
    assert Image.objects.count() == 2


@pytest.mark.parametrize("unknown", ["portal", "archive"])
def test_by_c_move_where_the_one_does_not_know_the_other_nothing_is_stored_and_it_is_said_so(
    moving, doctor, filled, unknown
):
    if unknown == "portal":
        filled.forget_modality("portal")
    else:
        PacsPeer.objects.filter(pk=moving.pk).update(may_send=False)
    retrieval = fetched("1.2.3.1", from_archive=moving, by=doctor)
    assert retrieval.status == "failed"
    assert "It sent nothing" in retrieval.reason
    assert "must know the AE title, the address and the port" in retrieval.reason
    assert not Image.objects.exists()


def test_what_is_asked_and_answered_is_in_no_log(moving, doctor, caplog):
    with caplog.at_level("DEBUG", logger="pynetdicom"):
        pacs_search(actor=doctor, peer=moving, query=StudyQuery(patient_name="Example*", patient_id="MRN-1"))
        fetched("1.2.3.1", from_archive=moving, by=doctor)
    assert caplog.records
    for said in ("Example", "MRN-1", "1.2.3.1"):
        assert said not in caplog.text


def test_by_c_move_a_study_that_the_archive_does_not_hold_is_said_so(moving, doctor):
    retrieval = fetched("1.2.3.99", from_archive=moving, by=doctor)
    assert retrieval.status == "failed"
    assert retrieval.reason


def test_the_secret_of_an_archive_comes_from_the_environment_alone(site, doctor, filled):
    archive = make_archive("dicomweb", site, doctor, filled)
    archive.secret_name = "CXR_PACS_NOWHERE"
    with pytest.raises(ArchiveUnavailable, match="CXR_PACS_NOWHERE"):
        pacs_search(actor=doctor, peer=archive, query=StudyQuery(patient_id="MRN-1"))


@pytest.mark.django_db
class TestWithoutAnArchive:
    """What is decided before any archive is asked."""

    @pytest.fixture
    def peer(self, site, doctor):
        return PacsPeer.objects.create(
            site=site,
            name="Archive",
            account=doctor,
            query_protocol="dicomweb",
            dicomweb_url="http://127.0.0.1:9",
        )

    def test_whoever_may_not_upload_may_not_look(self, peer, admin, outsider):
        for actor in (admin, outsider):
            with pytest.raises(NotAllowed):
                pacs_search(actor=actor, peer=peer, query=StudyQuery(patient_id="1"))
            with pytest.raises(NotAllowed):
                pacs_retrieval_request(actor=actor, peer=peer, study_instance_uid="1.2")

    def test_nobody_asks_for_everything(self, peer, doctor):
        with pytest.raises(NotPossible, match="Enter at least one"):
            pacs_search(actor=doctor, peer=peer, query=StudyQuery())

    def test_an_inactive_archive_is_not_asked(self, peer, doctor):
        peer.is_active = False
        with pytest.raises(NotPossible, match="not asked"):
            pacs_search(actor=doctor, peer=peer, query=StudyQuery(patient_id="1"))

    def test_a_study_on_its_way_is_not_fetched_twice(self, peer, doctor):
        first = pacs_retrieval_request(actor=doctor, peer=peer, study_instance_uid="1.2.3")
        assert pacs_retrieval_request(actor=doctor, peer=peer, study_instance_uid="1.2.3") == first
        assert PacsRetrieval.objects.count() == 1

    def test_a_retrieval_is_claimed_once(self, peer, doctor, monkeypatch):
        asked = []

        class Slow:
            def retrieve(self, uid, take):
                asked.append(uid)
                pacs_retrieval_run(retrieval_id=str(retrieval.pk))  # The same message again, meanwhile.
                return 0

        monkeypatch.setattr("diagnosis.services.pacs.archive_of", lambda peer: Slow())
        retrieval = pacs_retrieval_request(actor=doctor, peer=peer, study_instance_uid="1.2.3")
        pacs_retrieval_run(retrieval_id=str(retrieval.pk))
        assert asked == ["1.2.3"]

    def test_a_lost_retrieval_is_taken_up_again_and_fails_in_the_end(self, peer, doctor):
        retrieval = pacs_retrieval_request(actor=doctor, peer=peer, study_instance_uid="1.2.3")
        row = PacsRetrieval.objects.filter(pk=retrieval.pk)
        past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        row.update(status="running", attempts=1, lease_until=past)
        OutboxMessage.objects.all().delete()
        assert pacs_retrievals_requeue_stale() == 1
        assert OutboxMessage.objects.count() == 1
        row.update(attempts=3)
        pacs_retrievals_requeue_stale()
        retrieval.refresh_from_db()
        assert retrieval.status == "failed"
        assert "3 times" in retrieval.reason

    def test_a_running_retrieval_is_left_alone(self, peer, doctor):
        retrieval = pacs_retrieval_request(actor=doctor, peer=peer, study_instance_uid="1.2.3")
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=TIME_LIMIT_SECONDS)
        PacsRetrieval.objects.filter(pk=retrieval.pk).update(status="running", attempts=1, lease_until=soon)
        assert pacs_retrievals_requeue_stale() == 0

    def test_somebody_whose_role_has_ended_fetches_nothing_any_more(self, peer, doctor):
        retrieval = pacs_retrieval_request(actor=doctor, peer=peer, study_instance_uid="1.2.3")
        doctor.memberships.all().delete()
        pacs_retrieval_run(retrieval_id=str(retrieval.pk))
        retrieval.refresh_from_db()
        assert retrieval.status == "failed"
        assert "role" in retrieval.reason
