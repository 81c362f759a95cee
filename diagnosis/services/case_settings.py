"""What a site sets: its rules for second reads and discrepancies, its critical findings, whom it tells."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from diagnosis import policies
from diagnosis.models import AuditAction, CaseRules, CriticalFinding, EscalationContact, User
from diagnosis.selectors.critical_results import may_be_contact
from diagnosis.services.audit import audit_record
from diagnosis.services.second_read_queue import queue_arrange

CaseSetting = CaseRules | CriticalFinding | EscalationContact


@transaction.atomic
def case_setting_save(*, actor: User, setting: CaseSetting, changed: Sequence[str]) -> CaseSetting:
    """Save a new or changed setting; ``changed`` names the fields. Raises ``ValidationError`` with field errors.

    What is written down already, on a critical result or a second read, keeps its own words.
    """
    policies.require(actor, policies.Act.SET_CASE_RULES, setting.site)
    if isinstance(setting, EscalationContact):
        _require_contact(setting)
    setting.full_clean()
    setting.save()
    _audit(actor, setting, sorted(changed), deleted=False)
    if isinstance(setting, CaseRules):
        queue_arrange(site=setting.site)
    return setting


@transaction.atomic
def case_setting_delete(*, actor: User, setting: CriticalFinding | EscalationContact) -> None:
    """Take a finding or a person off the list; what happened with it stays on record."""
    policies.require(actor, policies.Act.SET_CASE_RULES, setting.site)
    _audit(actor, setting, [], deleted=True)
    setting.delete()


def _require_contact(contact: EscalationContact) -> None:
    if not may_be_contact(contact.user, contact.site):
        raise ValidationError(
            {"user": _("This person is no doctor or radiologist of the hospital, and could not acknowledge.")}
        )
    if not contact.user.email:
        raise ValidationError({"user": _("This person has no mail address. Enter one in the account first.")})


def _audit(actor: User, setting: CaseSetting, changed: list[str], *, deleted: bool) -> None:
    values = {name: str(getattr(setting, name)) for name in changed if name != "site"}
    audit_record(
        actor=actor,
        action=AuditAction.CASE_RULES_CHANGED,
        site=setting.site,
        target=setting,
        details={"values": values, "deleted": deleted, "what": str(setting)},
    )
