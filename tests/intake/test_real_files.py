"""Real films, cut and with bytes changed: stored whole or refused with the reason, the decoder alive."""

import functools
import os

import numpy as np
import pytest

from diagnosis.intake.decoder import examine_apart, processes
from diagnosis.models import DecodeCrash
from diagnosis.services.studies import FileOutcome
from ml.imaging import REFUSALS
from tests.intake.test_bad_input import (
    MOST_MEMORY,
    examined_or_code,
    flipped,
    is_refused_cleanly,
    nothing_is_stored,
    peak_memory,
)
from tests.intake.test_rules import described_as
from tests.ml.imaging.files import QUIET, real_file

pytestmark = QUIET

FILMS = {
    "a DX in JPEG 2000": "dicom/RG1_J2KI.dcm",
    "a CR in JPEG": "dicom/rsna-*.dcm",
    "a JPEG of a detector": "chest_xray/test/NORMAL/*.jpeg",
    "a JPEG out of a paper": "covid-chestxray-dataset/images/*.jpg",
}
#: How often each is damaged anew; ``make try-corrupt`` says 1,000.
FLIPS = int(os.environ.get("CXR_FLIPS", "6"))
EACH = 50


@functools.cache
def film(name: str) -> bytes:
    return real_file(FILMS[name]).read_bytes()


def changed_at(content: bytes, seed: int, count: int) -> bytes:
    random = np.random.default_rng(seed)
    changed = np.frombuffer(content, dtype=np.uint8).copy()
    changed[random.integers(0, len(content), count)] ^= random.integers(1, 256, count, dtype=np.uint8)
    return changed.tobytes()


@pytest.mark.parametrize("name", FILMS)
def test_whole_it_is_stored(receive, name):
    assert receive(film(name), described=described_as("M-1")).outcome is FileOutcome.STORED


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("name", FILMS)
def test_cut_short_it_is_refused(receive, stored_files, name, share):
    content = film(name)
    receipt = receive(content[: int(len(content) * share)], described=described_as("M-1"))
    assert is_refused_cleanly(receipt), receipt
    assert nothing_is_stored(stored_files)


@pytest.mark.parametrize("first", range(0, FLIPS, EACH))
@pytest.mark.parametrize("name", FILMS)
def test_with_a_few_bytes_changed_it_ends_no_decoder(name, first):
    """Seeded: what fails once fails always."""
    with processes.one() as process:
        before = process.pid
    for seed in range(first, min(first + EACH, FLIPS)):
        examiner = functools.partial(examine_apart, render=seed % 4 == 0)
        result = examined_or_code(flipped(film(name), seed), examiner)
        assert not isinstance(result, str) or result in REFUSALS
    assert before
    assert peak_memory() < MOST_MEMORY


@pytest.mark.parametrize("name", FILMS)
def test_with_a_thousand_bytes_changed_it_leaves_nothing_half_stored(receive, stored_files, name):
    receipt = receive(changed_at(film(name), 7, 1000), described=described_as("M-1"))
    assert receipt.code != "technical_error", receipt.reason
    if receipt.outcome is FileOutcome.REFUSED:
        assert is_refused_cleanly(receipt)
        assert nothing_is_stored(stored_files)
    else:
        assert receipt.outcome in (FileOutcome.STORED, FileOutcome.HELD)
    assert not DecodeCrash.objects.exists()
