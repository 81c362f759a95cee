"""A hospital that stores de-identified copies, and an archive from which a study is fetched."""

import pytest

from diagnosis.models import Image, Site
from diagnosis.services.pacs import pacs_retrieval_request, pacs_retrieval_run
from tests.canaries import STUDY_UID, canaries_in, planted
from tests.pacs.conftest import make_archive

pytestmark = pytest.mark.xdist_group("orthanc")


@pytest.mark.parametrize("kind", ["dicomweb", "c_get"])
def test_a_fetched_study_is_stored_as_de_identified_copies(kind, site, doctor, orthanc):
    Site.objects.filter(pk=site.pk).update(deidentification="stored_copy")
    orthanc.store(planted())
    archive = make_archive(kind, site, doctor, orthanc)
    retrieval = pacs_retrieval_request(actor=doctor, peer=archive, study_instance_uid=STUDY_UID)
    pacs_retrieval_run(retrieval_id=str(retrieval.pk))
    retrieval.refresh_from_db()
    image = Image.objects.get()
    assert image.is_deidentified
    assert image.study.study_instance_uid != STUDY_UID
    with image.file.open("rb") as file:
        assert canaries_in(file.read()) == []
