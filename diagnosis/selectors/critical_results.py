"""Critical results: what a site counts as critical, whom it tells in which order, what is still open."""

from __future__ import annotations

from django.db.models import QuerySet

from diagnosis import policies
from diagnosis.models import (
    DEFAULT_FINDINGS,
    CriticalFinding,
    CriticalResult,
    CriticalState,
    EscalationContact,
    Role,
    Site,
    Study,
    User,
)


def critical_findings(site: Site) -> dict[str, str]:
    """Code → name of what counts as critical at ``site``: its own list, or the portal's where it has none."""
    own = CriticalFinding.objects.filter(site=site).values_list("code", "display", "is_active")
    found = list(own)
    if found:
        return {code: display for code, display, is_active in found if is_active}
    return dict(DEFAULT_FINDINGS)


def people_to_tell(critical_result: CriticalResult) -> list[User]:
    """Whom the steps of escalation tell, in this order, then again from the first: who asked for the X-ray, then the site's list.

    Left out are who flagged it, accounts that are closed or have no role at the site any more, and who may not acknowledge.
    """
    study = critical_result.study
    contacts = EscalationContact.objects.filter(site=study.site_id).select_related("user")
    people = [study.submitted_by, *(contact.user for contact in contacts)]
    allowed = policies.who_may(people, policies.Act.ACKNOWLEDGE_CRITICAL, study.site)
    told: list[User] = []
    for person in people:
        if person in told or person.pk == critical_result.flagged_by_id or person.is_system:
            continue
        if person.pk in allowed:
            told.append(person)
    return told


def with_history(results: QuerySet[CriticalResult]) -> QuerySet[CriticalResult]:
    """``results`` with all that a page shows of them, in a number of queries that does not grow."""
    return results.select_related(
        "study__site",
        "study__patient",
        "study__submitted_by",
        "flagged_by",
        "acknowledged_by",
        "cancelled_by",
    ).prefetch_related("communications__told_by", "escalations__contact")


def critical_results_of(study: Study) -> QuerySet[CriticalResult]:
    """Of one study, newest first, the cancelled ones too, without their history."""
    return CriticalResult.objects.filter(study=study).select_related(
        "study__site", "flagged_by", "acknowledged_by"
    )


def open_critical_results(user: User) -> QuerySet[CriticalResult]:
    """Not acknowledged yet at the sites of ``user``, the oldest first."""
    return CriticalResult.objects.visible_to(user).filter(state=CriticalState.OPEN).order_by("flagged_at")


def may_be_contact(user: User, site: Site) -> bool:
    """Whether ``user`` may stand in the list of ``site``: somebody who works there and may acknowledge."""
    return policies.role_at(user, site) in (Role.DOCTOR, Role.RADIOLOGIST)
