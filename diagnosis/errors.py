"""Errors whose text is written for the person at the screen.

Every other exception is logged and shown as one neutral sentence: library messages may hold patient data or paths.
"""


class PersonError(Exception):
    """Base: ``str(error)`` says what happened, why, and what to do next."""

    code = "not_possible"


class Conflict(PersonError):  # noqa: N818  Named for what the person is told.
    """The record changed since the person looked at it (HTTP 409)."""

    code = "conflict"


class NotPossible(PersonError):  # noqa: N818  The same.
    """The act does not fit the state of the record (HTTP 400)."""


class StudyOfOtherPatient(NotPossible):
    """The study that a file names belongs to somebody else."""


class PatientDiffers(NotPossible):
    """What somebody says about a patient contradicts the record; a person must say whether they are the same."""

    code = "patient_differs"
