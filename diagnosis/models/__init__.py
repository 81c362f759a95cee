"""The clinical records, one module for each aggregate."""

from diagnosis.models.audit_event import AuditAction, AuditEvent, AuditHead
from diagnosis.models.case_rules import CaseRules
from diagnosis.models.claim import Claim, TakeoverReason
from diagnosis.models.critical_result import (
    DEFAULT_FINDINGS,
    AcknowledgedHow,
    CommunicationMethod,
    CriticalCommunication,
    CriticalEscalation,
    CriticalFinding,
    CriticalResult,
    CriticalState,
    EscalationContact,
)
from diagnosis.models.discrepancy import (
    Discrepancy,
    DiscrepancyDecision,
    DiscrepancyMove,
    DiscrepancyState,
    DiscrepancyVerdict,
)
from diagnosis.models.first_read import Confidence, FirstRead, FirstReadImage, OpinionReveal
from diagnosis.models.held_file import HELD_SENTENCES, DecodeCrash, HeldFile, HeldReason, HeldResolution
from diagnosis.models.image import (
    NOT_ANALYSED_SENTENCES,
    Image,
    ImageKind,
    IncomingFile,
    NotAnalysed,
    ReceivedFile,
    Road,
    StoredFile,
)
from diagnosis.models.lab_result import LabResult, PcrResult, Specimen
from diagnosis.models.model_version import PICTURE_NAME, ModelPicture, ModelVersion
from diagnosis.models.outbox import OutboxMessage
from diagnosis.models.pacs_peer import (
    PacsPeer,
    PacsRetrieval,
    QueryProtocol,
    RetrievalStatus,
    RetrieveMethod,
)
from diagnosis.models.patient import Patient, PatientTerm, Sex
from diagnosis.models.prediction import FINAL_STATUSES, Prediction, PredictionStatus
from diagnosis.models.report_draft import ReportDraft
from diagnosis.models.report_letterhead import ReportLetterhead
from diagnosis.models.report_text import ReportText
from diagnosis.models.resumable_upload import ResumableUpload, UploadState
from diagnosis.models.review import READER_ONLY_LABELS, Decision, OverrideReason, Review, ReviewKind
from diagnosis.models.saved_filter import MOST_SAVED_FILTERS, SavedFilter
from diagnosis.models.second_read import (
    IN_HANDS_STATES,
    OPEN_STATES,
    UNREAD_STATES,
    SecondRead,
    SecondReadCause,
    SecondReadCauseKind,
    SecondReadOpinion,
    SecondReadRole,
    SecondReadState,
    SecondReadWaiver,
)
from diagnosis.models.site import Deidentification, OpinionForOthers, ReadingProtocol, Site
from diagnosis.models.study import OPEN_STATUSES, Priority, Study, StudyStatus
from diagnosis.models.symptom_note import Exposure, Severity, Symptom, SymptomCode, SymptomNote, Vaccination
from diagnosis.models.user import Membership, Role, User

__all__ = [
    "DEFAULT_FINDINGS",
    "FINAL_STATUSES",
    "HELD_SENTENCES",
    "IN_HANDS_STATES",
    "MOST_SAVED_FILTERS",
    "NOT_ANALYSED_SENTENCES",
    "OPEN_STATES",
    "OPEN_STATUSES",
    "PICTURE_NAME",
    "READER_ONLY_LABELS",
    "UNREAD_STATES",
    "AcknowledgedHow",
    "AuditAction",
    "AuditEvent",
    "AuditHead",
    "CaseRules",
    "Claim",
    "CommunicationMethod",
    "Confidence",
    "CriticalCommunication",
    "CriticalEscalation",
    "CriticalFinding",
    "CriticalResult",
    "CriticalState",
    "Decision",
    "DecodeCrash",
    "Deidentification",
    "Discrepancy",
    "DiscrepancyDecision",
    "DiscrepancyMove",
    "DiscrepancyState",
    "DiscrepancyVerdict",
    "EscalationContact",
    "Exposure",
    "FirstRead",
    "FirstReadImage",
    "HeldFile",
    "HeldReason",
    "HeldResolution",
    "Image",
    "ImageKind",
    "IncomingFile",
    "LabResult",
    "Membership",
    "ModelPicture",
    "ModelVersion",
    "NotAnalysed",
    "OpinionForOthers",
    "OpinionReveal",
    "OutboxMessage",
    "OverrideReason",
    "PacsPeer",
    "PacsRetrieval",
    "Patient",
    "PatientTerm",
    "PcrResult",
    "Prediction",
    "PredictionStatus",
    "Priority",
    "QueryProtocol",
    "ReadingProtocol",
    "ReceivedFile",
    "ReportDraft",
    "ReportLetterhead",
    "ReportText",
    "ResumableUpload",
    "RetrievalStatus",
    "RetrieveMethod",
    "Review",
    "ReviewKind",
    "Road",
    "Role",
    "SavedFilter",
    "SecondRead",
    "SecondReadCause",
    "SecondReadCauseKind",
    "SecondReadOpinion",
    "SecondReadRole",
    "SecondReadState",
    "SecondReadWaiver",
    "Severity",
    "Sex",
    "Site",
    "Specimen",
    "StoredFile",
    "Study",
    "StudyStatus",
    "Symptom",
    "SymptomCode",
    "SymptomNote",
    "TakeoverReason",
    "UploadState",
    "User",
    "Vaccination",
]
