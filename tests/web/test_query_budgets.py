"""How often the worklist and the study page ask the database, and how much they send, whatever there is to show."""

import contextlib
import datetime as dt
import gzip
import itertools

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from diagnosis.models import (
    Claim,
    CriticalResult,
    Discrepancy,
    EscalationContact,
    OpinionReveal,
    ReportDraft,
    ReportText,
    SecondRead,
    SecondReadOpinion,
    Study,
)
from diagnosis.selectors.worklist import CHOICES, PAGE_SIZE, VIEWS
from diagnosis.services.case_rules import Facts
from tests.factories import (
    FirstReadFactory,
    ImageFactory,
    LabResultFactory,
    PatientFactory,
    PredictionFactory,
    ReportTextFactory,
    ReviewFactory,
    StudyFactory,
    SymptomNoteFactory,
    UserFactory,
)
from tests.web.conftest import HTMX

HOME = reverse("web:home")
MOST_ON_THE_WORKLIST, MOST_ON_THE_STUDY_PAGE = 12, 20
WORKLIST_BYTES, STUDY_PAGE_BYTES = 60_000, 250_000


@contextlib.contextmanager
def asked():
    """What the database is asked, without the borders of transactions."""
    statements = []

    def note(execute, sql, *arguments):
        if not sql.startswith(("SAVEPOINT", "RELEASE")):
            statements.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(note):
        yield statements


# The study page


def studies_of(patient, reader, count, images=2):
    """``count`` earlier studies with images, opinions and reads."""
    for number in range(count):
        study = StudyFactory(
            patient=patient, performed_at=timezone.now() - dt.timedelta(days=number + 1), status="read"
        )
        for _ in range(images):
            PredictionFactory(image=ImageFactory(study=study), done=True)
        ReviewFactory(study=study, reader=reader)


def _second_read(study, review, reader, **values):
    row = SecondRead.objects.create(study=study, review=review, cause_rank=0, **values)
    row.causes.create(kind="requested", asked_by=UserFactory())
    row.causes.create(kind="sampled", asked_by=UserFactory(), facts={"share_percent": 5})
    return row


def _in_hands(reader):
    now = timezone.now()
    return {"holder": reader, "held_since": now, "held_until": now + dt.timedelta(hours=1)}


def _everything(patient, reader, rows):
    """A case with ``rows`` of each thing that hangs on it; the study on which all of it stands, and its signed read."""
    site = patient.site
    studies_of(patient, reader, rows)
    for _ in range(rows):
        place = ReportText.objects.count()
        ReportTextFactory(site=site, code=f"t{place}", block="Since {previous}, {age}.")
        site.critical_findings.create(code=f"f{place}", display=f"Finding {place}")
        EscalationContact.objects.create(site=site, position=place, user=UserFactory())
        SymptomNoteFactory(patient=patient).symptoms.create(code="49727002", severity="mild")
    study = StudyFactory(patient=patient, status="to_read", submitted_by=UserFactory())
    for _ in range(rows):
        PredictionFactory(image=ImageFactory(study=study), done=True)
    first_read = FirstReadFactory(study=study, reader=reader, revealed=True)
    review = ReviewFactory(study=study, reader=reader, first_read=first_read)
    ReportDraft.objects.create(study=study, author=reader, findings="Clear lungs.", saved_at=timezone.now())
    for number in range(rows):
        lab_result = LabResultFactory(patient=patient, result="not_detected")
        facts = Facts(reader="covid19", reader_name="COVID-19", pcr="not_detected").as_json()
        late = Discrepancy.objects.create(
            review=review,
            lab_result=lab_result,
            verdict="contradicts",
            rule="pcr_negative_reader_covid",
            facts=facts,
        )
        late.moves.create(before="open", after="acknowledged", actor=UserFactory())
        critical = CriticalResult.objects.create(
            study=study,
            finding_code=f"f{number}",
            finding_display=f"Finding {number}",
            found_at=timezone.now(),
            flagged_by=UserFactory(),
            escalate_at=timezone.now(),
        )
        critical.communications.create(told_by=reader, told_to="Ward", told_at=timezone.now(), method="phone")
        critical.escalations.create(step=0, contact=UserFactory(), escalated_at=timezone.now())
    return study, review


def with_second_read(state, *, holder="", opinions=()):
    def made(study, review, people):
        study.status = "read"
        held = _in_hands(people[holder]) if holder else {}
        row = _second_read(study, review, people["second"], state=state, **held)
        for role, label in opinions:
            first_read = FirstReadFactory(study=study, reader=UserFactory())
            SecondReadOpinion.objects.create(
                second_read=row,
                role=role,
                reader=UserFactory(),
                label=label,
                label_display=label,
                confidence="likely",
                first_read=first_read,
            )

    return made


def opened_again(study, review, people):
    """Read, and then an image came: it is to be read anew, and its second read is still open."""
    with_second_read("waiting")(study, review, people)
    study.status = "to_read"
    PredictionFactory(image=ImageFactory(study=study), done=True)


def signed(study, review, people):
    study.status = "read"


STATES = {
    "signed": signed,
    "a second read waits": with_second_read("waiting"),
    "being read second": with_second_read("taken", holder="second"),
    "to be adjudicated": with_second_read("to_adjudicate", opinions=[("second", "normal")]),
    "being adjudicated": with_second_read("adjudicating", holder="third", opinions=[("second", "normal")]),
    "adjudicated": with_second_read(
        "adjudicated", opinions=[("second", "normal"), ("adjudicator", "covid19")]
    ),
    "opened again": opened_again,
}


def page_of(study):
    return reverse("web:study", args=[study.pk])


def statements_for(client, address, **options):
    with asked() as statements:
        response = client.get(address, **options)
    assert response.status_code == 200
    return statements, response


@pytest.fixture
def third_radiologist(site):
    from tests.cast import _person

    return _person("third_radiologist", "Tomas", "Third", site, "radiologist")


@pytest.mark.parametrize(
    ("state", "protocol"),
    [
        *((state, "read-first") for state in STATES),
        ("signed", "concurrent"),
        ("opened again", "concurrent"),
        ("opened again", "ai-first"),
    ],
)
def test_the_study_page_asks_at_most_20_times_however_much_hangs_on_the_case(
    browser, site, radiologist, second_radiologist, third_radiologist, doctor, admin, state, protocol
):
    site.reading_protocol = protocol
    site.save()
    people = {"first": radiologist, "second": second_radiologist, "third": third_radiologist}
    asked_by = {}
    for rows in (1, 3):
        study, review = _everything(PatientFactory(site=site), radiologist, rows)
        STATES[state](study, review, people)
        study.save()
        for person in (*people.values(), doctor, admin):
            client = browser(person)
            statements, response = statements_for(client, page_of(study))
            assert len(statements) <= MOST_ON_THE_STUDY_PAGE, "\n".join(statements)
            assert len(gzip.compress(response.content)) <= STUDY_PAGE_BYTES
            asked_by.setdefault(person.username, []).append(len(statements))
    assert {name: few == many for name, (few, many) in asked_by.items()} == dict.fromkeys(asked_by, True)


def _locked(study, reader):
    FirstReadFactory(study=study, reader=reader)


def _revealed(study, reader):
    OpinionReveal.objects.create(first_read=study.first_reads.get(), seen_predictions=[])


@pytest.mark.parametrize(
    ("protocol", "prediction"),
    [
        *(("read-first", said) for said in ({}, {"done": True}, {"failed": True}, {"refused": True})),
        ("concurrent", {"done": True}),
        ("ai-first", {"done": True}),
    ],
    ids=str,
)
def test_so_it_does_before_a_read_whatever_the_network_says(
    browser, site, patient, radiologist, protocol, prediction
):
    site.reading_protocol = protocol
    site.save()
    ReportTextFactory(site=site)
    counts = []
    for images in (1, 3):
        study = StudyFactory(patient=patient, status="to_read")
        for _ in range(images):
            PredictionFactory(image=ImageFactory(study=study), **prediction)
        studies_of(patient, UserFactory(), images)
        ReportDraft.objects.create(
            study=study, author=radiologist, findings="Clear lungs.", saved_at=timezone.now()
        )
        client = browser(radiologist)
        for step in (None, _locked, _revealed):
            if step:
                step(study, radiologist)
            statements, _ = statements_for(client, page_of(study))
            assert len(statements) <= MOST_ON_THE_STUDY_PAGE, "\n".join(statements)
            counts.append(len(statements))
    assert counts[: len(counts) // 2] == counts[len(counts) // 2 :]


# The worklist


def worklist_rows(site, reader, count):
    for number in range(count):
        patient = PatientFactory(site=site)
        LabResultFactory(patient=patient)
        study = StudyFactory(patient=patient, status="to_read", priority="stat")
        for _ in range(2):
            PredictionFactory(image=ImageFactory(study=study), done=True)
        if number % 2:
            review = ReviewFactory(study=study, decision="override", reason="chronic", reader=UserFactory())
            Study.objects.filter(pk=study.pk).update(status="read")
            _second_read(study, review, reader, state="waiting")
        else:
            now = timezone.now()
            Claim.objects.create(
                study=study, holder=reader, claimed_at=now, expires_at=now + dt.timedelta(hours=1)
            )


NARROWED = [
    *({"view": key} for key in VIEWS),
    *({name: value} for name, values in CHOICES.items() for value in values.values),
    *(
        {"status": status, "reader": "me", "sort": sort}
        for status, sort in itertools.product(CHOICES["status"].values, CHOICES["sort"].values)
    ),
]


def test_every_worklist_asks_at_most_12_times_and_no_more_for_a_full_page(browser, site, radiologist):
    client = browser(radiologist)
    worklist_rows(site, radiologist, 2)
    few = {str(narrowed): len(statements_for(client, HOME, data=narrowed)[0]) for narrowed in NARROWED}
    worklist_rows(site, radiologist, PAGE_SIZE + 2)
    for narrowed in NARROWED:
        statements, response = statements_for(client, HOME, data=narrowed)
        assert len(statements) <= MOST_ON_THE_WORKLIST, "\n".join(statements)
        assert len(gzip.compress(response.content)) <= WORKLIST_BYTES
        shown = response.context["worklist"]
        assert len(statements) <= few[str(narrowed)] or not few[str(narrowed)]
        if shown.next_url:
            statements, response = statements_for(client, shown.next_url)
            assert len(statements) <= MOST_ON_THE_WORKLIST, "\n".join(statements)
            back = response.context["worklist"].previous_url
            assert len(statements_for(client, back)[0]) <= MOST_ON_THE_WORKLIST


def test_so_does_its_refresh(browser, site, radiologist):
    worklist_rows(site, radiologist, 4)
    client = browser(radiologist)
    keys = [str(row.study.pk) for row in client.get(HOME).context["worklist"].rows]
    with asked() as statements:
        data = {"view": "open", "study": keys, "since": timezone.now().isoformat()}
        assert client.post(reverse("web:refresh"), data, headers=HTMX).status_code == 200
    assert len(statements) <= MOST_ON_THE_WORKLIST, "\n".join(statements)
