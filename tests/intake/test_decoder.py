"""A file that crashes, fills or stops a decoder ends one small process, and is held after the second time."""

import resource
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo

from diagnosis.intake import decoder
from diagnosis.intake.decoder import DecoderDied, examine_apart, processes, same_picture_apart
from diagnosis.intake.examine import examine
from diagnosis.limits import image_limits
from diagnosis.models import DecodeCrash, HeldFile, Image
from diagnosis.services.studies import FileOutcome
from ml.imaging import ImageRefused
from tests.harness.scripts import run_script
from tests.intake.test_rules import described_as
from tests.web.files import dicom, png


@pytest.fixture
def harmful(monkeypatch):
    """Decoders that do what a file tells them."""
    processes.end_all()
    monkeypatch.setattr(decoder, "PROGRAM", "tests.intake.harmful_decoder")
    yield lambda harm: marked(f"HARM:{harm}")
    processes.end_all()


def marked(text: str) -> bytes:
    info, file = PngInfo(), BytesIO()
    info.add_text("Comment", text)
    PillowImage.open(BytesIO(png())).save(file, format="PNG", pnginfo=info)
    return file.getvalue()


def decoder_pid() -> int:
    with processes.one() as process:
        return process.pid


@pytest.mark.parametrize("content", [dicom(), png()], ids=["DICOM", "PNG"])
def test_a_file_is_examined_apart_as_it_is_here(content):
    assert examine_apart(content) == examine(content, image_limits())


def test_a_refusal_comes_back_with_its_code_and_sentence():
    with pytest.raises(ImageRefused, match="0 bytes") as refused:
        examine_apart(b"")
    assert refused.value.code == "empty_file"


def test_pictures_are_compared_by_their_pixels():
    assert same_picture_apart(png(1), marked("other bytes, same picture"))
    assert not same_picture_apart(png(1), png(2))
    assert not same_picture_apart(png(1), b"no picture")


def test_one_process_serves_file_after_file_and_is_replaced_when_it_is_worn(monkeypatch):
    processes.end_all()
    first = decoder_pid()
    examine_apart(png())
    assert decoder_pid() == first
    monkeypatch.setattr(decoder, "PEAK_BYTES", 0)
    examine_apart(png())
    assert decoder_pid() != first


def test_the_process_knows_none_of_the_portals_secrets(harmful, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "canary")
    environment = Path(f"/proc/{decoder_pid()}/environ").read_bytes()
    assert b"SECRET_KEY" not in environment
    assert b"DATABASE_URL" not in environment


@pytest.mark.parametrize("harm", ["abort", "spin"])
def test_a_file_that_crashes_or_spins_ends_the_process_alone(harmful, settings, harm):
    settings.CXR_DECODE_SECONDS = 1
    with pytest.raises(DecoderDied):
        examine_apart(harmful(harm))
    assert examine_apart(png()).rows == 96


def test_a_file_that_waits_for_ever_is_ended_by_the_clock(harmful, settings, monkeypatch):
    settings.CXR_DECODE_SECONDS = 1
    monkeypatch.setattr(decoder, "WALL_FACTOR", 2)
    with pytest.raises(DecoderDied):
        examine_apart(harmful("sleep"))


def test_a_file_that_takes_memory_without_end_is_bounded(harmful, settings):
    settings.CXR_DECODE_MEMORY_BYTES = 600 * 2**20
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with pytest.raises(DecoderDied):
        examine_apart(harmful("grow"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    # Until it runs its own program a child counts what its parent, which ran other tests, holds.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after <= max(600 * 2**20, before * 1024, ours * 1024)


def test_the_process_writes_no_file(harmful, settings):
    with pytest.raises(DecoderDied):
        examine_apart(harmful("write"))
    left = Path(settings.BASE_DIR) / "harm.txt"
    size = left.stat().st_size if left.exists() else 0
    left.unlink(missing_ok=True)
    assert size == 0


def test_a_file_that_ends_the_decoder_twice_is_held_and_never_tried_again(
    harmful, receive, stored_files, monkeypatch
):
    content = harmful("abort")
    receipt = receive(content, "harm.png", described=described_as("MRN-1"))
    assert (receipt.outcome, receipt.code) == (FileOutcome.HELD, "killed_decoder")
    assert DecodeCrash.objects.get().count == 2
    held = HeldFile.objects.get()
    assert held.file.read() == content
    assert not held.is_shown
    assert len(stored_files()) == 1
    assert not Image.objects.exists()
    monkeypatch.setattr("diagnosis.intake.receive.examine_apart", None)  # Would raise if it were called.
    assert receive(content, "again.png").held == held
    HeldFile.objects.all().delete()
    assert receive(content, "third.png").code == "killed_decoder"


def test_a_file_that_ended_the_decoder_once_is_tried_again(harmful, receive, monkeypatch):
    real, calls = examine_apart, []

    def dies_once(content, **options):
        calls.append(content)
        if len(calls) == 1:
            raise DecoderDied
        return real(content, **options)

    monkeypatch.setattr("diagnosis.intake.receive.examine_apart", dies_once)
    assert receive(dicom()).outcome is FileOutcome.STORED
    assert DecodeCrash.objects.get().count == 1


def test_a_decoder_that_does_not_start_is_no_fault_of_the_file(receive, monkeypatch):
    processes.end_all()
    monkeypatch.setattr(decoder, "PROGRAM", "tests.intake.no_such_decoder")
    assert receive(dicom()).code == "technical_error"
    assert not DecodeCrash.objects.exists()
    monkeypatch.undo()
    assert receive(dicom()).outcome is FileOutcome.STORED


FORKS = """
import os
from diagnosis.intake.decoder import examine_apart, processes
from tests.intake.test_decoder import decoder_pid
from tests.web.files import png
examine_apart(png())
parents = decoder_pid()
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.write(writing, str(decoder_pid()).encode())
    processes.end_all()
    os._exit(0)
os.close(writing)
with os.fdopen(reading) as pipe:
    theirs = int(pipe.read())
os.waitpid(child, 0)
assert theirs != parents
assert decoder_pid() == parents
assert examine_apart(png()).rows == 96
processes.end_all()
"""


def test_a_forked_process_does_not_share_its_parents_decoders():
    """In a process of its own: a fork of this one, which has other threads, may come to a standstill."""
    forked = run_script(FORKS)
    assert forked.returncode == 0, forked.stderr


def test_the_largest_image_accepted_fits_into_the_memory_of_a_decoder(settings):
    file = BytesIO()
    PillowImage.new("I;16", (8000, 5000), 1000).save(file, format="PNG")
    processes.end_all()
    examined = examine_apart(file.getvalue())
    assert (examined.columns, examined.rows) == (8000, 5000)
