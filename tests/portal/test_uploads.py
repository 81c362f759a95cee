"""One file may not fill the disk; its neighbours in the same request arrive whole."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory


@pytest.fixture
def post(rf: RequestFactory, settings):
    settings.CXR_MAX_UPLOAD_BYTES = 100_000

    def _post(**files: bytes):
        uploads = {name: SimpleUploadedFile(f"{name}.png", content) for name, content in files.items()}
        return rf.post("/", uploads).FILES

    return _post


def test_a_file_within_the_limit_arrives_whole(post):
    content = bytes(range(256)) * 300

    assert post(chest=content)["chest"].read() == content


def test_a_file_over_the_limit_is_cut_just_behind_it_and_its_neighbours_are_whole(post):
    files = post(before=b"b" * 50_000, huge=b"h" * 5_000_000, after=b"a" * 50_000)

    assert files["before"].read() == b"b" * 50_000
    assert files["after"].read() == b"a" * 50_000
    # More than the limit, so that it is refused; by at most one chunk, so that the disk is safe.
    assert 100_000 < files["huge"].size <= 100_000 + 65_536


def test_a_file_of_exactly_the_limit_is_not_cut(post):
    assert post(chest=b"x" * 100_000)["chest"].size == 100_000
