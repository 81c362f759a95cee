"""The service seen by the reference client for DICOMweb, over a real connection."""

import numpy as np
import pytest
import requests

from tests.dicomweb.conftest import STUDY_UID, dicom, stored


@pytest.fixture
def images(study):
    return [stored(study, dicom(n)) for n in (1, 2)]


def test_the_client_finds_a_study_and_opens_it_like_a_viewer(peer, images):
    [found] = peer.search_for_studies(search_filters={"PatientID": "MRN-1"}, limit=10)
    study_uid = found["0020000D"]["Value"][0]
    [series] = peer.search_for_series(study_uid)
    series_uid = series["0020000E"]["Value"][0]
    metadata = peer.retrieve_series_metadata(study_uid, series_uid)
    assert len(metadata) == 2
    for one, image in zip(metadata, images, strict=True):
        instance_uid = one["00080018"]["Value"][0]
        [frame] = peer.retrieve_instance_frames(study_uid, series_uid, instance_uid, [1])
        ds = peer.retrieve_instance(study_uid, series_uid, instance_uid)
        assert instance_uid == ds.SOPInstanceUID == image.sop_instance_uid
        np.testing.assert_array_equal(np.frombuffer(frame, "<u2").reshape(40, 36), ds.pixel_array)


def test_the_client_retrieves_whole_studies_and_series(peer, images):
    assert {ds.SOPInstanceUID for ds in peer.retrieve_study(STUDY_UID)} == {
        image.sop_instance_uid for image in images
    }
    series = list(peer.iter_series(STUDY_UID, images[0].series_instance_uid))
    assert len(series) == 2
    assert len(peer.retrieve_study_metadata(STUDY_UID)) == 2
    assert len(peer.search_for_instances(STUDY_UID)) == 2


def test_the_client_gets_a_rendered_picture(peer, images):
    picture = peer.retrieve_instance_rendered(
        STUDY_UID, images[0].series_instance_uid, images[0].sop_instance_uid, media_types=("image/png",)
    )
    assert picture.startswith(b"\x89PNG")


def test_the_client_of_an_outsider_finds_and_opens_nothing(peer_of, outsider, images):
    peer = peer_of(outsider)
    assert peer.search_for_studies() == []
    with pytest.raises(requests.HTTPError) as error:
        peer.retrieve_study(STUDY_UID)
    assert error.value.response.status_code == 404
