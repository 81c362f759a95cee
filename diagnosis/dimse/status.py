"""What became of a file, as the two protocols of DICOM say it: PS3.4 Table B.2-1 and PS3.18 Table I.2-2 share their codes."""

from __future__ import annotations

from diagnosis.full_disk import NO_ROOM
from diagnosis.services.studies import FileOutcome, Receipt

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NOT_AUTHORISED = 0x0124
OUT_OF_RESOURCES = 0xA700
"""Not the file's fault: it may be sent again."""
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122

#: By the code of the refusal; every other refusal means that the object cannot be understood.
_REFUSALS = {
    "technical_error": OUT_OF_RESOURCES,
    NO_ROOM: OUT_OF_RESOURCES,
    "permission_denied": NOT_AUTHORISED,
    "unsupported_transfer_syntax": TRANSFER_SYNTAX_NOT_SUPPORTED,
    "plugin_missing": TRANSFER_SYNTAX_NOT_SUPPORTED,
}
MOST_CHARACTERS = 64  # VR LO, PS3.5 6.2.


def is_kept(receipt: Receipt) -> bool:
    """Whether the sender may forget the object: it is in the record, or held for a person to decide."""
    return receipt.outcome is not FileOutcome.REFUSED


def status_of(receipt: Receipt) -> int:
    if is_kept(receipt):
        return SUCCESS
    return _REFUSALS.get(receipt.code, CANNOT_UNDERSTAND)


def error_comment(sentence: str) -> str:
    """The sentence as Error Comment (0000,0902), of which VR LO leaves 64 characters of the default repertoire."""
    plain = sentence.replace("“", '"').replace("”", '"').replace("\\", "/")
    plain = plain.encode("ascii", "replace").decode()
    if len(plain) <= MOST_CHARACTERS:
        return plain
    return plain[: MOST_CHARACTERS - 3].rpartition(" ")[0].rstrip(".,:;") + "..."
