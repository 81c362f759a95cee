"""Acts on archives: naming them, searching them, fetching studies from them."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections import Counter
from collections.abc import Sequence

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from diagnosis import policies
from diagnosis.errors import NotPossible, PersonError
from diagnosis.intake.spool import Spool
from diagnosis.intake.unattended import receive_unattended
from diagnosis.models import AuditAction, PacsPeer, PacsRetrieval, RetrievalStatus, Road, User
from diagnosis.pacs.archive import FoundStudy, StudyQuery, archive_of
from diagnosis.sentences import Sentence, Words
from diagnosis.services.audit import audit_record
from diagnosis.services.outbox import message_enqueue
from diagnosis.services.searches import query_normalise
from diagnosis.services.studies import FileOutcome

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
TIME_LIMIT_SECONDS = 1800
"""For one study. A worker that takes longer is taken for lost."""
STALE_AFTER = dt.timedelta(minutes=5)

NOTHING_ASKED = Sentence(
    gettext_noop(
        "Enter at least one of record number, name, accession number and date: an archive holds too much."
    )
)
NOT_ASKED = Sentence(
    gettext_noop(
        "This archive is not asked for studies at the moment. Choose another one, or ask an administrator."
    )
)
NO_OBJECT = Sentence(
    gettext_noop("The archive sent no object of this study. It may have been moved or deleted there.")
)
STOPPED = Sentence(
    gettext_noop(
        "Fetching the study stopped {count} times without finishing. What had arrived is stored. "
        "Fetch it again, and if that fails tell an administrator."
    ),
    count=MAX_ATTEMPTS,
)


@transaction.atomic
def pacs_peer_save(*, actor: User, peer: PacsPeer, changed: Sequence[str]) -> PacsPeer:
    """Save a new or changed peer; ``changed`` names the fields. Raises ``ValidationError`` where its account may not store."""
    policies.require_account_management(actor)
    if not policies.may(peer.account, policies.Act.UPLOAD, peer.site):
        raise ValidationError(
            {
                "account": _(
                    "This account may not upload images at %(site)s. Give it the role of a doctor there first."
                )
                % {"site": peer.site}
            }
        )
    is_new = peer._state.adding
    peer.save()
    audit_record(
        actor=actor,
        action=AuditAction.ACCESS_CHANGED,
        site=peer.site,
        target=peer,
        details={
            "peer": peer.name,
            "created": is_new,
            "fields": sorted(changed),
            "is_active": peer.is_active,
        },
    )
    return peer


def pacs_search(*, actor: User, peer: PacsPeer, query: StudyQuery) -> list[FoundStudy]:
    """The studies of the archive that match. Whoever may store images at the site may look for them; the search is on record.

    Raises ``NotPossible``, and ``ArchiveUnavailable`` with a sentence for the person.
    """
    policies.require(actor, policies.Act.UPLOAD, peer.site)
    if not (peer.is_active and peer.is_asked):
        raise NotPossible(NOT_ASKED)
    if query.is_empty:
        raise NotPossible(NOTHING_ASKED)
    words = " ".join(f"{keyword}={value}" for keyword, value in query.keys.items())
    audit_record(
        actor=actor,
        action=AuditAction.PACS_SEARCHED,
        site=peer.site,
        target=peer,
        details={"query": query_normalise(words)},
    )
    # After the record: what was asked left the house, whatever came back.
    return archive_of(peer).find(query)


@transaction.atomic
def pacs_retrieval_request(*, actor: User, peer: PacsPeer, study_instance_uid: str) -> PacsRetrieval:
    """Have a study fetched in the background; where it is on its way already, that retrieval. Raises ``NotPossible``."""
    policies.require(actor, policies.Act.UPLOAD, peer.site)
    if not (peer.is_active and peer.is_asked):
        raise NotPossible(NOT_ASKED)
    retrieval = PacsRetrieval(peer=peer, requested_by=actor, study_instance_uid=study_instance_uid)
    try:
        with transaction.atomic():
            retrieval.save(force_insert=True)
    except IntegrityError:
        return PacsRetrieval.objects.get(
            peer=peer,
            study_instance_uid=study_instance_uid,
            status__in=[RetrievalStatus.QUEUED, RetrievalStatus.RUNNING],
        )
    _dispatch(retrieval)
    audit_record(
        actor=actor,
        action=AuditAction.PACS_RETRIEVED,
        site=peer.site,
        target=peer,
        details={"study_instance_uid": study_instance_uid},
    )
    return retrieval


def pacs_retrieval_run(*, retrieval_id: str) -> None:
    """Fetch the study and bring the retrieval to an end. Safe to run twice: the second run finds nothing to claim.

    A worker that is lost leaves the lease to run out, after which the retrieval is taken up again; nothing is stored twice.
    """
    retrieval = _claim(retrieval_id)
    if retrieval is None:
        return
    peer, actor = retrieval.peer, retrieval.requested_by
    outcomes: Counter[str] = Counter()

    def take(content: bytes | Spool) -> None:
        receipt = receive_unattended(
            actor=actor,
            site=peer.site,
            content=content,
            name=f"{retrieval.study_instance_uid}.{outcomes.total() + 1}.dcm",
            road=Road.RETRIEVE,
        )
        outcomes[receipt.outcome.value] += 1

    try:
        policies.require(actor, policies.Act.UPLOAD, peer.site)
        sent = archive_of(peer).retrieve(retrieval.study_instance_uid, take)
    except (PersonError, PermissionDenied) as error:
        _finish(retrieval, RetrievalStatus.FAILED, outcomes, Sentence.of(error))
    except Exception:
        error_id = uuid.uuid4().hex[:8]
        logger.exception("A retrieval failed.", extra={"error_id": error_id, "retrieval": retrieval_id})
        _finish(
            retrieval,
            RetrievalStatus.FAILED,
            outcomes,
            Sentence(
                gettext_noop(
                    "The study could not be fetched for a technical reason. Fetch it again, and if that fails tell "
                    "an administrator the error number {error_id}."
                ),
                error_id=error_id,
            ),
        )
    else:
        if not outcomes and sent:
            outcomes["sent"] = sent  # By C-MOVE they come to the listener, which stores them.
        if not sent:
            _finish(retrieval, RetrievalStatus.FAILED, outcomes, NO_OBJECT)
        elif outcomes[FileOutcome.REFUSED.value] == outcomes.total():
            _finish(
                retrieval,
                RetrievalStatus.FAILED,
                outcomes,
                Sentence(
                    gettext_noop(
                        "No object of this study could be stored. The records of refused files say why; tell an administrator."
                    )
                ),
            )
        else:
            _finish(retrieval, RetrievalStatus.DONE, outcomes, "")


def pacs_retrievals_requeue_stale() -> int:
    """Bring back retrievals that nobody works on: lost messages, lost workers. Returns how many were touched."""
    now = timezone.now()
    waiting = Q(status=RetrievalStatus.QUEUED, requested_at__lt=now - STALE_AFTER)
    lost = Q(status=RetrievalStatus.RUNNING, lease_until__lt=now)
    stale = list(PacsRetrieval.objects.filter(waiting | lost))
    for retrieval in stale:
        if retrieval.attempts >= MAX_ATTEMPTS:
            _finish(retrieval, RetrievalStatus.FAILED, Counter(retrieval.outcomes), STOPPED)
        else:
            with transaction.atomic():
                _dispatch(retrieval)
    return len(stale)


def _dispatch(retrieval: PacsRetrieval) -> None:
    message_enqueue(task="diagnosis.tasks.retrieve_study", kwargs={"retrieval_id": str(retrieval.pk)})


def _claim(retrieval_id: str) -> PacsRetrieval | None:
    """A compare-and-swap: of several workers with the same message exactly one gets the row."""
    now = timezone.now()
    claimed = (
        PacsRetrieval.objects.filter(pk=retrieval_id, attempts__lt=MAX_ATTEMPTS)
        .filter(Q(status=RetrievalStatus.QUEUED) | Q(status=RetrievalStatus.RUNNING, lease_until__lt=now))
        .update(
            status=RetrievalStatus.RUNNING,
            attempts=F("attempts") + 1,
            lease_until=now + dt.timedelta(seconds=TIME_LIMIT_SECONDS + 60),
        )
    )
    if not claimed:
        return None
    return PacsRetrieval.objects.select_related("peer__site", "requested_by").get(pk=retrieval_id)


def _finish(retrieval: PacsRetrieval, status: RetrievalStatus, outcomes: Counter[str], reason: Words) -> None:
    """Close the attempt that ``retrieval`` was claimed for; nothing happens when another attempt took over meanwhile."""
    PacsRetrieval.objects.filter(
        pk=retrieval.pk,
        attempts=retrieval.attempts,
        status__in=[RetrievalStatus.QUEUED, RetrievalStatus.RUNNING],
    ).update(
        status=status,
        outcomes=dict(outcomes),
        reason=reason,
        lease_until=None,
        finished_at=timezone.now(),
    )
