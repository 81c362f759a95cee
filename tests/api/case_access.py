"""The addresses of second reads, discrepancies and critical results, by every role: part of ``test_access``."""

from __future__ import annotations

from typing import Any

from tests.case_records import CaseRecords

# Doctor, radiologist, administrator, outsider, nobody; the radiologist holds one second read, the doctor wished another.
TABLE = {
    ("get", "second_reads"): (200, 200, 200, 200, 401),
    ("get", "second_read"): (200, 200, 200, 404, 401),
    ("post", "second_read_request"): (201, 201, 403, 404, 401),
    ("post", "show_read"): (403, 204, 403, 404, 401),
    ("post", "second_read_take"): (403, 200, 403, 404, 401),
    ("post", "second_read_return"): (403, 200, 403, 404, 401),
    ("post", "second_read_sign"): (403, 409, 403, 404, 401),
    ("post", "adjudicate"): (403, 400, 403, 404, 401),
    ("post", "second_read_withdraw"): (200, 400, 403, 404, 401),
    ("get", "discrepancies"): (200, 200, 200, 200, 401),
    ("post", "discrepancy_acknowledge"): (403, 200, 403, 404, 401),
    ("post", "discrepancy_resolve"): (403, 200, 403, 404, 401),
    ("get", "critical_results"): (200, 200, 200, 200, 401),
    ("get", "critical_result"): (200, 200, 200, 404, 401),
    ("post", "critical_flag"): (403, 201, 403, 404, 401),
    ("post", "critical_acknowledge"): (200, 200, 403, 404, 401),
    ("post", "critical_tell"): (201, 201, 403, 404, 401),
    ("post", "critical_cancel"): (403, 200, 403, 404, 401),
}

_READ = {"label": "normal", "confidence": "likely"}
BODIES: dict[str, dict[str, Any]] = {
    "second_read_request": {},
    # Of other images than the study holds.
    "second_read_sign": {**_READ, "image_set": "0"},
    "adjudicate": {**_READ, "note": "Clear."},
    "second_read_withdraw": {"reason": "No longer needed."},
    "discrepancy_acknowledge": {},
    "discrepancy_resolve": {"decision": "repeat_pcr"},
    "critical_flag": {"finding": "misplaced_tube"},
    "critical_tell": {"told_to": "Dr Day", "method": "phone", "read_back": False},
    "critical_cancel": {"reason": "Wrong patient."},
}


def paths(records: CaseRecords) -> dict[str, str]:
    study, waits = f"studies/{records.plain.study_id}", f"second-reads/{records.wished.pk}"
    taken = f"second-reads/{records.taken.pk}"
    late, critical = f"discrepancies/{records.discrepancy.pk}", f"critical-results/{records.critical.pk}"
    return {
        "second_reads": "second-reads/",
        "second_read": f"{waits}/",
        "second_read_request": f"{study}/second-read/",
        "show_read": f"studies/{records.wished.study_id}/show-read/",
        "second_read_take": f"{waits}/take/",
        "second_read_return": f"{taken}/return/",
        "second_read_sign": f"{taken}/sign/",
        "adjudicate": f"{taken}/adjudicate/",
        "second_read_withdraw": f"{waits}/withdraw/",
        "discrepancies": "discrepancies/",
        "discrepancy_acknowledge": f"{late}/acknowledge/",
        "discrepancy_resolve": f"{late}/resolve/",
        "critical_results": "critical-results/",
        "critical_result": f"{critical}/",
        "critical_flag": f"{study}/critical-results/",
        "critical_acknowledge": f"{critical}/acknowledge/",
        "critical_tell": f"{critical}/communications/",
        "critical_cancel": f"{critical}/cancel/",
    }
