"""The worklist: which studies, in which order, which of them on this page, and how many.

Made for a million of them: a page is a range of an index that begins after the last row of the page before (so that rows which
come or go meanwhile move nothing), and a count stops where nobody needs the exact number any more. Each hospital is asked by
itself, since an order runs through an index only within one.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from django.core.exceptions import ValidationError
from django.db.models import Exists, F, Field, OuterRef, Q, QuerySet, Subquery, TextChoices, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.models import (
    OPEN_STATUSES,
    Claim,
    Decision,
    DiscrepancyState,
    Membership,
    PatientTerm,
    PcrResult,
    Priority,
    Study,
    StudyStatus,
    User,
)
from diagnosis.models.lookups import CappedCount, RowComparison
from diagnosis.models.search_key import search_word
from diagnosis.models.study import OpinionState
from diagnosis.models.worklist_facts import SUSPICION_UNKNOWN
from diagnosis.selectors.cases import discrepancies_shown_to
from diagnosis.selectors.second_reads import second_reads_to_take

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PAGE_SIZE = 25
MOST_COUNTED = 1_000
"""“1000+” says as much as the number."""
MOST_COUNTED_SLOWLY = 100
"""Where each row that is counted costs a look into other tables."""
MOST_CANDIDATES = 20_000
"""Up to so many patients a word is looked up before the studies are, and above while they are."""
MOST_WORDS = 8


class Scope(TextChoices):
    OPEN = "open", gettext_lazy("To be read")
    READ = "read", gettext_lazy("Read")
    ALL = "all", gettext_lazy("All")


class Sort(TextChoices):
    PRIORITY = "priority", gettext_lazy("Most urgent, then oldest")
    NEWEST = "newest", gettext_lazy("Newest")
    OLDEST = "oldest", gettext_lazy("Oldest")
    NAME = "name", gettext_lazy("Patient's name")
    SUSPICION = "suspicion", gettext_lazy("Most urgent, then most suspicious to AI")


class PcrChoice(TextChoices):
    NONE = "none", gettext_lazy("No result yet")
    DETECTED = PcrResult.DETECTED.value, PcrResult.DETECTED.label
    NOT_DETECTED = PcrResult.NOT_DETECTED.value, PcrResult.NOT_DETECTED.label
    INDETERMINATE = PcrResult.INDETERMINATE.value, PcrResult.INDETERMINATE.label


class ReaderChoice(TextChoices):
    ME = "me", gettext_lazy("Me: assigned or claimed")
    NOBODY = "nobody", gettext_lazy("Nobody yet")


class Finding(TextChoices):
    """What is known of a case once it was read."""

    DISAGREEMENT = "disagreement", gettext_lazy("Reader and second opinion disagree")
    DISCREPANCY = "discrepancy", gettext_lazy("PCR after the signature, not settled")
    SECOND_READ = "second_read", gettext_lazy("Second read that waits for me")


#: Columns by which each order runs, and its direction; the last one is unique. All have an index that begins with the hospital.
ORDERS: Mapping[str, tuple[tuple[str, ...], bool]] = {
    Sort.PRIORITY: (("priority_rank", "created_at", "id"), True),
    Sort.NEWEST: (("created_at", "id"), False),
    Sort.OLDEST: (("created_at", "id"), True),
    Sort.NAME: (("patient_name_key", "id"), True),
    Sort.SUSPICION: (("priority_rank", "suspicion_rank", "created_at", "id"), True),
}

CHOICES: Mapping[str, type[TextChoices]] = {
    "status": Scope,
    "priority": Priority,
    "reader": ReaderChoice,
    "pcr": PcrChoice,
    "opinion": OpinionState,
    "case": Finding,
    "sort": Sort,
}


@dataclasses.dataclass(frozen=True, slots=True)
class WorklistFilter:
    """What the list is narrowed to, and its order. It names no patient, so it may stand in an address and be saved."""

    status: str = Scope.ALL
    priority: str = ""
    reader: str = ""
    pcr: str = ""
    opinion: str = ""
    case: str = ""
    site: int | None = None
    sort: str = Sort.NEWEST

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> WorklistFilter:
        """What an address or a saved filter asks for; a choice that does not exist narrows nothing."""
        known = {
            name: value for name, values in CHOICES.items() if (value := query.get(name)) in values.values
        }
        site = str(query.get("site") or "")
        return cls(**known, site=int(site) if site.isascii() and site.isdigit() and len(site) < 10 else None)

    @property
    def query(self) -> dict[str, str]:
        """For an address: what differs from no filter at all, in one order."""
        return {
            field.name: str(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }

    @property
    def is_probed(self) -> bool:
        """Whether a row is judged by other tables than its own."""
        return bool(self.opinion or self.case)


#: The views that everybody has: key, name, what it narrows to.
VIEWS: Mapping[str, tuple[StrOrPromise, WorklistFilter]] = {
    "open": (gettext_lazy("To read"), WorklistFilter(status=Scope.OPEN, sort=Sort.PRIORITY)),
    "mine": (
        gettext_lazy("Mine"),
        WorklistFilter(status=Scope.OPEN, reader=ReaderChoice.ME, sort=Sort.PRIORITY),
    ),
    "stat": (
        gettext_lazy("Stat"),
        WorklistFilter(status=Scope.OPEN, priority=Priority.STAT, sort=Sort.OLDEST),
    ),
    "pcr": (
        gettext_lazy("Waiting for PCR"),
        WorklistFilter(status=Scope.OPEN, pcr=PcrChoice.NONE, sort=Sort.PRIORITY),
    ),
    "refused": (
        gettext_lazy("AI refused"),
        WorklistFilter(status=Scope.OPEN, opinion=OpinionState.REFUSED, sort=Sort.PRIORITY),
    ),
    "disagreement": (gettext_lazy("Disagreement"), WorklistFilter(case=Finding.DISAGREEMENT)),
    "discrepancy": (gettext_lazy("PCR discrepancies"), WorklistFilter(case=Finding.DISCREPANCY)),
    "second_read": (
        gettext_lazy("Second reads for me"),
        WorklistFilter(case=Finding.SECOND_READ, sort=Sort.PRIORITY),
    ),
    "all": (gettext_lazy("All"), WorklistFilter()),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, and at which hospitals; ``by_ai`` are those whose list the network may order."""

    user: User
    sites: tuple[int, ...]
    by_ai: frozenset[int] = frozenset()

    @classmethod
    def of(cls, user: User) -> Viewer:
        if not user.is_active:
            return cls(user, ())
        return cls.at(user, Membership.objects.filter(user=user).select_related("site"))

    @classmethod
    def at(cls, user: User, memberships: Iterable[Membership]) -> Viewer:
        sites = [membership.site for membership in memberships]
        by_ai = frozenset(site.pk for site in sites if policies.ai_may_order(site))
        return cls(user, tuple(sorted(site.pk for site in sites)), by_ai)

    def is_ordered_by_ai(self, site: int, narrow: WorklistFilter) -> bool:
        """Whether the network orders what ``narrow`` shows of a hospital: where its protocol says so, of what is to be read."""
        return site in self.by_ai and narrow.sort == Sort.SUSPICION and narrow.status == Scope.OPEN


def running_claims() -> QuerySet[Claim]:
    return Claim.objects.filter(expires_at__gt=timezone.now())


def matching(viewer: Viewer, narrow: WorklistFilter, words: Sequence[Q] = ()) -> list[QuerySet[Study]]:
    """The studies that ``narrow`` and every word let through, for each hospital of the viewer that it names."""
    sites = _sites(viewer, narrow)
    return [_narrowed(Study.objects.filter(*words, site_id=site), viewer, narrow) for site in sites]


def _sites(viewer: Viewer, narrow: WorklistFilter) -> list[int]:
    return [site for site in viewer.sites if narrow.site in (None, site)]


def _narrowed(studies: QuerySet[Study], viewer: Viewer, narrow: WorklistFilter) -> QuerySet[Study]:
    match narrow.status:
        case Scope.OPEN:
            studies = studies.filter(status__in=OPEN_STATUSES)
        case Scope.READ:
            studies = studies.filter(status=StudyStatus.READ)
    if narrow.priority:
        studies = studies.filter(priority=narrow.priority, priority_rank=_RANKS[narrow.priority])
    match narrow.reader:
        case ReaderChoice.ME:
            claimed = running_claims().filter(holder=viewer.user).values("study_id")
            if narrow.status == Scope.OPEN:
                studies = studies.filter(Q(assigned_to=viewer.user) | Q(pk__in=claimed))
            else:
                # Among all studies the database has to start from the few keys; those that are open it looks through.
                assigned = Study.objects.filter(assigned_to=viewer.user).values("pk")
                studies = studies.filter(pk__in=assigned.union(claimed))
        case ReaderChoice.NOBODY:
            studies = studies.filter(assigned_to__isnull=True)
    if narrow.pcr:
        studies = studies.filter(pcr_state="" if narrow.pcr == PcrChoice.NONE else narrow.pcr)
    if narrow.opinion:
        studies = studies.filter(policies.ai_shown_to(viewer.user), opinion_state=narrow.opinion)
    match narrow.case:
        case Finding.DISAGREEMENT:
            studies = studies.filter(policies.ai_shown_to(viewer.user), signed_decision=Decision.OVERRIDE)
        # Of these two there are few: the database starts from them.
        case Finding.DISCREPANCY:
            unsettled = discrepancies_shown_to(viewer.user).exclude(state=DiscrepancyState.RESOLVED)
            studies = studies.filter(pk__in=unsettled.values("review__study"))
        case Finding.SECOND_READ:
            studies = studies.filter(pk__in=second_reads_to_take(viewer.user).values("study"))
    return studies


_RANKS: Mapping[str, int] = {Priority.STAT: 0, Priority.URGENT: 1, Priority.ROUTINE: 2}


# Searching


def search_conditions(viewer: Viewer, query: str) -> list[Q]:
    """What every study fulfils that ``query`` finds: each word begins a part of the patient's name, the record number or the
    accession number, or is the study's UID.

    Rare words are looked up first, here, and only patients of whom all of them are said go on: the database then starts from
    their few studies. What a frequent one matches is left to the list's own order, in which the first matches come soon.
    """
    conditions: list[Q] = []
    patients: set[uuid.UUID] | None = None
    for word in words_of(query):
        found = patients_with_word(viewer.sites, word)
        studies = _studies_with_word(viewer.sites, word)
        keys = list(studies.values_list("pk", flat=True)[: MOST_CANDIDATES + 1])
        of_studies = Q(pk__in=keys if len(keys) <= MOST_CANDIDATES else studies.values("pk"))
        few = set(found[: MOST_CANDIDATES + 1]) if found is not None else set()
        if len(few) > MOST_CANDIDATES:
            conditions.append(Q(patient_id__in=found) | of_studies if keys else Q(patient_id__in=found))
        elif keys:
            conditions.append(Q(patient_id__in=few) | of_studies)
        else:
            patients = few if patients is None else patients & few
    return conditions if patients is None else [Q(patient_id__in=patients), *conditions]


def _studies_with_word(sites: Sequence[int], word: str) -> QuerySet[Study]:
    number = Q(accession_key__has_prefix=word.lower()) & ~Q(accession_key="")
    return Study.objects.filter(number | Q(study_instance_uid=word), site_id__in=sites)


def words_of(query: str) -> list[str]:
    """What is looked up: “Family, Given” as it is shown finds what is stored as Family^Given."""
    return list(dict.fromkeys(query.replace("\x00", "").replace(",", " ").split()))[:MOST_WORDS]


def patients_with_word(sites: Sequence[int], word: str) -> Any | None:
    """The keys of the patients of whom a term begins with ``word``; ``None`` when the word holds no letter and no digit."""
    key = search_word(word)
    if not key:
        return None
    return PatientTerm.objects.filter(site_id__in=sites, term__has_prefix=key).values_list(
        "patient_id", flat=True
    )


# Pages


@dataclasses.dataclass(frozen=True, slots=True)
class ListPage:
    """The keys of one page, in order. ``after`` and ``before`` name where the neighbouring pages begin; empty: there is none."""

    keys: tuple[uuid.UUID, ...]
    after: str
    before: str


def list_page(
    viewer: Viewer,
    narrow: WorklistFilter,
    words: Sequence[Q] = (),
    *,
    after: str = "",
    before: str = "",
    size: int = PAGE_SIZE,
    name_at: NameAt | None = None,
) -> ListPage:
    """The page that begins after the place ``after``, ends before the place ``before``, or is the first.

    A place that names nothing (any more) gives the first page. ``name_at`` is what ``overview`` has found for it.
    """
    _, ascending = ORDERS[narrow.sort]
    place = _place(viewer, narrow, after or before, name_at)
    backwards = bool(before and not after and place)
    rows = _rows_of(viewer, narrow, matching(viewer, narrow, words), ascending != backwards, place, size + 1)
    has_more = len(rows) > size
    rows = rows[:size]
    if backwards:
        rows.reverse()
    has_next, has_previous = (True, has_more) if backwards else (has_more, bool(place))
    return ListPage(
        keys=tuple(row[-1] for row in rows),
        after=_cursor(narrow.sort, rows[-1]) if rows and has_next else "",
        before=_cursor(narrow.sort, rows[0]) if rows and has_previous else "",
    )


def _rows_of(
    viewer: Viewer,
    narrow: WorklistFilter,
    by_site: Sequence[QuerySet[Study]],
    ascending: bool,
    place: Sequence[Any] | None,
    most: int,
) -> list[tuple[Any, ...]]:
    columns, _ = ORDERS[narrow.sort]
    if narrow.sort != Sort.SUSPICION:
        return _rows(by_site, columns, ascending, place, most)
    # Of a hospital that the network must not order nothing of it is asked for: its studies stand where those stand of which
    # the network knows nothing, by the same urgency.
    found: list[tuple[Any, ...]] = []
    for site, studies in zip(_sites(viewer, narrow), by_site, strict=True):
        if viewer.is_ordered_by_ai(site, narrow):
            found += _rows([studies], columns, ascending, place, most)
        else:
            plain, plain_place = _around_unknown(studies, ascending, place)
            rows = _rows([plain], ORDERS[Sort.PRIORITY][0], ascending, plain_place, most)
            found += [(priority, SUSPICION_UNKNOWN, *rest) for priority, *rest in rows]
    return sorted(found, reverse=not ascending)[:most]


def _around_unknown(
    studies: QuerySet[Study], ascending: bool, place: Sequence[Any] | None
) -> tuple[QuerySet[Study], Sequence[Any] | None]:
    """Of ``studies``, all taken for ``SUSPICION_UNKNOWN``, those that may stand beyond ``place``; and the place in the order
    by urgency and age that is left to be looked at.
    """
    if place is None:
        return studies, None
    priority, suspicion, created_at, key = place
    if suspicion == SUSPICION_UNKNOWN:
        return studies, [priority, created_at, key]
    with_equal = (suspicion < SUSPICION_UNKNOWN) == ascending
    lookup = f"priority_rank__{'gt' if ascending else 'lt'}{'e' if with_equal else ''}"
    return studies.filter(**{lookup: priority}), None


def _rows(
    by_site: Sequence[QuerySet[Study]],
    columns: tuple[str, ...],
    ascending: bool,
    place: Sequence[Any] | None,
    most: int,
) -> list[tuple[Any, ...]]:
    order = [column if ascending else f"-{column}" for column in columns]
    if place:
        values = [
            Value(value, output_field=_field(column)) for column, value in zip(columns, place, strict=True)
        ]
        beyond = RowComparison([F(column) for column in columns], ">" if ascending else "<", values)
        by_site = [studies.filter(beyond) for studies in by_site]
    if not by_site:
        return []
    if len(by_site) == 1:
        return list(by_site[0].order_by(*order).values_list(*columns)[:most])
    # The first rows of each hospital, and of these the first: sorting what an index has sorted is for few rows alone.
    firsts = [
        Study.objects.filter(pk__in=studies.order_by(*order).values("pk")[:most]).values_list(*columns)
        for studies in by_site
    ]
    return list(firsts[0].union(*firsts[1:], all=True).order_by(*order)[:most])


def _cursor(sort: str, row: Sequence[Any]) -> str:
    """The place of a row, for an address. A name does not belong there: the row's key stands for it."""
    if sort == Sort.NAME:
        return str(row[-1])
    return "~".join(value.isoformat() if isinstance(value, dt.datetime) else str(value) for value in row)


def _place(viewer: Viewer, narrow: WorklistFilter, cursor: str, name_at: NameAt | None) -> list[Any] | None:
    if not cursor:
        return None
    columns, _ = ORDERS[narrow.sort]
    if narrow.sort == Sort.NAME:
        return name_at.place if name_at else _place_of(viewer, narrow, cursor)
    parts = cursor.split("~")
    if len(parts) != len(columns):
        return None
    try:
        values = [_field(column).to_python(part) for column, part in zip(columns, parts, strict=True)]
    except ValidationError:
        return None
    return None if None in values or any(_is_naive(value) for value in values) else values


def _field(column: str) -> Field[Any, Any]:
    return cast("Field[Any, Any]", Study._meta.get_field(column))


def _is_naive(value: Any) -> bool:
    return isinstance(value, dt.datetime) and value.tzinfo is None


def _place_of(viewer: Viewer, narrow: WorklistFilter, key: str | uuid.UUID) -> list[Any] | None:
    """Where the study with this key stands now."""
    columns, _ = ORDERS[narrow.sort]
    try:
        found = Study.objects.filter(pk=key, site_id__in=viewer.sites).values("site_id", *columns).first()
    except ValidationError:
        return None
    if found is None:
        return None
    if narrow.sort == Sort.SUSPICION and not viewer.is_ordered_by_ai(found["site_id"], narrow):
        found["suspicion_rank"] = SUSPICION_UNKNOWN
    return [found[column] for column in columns]


def next_case(
    user: User, narrow: WorklistFilter, study_id: uuid.UUID, query: str = "", *, backwards: bool = False
) -> uuid.UUID | None:
    """The study after (or before) this one in the list, whether this one is still in it or not; ``None`` at its end.

    Studies that somebody else is reading now are passed over.
    """
    viewer = Viewer.of(user)
    place = _place_of(viewer, narrow, study_id)
    if place is None:
        return None
    _, ascending = ORDERS[narrow.sort]
    by_site = [
        studies.exclude(pk=study_id).filter(~Exists(claimed_by_others(user)))
        for studies in matching(viewer, narrow, search_conditions(viewer, query))
    ]
    rows = _rows_of(viewer, narrow, by_site, ascending != backwards, place, 1)
    return rows[0][-1] if rows else None


def claimed_by_others(user: User) -> QuerySet[Claim]:
    """The running claim of somebody else on the study of the outer query."""
    return running_claims().filter(study=OuterRef("pk")).exclude(holder=user)


# Counts


@dataclasses.dataclass(frozen=True, slots=True)
class Count:
    """``number`` is exact unless ``is_more``."""

    number: int
    is_more: bool

    def __str__(self) -> str:
        return f"{self.number}+" if self.is_more else str(self.number)


@dataclasses.dataclass(frozen=True, slots=True)
class NameAt:
    """Where a list by name goes on: ``place`` is that of the study, ``None`` where there is no such study (any more)."""

    place: list[Any] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Overview:
    """What a page of the worklist asks besides its rows."""

    counts: dict[str, Count]
    there_is: dict[str, bool]
    name_at: NameAt | None


Asked = Mapping[str, tuple[WorklistFilter, Sequence[Q]]]


def counts(viewer: Viewer, asked: Asked) -> dict[str, Count]:
    """How many studies each of ``asked`` holds, all in one query."""
    return overview(viewer, asked, {}).counts


def overview(
    viewer: Viewer,
    asked: Asked,
    also: Mapping[str, Exists],
    *,
    narrow: WorklistFilter | None = None,
    at: str = "",
) -> Overview:
    """``counts``, and in the same query whether there is any of what ``also`` names, and the name at the place ``at`` of a
    list that ``narrow`` orders by name.
    """
    by_name = narrow is not None and narrow.sort == Sort.NAME and bool(at)
    key = _key_of(at) if by_name else None
    most = {key: _most(narrow, words) for key, (narrow, words) in asked.items()}
    parts: dict[str, CappedCount | Exists | Subquery] = {
        f"c{index}_{site}": CappedCount(studies.order_by().values("pk")[: most[key] + 1])
        for index, (key, (narrow, words)) in enumerate(asked.items())
        for site, studies in enumerate(matching(viewer, narrow, words))
    }
    parts |= also
    if key:
        name = Study.objects.filter(pk=key, site_id__in=viewer.sites).values("patient_name_key")
        parts["name"] = Subquery(name[:1])
    row = User.objects.filter(pk=viewer.user.pk).values(**parts).get() if parts else {}
    found = cast("dict[str, Any]", row)
    totals = {
        # ``None`` is what Django gives for a condition that can hold for nothing.
        key: sum(number or 0 for name, number in found.items() if name.startswith(f"c{index}_"))
        for index, key in enumerate(asked)
    }
    numbers = {key: Count(min(total, most[key]), is_more=total > most[key]) for key, total in totals.items()}
    known = found.get("name")
    return Overview(
        counts=numbers,
        there_is={name: bool(found[name]) for name in also},
        name_at=NameAt(None if known is None else [known, key]) if by_name else None,
    )


def _key_of(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _most(narrow: WorklistFilter, words: Sequence[Q]) -> int:
    return MOST_COUNTED_SLOWLY if words or narrow.is_probed else MOST_COUNTED
