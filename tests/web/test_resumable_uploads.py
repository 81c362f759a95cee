"""A file in parts by the tus protocol: it goes on after a break, and reaches the intake once."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import json
import uuid
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from diagnosis.intake import archive as archive_module
from diagnosis.intake import resumable
from diagnosis.intake.pieces import Pieces
from diagnosis.intake.resumable import PIECE_BYTES, content_fingerprint, upload_examine, uploads_sweep
from diagnosis.models import AuditEvent, IncomingFile, OutboxMessage, ResumableUpload
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.tasks import examine_archive
from tests.web.files import dicom, png
from tests.web.pages import html, text

TUS = {"Tus-Resumable": "1.0.0"}
PART = "application/offset+octet-stream"
HALF = 700


def metadata(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def begin(client, site, length, *, name="chest.png", body=b"", headers=None, **said):
    return client.post(
        f"{reverse('web:parts')}?site={site.pk}",
        body,
        content_type=PART,
        headers={
            **TUS,
            "Upload-Length": str(length),
            "Upload-Metadata": metadata(filename=name, **said),
            **(headers or {}),
        },
    )


def send(client, address, offset, data, **headers):
    return client.patch(
        address, data, content_type=PART, headers={**TUS, "Upload-Offset": str(offset), **headers}
    )


def offset_of(client, address):
    response = client.head(address, headers=TUS)
    return int(response["Upload-Offset"]) if response.status_code == 200 else response.status_code


def pieces() -> list[str]:
    if not default_storage.exists("pieces"):
        return []
    folders = default_storage.listdir("pieces")[0]
    return [name for folder in folders for name in default_storage.listdir(f"pieces/{folder}")[1]]


def expire_all():
    ResumableUpload.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))


@pytest.fixture
def doctor_at(browser, doctor):
    return browser(doctor)


@pytest.fixture
def half_sent(doctor_at, site):
    """The address of an upload of which the first half has arrived."""
    address = begin(doctor_at, site, len(png()), fingerprint=content_fingerprint(png()))["Location"]
    assert send(doctor_at, address, 0, png()[:HALF]).status_code == 204
    return address


def test_a_file_in_one_part_is_examined_at_once(doctor_at, site):
    response = begin(doctor_at, site, len(dicom()), name="chest.dcm", body=dicom())
    assert (response.status_code, response["X-Outcome"]) == (201, "waiting")
    assert int(response["Upload-Offset"]) == len(dicom())
    assert text(response) == "chest.dcm Waiting for your confirmation"
    waiting = IncomingFile.objects.get()
    assert waiting.sha256 == hashlib.sha256(dicom()).hexdigest()
    assert pieces() == []


def test_a_file_goes_on_where_it_was_interrupted(doctor_at, site, half_sent):
    assert offset_of(doctor_at, half_sent) == HALF
    response = send(doctor_at, half_sent, HALF, png()[HALF:])
    assert (response.status_code, response["X-Outcome"]) == (200, "waiting")
    assert int(response["Upload-Offset"]) == len(png())
    assert IncomingFile.objects.get().sha256 == hashlib.sha256(png()).hexdigest()
    assert pieces() == []


def test_the_last_part_sent_twice_is_examined_once(doctor_at, half_sent, monkeypatch):
    examined, receive = [], resumable.receive_file

    def counted(**given):
        examined.append(given)
        return receive(**given)

    monkeypatch.setattr(resumable, "receive_file", counted)
    first = send(doctor_at, half_sent, HALF, png()[HALF:])
    again = send(doctor_at, half_sent, HALF, png()[HALF:])
    assert (first.status_code, again.status_code) == (200, 409)
    # What a sender does who lost the answer: ask how far it is, then what became of it.
    assert offset_of(doctor_at, half_sent) == len(png())
    for _ in range(2):
        result = doctor_at.post(f"{half_sent}result/")
        assert (result.status_code, result["X-Outcome"]) == (200, "waiting")
        assert text(result) == text(first)
    assert len(examined) == 1
    assert IncomingFile.objects.count() == 1
    assert AuditEvent.objects.filter(action="file_received").count() == 1


def test_while_one_process_examines_no_other_does(doctor_at, half_sent, monkeypatch):
    seen = []

    def ask_meanwhile(**given):
        seen.append(doctor_at.post(f"{half_sent}result/"))
        return receive(**given)

    receive = resumable.receive_file
    monkeypatch.setattr(resumable, "receive_file", ask_meanwhile)
    assert send(doctor_at, half_sent, HALF, png()[HALF:]).status_code == 200
    [meanwhile] = seen
    assert (meanwhile.status_code, meanwhile["X-Outcome"]) == (202, "examining")
    assert (
        doctor_at.delete(half_sent, headers=TUS).status_code == 204
    )  # Over by now: only the answer is forgotten.
    assert IncomingFile.objects.count() == 1


def test_what_a_dying_process_left_is_examined_by_the_sweep(doctor_at, half_sent, monkeypatch):
    def die(**_):
        raise SystemExit

    monkeypatch.setattr(resumable, "receive_file", die)
    with pytest.raises(SystemExit):
        send(doctor_at, half_sent, HALF, png()[HALF:])
    monkeypatch.undo()
    assert uploads_sweep() == 0
    assert not IncomingFile.objects.exists()  # For all that is known it is still being examined.
    ResumableUpload.objects.update(examined_until=timezone.now() - dt.timedelta(seconds=1))
    uploads_sweep()
    assert IncomingFile.objects.get().sha256 == hashlib.sha256(png()).hexdigest()
    assert doctor_at.post(f"{half_sent}result/")["X-Outcome"] == "waiting"


@pytest.mark.parametrize("content", [b"", b"Dear colleague"], ids=["empty", "a letter"])
def test_a_refusal_says_why_and_the_bytes_are_gone(doctor_at, site, content):
    response = begin(doctor_at, site, len(content), name="letter.dcm", body=content)
    assert (response.status_code, response["X-Outcome"]) == (201, "refused")
    assert text(response).startswith("letter.dcm Refused ")
    assert AuditEvent.objects.get(action="file_refused")
    assert pieces() == []


def test_a_file_that_was_mixed_from_two_is_refused(doctor_at, site, half_sent):
    """Two files of one name, size and time, as CDs have them: the second half is another patient's."""
    response = send(doctor_at, half_sent, HALF, bytes(len(png()) - HALF))
    assert response["X-Outcome"] == "refused"
    assert "What arrived is not what was chosen" in text(response)
    assert not IncomingFile.objects.exists()


def test_a_part_with_a_wrong_checksum_is_not_taken(doctor_at, half_sent):
    wrong = "sha256 " + base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    response = send(doctor_at, half_sent, HALF, png()[HALF:], **{"Upload-Checksum": wrong})
    assert response.status_code == 460
    assert offset_of(doctor_at, half_sent) == HALF


def test_a_first_part_with_a_wrong_checksum_begins_nothing(doctor_at, site):
    wrong = {"Upload-Checksum": "sha256 " + base64.b64encode(bytes(32)).decode()}
    assert begin(doctor_at, site, len(png()), body=png(), headers=wrong).status_code == 460
    assert not ResumableUpload.objects.exists()


@pytest.mark.parametrize("offset", [0, HALF - 1, HALF + 1])
def test_a_part_for_another_place_is_not_taken(doctor_at, half_sent, offset):
    assert send(doctor_at, half_sent, offset, b"x").status_code == 409
    assert offset_of(doctor_at, half_sent) == HALF


def test_of_two_parts_for_the_same_place_one_counts(doctor_at, half_sent):
    upload, late = ResumableUpload.objects.get(), ResumableUpload.objects.get()
    first = resumable.piece_store(upload=upload, data=b"one")
    second = resumable.piece_store(upload=late, data=b"other")
    assert resumable.piece_count(upload=upload, name=first, size=3)
    assert not resumable.piece_count(upload=late, name=second, size=5)
    assert offset_of(doctor_at, half_sent) == HALF + 3
    assert len(pieces()) == 2


@pytest.mark.parametrize("method", ["head", "patch", "delete"])
@pytest.mark.parametrize("stranger", ["radiologist", "outsider", "admin"])
def test_somebody_elses_upload_is_not_found(browser, request, half_sent, method, stranger):
    client = browser(request.getfixturevalue(stranger))
    sent = {"content_type": PART} if method == "patch" else {}
    response = getattr(client, method)(half_sent, headers={**TUS, "Upload-Offset": str(HALF)}, **sent)
    assert response.status_code == 404
    assert client.post(f"{half_sent}result/").status_code == 404
    assert ResumableUpload.objects.get().offset == HALF


def test_who_has_lost_the_role_cannot_go_on(doctor_at, doctor, site, half_sent):
    doctor.memberships.all().delete()
    assert send(doctor_at, half_sent, HALF, png()[HALF:]).status_code == 404
    membership_set(actor=system_user(), user=doctor, site=site, role="admin")
    response = send(doctor_at, half_sent, HALF, png()[HALF:])
    assert response["X-Outcome"] == "refused"
    assert "does not allow you to upload" in text(response)
    assert not IncomingFile.objects.exists()


def test_an_upload_that_does_not_exist_is_not_found(doctor_at):
    assert offset_of(doctor_at, reverse("web:part", args=[uuid.uuid4()])) == 404


def test_an_administrator_begins_no_upload(browser, admin, site):
    assert begin(browser(admin), site, 10).status_code == 403
    assert AuditEvent.objects.get(action="access_denied").actor == admin


def test_nothing_begins_at_another_hospital(browser, outsider, site):
    assert begin(browser(outsider), site, 10).status_code == 404


def test_without_a_session_a_script_is_told_so(half_sent):
    assert send(Client(), half_sent, HALF, b"x").status_code == 401


def test_a_part_from_another_page_is_not_taken(doctor, half_sent):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(doctor)
    assert send(client, half_sent, HALF, b"x").status_code == 403
    assert client.delete(half_sent, headers=TUS).status_code == 403
    assert ResumableUpload.objects.get().offset == HALF


def test_a_file_over_the_limit_is_refused_before_a_byte_is_sent(doctor_at, site, settings):
    settings.CXR_MAX_UPLOAD_BYTES = 50_000
    response = begin(doctor_at, site, 50_001)
    assert response.status_code == 413
    assert not ResumableUpload.objects.exists()


def test_a_part_over_the_limit_is_not_taken(doctor_at, half_sent):
    assert send(doctor_at, half_sent, HALF, bytes(PIECE_BYTES + 1)).status_code == 413
    assert offset_of(doctor_at, half_sent) == HALF


def test_more_bytes_than_were_announced_are_not_taken(doctor_at, site, half_sent):
    assert send(doctor_at, half_sent, HALF, png()).status_code == 400
    assert offset_of(doctor_at, half_sent) == HALF
    assert begin(doctor_at, site, 10, body=bytes(11)).status_code == 400
    assert ResumableUpload.objects.count() == 1


def test_one_person_cannot_fill_the_disk_with_what_is_never_completed(
    doctor_at, browser, radiologist, site, settings
):
    settings.CXR_UNFINISHED_UPLOAD_BYTES = 1000
    assert begin(doctor_at, site, 600).status_code == 201
    response = begin(doctor_at, site, 401)
    assert response.status_code == 429
    assert "Complete those that were interrupted" in text(response)
    assert begin(doctor_at, site, 400).status_code == 201
    assert begin(browser(radiologist), site, 900).status_code == 201
    expire_all()
    assert begin(doctor_at, site, 900).status_code == 201


def test_an_expired_upload_is_gone_and_swept(doctor_at, half_sent):
    expire_all()
    assert offset_of(doctor_at, half_sent) == 410
    response = send(doctor_at, half_sent, HALF, png()[HALF:])
    assert response.status_code == 410
    assert "interrupted too long ago" in text(response)
    assert pieces()
    assert uploads_sweep() == 1
    assert pieces() == []
    assert offset_of(doctor_at, half_sent) == 404


def test_the_sweep_finds_bytes_that_have_no_row(doctor_at, half_sent, private_media):
    ResumableUpload.objects.all().delete()
    (private_media / "pieces" / "of somebody else").mkdir()
    assert len(pieces()) == 1
    assert uploads_sweep() == 0
    assert pieces() == []
    assert [folder.name for folder in (private_media / "pieces").iterdir()] == ["of somebody else"]


def test_the_sweep_leaves_what_can_go_on(doctor_at, half_sent):
    assert uploads_sweep() == 0
    assert send(doctor_at, half_sent, HALF, png()[HALF:])["X-Outcome"] == "waiting"


def test_an_upload_can_be_thrown_away(doctor_at, half_sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert doctor_at.delete(half_sent, headers=TUS).status_code == 204
    assert offset_of(doctor_at, half_sent) == 404
    assert pieces() == []


def test_the_server_says_what_it_can_do(doctor_at):
    response = doctor_at.options(reverse("web:parts"))
    assert response["Tus-Version"] == "1.0.0"
    assert set(response["Tus-Extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "termination",
        "checksum",
        "expiration",
    }


def test_an_upload_says_when_it_expires(doctor_at, site):
    assert "GMT" in begin(doctor_at, site, 10)["Upload-Expires"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Upload-Length": "x"},
        {"Upload-Length": "-1"},
        {"Upload-Length": ""},
        {"Upload-Length": "", "Upload-Defer-Length": "1"},
        {"Upload-Metadata": "filename %%%"},
        {"Upload-Metadata": "filename " + base64.b64encode(b"\xff\xfe").decode()},
        {"Upload-Concat": "partial"},
        {"Upload-Concat": "final;/parts/1"},
    ],
)
def test_what_is_no_upload_begins_nothing(doctor_at, site, headers):
    response = begin(doctor_at, site, 10, headers=headers)
    assert response.status_code == 400
    assert not ResumableUpload.objects.exists()


def test_another_version_of_the_protocol_is_not_spoken(doctor_at, site):
    assert begin(doctor_at, site, 10, headers={"Tus-Resumable": "0.2.2"}).status_code == 412


def test_the_name_of_a_file_is_in_no_log(doctor_at, site, caplog):
    caplog.set_level("INFO")
    begin(doctor_at, site, len(png()), name="Müller_Ana.png", body=png())
    begin(doctor_at, site, 10, name="Müller_Ana.png", headers={"Upload-Length": "x"})
    assert "ller_Ana" not in caplog.text
    assert base64.b64encode("Müller_Ana.png".encode()).decode() not in caplog.text


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1])
def test_the_fingerprint_is_the_digest_of_the_digests_of_the_parts(size):
    content = bytes(size)
    parts = [content[start : start + PIECE_BYTES] for start in range(0, size, PIECE_BYTES)]
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    assert content_fingerprint(content) == hashlib.sha256(digests).hexdigest()


def test_examining_what_is_gone_does_nothing(db):
    assert upload_examine(upload_id=uuid.uuid4()) is None


def archive(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as written:
        for name, content in files.items():
            written.writestr(name.replace("__", "/"), content)
    return packed.getvalue()


def run_archive_tasks() -> int:
    """Do what the worker does with the messages that wait for it; gives how many there were."""
    messages = OutboxMessage.objects.filter(task="diagnosis.tasks.examine_archive")
    sent = [dict(message.kwargs) for message in messages]
    messages.delete()
    for kwargs in sent:
        examine_archive(**kwargs)
    return len(sent)


@pytest.fixture
def sent_archive(doctor_at, site):
    """The address of an archive that has arrived: two pictures, one of them twice, a letter, an archive in the archive."""
    content = archive(
        A__IM1=png(1), B__IM1=png(2), C__IM1=png(1), letter=b"Dear colleague", inner=archive(x=png(3))
    )
    response = begin(doctor_at, site, len(content), name="night.zip", body=content)
    assert (response.status_code, response["X-Outcome"]) == (201, "examining")
    return response["Location"]


def test_an_archive_is_examined_by_a_worker_file_by_file(doctor_at, sent_archive):
    assert doctor_at.post(f"{sent_archive}result/")["X-Outcome"] == "examining"
    assert not IncomingFile.objects.exists()
    assert run_archive_tasks() == 1
    response = doctor_at.post(f"{sent_archive}result/")
    assert (response.status_code, response["X-Outcome"]) == (200, "refused")
    assert json.loads(response["X-Counts"]) == {"waiting": 3, "refused": 2}
    said = text(response)
    assert said.startswith("night.zip 2 refused 3 waiting for your confirmation 5 files of the archive")
    assert "B/IM1 Waiting for your confirmation" in said
    assert "C/IM1 Waiting for your confirmation This file is waiting for your confirmation already." in said
    assert "letter Refused" in said
    assert "inner Refused This is an archive inside an archive" in said
    assert IncomingFile.objects.count() == 2
    assert AuditEvent.objects.filter(action="file_refused").count() == 2
    assert pieces() == []


def test_a_message_that_comes_twice_examines_an_archive_once(sent_archive):
    kwargs = OutboxMessage.objects.get().kwargs
    assert run_archive_tasks() == 1
    events = AuditEvent.objects.count()
    examine_archive(**kwargs)
    assert AuditEvent.objects.count() == events


def test_a_long_archive_goes_on_in_another_task(doctor_at, sent_archive, monkeypatch):
    # Time for the first three files of each task.
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(resumable, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    rounds = 0
    while run_archive_tasks():
        rounds += 1
    assert rounds > 1
    response = doctor_at.post(f"{sent_archive}result/")
    assert json.loads(response["X-Counts"]) == {"waiting": 3, "refused": 2}
    assert AuditEvent.objects.filter(action="file_refused").count() == 2


def test_what_a_long_archive_has_behind_it_is_not_unpacked_again(doctor_at, sent_archive, monkeypatch):
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(resumable, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    unpacked, read = [], archive_module._read
    monkeypatch.setattr(
        archive_module,
        "_read",
        lambda zipped, entry, left: unpacked.append(entry.filename) or read(zipped, entry, left),
    )
    tasks = 0
    while run_archive_tasks():
        tasks += 1
    assert tasks > 1
    # A task that ends has looked at the file with which the next one begins.
    assert len(unpacked) == 5 + tasks - 1
    assert set(unpacked) == {"A/IM1", "B/IM1", "C/IM1", "letter", "inner"}


def test_an_archive_that_came_in_pieces_is_read_out_of_them(doctor_at, site):
    content = archive(**{f"{n}": png(n) for n in range(4)})
    address = begin(
        doctor_at, site, len(content), name="night.zip", fingerprint=content_fingerprint(content)
    )["Location"]
    for start in range(0, len(content), 3000):
        send(doctor_at, address, start, content[start : start + 3000])
    assert len(pieces()) > 4
    run_archive_tasks()
    assert json.loads(doctor_at.post(f"{address}result/")["X-Counts"]) == {"waiting": 4}
    assert {incoming.sha256 for incoming in IncomingFile.objects.all()} == {
        hashlib.sha256(png(n)).hexdigest() for n in range(4)
    }
    assert pieces() == []


def test_an_archive_that_was_damaged_on_the_way_is_refused_as_a_whole(doctor_at, site):
    content = archive(a=png(1), b=png(2))
    fingerprint = content_fingerprint(content[:-1] + b"x")
    address = begin(doctor_at, site, len(content), name="night.zip", body=content, fingerprint=fingerprint)[
        "Location"
    ]
    run_archive_tasks()
    response = doctor_at.post(f"{address}result/")
    assert json.loads(response["X-Counts"]) == {"refused": 1}
    assert "What arrived is not what was chosen" in text(response)
    assert not IncomingFile.objects.exists()


@pytest.mark.parametrize("seed", range(5))
def test_pieces_are_read_as_the_file_that_they_are(seed):
    random = np.random.default_rng(seed)
    whole = random.bytes(1000)
    starts = [0, *sorted({int(place) for place in random.integers(1, 1000, 6)})]
    ends = [*starts[1:], len(whole)]
    asked = []

    def read_piece(number):
        asked.append(number)
        return whole[starts[number] : ends[number]]

    file = Pieces(starts, len(whole), read_piece)
    assert file.readall() == whole
    assert asked == list(range(len(starts)))
    buffered = io.BufferedReader(file, 16)
    for _ in range(100):
        place, size = (int(number) for number in random.integers(0, 1100, 2))
        buffered.seek(place)
        assert buffered.read(size) == whole[place : place + size]
    assert file.seek(-10, io.SEEK_END) == 990
    assert file.seek(5, io.SEEK_CUR) == 995
    with pytest.raises(OSError, match="before the beginning"):
        file.seek(-1)


def test_a_piece_that_has_lost_its_end_is_no_end_of_the_file():
    file = Pieces([0, 4], 8, [b"four", b"fo"].__getitem__)
    with pytest.raises(OSError, match="shorter than it was"):
        file.readall()


def test_an_archive_whose_worker_died_goes_on_from_the_sweep(doctor_at, sent_archive, monkeypatch):
    count, receive = 0, resumable.receive_file

    def die_at_the_second(**given):
        nonlocal count
        count += 1
        if count == 2:
            raise SystemExit
        return receive(**given)

    monkeypatch.setattr(resumable, "receive_file", die_at_the_second)
    with pytest.raises(SystemExit):
        run_archive_tasks()
    response = doctor_at.post(f"{sent_archive}result/")
    assert (response["X-Outcome"], text(response)) == ("examining", "Being examined: 1 file so far")
    ResumableUpload.objects.update(examined_until=timezone.now() - dt.timedelta(seconds=1))
    uploads_sweep()
    assert run_archive_tasks() == 1
    assert json.loads(doctor_at.post(f"{sent_archive}result/")["X-Counts"]) == {"waiting": 3, "refused": 2}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (archive(), "The archive holds no file that could be an image"),
        (archive(a=png())[:-40], "The archive is damaged or incomplete"),
    ],
    ids=["empty", "cut"],
)
def test_an_archive_that_holds_nothing_is_refused_once(doctor_at, site, content, said):
    address = begin(doctor_at, site, len(content), name="night.zip", body=content)["Location"]
    run_archive_tasks()
    response = doctor_at.post(f"{address}result/")
    assert response["X-Outcome"] == "refused"
    assert text(response).startswith(f"night.zip Refused {said}")
    assert json.loads(response["X-Counts"]) == {"refused": 1}


def test_an_archive_may_be_larger_than_a_file(doctor_at, site, settings):
    settings.CXR_MAX_UPLOAD_BYTES, settings.CXR_ARCHIVE_MAX_BYTES = 50_000, 100_000
    assert begin(doctor_at, site, 50_001, name="CD.ZIP").status_code == 201
    assert begin(doctor_at, site, 100_001, name="CD.ZIP").status_code == 413
    assert begin(doctor_at, site, 50_001, name="chest.dcm").status_code == 413


def test_the_page_lists_what_can_go_on_and_what_nobody_was_told(
    doctor_at, browser, radiologist, half_sent, site
):
    page = html(doctor_at.get(reverse("web:home")))
    assert f'data-unfinished="{half_sent}" data-state="receiving"' in page
    assert f'data-fingerprint="{content_fingerprint(png())}"' in page
    assert half_sent not in html(browser(radiologist).get(reverse("web:home")))
    send(doctor_at, half_sent, HALF, png()[HALF:])
    assert half_sent not in html(doctor_at.get(reverse("web:home")))  # Told with the last part.
    ResumableUpload.objects.update(is_told=False)
    assert f'data-unfinished="{half_sent}" data-state="done"' in html(doctor_at.get(reverse("web:home")))
    doctor_at.post(f"{half_sent}result/")
    assert half_sent not in html(doctor_at.get(reverse("web:home")))


def test_an_expired_upload_is_listed_no_more(doctor_at, half_sent):
    expire_all()
    assert half_sent not in html(doctor_at.get(reverse("web:home")))


def test_a_picture_with_text_burnt_in_is_pointed_out(doctor_at, site):
    marked = dicom(elements={"BurnedInAnnotation": "YES"})
    begin(doctor_at, site, len(marked), name="chest.dcm", body=marked)
    assert "chest.dcm : The file says that text is burnt into the picture" in text(
        doctor_at.get(reverse("web:confirm"))
    )
