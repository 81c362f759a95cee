"""Who may do what. The only module that knows what a role allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_noop

from diagnosis.models import (
    OPEN_STATES,
    UNREAD_STATES,
    FirstReadImage,
    Image,
    OpinionForOthers,
    ReadingProtocol,
    Review,
    Role,
    SecondRead,
    SecondReadOpinion,
    SecondReadWaiver,
    Site,
    Study,
    StudyStatus,
)
from diagnosis.sentences import Sentence

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser
    from django.db.models import QuerySet

    from diagnosis.models import Membership, User


class Act(StrEnum):
    VIEW_RECORDS = gettext_noop("view records")
    UPLOAD = gettext_noop("upload images")
    ADD_PATIENT = gettext_noop("add a patient")
    ADD_LAB_RESULT = gettext_noop("add a PCR result")
    ADD_SYMPTOM_NOTE = gettext_noop("add a symptom note")
    RUN_ANALYSIS = gettext_noop("run an analysis")
    RECORD_ANALYSIS = gettext_noop("record an analysis")
    SIGN_REVIEW = gettext_noop("sign a read")
    RESOLVE_HELD_FILE = gettext_noop("decide about held files")
    REQUEST_SECOND_READ = gettext_noop("ask for a second read")
    READ_SECOND = gettext_noop("read a study second")
    RESOLVE_DISCREPANCY = gettext_noop("decide about a discrepancy")
    FLAG_CRITICAL = gettext_noop("flag a critical result")
    ACKNOWLEDGE_CRITICAL = gettext_noop("acknowledge a critical result")
    ESCALATE_CRITICAL = gettext_noop("escalate a critical result")
    SET_CASE_RULES = gettext_noop("set the rules of cases")
    SET_UP_REPORTS = gettext_noop("change the words and the letterhead of reports")
    CHANGE_PRIORITY = gettext_noop("change how urgent a study is")
    ASSIGN_READER = gettext_noop("say who reads a study")
    END_CLAIM = gettext_noop("end somebody else's claim")


class NotAllowed(PermissionDenied):
    """A role does not allow an act. Its text is written for the person at the screen."""

    def __init__(self, user: User | AnonymousUser, act: Act, site: Site) -> None:
        super().__init__(
            Sentence(
                gettext_noop(
                    "Your role at {site} does not allow you to {act}. Ask an administrator of {site}."
                ),
                site=str(site),
                act=Sentence(act),
            )
        )
        self.user, self.act, self.site = user, act, site


_CLINICAL = frozenset(
    {
        Act.VIEW_RECORDS,
        Act.UPLOAD,
        Act.ADD_PATIENT,
        Act.ADD_LAB_RESULT,
        Act.ADD_SYMPTOM_NOTE,
        Act.RUN_ANALYSIS,
        Act.REQUEST_SECOND_READ,
        Act.ACKNOWLEDGE_CRITICAL,
        Act.CHANGE_PRIORITY,
    }
)

_READING = frozenset({Act.SIGN_REVIEW, Act.READ_SECOND, Act.RESOLVE_DISCREPANCY, Act.FLAG_CRITICAL})

ALLOWED: Mapping[Role, frozenset[Act]] = {
    Role.DOCTOR: _CLINICAL,
    Role.RADIOLOGIST: _CLINICAL | _READING,
    Role.ADMIN: frozenset(
        {
            Act.VIEW_RECORDS,
            Act.RUN_ANALYSIS,
            Act.RESOLVE_HELD_FILE,
            Act.SET_CASE_RULES,
            Act.SET_UP_REPORTS,
            Act.CHANGE_PRIORITY,
            Act.ASSIGN_READER,
            Act.END_CLAIM,
        }
    ),
}

# What the workers do in the name of the system user, at any site.
ALLOWED_TO_SYSTEM = frozenset({Act.RUN_ANALYSIS, Act.RECORD_ANALYSIS, Act.ESCALATE_CRITICAL})


def role_at(user: User | AnonymousUser, site: Site) -> Role | None:
    """The role of ``user`` at ``site``; ``None`` for an outsider and for a deactivated account."""
    if not user.is_authenticated or not user.is_active:
        return None
    role = user.memberships.filter(site=site).values_list("role", flat=True).first()
    return Role(role) if role else None


def may(user: User | AnonymousUser, act: Act, site: Site) -> bool:
    if user.is_authenticated and user.is_system:
        return act in ALLOWED_TO_SYSTEM
    role = role_at(user, site)
    return role is not None and act in ALLOWED[role]


def require(user: User | AnonymousUser, act: Act, site: Site) -> Role | None:
    """Raises ``NotAllowed``, a ``PermissionDenied`` with a sentence for the person, when ``user`` may not do ``act``.

    Returns the role by which ``user`` may, for the audit of the act; ``None`` for the system user.
    """
    if user.is_authenticated and user.is_system:
        if act not in ALLOWED_TO_SYSTEM:
            raise NotAllowed(user, act, site)
        return None
    role = role_at(user, site)
    if role is None or act not in ALLOWED[role]:
        raise NotAllowed(user, act, site)
    return role


def who_may(people: Iterable[User], act: Act, site: Site) -> set[int]:
    """The keys of those of ``people``, none of them a system user, who may do ``act`` at ``site``; one query."""
    roles = [role for role, acts in ALLOWED.items() if act in acts]
    keys = [person.pk for person in people if person.is_active]
    found = site.memberships.filter(user__in=keys, user__is_active=True, role__in=roles)
    return set(found.values_list("user_id", flat=True))


def sites_where(user: User | AnonymousUser, act: Act) -> QuerySet[Site]:
    """The sites at which ``user`` may do ``act``."""
    if not user.is_authenticated or not user.is_active:
        return Site.objects.none()
    roles = [role for role, acts in ALLOWED.items() if act in acts]
    return Site.objects.filter(memberships__user=user, memberships__role__in=roles)


def readers_at(site: Site) -> QuerySet[User]:
    """Who may sign reads at ``site``, by name."""
    roles = [role for role, acts in ALLOWED.items() if Act.SIGN_REVIEW in acts]
    found = get_user_model().objects.filter(
        is_active=True, memberships__site=site, memberships__role__in=roles
    )
    return found.order_by("last_name", "first_name", "username")


def sites_of(memberships: Iterable[Membership], act: Act) -> list[Site]:
    """Of the hospitals of these memberships those at which the role allows ``act``: for what is shown, without a query."""
    return [membership.site for membership in memberships if act in ALLOWED[Role(membership.role)]]


def ai_shown_to(user: User | AnonymousUser | None, path: str = "") -> Q:
    """The rows whose second opinion may reach ``user`` now: the one rule by which every interface shows, filters, orders,
    counts and times anything that stems from the network.

    ``path`` leads from the row to its study: empty for studies, ``study__`` for images and reads, ``image__study__`` for
    predictions. It says nothing about whose records they are: start from ``visible_to``. ``None`` is a service that acts
    for nobody in particular.

    At a site that reads first, who may sign there is shown the opinion on a case once the own first read of all its
    images was answered by its reveal, or once the case is closed. Who may not sign there: by the rule of the site for
    doctors; those who audit it always.
    """
    if user is None:
        return Q()
    if not user.is_authenticated or not user.is_active:
        return Q(pk__in=[])
    if user.is_system:
        return Q()
    signs_here = Q(**{f"{path}site__in": sites_where(user, Act.SIGN_REVIEW).values("pk")})
    told_at_once = Q(**{f"{path}site__opinion_for_others": OpinionForOthers.AT_ONCE})
    audits_here = Q(**{f"{path}site__in": _audited_sites(user).values("pk")})
    return (
        ~Q(**{f"{path}site__reading_protocol": ReadingProtocol.READ_FIRST})
        | (_closed_case(path) & ~(signs_here & Q(_to_read_second(user, path))))
        | (~signs_here & (told_at_once | audits_here))
        | (signs_here & ~Q(_image_without_reveal(user, path)))
    )


def _closed_case(path: str) -> Q:
    """Nobody is to read the case any more: its record, and what the network said, is open to all who may see it."""
    return Q(**{f"{path}status": StudyStatus.READ})


def second_reads_open_to(user: User) -> QuerySet[SecondRead]:
    """The open second reads that ``user`` may still give or adjudicate: another person than all who have read the study.

    It says nothing about roles and sites. Who has asked to see the read gives no second one, but may adjudicate.
    """
    of_study = OuterRef("study")
    return SecondRead.objects.filter(state__in=OPEN_STATES).exclude(
        Exists(Review.objects.filter(study=of_study, reader=user))
        | Exists(SecondReadOpinion.objects.filter(second_read=OuterRef("pk"), reader=user))
        | (
            Q(state__in=UNREAD_STATES)
            & Exists(SecondReadWaiver.objects.filter(second_read=OuterRef("pk"), reader=user))
        )
    )


def _to_read_second(user: User, path: str) -> Exists:
    """Whether a second reader or an adjudicator is wanted for a closed case, and it may still be ``user``."""
    waived = SecondReadWaiver.objects.filter(second_read=OuterRef("pk"), reader=user)
    return Exists(second_reads_open_to(user).filter(study=OuterRef(f"{path}pk")).exclude(Exists(waived)))


def _image_without_reveal(user: User, path: str) -> Exists:
    """Whether the network speaks about an image that was not part of a first read of ``user`` with its reveal."""
    revealed = FirstReadImage.objects.filter(
        image=OuterRef("pk"), first_read__reader=user, first_read__reveal__isnull=False
    )
    study = f"{path}pk"
    return Exists(
        Image.objects.filter(study=OuterRef(study), not_analysed_code="").filter(~Q(Exists(revealed)))
    )


def ai_may_order(site: Site) -> bool:
    """Whether the worklist of ``site`` may be ordered by what the network says: by its protocol, and at no other site.

    Anywhere else the order would tell a reader of the network, or put its word before the doctor's without having been asked.
    """
    return site.reading_protocol == ReadingProtocol.AI_FIRST


def may_see_ai(user: User | AnonymousUser, study: Study) -> bool:
    """Whether what the network says about ``study`` may reach ``user`` now: ``ai_shown_to`` for one case."""
    return Study.objects.filter(ai_shown_to(user), pk=study.pk).exists()


def _audited_sites(user: User) -> QuerySet[Site]:
    return Site.objects.auditable_by(user)


def may_audit(user: User | AnonymousUser, site: Site | None = None) -> bool:
    """Whether ``user`` may inspect records in the admin: a superuser everywhere, an administrator at the own sites.

    Without ``site``: whether there is anything at all to inspect.
    """
    if not user.is_authenticated or not user.is_active:
        return False
    if user.is_superuser:
        return True
    if site is not None:
        return role_at(user, site) is Role.ADMIN
    return user.memberships.filter(role=Role.ADMIN).exists()


def may_manage_accounts(user: User | AnonymousUser) -> bool:
    """Whether ``user`` may make accounts and sites and say who works where: superusers, and the set-up of the portal."""
    return user.is_authenticated and user.is_active and (user.is_superuser or user.is_system)


def require_account_management(user: User | AnonymousUser) -> None:
    """Raises ``PermissionDenied`` with a sentence for the person when ``user`` may not manage accounts."""
    if not may_manage_accounts(user):
        raise PermissionDenied(
            Sentence(
                gettext_noop(
                    "Only a superuser may change accounts, roles and sites. Ask the one of your installation."
                )
            )
        )
