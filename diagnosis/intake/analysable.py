"""Which objects of a study the network is asked about: single frontal chest X-rays. The others are kept, and say why not.

Only what the header plainly says counts. Where it says nothing, or nothing that the standard knows, the gate before the network
judges the picture itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydicom import uid

from diagnosis.models import NotAnalysed

#: PS3.4 B.5: the classes that hold plain X-ray images, and Secondary Capture, as which viewers export them.
X_RAY_CLASSES = frozenset(
    {
        uid.ComputedRadiographyImageStorage,
        uid.DigitalXRayImageStorageForPresentation,
        uid.DigitalXRayImageStorageForProcessing,
        uid.SecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
#: PS3.3 C.7.3.1.1.1. RG is retired, DR was never defined, and both are written; SC and OT are what converters say.
X_RAY_MODALITIES = frozenset({"CR", "DX", "DR", "RG", "SC", "OT", ""})
#: PS3.4 B.5.1: structured reports are the classes of this root.
STRUCTURED_REPORT_ROOT = "1.2.840.10008.5.1.4.1.1.88."

#: Defined terms of View Position (PS3.3 C.8.1.2, C.8.7.5) and what devices write beside them.
VIEWS = {
    **dict.fromkeys(("LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT"), NotAnalysed.LATERAL),
    **dict.fromkeys(
        ("RLD", "LLD", "RLO", "LLO", "LAO", "RAO", "LPO", "RPO", "OBL", "OBLIQUE"), NotAnalysed.OTHER_VIEW
    ),
}
#: CID 4010 “DX View” (PS3.16), in SNOMED CT and in the SRT codes of before.
VIEW_CODES = {
    **dict.fromkeys(
        ("399067008", "399173006", "399198007", "399260004", "399352003", "R-10236", "R-10232"),
        NotAnalysed.LATERAL,
    ),
    **dict.fromkeys(
        (
            "399182000", "399184004", "399236003", "399135007", "399356000", "399006002", "399038007", "399312000",
            "399059000", "399160007", "260427002",
        ),
        NotAnalysed.OTHER_VIEW,
    ),
}  # fmt: skip

#: Defined terms of Body Part Examined (PS3.16 Annex L) that hold no part of the lungs. A term that names the chest beside
#: another part (CHESTABDOMEN) is not among them.
OTHER_BODY_PARTS = frozenset(
    {
        "ABDOMEN", "ABDOMENPELVIS", "ANKLE", "ANUS", "ARM", "BLADDER", "BRAIN", "BREAST", "BUTTOCK", "CALCANEUS", "CALF",
        "CERVIX", "CHEEK", "COCCYX", "COLON", "CSPINE", "CTSPINE", "DUODENUM", "EAR", "ELBOW", "EXTREMITY", "EYE", "EYELID",
        "FACE", "FEMUR", "FINGER", "FOOT", "FOREARM", "GALLBLADDER", "HAND", "HEAD", "HEADNECK", "HIP", "HUMERUS", "ILEUM",
        "JAW", "JEJUNUM", "KIDNEY", "KNEE", "LARYNX", "LEG", "LIVER", "LSPINE", "LSSPINE", "MANDIBLE", "MAXILLA", "MOUTH",
        "NECK", "NOSE", "ORBIT", "OVARY", "PANCREAS", "PAROTID", "PATELLA", "PELVIS", "PENIS", "PHARYNX", "PROSTATE", "RADIUS",
        "RADIUSULNA", "RECTUM", "SCROTUM", "SHOULDER", "SINUS", "SKULL", "SPLEEN", "STOMACH", "TESTIS", "THIGH", "THUMB",
        "THYROID", "TIBIA", "TIBIAFIBULA", "TMJ", "TOE", "TONGUE", "ULNA", "URETER", "URETHRA", "UTERUS", "VAGINA", "WRIST",
        "ZYGOMA",
    }
)  # fmt: skip


def why_not_analysed(header: Mapping[str, Any]) -> NotAnalysed | None:
    """Why the network is not asked about this object; ``None`` for what may be a frontal chest X-ray.

    ``header`` is a ``DicomHeader`` as JSON holds it, empty for a picture without one.
    """
    sop_class, modality = header.get("sop_class_uid", ""), header.get("modality", "").upper()
    if sop_class.startswith(STRUCTURED_REPORT_ROOT) or modality == "SR":
        return NotAnalysed.STRUCTURED_REPORT
    if (sop_class and sop_class not in X_RAY_CLASSES) or modality not in X_RAY_MODALITIES:
        # Presentation states, encapsulated documents, key objects: image classes have rows.
        return NotAnalysed.WRONG_MODALITY if header.get("rows") else NotAnalysed.NO_PICTURE
    if (header.get("number_of_frames") or 1) > 1:
        return NotAnalysed.SEVERAL_FRAMES
    if header.get("presentation_intent_type") == "FOR PROCESSING":
        return NotAnalysed.FOR_PROCESSING
    return (
        VIEW_CODES.get(header.get("view_code", ""))
        or VIEWS.get(header.get("view_position", "").strip().upper())
        or _of_body_part(header.get("body_part_examined", ""))
    )


def _of_body_part(body_part: str) -> NotAnalysed | None:
    term = re.sub(r"[^A-Z]", "", body_part.upper())
    return NotAnalysed.OTHER_BODY_PART if term in OTHER_BODY_PARTS else None
