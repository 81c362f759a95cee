"""The addresses of second reads, discrepancies and critical results, by every role: part of ``test_access``."""

from __future__ import annotations

from typing import Any

from tests.case_records import CaseRecords

# Doctor, radiologist, administrator, outsider, nobody; the radiologist holds one second read, the doctor wished another.
TABLE = {
    ("get", "second_reads"): (200, 200, 200, 200, 302),
    ("post", "second_read_request"): (200, 200, 403, 404, 401),
    ("post", "second_read_waive"): (403, 302, 403, 404, 401),
    ("post", "second_read_take"): (403, 302, 403, 404, 401),
    ("post", "second_read_return"): (403, 302, 403, 404, 401),
    ("post", "second_read_sign"): (403, 422, 403, 404, 401),
    ("post", "second_read_withdraw"): (200, 400, 403, 404, 401),
    ("post", "discrepancy_acknowledge"): (403, 200, 403, 404, 401),
    ("post", "discrepancy_resolve"): (403, 200, 403, 404, 401),
    ("get", "critical_results"): (200, 200, 200, 200, 302),
    ("get", "critical_result"): (200, 200, 200, 404, 302),
    ("post", "critical_flag"): (403, 200, 403, 404, 401),
    ("post", "critical_acknowledge"): (302, 302, 403, 404, 401),
    ("post", "critical_tell"): (302, 302, 403, 404, 401),
    ("post", "critical_cancel"): (403, 302, 403, 404, 401),
}

BODIES: dict[str, dict[str, Any]] = {
    "second_read_withdraw": {"reason": "No longer needed."},
    "discrepancy_resolve": {"decision": "repeat_pcr"},
    "critical_flag": {"finding": "misplaced_tube"},
    "critical_tell": {"told_to": "Dr Day", "method": "phone"},
    "critical_cancel": {"reason": "Wrong patient."},
}


def arguments(records: CaseRecords) -> dict[str, list[Any]]:
    return {
        "second_read_request": [records.plain.study_id],
        "second_read_waive": [records.wished.study_id],
        "second_read_take": [records.wished.pk],
        "second_read_return": [records.taken.pk],
        "second_read_sign": [records.taken.pk],
        "second_read_withdraw": [records.wished.pk],
        "discrepancy_acknowledge": [records.discrepancy.pk],
        "discrepancy_resolve": [records.discrepancy.pk],
        "critical_result": [records.critical.pk],
        "critical_flag": [records.plain.study_id],
        "critical_acknowledge": [records.critical.pk],
        "critical_tell": [records.critical.pk],
        "critical_cancel": [records.critical.pk],
    }
