"""The main job over REST through the production processes: nginx, gunicorn, a Celery worker, PostgreSQL, Redis."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from pydicom.uid import JPEG2000Lossless

from ml.phantom import phantom_dicom, phantom_png
from tests.harness.portal import ProductionPortal, until

pytestmark = pytest.mark.xdist_group("production")

PASSWORD = "a long and random passphrase"
PEOPLE = {
    "doctor": "doctor",
    "radiologist": "radiologist",
    "second_radiologist": "radiologist",
    "admin": "admin",
}
MAKE_PEOPLE = f"""
from diagnosis.models import Site, User
from diagnosis.services.accounts import membership_set, system_user
# Another test may have made the site, with the protocol that hides from readers what is asked for here.
site, _ = Site.objects.update_or_create(name="Saint Example", defaults={{"reading_protocol": "concurrent"}})
for username, role in {PEOPLE!r}.items():
    user, created = User.objects.get_or_create(username=username)
    if created:
        user.set_password({PASSWORD!r})
        user.save()
        membership_set(actor=system_user(), user=user, site=site, role=role)
"""


class Caller:
    """One person with a token of the API."""

    def __init__(self, production: ProductionPortal, username: str) -> None:
        self.base = f"{production.url}/api/v1"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(production.certificate)
        answer = self.post("/auth/token/", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        self.session.headers["Authorization"] = f"Token {answer.json()['token']}"

    def get(self, path: str) -> Any:
        answer = self.session.get(self.base + path, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> requests.Response:
        return self.session.post(self.base + path, timeout=30, **body)


@pytest.fixture(scope="module")
def caller(production: ProductionPortal) -> Callable[[str], Caller]:
    production.manage("shell", "-c", MAKE_PEOPLE)
    return lambda username: Caller(production, username)


def upload(caller: Caller, *files: tuple[str, bytes], **fields: str) -> list[dict[str, Any]]:
    answer = caller.post("/uploads/", files=[("files", file) for file in files], data=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["results"]


def analysed(caller: Caller, study_id: str) -> dict[str, Any]:
    until(
        lambda: not caller.get(f"/studies/{study_id}/")["second_opinion"]["is_pending"], "the second opinion"
    )
    study = caller.get(f"/studies/{study_id}/")
    assert study["second_opinion"]["possible_labels"], study
    return study


def agreement(opinion: dict[str, Any]) -> dict[str, str]:
    """A read that agrees with whatever the network said of a drawing: it may be unsure, and then there is nothing to
    confirm."""
    possible = [entry["code"] for entry in opinion["possible_labels"]]
    decision = {"decision": "confirm"} if len(possible) == 1 else {"decision": "decide", "label": possible[0]}
    return {**decision, "opinion_token": opinion["token"]}


def test_the_main_job_runs_through_the_production_processes(production, caller):
    doctor, radiologist = caller("doctor"), caller("radiologist")
    dicom = phantom_dicom(
        501, rows=512, columns=480, photometric="MONOCHROME1", transfer_syntax=JPEG2000Lossless,
        patient_id="PROD-1", patient_name="Yamada^Hanako=山田^花子",
    )  # fmt: skip
    stored, refused = upload(doctor, ("chest.dcm", dicom), ("letter.dcm", b"not an image"))
    assert (stored["status"], refused["status"]) == ("stored", "refused")
    study = analysed(doctor, stored["study"])
    assert study["patient"]["person_name"] == "Yamada^Hanako=山田^花子"
    scores = study["images"][0]["prediction"]["scores"]
    assert sum(score["probability"] for score in scores) == pytest.approx(1, abs=1e-5)

    collected = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).isoformat()
    pcr = doctor.post(
        f"/patients/{stored['patient']}/lab-results/", json={"result": "detected", "collected_at": collected}
    )
    assert pcr.status_code == 201, pcr.text

    opinion = study["second_opinion"]
    possible = {entry["code"] for entry in opinion["possible_labels"]}
    other = next(score["code"] for score in scores if score["code"] not in possible)
    signed = radiologist.post(
        f"/studies/{stored['study']}/reviews/",
        json={
            "decision": "override", "label": other, "reason": "positioning", "note": "Rotated.",
            "opinion_token": opinion["token"],
        },
    )  # fmt: skip
    assert signed.status_code == 201, signed.text
    assert [review["label"] for review in doctor.get(f"/studies/{stored['study']}/reviews/")["results"]] == [
        other
    ]

    audit = production.manage(
        "shell", "-c",
        "from diagnosis.models import AuditEvent; from diagnosis.services.audit import first_broken_event; "
        "print(first_broken_event(), *AuditEvent.objects.filter(patient__mrn='PROD-1').order_by('seq')"
        ".values_list('action', flat=True))",
    ).split()  # fmt: skip
    actions = audit[audit.index("None") + 1 :]
    expected = [
        "patient_created",
        "study_created",
        "image_stored",
        "analysis_done",
        "lab_result_added",
        "review_signed",
    ]
    assert [action for action in actions if action in expected] == expected


def test_of_two_radiologists_who_sign_at_the_same_moment_one_gets_a_conflict(caller):
    doctor = caller("doctor")
    readers = [caller("radiologist"), caller("second_radiologist")]
    for seed in range(3):
        [stored] = upload(
            doctor,
            ("chest.png", phantom_png(600 + seed, rows=256, columns=256)),
            mrn=f"RACE-{seed}",
            person_name="Race^Runner",
        )
        read = agreement(analysed(doctor, stored["study"])["second_opinion"])

        def sign(
            reader: Caller, path: str = f"/studies/{stored['study']}/reviews/", read: dict[str, str] = read
        ) -> int:
            return reader.post(path, json=read).status_code

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(sign, readers)) == [201, 409]
        assert len(doctor.get(f"/studies/{stored['study']}/reviews/")["results"]) == 1


def test_the_same_file_sent_twenty_times_at_once_is_stored_once(caller):
    doctor = caller("doctor")
    content = phantom_png(700, rows=256, columns=256)

    def send(_: int) -> str:
        answer = doctor.post(
            "/uploads/",
            files=[("files", ("same.png", content))],
            data={"mrn": "SAME-1", "person_name": "Same^Person"},
        )
        return answer.json()["results"][0]["status"]

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(send, range(20)))
    assert outcomes.count("stored") == 1
    assert outcomes.count("duplicate") == 19


@pytest.fixture(scope="module")
def signed_read(caller: Callable[[str], Caller]) -> None:
    """There is a read to be changed, whichever test runs first."""
    doctor = caller("doctor")
    picture = ("chest.png", phantom_png(800, rows=256, columns=256))
    [stored] = upload(doctor, picture, mrn="SIGNED-1", person_name="Signed^Read")
    read = agreement(analysed(doctor, stored["study"])["second_opinion"])
    answer = caller("radiologist").post(f"/studies/{stored['study']}/reviews/", json=read)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("model", ["AuditEvent", "Review"])
@pytest.mark.parametrize("change", ["update(**{model._meta.pk.name: F('pk')})", "_raw_delete('default')"])
def test_postgresql_refuses_to_change_audit_events_and_signed_reads(production, signed_read, model, change):
    output = production.manage(
        "shell", "-c",
        "from django.db import DatabaseError\n"
        "from django.db.models import F\n"
        f"from diagnosis.models import {model} as model\n"
        "try:\n"
        f"    print('CHANGED', model.objects.all().{change})\n"
        "except DatabaseError as error:\n"
        "    print('REFUSED', error)\n",
    )  # fmt: skip
    assert "REFUSED" in output
    assert "never changed or deleted" in output
