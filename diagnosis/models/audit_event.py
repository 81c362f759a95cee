"""Who saw or changed what, when and from where."""

from django.db import models
from django.utils.translation import gettext_lazy

from diagnosis.models.scoped import SiteScopedQuerySet


class AuditAction(models.TextChoices):
    LOGIN = "login", gettext_lazy("Logged in")
    LOGIN_FAILED = "login_failed", gettext_lazy("Login failed")
    LOGOUT = "logout", gettext_lazy("Logged out")
    TOKEN_CREATED = "token_created", gettext_lazy("Created an API token")
    PATIENT_CREATED = "patient_created", gettext_lazy("Created a patient")
    PATIENT_VIEWED = "patient_viewed", gettext_lazy("Opened a patient")
    FILE_RECEIVED = "file_received", gettext_lazy("Received a file")
    FILE_REFUSED = "file_refused", gettext_lazy("Refused a file")
    FILE_DUPLICATE = "file_duplicate", gettext_lazy("Recognised a duplicate file")
    FILE_DISCARDED = "file_discarded", gettext_lazy("Discarded a file")
    FILE_HELD = "file_held", gettext_lazy("Held a file for a person to decide")
    HELD_FILE_VIEWED = "held_file_viewed", gettext_lazy("Opened a held file")
    HELD_FILE_RESOLVED = "held_file_resolved", gettext_lazy("Decided about a held file")
    ORPHANS_REMOVED = "orphans_removed", gettext_lazy("Removed files that no record names")
    STUDY_CREATED = "study_created", gettext_lazy("Created a study")
    IMAGE_STORED = "image_stored", gettext_lazy("Stored an image")
    IMAGE_DOWNLOADED = "image_downloaded", gettext_lazy("Downloaded an original file")
    STUDY_CLAIMED = "study_claimed", gettext_lazy("Claimed a study to read it")
    CLAIM_RELEASED = "claim_released", gettext_lazy("Released a claim")
    CLAIM_TAKEN_OVER = "claim_taken_over", gettext_lazy("Took over a claim")
    READER_ASSIGNED = "reader_assigned", gettext_lazy("Said who is to read a study")
    PRIORITY_CHANGED = "priority_changed", gettext_lazy("Changed a study's priority")
    STUDY_VIEWED = "study_viewed", gettext_lazy("Opened a study")
    RECORDS_SEARCHED = "records_searched", gettext_lazy("Searched records")
    PACS_SEARCHED = "pacs_searched", gettext_lazy("Searched an archive")
    PACS_RETRIEVED = "pacs_retrieved", gettext_lazy("Fetched a study from an archive")
    ANALYSIS_REQUESTED = "analysis_requested", gettext_lazy("Requested an analysis")
    ANALYSIS_DONE = "analysis_done", gettext_lazy("Analysis finished")
    ANALYSIS_FAILED = "analysis_failed", gettext_lazy("Analysis failed")
    ANALYSIS_REFUSED = "analysis_refused", gettext_lazy("Analysis refused the image")
    FIRST_READ_LOCKED = "first_read_locked", gettext_lazy("Locked a first read")
    OPINION_REVEALED = "opinion_revealed", gettext_lazy("Was shown the second opinion")
    REVIEW_SIGNED = "review_signed", gettext_lazy("Signed a read")
    SECOND_READ_OPENED = "second_read_opened", gettext_lazy("Asked for a second read")
    SECOND_READ_ARRANGED = "second_read_arranged", gettext_lazy("Second read offered or held back")
    SECOND_READ_DRAWN = "second_read_drawn", gettext_lazy("Drew whether a study is read twice")
    SECOND_READ_TAKEN = "second_read_taken", gettext_lazy("Took a second read")
    SECOND_READ_RETURNED = "second_read_returned", gettext_lazy("Gave a second read back")
    SECOND_READ_WAIVED = "second_read_waived", gettext_lazy("Saw the first read of a study to be read twice")
    SECOND_READ_SIGNED = "second_read_signed", gettext_lazy("Signed a second read")
    SECOND_READ_ADJUDICATED = "second_read_adjudicated", gettext_lazy("Adjudicated two reads")
    SECOND_READ_CANCELLED = "second_read_cancelled", gettext_lazy("Withdrew a second read")
    DISCREPANCY_OPENED = "discrepancy_opened", gettext_lazy("Compared a late PCR result with a signed read")
    DISCREPANCY_MOVED = "discrepancy_moved", gettext_lazy("Decided about a discrepancy")
    CRITICAL_FLAGGED = "critical_flagged", gettext_lazy("Flagged a critical result")
    CRITICAL_TOLD = "critical_told", gettext_lazy("Recorded who was told of a critical result")
    CRITICAL_ESCALATED = "critical_escalated", gettext_lazy("Escalated a critical result")
    CRITICAL_ACKNOWLEDGED = "critical_acknowledged", gettext_lazy("Acknowledged a critical result")
    CRITICAL_CANCELLED = "critical_cancelled", gettext_lazy("Cancelled a critical result")
    CASE_RULES_CHANGED = "case_rules_changed", gettext_lazy("Changed the rules of cases")
    REPORT_ADDED_TO = "report_added_to", gettext_lazy("Signed an addendum")
    REPORT_CORRECTED = "report_corrected", gettext_lazy("Signed a correction")
    REPORT_OPENED = "report_opened", gettext_lazy("Opened a report")
    REPORT_PRINTED = "report_printed", gettext_lazy("Opened a report as PDF")
    REPORT_SET_UP = "report_set_up", gettext_lazy("Changed the words or the letterhead of reports")
    SIGNATURE_REFUSED = "signature_refused", gettext_lazy("Gave a wrong password to sign")
    LAB_RESULT_ADDED = "lab_result_added", gettext_lazy("Added a PCR result")
    SYMPTOM_NOTE_ADDED = "symptom_note_added", gettext_lazy("Added a symptom note")
    MODEL_REGISTERED = "model_registered", gettext_lazy("Registered a model")
    MODEL_ACTIVATED = "model_activated", gettext_lazy("Activated a model")
    ACCESS_CHANGED = "access_changed", gettext_lazy("Changed accounts or roles")
    ACCESS_DENIED = "access_denied", gettext_lazy("Was denied an act")


class AuditEvent(models.Model):
    """One event. Rows are only ever added (a database trigger refuses the rest) and each holds the hash of the one before.

    Names of people are copied into the row: an event stays readable when the account or the patient is gone.
    """

    site_lookup = "site"

    seq = models.PositiveBigIntegerField(primary_key=True)
    occurred_at = models.DateTimeField(db_index=True)
    action = models.CharField(max_length=32, choices=AuditAction, db_index=True)
    succeeded = models.BooleanField(default=True)
    actor = models.ForeignKey("diagnosis.User", null=True, on_delete=models.PROTECT, related_name="+")
    actor_name = models.CharField(max_length=150, blank=True)
    actor_role = models.CharField(max_length=16, blank=True)
    site = models.ForeignKey("diagnosis.Site", null=True, on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey("diagnosis.Patient", null=True, on_delete=models.PROTECT, related_name="+")
    object_type = models.CharField(max_length=32, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    details = models.JSONField(default=dict)
    ip_address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-seq"]
        indexes = [
            models.Index(fields=["patient", "-seq"], name="audit_by_patient"),
            models.Index(fields=["actor", "-seq"], name="audit_by_actor"),
        ]

    def __str__(self) -> str:
        return f"#{self.seq} {self.get_action_display()}"


class AuditHead(models.Model):
    """The end of the chain: one row, locked while an event is appended, so that ``seq`` has no gaps."""

    seq = models.PositiveBigIntegerField()
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="audit_head_single_row")]

    def __str__(self) -> str:
        return f"Audit chain up to #{self.seq}"
