"""What the worklist shows: its rows, the views that lead to it, how many studies each holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.intake.resumable import uploads_to_show
from diagnosis.models import Claim, Image, IncomingFile, Membership, SavedFilter, Site, Study, User
from diagnosis.selectors.cases import CaseState, hidden_read, studies_with_case_state
from diagnosis.selectors.studies import SecondOpinion, current_review, second_opinion, studies_with_opinion
from diagnosis.selectors.worklist import (
    CHOICES,
    VIEWS,
    Count,
    Finding,
    ListPage,
    Sort,
    Viewer,
    WorklistFilter,
    list_page,
    overview,
    search_conditions,
)
from diagnosis.services.searches import query_normalise
from diagnosis.web import chips
from diagnosis.web.chips import Chip
from diagnosis.web.people import own_memberships
from diagnosis.web.views.archives import archives_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

QUERY = "worklist_query"
"""Where the session keeps what was searched for: names of patients belong neither in an address nor in the log of a proxy."""
LAST = "worklist_last"
"""Where it keeps the list that was last on screen, for the way to the next case."""

POLL_SECONDS = 20
POLL_SECONDS_WAITING = 3
"""While an analysis of a study on screen is on its way."""

SORTED = {
    "priority": gettext_lazy("most urgent first, then oldest"),
    "newest": gettext_lazy("newest first"),
    "oldest": gettext_lazy("oldest first"),
    "name": gettext_lazy("by the patient's name"),
    "suspicion": gettext_lazy("most urgent first, then most suspicious to the network, then oldest"),
}
ANY = {
    "priority": gettext_lazy("Any"),
    "reader": gettext_lazy("Anybody"),
    "pcr": gettext_lazy("Any"),
    "opinion": gettext_lazy("Any"),
    "case": gettext_lazy("Any"),
}
NAMES = {
    "status": gettext_lazy("Status"),
    "priority": gettext_lazy("Priority"),
    "reader": gettext_lazy("Reader"),
    "pcr": gettext_lazy("Latest PCR"),
    "opinion": gettext_lazy("Second opinion"),
    "case": gettext_lazy("Case"),
    "sort": gettext_lazy("Order"),
}


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at the list. ``saved_id`` is of one of the person's own."""

    key: str
    name: StrOrPromise
    narrow: WorklistFilter
    saved_id: int | None = None

    @property
    def url(self) -> str:
        return f"{reverse('web:home')}?{urlencode({'view': self.key})}"


def views_of(user: User) -> list[View]:
    """Those that everybody has (second reads: who may give them), and the person's own."""
    reads_second = bool(policies.sites_of(own_memberships(user), policies.Act.READ_SECOND))
    own = SavedFilter.objects.filter(user=user, deleted_at__isnull=True)
    return [
        *(
            View(key, name, narrow)
            for key, (name, narrow) in VIEWS.items()
            if reads_second or narrow.case != Finding.SECOND_READ
        ),
        *(View(f"own-{saved.pk}", saved.name, WorklistFilter.of(saved.query), saved.pk) for saved in own),
    ]


@dataclass(frozen=True, slots=True)
class Row:
    study: Study
    opinion: SecondOpinion
    image: Image | None
    image_count: int
    status_chip: Chip
    priority_chip: Chip | None
    opinion_chip: Chip
    pcr_chip: Chip
    decision_chip: Chip
    case_chips: tuple[Chip, ...]
    claim: Claim | None
    """The running one."""
    is_own: bool

    @classmethod
    def of(cls, study: Study, user: User) -> Row:
        opinion = second_opinion(study)
        images = list(study.images.all())
        claim = getattr(study, "claim", None)
        hides_read = getattr(study, "is_read_hidden", False)
        return cls(
            study=study,
            opinion=opinion,
            image=next((image for image in images if image.is_shown), None),
            image_count=len(images),
            status_chip=chips.study_chip(study),
            priority_chip=chips.priority_chip(study),
            opinion_chip=chips.opinion_chip(opinion),
            pcr_chip=chips.pcr_chip(study.pcr_state),
            decision_chip=SECOND_READ_OPEN if hides_read else chips.decision_chip(current_review(study)),
            case_chips=tuple(
                CASE[state] for state in CaseState if getattr(study, f"is_{state.value}", False)
            ),
            claim=claim if claim is not None and claim.is_running else None,
            is_own=claim is not None and claim.holder_id == user.pk,
        )


SECOND_READ_OPEN = Chip("lock", gettext_lazy("Read; second read open"))
CASE: Mapping[CaseState, Chip] = {
    CaseState.CRITICAL: Chip("warning", CaseState.CRITICAL.label, "alert"),
    CaseState.DISCREPANCY: Chip("warning", CaseState.DISCREPANCY.label, "attention"),
    CaseState.ADJUDICATION: Chip("question", CaseState.ADJUDICATION.label, "attention"),
    CaseState.SECOND_READ: Chip("eye", CaseState.SECOND_READ.label, "attention"),
}


def rows_of(keys: Sequence[UUID], user: User, sites: Sequence[int]) -> list[Row]:
    """The studies with these keys that ``user`` may see, in this order."""
    studies = studies_with_opinion(Study.objects.filter(pk__in=keys, site_id__in=sites), viewer=user)
    found = {study.pk: study for study in _with_case(studies, user)}
    return [Row.of(found[key], user) for key in keys if key in found]


def _with_case(studies: QuerySet[Study], user: User) -> QuerySet[Study]:
    """What a row shows beyond the study itself, in the same query."""
    this = Study.objects.filter(pk=OuterRef("pk"))
    states = {f"is_{state.value}": Exists(studies_with_case_state(this, state, user)) for state in CaseState}
    return studies.select_related("claim__holder", "assigned_to").annotate(
        is_read_hidden=Exists(this.filter(hidden_read(user))), **states
    )


@dataclass(frozen=True, slots=True)
class Facet:
    """One choice that narrows the list."""

    name: str
    label: StrOrPromise
    any_label: StrOrPromise
    choices: tuple[tuple[str, str], ...]
    value: str
    is_set: bool
    """Whether it narrows the list or changes its order."""


@dataclass(frozen=True, slots=True)
class Worklist:
    """One page of the list and all around it, for ``templates/worklist``."""

    views: tuple[tuple[View, Count], ...]
    view: View | None
    narrow: WorklistFilter
    facets: tuple[Facet, ...]
    query: str
    rows: tuple[Row, ...]
    page: ListPage
    count: Count
    since: dt.datetime
    new: Count
    has_archive: bool
    has_unfinished: bool
    has_waiting: bool
    """Uploads to go on with, and files whose patient is to be confirmed: above the list."""
    may_upload: bool
    has_site: bool
    many_sites: bool
    is_ordered_by_ai: bool
    """Whether the network orders the studies of one hospital at least."""

    @property
    def sorted(self) -> str:
        sort = self.narrow.sort
        return str(SORTED[Sort.PRIORITY if sort == Sort.SUSPICION and not self.is_ordered_by_ai else sort])

    @property
    def is_narrowed(self) -> bool:
        return self.narrowed_by > 0

    @property
    def narrowed_by(self) -> int:
        """How many choices narrow the list."""
        return len({name for name in self.narrow.query if name != "sort"})

    @property
    def is_waiting(self) -> bool:
        return any(row.opinion.is_pending for row in self.rows)

    @property
    def poll_seconds(self) -> int:
        return POLL_SECONDS_WAITING if self.is_waiting else POLL_SECONDS

    @property
    def state(self) -> dict[str, str]:
        """What a refresh sends back, so that it writes the same page."""
        return {
            **self.address,
            "since": self.since.isoformat(),
            "next": self.page.after,
            "previous": self.page.before,
        }

    @property
    def address(self) -> dict[str, str]:
        """What names this list in an address."""
        return {"view": self.view.key} if self.view else {"status": self.narrow.status, **self.narrow.query}

    @property
    def first_url(self) -> str:
        return self._url({})

    @property
    def next_url(self) -> str:
        return self._url({"after": self.page.after}) if self.page.after else ""

    @property
    def previous_url(self) -> str:
        return self._url({"before": self.page.before}) if self.page.before else ""

    def _url(self, place: Mapping[str, str]) -> str:
        return f"{reverse('web:home')}?{urlencode({**self.address, **place})}"


def is_explicit(asked: Mapping[str, Any]) -> bool:
    """Whether an address says which list it means; else it is the one that the person has chosen to begin with."""
    return bool({"view", "site", *CHOICES} & set(asked))


def chosen(
    user: User, asked: Mapping[str, Any], query: str
) -> tuple[list[View], View | None, WorklistFilter]:
    """The views of ``user``, the one that is meant, and what it narrows to."""
    views = views_of(user)
    by_key = {view.key: view for view in views}
    if not is_explicit(asked):
        # Who searches without having chosen a list looks for a study wherever it is.
        view = by_key["all"] if query else by_key.get(user.worklist_view) or by_key[_usual(user)]
    elif "view" in asked:
        view = by_key.get(asked["view"]) or by_key["all"]
    else:
        narrow = WorklistFilter.of(asked)
        return views, next((view for view in views if view.narrow == narrow), None), narrow
    return views, view, view.narrow


def _usual(user: User) -> str:
    """Who reads begins with what is to be read, everybody else with what came last."""
    reads = policies.sites_of(own_memberships(user), policies.Act.SIGN_REVIEW)
    return "open" if reads else "all"


def worklist_of(
    user: User,
    session: SessionBase,
    asked: Mapping[str, Any],
    *,
    shown: Sequence[UUID] | None = None,
) -> Worklist:
    """The list that ``asked`` names. With ``shown`` it is written anew with the same rows, as they stand now."""
    query = query_normalise(session.get(QUERY, ""))
    memberships = own_memberships(user)
    viewer = Viewer.at(user, memberships)
    views, view, narrow = chosen(user, asked, query)
    words = search_conditions(viewer, query) if query else []
    since = (parse_datetime(asked.get("since", "")) if shown is not None else None) or timezone.now()
    questions: dict[str, tuple[WorklistFilter, Sequence[Q]]] = {
        "list": (narrow, words),
        "new": (narrow, [*words, Q(created_at__gt=since)]),
        **{view.key: (view.narrow, []) for view in views if view.key != "all"},
    }
    if shown is None:
        del questions["new"]
    also = {
        "archive": Exists(archives_of(user)),
        "unfinished": Exists(uploads_to_show(user)),
        "waiting": Exists(IncomingFile.objects.filter(uploaded_by=user)),
    }
    after, before = asked.get("after", ""), asked.get("before", "")
    found = overview(viewer, questions, also, narrow=narrow, at=after or before)
    counts, there_is = found.counts, found.there_is
    if shown is None:
        page = list_page(viewer, narrow, words, after=after, before=before, name_at=found.name_at)
    else:
        page = ListPage(tuple(shown), asked.get("next", ""), asked.get("previous", ""))
    none = Count(0, is_more=False)
    return Worklist(
        views=tuple((other, counts.get(other.key, none)) for other in views),
        view=view,
        narrow=narrow,
        facets=_facets(narrow, memberships, viewer),
        query=query,
        rows=tuple(rows_of(page.keys, user, viewer.sites)),
        page=page,
        count=counts["list"],
        since=since,
        new=counts.get("new", none),
        has_archive=there_is["archive"],
        has_unfinished=there_is["unfinished"],
        has_waiting=there_is["waiting"],
        may_upload=bool(policies.sites_of(memberships, policies.Act.UPLOAD)),
        has_site=bool(memberships),
        many_sites=len(memberships) > 1,
        is_ordered_by_ai=any(viewer.is_ordered_by_ai(site, narrow) for site in viewer.sites),
    )


def _offered(name: str, narrow: WorklistFilter, viewer: Viewer) -> tuple[tuple[str, str], ...]:
    """The order by the network is offered where the protocol of a hospital allows it, or somebody has it already."""
    choices = CHOICES[name].choices
    if name == "sort" and not viewer.by_ai and narrow.sort != Sort.SUSPICION:
        choices = [choice for choice in choices if choice[0] != Sort.SUSPICION]
    return tuple(choices)


def _facets(narrow: WorklistFilter, memberships: Sequence[Membership], viewer: Viewer) -> tuple[Facet, ...]:
    facets = [
        Facet(
            name,
            NAMES[name],
            ANY.get(name, ""),
            _offered(name, narrow, viewer),
            getattr(narrow, name),
            is_set=name in narrow.query,
        )
        for name in CHOICES
    ]
    if len(memberships) > 1:
        sites: list[Site] = [membership.site for membership in memberships]
        choices = tuple((str(site.pk), site.name) for site in sites)
        chosen_site = str(narrow.site or "")
        facets.insert(
            0,
            Facet(
                "site",
                gettext_lazy("Hospital"),
                gettext_lazy("All"),
                choices,
                chosen_site,
                is_set=bool(chosen_site),
            ),
        )
    return tuple(facets)
