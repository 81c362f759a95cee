"""Every file of the tests of Pillow, which wheels come without: ``make try-corrupt`` fetches its source and runs this.

Among them are those that once crashed Pillow, or made it take time or memory without end.
"""

import os
from pathlib import Path

import pytest

from diagnosis.models import DecodeCrash, HeldFile, Image
from diagnosis.services.studies import FileOutcome
from ml.imaging import REFUSALS
from tests.intake.test_bad_input import MOST_MEMORY, peak_memory
from tests.intake.test_rules import described_as

FOLDER = Path(os.environ["CXR_PILLOW_TESTS"])
FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file())
#: Files of one test: the tests' own work, a database and a storage for each, takes longer than a picture.
EACH = 25


def test_there_are_those_that_did_harm_once():
    assert len(FILES) > 1000
    for word in ("crash", "oom", "timeout"):
        assert any(word in name for name in FILES)


@pytest.mark.parametrize("first", range(0, len(FILES), EACH))
def test_it_is_stored_or_refused_with_its_reason(receive, stored_files, first):
    for name in FILES[first : first + EACH]:
        receipt = receive(FOLDER / name, name, described=described_as("M-1"))
        if receipt.outcome is FileOutcome.REFUSED:
            assert receipt.code in REFUSALS, (name, receipt.code)
            assert str(receipt.reason).endswith("."), name
        else:
            assert receipt.outcome in (FileOutcome.STORED, FileOutcome.DUPLICATE), (name, receipt)
    rows = list(Image.objects.all())
    assert sum(name.startswith("originals/") for name in stored_files()) == len(rows)
    assert not HeldFile.objects.exists()
    assert not DecodeCrash.objects.exists()
    assert peak_memory() < MOST_MEMORY
