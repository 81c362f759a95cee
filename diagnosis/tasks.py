"""Celery tasks: take identifiers, call a service. Running one twice ends in the same state."""

from __future__ import annotations

import datetime as dt
import uuid

from celery import shared_task

from diagnosis.intake.resumable import archive_examine, uploads_sweep
from diagnosis.intake.sweep import orphans_sweep
from diagnosis.services.accounts import system_user
from diagnosis.services.analysis import analysis_run
from diagnosis.services.critical_results import (
    critical_mail_send,
    critical_mails_resend,
    critical_results_escalate,
)
from diagnosis.services.outbox import messages_relay
from diagnosis.services.pacs import TIME_LIMIT_SECONDS, pacs_retrieval_run, pacs_retrievals_requeue_stale
from diagnosis.services.predictions import predictions_requeue_stale
from diagnosis.services.quiet_studies import studies_analyse_quiet
from diagnosis.services.second_read_queue import second_reads_tidy


@shared_task
def analyse_image(*, prediction_id: str) -> None:
    analysis_run(prediction_id=prediction_id)


@shared_task
def relay_outbox() -> int:
    return messages_relay()


@shared_task
def analyse_quiet_studies() -> int:
    return studies_analyse_quiet(actor=system_user())


@shared_task(time_limit=TIME_LIMIT_SECONDS, soft_time_limit=TIME_LIMIT_SECONDS - 30)
def retrieve_study(*, retrieval_id: str) -> None:
    pacs_retrieval_run(retrieval_id=retrieval_id)


@shared_task
def requeue_stale_retrievals() -> int:
    return pacs_retrievals_requeue_stale()


@shared_task
def requeue_stale_predictions() -> int:
    return predictions_requeue_stale(actor=system_user())


@shared_task
def examine_archive(*, upload_id: str, examined_until: str) -> None:
    archive_examine(upload_id=uuid.UUID(upload_id), examined_until=dt.datetime.fromisoformat(examined_until))


@shared_task
def sweep_uploads() -> int:
    return uploads_sweep()


@shared_task
def sweep_orphans() -> int:
    return orphans_sweep(actor=system_user())


@shared_task
def escalate_critical_results() -> int:
    taken = critical_results_escalate(actor=system_user())
    critical_mails_resend()
    return taken


@shared_task
def send_critical_mail(*, escalation_id: int) -> bool:
    return critical_mail_send(escalation_id=escalation_id)


@shared_task
def tidy_second_reads() -> int:
    return second_reads_tidy(actor=system_user())
