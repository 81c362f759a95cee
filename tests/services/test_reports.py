"""What is being written is kept for its author alone; what is signed is only ever followed by a new version."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, transaction

from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import AuditEvent, ReportDraft, Review
from diagnosis.selectors.studies import current_review, studies_with_opinion
from diagnosis.services.report_drafts import (
    DraftChanged,
    report_draft_discard,
    report_draft_save,
    report_draft_settle,
    report_texts_require,
)
from diagnosis.services.reports import review_addend, review_correct
from tests.factories import ImageFactory, ModelVersionFactory, PatientFactory, ReviewFactory, StudyFactory

SEEN = {
    "prediction": "6e5b7c1e-0000-4000-8000-000000000000",
    "label": "covid19",
    "possible_labels": ["covid19"],
    "model_version": "covid3 0.0.1",
}


@pytest.fixture
def study(site):
    study = StudyFactory(patient=PatientFactory(site=site), status="to_read")
    ImageFactory(study=study)
    ModelVersionFactory()
    return study


@pytest.fixture
def signed(study, radiologist):
    """A read that confirmed COVID-19."""
    type(study).objects.filter(pk=study.pk).update(status="read")
    return ReviewFactory(
        study=study,
        reader=radiologist,
        decision="confirm",
        label="covid19",
        label_display="COVID-19",
        findings="Opacity in the left lower zone.",
        impression="Pneumonia.",
        seen_predictions=[SEEN],
    )


def save(author, study, version, **texts):
    return report_draft_save(author=author, study=study, version=version, **texts)


def addend(reader, signed, **changes):
    return review_addend(
        actor=reader, study=signed.study, follows=signed, **{"addendum": "Told Dr Doctor.", **changes}
    )


def correct(reader, signed, **changes):
    values = {
        "label": signed.label,
        "reason": signed.reason,
        "note": signed.note,
        "findings": "Opacity in the right lower zone.",
        "impression": signed.impression,
        "comparison": signed.comparison,
        "change_reason": "Wrong side.",
    }
    return review_correct(actor=reader, study=signed.study, follows=signed, **values | changes)


# Drafts


def test_what_is_typed_is_kept_and_every_save_is_a_new_version(radiologist, study):
    first = save(radiologist, study, 0, findings="Clear", impression="")
    second = save(radiologist, study, first.version, findings="Clear lungs.")
    assert (first.version, second.version) == (1, 2)
    assert ReportDraft.objects.get().findings == "Clear lungs."


def test_fields_that_are_not_sent_stay(radiologist, study):
    save(radiologist, study, 0, findings="Clear.", comparison="None.")
    save(radiologist, study, 1, findings="Clear lungs.")
    assert ReportDraft.objects.get().comparison == "None."


@pytest.mark.parametrize("known", [0, 1, 3])
def test_a_window_that_knows_another_version_overwrites_nothing_and_is_shown_what_is_kept(
    radiologist, study, known
):
    save(radiologist, study, 0, findings="One.")
    save(radiologist, study, 1, findings="Two.")
    with pytest.raises(DraftChanged) as error:
        save(radiologist, study, known, findings="Three.")
    assert error.value.draft.findings == "Two."
    assert ReportDraft.objects.get().findings == "Two."


def test_a_draft_that_was_signed_in_another_window_does_not_come_back(radiologist, study):
    save(radiologist, study, 0, findings="One.")
    report_draft_settle(author=radiologist, study=study, version=1)
    with pytest.raises(DraftChanged) as error:
        save(radiologist, study, 1, findings="One, again.")
    assert error.value.draft is None
    assert not ReportDraft.objects.exists()


def test_each_reader_has_a_draft_of_their_own(radiologist, second_radiologist, study):
    save(radiologist, study, 0, findings="One.")
    save(second_radiologist, study, 0, findings="Other.")
    assert ReportDraft.objects.count() == 2


def test_who_may_not_sign_writes_no_draft(doctor, study):
    with pytest.raises(PermissionDenied):
        save(doctor, study, 0, findings="One.")


def test_a_text_that_is_too_long_is_refused_and_the_last_one_stays(radiologist, study):
    save(radiologist, study, 0, findings="One.")
    with pytest.raises(ValidationError, match="at most 10000 characters"):
        save(radiologist, study, 1, findings="x" * 10_001)
    assert ReportDraft.objects.get().version == 1


def test_an_addendum_does_not_overwrite_an_unsigned_report(radiologist, study, signed):
    save(radiologist, study, 0, findings="Written before somebody else signed.")
    with pytest.raises(NotPossible, match="Sign or discard that first"):
        save(radiologist, study, 1, kind="addendum", basis=signed, addendum="More.")
    assert ReportDraft.objects.get().findings.startswith("Written before")


def test_what_is_chosen_is_kept_with_what_is_typed(radiologist, study):
    save(radiologist, study, 0, label="normal", confidence="likely", findings="Clear.")
    save(radiologist, study, 1, reason="artefact")
    kept = ReportDraft.objects.get()
    assert (kept.label, kept.confidence, kept.reason, kept.findings) == (
        "normal", "likely", "artefact", "Clear.",
    )  # fmt: skip


@pytest.mark.parametrize("unknown", [{"confidence": "certain"}, {"reason": "no_time"}])
def test_a_choice_that_does_not_exist_is_refused_and_the_last_one_stays(radiologist, study, unknown):
    save(radiologist, study, 0, label="normal")
    with pytest.raises(ValidationError) as error:
        save(radiologist, study, 1, **unknown)
    assert list(error.value.message_dict) == list(unknown)
    assert ReportDraft.objects.get().version == 1


def test_a_choice_alone_does_not_stand_in_the_way_of_an_addendum_and_does_not_go_into_it(
    radiologist, study, signed
):
    save(radiologist, study, 0, label="normal", reason="artefact")
    save(radiologist, study, 1, kind="addendum", basis=signed, addendum="More.")
    kept = ReportDraft.objects.get()
    assert (kept.label, kept.reason, kept.addendum) == ("", "", "More.")


def test_a_discarded_draft_is_gone_and_one_that_changed_is_not_discarded_unseen(radiologist, study):
    save(radiologist, study, 0, findings="One.")
    with pytest.raises(DraftChanged):
        report_draft_discard(author=radiologist, study=study, version=7)
    report_draft_discard(author=radiologist, study=study, version=1)
    assert not ReportDraft.objects.exists()


def test_a_program_that_knows_of_no_drafts_leaves_them(radiologist, study):
    save(radiologist, study, 0, findings="One.")
    report_draft_settle(author=radiologist, study=study, version=None)
    assert ReportDraft.objects.exists()


def test_a_blank_that_nobody_filled_in_is_not_signed():
    with pytest.raises(ValidationError) as error:
        report_texts_require(findings="Opacity in the ___ zone.", impression="Pneumonia.")
    assert list(error.value.message_dict) == ["findings"]


# Versions


def test_an_addendum_repeats_the_report_and_adds_a_text(second_radiologist, signed):
    added = addend(second_radiologist, signed)
    assert (added.kind, added.follows, added.reader) == ("addendum", signed, second_radiologist)
    assert (added.findings, added.label, added.decision) == (signed.findings, "covid19", "confirm")
    assert added.addendum == "Told Dr Doctor."


def test_a_correction_is_a_new_version_and_the_signed_one_stays_as_it_was(second_radiologist, signed):
    corrected = correct(second_radiologist, signed)
    signed.refresh_from_db()
    assert signed.findings == "Opacity in the left lower zone."
    assert corrected.findings == "Opacity in the right lower zone."
    assert corrected.change_reason == "Wrong side."
    study = studies_with_opinion(type(signed.study).objects.all(), viewer=None).get()
    assert current_review(study) == corrected
    assert study.is_read


def test_the_database_refuses_to_change_a_version(radiologist, signed):
    addend(radiologist, signed)
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        Review.objects.filter(kind="addendum").update(addendum="Other.")


@pytest.mark.parametrize(
    ("label", "reason", "decision"),
    [("covid19", "", "confirm"), ("normal", "artefact", "override")],
)
def test_a_corrected_label_is_measured_against_what_the_first_reader_saw(
    radiologist, signed, label, reason, decision
):
    corrected = correct(radiologist, signed, label=label, reason=reason)
    assert (corrected.decision, corrected.reason) == (decision, reason)
    assert corrected.seen_predictions == [SEEN]


def test_a_label_that_overrides_the_opinion_needs_its_coded_reason(radiologist, signed):
    with pytest.raises(ValidationError) as error:
        correct(radiologist, signed, label="normal")
    assert list(error.value.message_dict) == ["reason"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"change_reason": "  "}, "change_reason"),
        ({"label": "measles"}, "label"),
        ({"label": "other_finding", "reason": "other_pathology"}, "note"),
        ({"findings": "Opacity ___."}, "findings"),
    ],
    ids=["why", "label", "note", "blank"],
)
def test_what_a_correction_lacks_is_said_beside_the_field(radiologist, signed, changes, field):
    with pytest.raises(ValidationError) as error:
        correct(radiologist, signed, **changes)
    assert list(error.value.message_dict) == [field]
    assert Review.objects.count() == 1


def test_a_correction_that_changes_nothing_is_none(radiologist, signed):
    with pytest.raises(ValidationError, match="Nothing differs"):
        correct(radiologist, signed, findings=signed.findings)


def test_an_empty_addendum_is_none(radiologist, signed):
    with pytest.raises(ValidationError, match="what you want to add"):
        addend(radiologist, signed, addendum=" ")


def test_who_has_an_older_version_on_screen_signs_nothing_and_keeps_the_draft(
    radiologist, second_radiologist, signed
):
    addend(radiologist, signed)
    save(second_radiologist, signed.study, 0, kind="addendum", basis=signed, addendum="Mine.")
    with pytest.raises(Conflict, match="newer version"):
        addend(second_radiologist, signed, addendum="Mine.", draft_version=1)
    assert ReportDraft.objects.get().addendum == "Mine."


def test_signing_deletes_the_draft_on_screen(radiologist, signed):
    save(radiologist, signed.study, 0, kind="addendum", basis=signed, addendum="Told Dr Doctor.")
    addend(radiologist, signed, draft_version=1)
    assert not ReportDraft.objects.exists()


def test_signing_what_another_window_has_changed_is_refused(radiologist, signed):
    save(radiologist, signed.study, 0, kind="addendum", basis=signed, addendum="Told Dr Doctor.")
    save(radiologist, signed.study, 1, kind="addendum", basis=signed, addendum="Told Dr Doctor at noon.")
    with pytest.raises(DraftChanged):
        addend(radiologist, signed, draft_version=1)
    assert Review.objects.count() == 1


def test_there_is_nothing_to_add_to_before_the_study_is_read(radiologist, signed):
    type(signed.study).objects.update(status="to_read")
    with pytest.raises(NotPossible, match="read the study first"):
        addend(radiologist, signed)


def test_who_may_not_sign_adds_nothing(doctor, signed):
    with pytest.raises(PermissionDenied):
        addend(doctor, signed)
    with pytest.raises(PermissionDenied):
        correct(doctor, signed)


def test_versions_are_on_record_with_what_changed(radiologist, signed):
    added = addend(radiologist, signed)
    corrected = correct(radiologist, added)
    events = list(AuditEvent.objects.filter(action__startswith="report_").order_by("seq"))
    assert [event.action for event in events] == ["report_added_to", "report_corrected"]
    assert events[1].object_id == str(corrected.pk)
    assert events[1].details["changed"] == ["findings"]
    assert not any("zone" in str(event.details) for event in events)
