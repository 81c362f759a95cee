"""Files that no record names are removed after a grace time, and no other ever."""

import os
import time
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command

from diagnosis.intake.receive import receive_file
from diagnosis.intake.renderings import rendering_open
from diagnosis.intake.sweep import orphans_sweep
from diagnosis.models import AuditEvent
from diagnosis.services.accounts import system_user
from diagnosis.tasks import sweep_orphans
from tests.factories import PatientFactory
from tests.harness.scripts import run_script
from tests.web.files import dicom, png, uploaded


@pytest.fixture
def orphan(private_media: Path):
    def make(name: str, *, hours: float) -> Path:
        path = private_media / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left behind")
        age(path, hours)
        return path

    return make


def age(path: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


@pytest.mark.parametrize(
    "name", ["originals/ab", "previews/ab.jpg", "thumbnails/ab.jpg", "originals/.ab.part"]
)
def test_an_old_file_without_a_row_is_removed_and_a_new_one_stays(orphan, db, name):
    old, new = orphan(name, hours=25), orphan(f"{Path(name).parent}/new", hours=23)
    assert orphans_sweep(actor=system_user()) == 1
    assert not old.exists()
    assert new.exists()
    assert AuditEvent.objects.get(action="orphans_removed").details == {"removed": 1}


def test_what_a_killed_web_process_had_received_is_removed(db, settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    old, new = tmp_path / "tmpa.upload.dcm", tmp_path / "tmpb.upload.dcm"
    for path, hours in ((old, 25), (new, 23)):
        path.write_bytes(b"half of a file")
        age(path, hours)
    assert orphans_sweep(actor=system_user()) == 1
    assert (old.exists(), new.exists()) == (False, True)


def test_files_of_images_of_waiting_and_of_held_files_stay_however_old(
    receive, doctor, site, stored_files, private_media
):
    PatientFactory(site=site, mrn="MRN-1", person_name="Example^Ana", birth_date=None)
    looked_at = receive(dicom(1)).image
    rendering_open(looked_at.preview)
    receive(dicom(2, patient_name="Other^Olga"))
    receive_file(actor=doctor, site=site, upload=uploaded("a.png", png()))
    before = stored_files()
    assert len(before) == 7
    for name in before:
        age(private_media / name, 1000)
    assert sweep_orphans() == 0
    assert stored_files() == before
    assert not AuditEvent.objects.filter(action="orphans_removed").exists()


DIES_BEFORE_THE_ROW = """
import os, sys
from django.conf import settings
settings.MEDIA_ROOT = sys.argv[1]
from diagnosis.intake.examine import examine
from diagnosis.intake.receive import Arrival, kept
from diagnosis.limits import image_limits
from diagnosis.models import Road, Site, User
from tests.web.files import dicom
arrival = Arrival.of(actor=User(), site=Site(), name="chest.dcm", road=Road.STOW, content=dicom())
with kept(arrival, examine(arrival.content, image_limits())):
    os._exit(9)
"""


def test_what_a_killed_process_left_is_found(db, private_media, stored_files):
    """Killed between the file and the row: nothing tidies up."""
    killed = run_script(DIES_BEFORE_THE_ROW, str(private_media))
    assert killed.returncode == 9, killed.stderr
    left = stored_files()
    assert len(left) == 3
    for name in left:
        age(private_media / name, 25)
    assert orphans_sweep(actor=system_user()) == 3
    assert stored_files() == []


def test_the_command_says_how_many_it_removed(orphan, db, capsys):
    orphan("originals/ab", hours=30)
    call_command("sweep_orphans")
    assert "1 files removed." in capsys.readouterr().out


def test_nothing_stored_yet_is_nothing_to_sweep(db):
    assert orphans_sweep(actor=system_user()) == 0
    assert not default_storage.exists("originals")
