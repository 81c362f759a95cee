"""The timeline as a picture: X-rays, PCR samples, symptoms and measurements on one axis of days. Pure geometry.

It draws what was measured and reported, and nothing that the network said: it is the same for every viewer.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from diagnosis.models import LabResult, PcrResult, Severity, Study, SymptomNote
from diagnosis.selectors.cases import onset_before
from diagnosis.selectors.studies import TimelineEntry

WIDTH = 360
LEFT = 78.0
RIGHT = 14.0
TOP = 34.0
LANE = 34.0
SHOWN_DAYS = 30
"""Before and after the X-ray on screen; what lies further off stands in the list alone."""
_LEAST_DAYS = 4.0
_STEPS = (1, 2, 5, 7, 14, 28)
_TICK_ROOM = 34.0

SIGNS = {PcrResult.DETECTED: "plus", PcrResult.NOT_DETECTED: "minus", PcrResult.INDETERMINATE: "question"}
_SEVERITY = {Severity.MILD: 4.0, Severity.MODERATE: 5.5, Severity.SEVERE: 7.0}


@dataclass(frozen=True, slots=True)
class Mark:
    """``x``, ``y`` is its middle, ``size`` half of its width; ``until`` the end of the line that leaves it to the right."""

    kind: str
    x: float
    y: float
    size: float = 6.0
    text: str = ""
    sign: str = ""
    until: float | None = None

    @property
    def left(self) -> float:
        return self.x - self.size

    @property
    def top(self) -> float:
        return self.y - self.size

    @property
    def width(self) -> float:
        return 2 * self.size

    @property
    def diamond(self) -> str:
        x, y, size = self.x, self.y, self.size
        return f"{x:.1f},{y - size:.1f} {x + size:.1f},{y:.1f} {x:.1f},{y + size:.1f} {x - size:.1f},{y:.1f}"


@dataclass(frozen=True, slots=True)
class Lane:
    """``bars`` are spans (from, width); ``line`` joins measurements, as points of a polyline."""

    name: str
    y: float
    marks: Sequence[Mark] = ()
    bars: Sequence[tuple[float, float]] = ()
    line: str = ""

    @property
    def text_y(self) -> float:
        return self.y + 4


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``left_out`` counts what lies too far off; ``summary`` says the picture in words."""

    height: float
    lanes: Sequence[Lane]
    ticks: Sequence[Tick]
    axis: str
    onset_x: float | None
    current: Mark | None
    left_out: int
    summary: str
    width: int = WIDTH

    @property
    def bottom(self) -> float:
        return self.height - 6

    @property
    def right(self) -> float:
        return self.width - RIGHT


@dataclass(slots=True)
class _Facts:
    studies: list[Study] = field(default_factory=list)
    results: list[LabResult] = field(default_factory=list)
    notes: list[SymptomNote] = field(default_factory=list)


def timeline_chart(
    entries: Iterable[TimelineEntry], *, current_study_id: uuid.UUID | None = None
) -> Chart | None:
    """The picture of ``entries`` around the study on screen, or else around the newest entry; ``None`` without any.

    Days count from the first symptoms, where they are known, by the clock of the active time zone.
    """
    entries = list(entries)
    if not entries:
        return None
    current = next((e for e in entries if e.kind == "study" and e.record.pk == current_study_id), None)
    anchor = (current or max(entries, key=lambda entry: entry.at)).at
    near = dt.timedelta(days=SHOWN_DAYS)
    shown = [entry for entry in entries if abs(entry.at - anchor) <= near]
    facts = _Facts()
    for entry in shown:
        match entry.kind:
            case "study":
                facts.studies.append(entry.record)
            case "pcr":
                facts.results.append(entry.record)
            case _:
                facts.notes.append(entry.record)
    onset = onset_before(facts.notes, timezone.localdate(anchor))
    scale = _Scale.of(shown, onset)
    lanes = _lanes(facts, scale, onset, current_study_id)
    now = next((mark for mark in lanes[0].marks if mark.kind == "current"), None) if lanes else None
    return Chart(
        height=TOP + LANE * len(lanes) + 6,
        lanes=lanes,
        ticks=scale.ticks(onset),
        axis=_("Days since the first symptoms") if onset else _("Dates"),
        onset_x=scale.x(_midnight(onset)) if onset else None,
        current=now,
        left_out=len(entries) - len(shown),
        summary=_summary(facts, onset),
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    start: dt.datetime
    days: float

    @classmethod
    def of(cls, entries: Sequence[TimelineEntry], onset: dt.date | None) -> _Scale:
        moments = [entry.at for entry in entries]
        moments += [
            e.record.received_at
            for e in entries
            if e.kind == "pcr"
            and e.record.received_at
            and e.record.received_at - e.at < dt.timedelta(days=SHOWN_DAYS)
        ]
        if onset:
            moments.append(_midnight(onset))
        start = _midnight(timezone.localdate(min(moments)))
        days = (max(moments) - start) / dt.timedelta(days=1)
        return cls(start, max(days * 1.04, _LEAST_DAYS))

    def x(self, at: dt.datetime) -> float:
        share = (at - self.start) / dt.timedelta(days=1) / self.days
        return round(LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT), 1)

    def ticks(self, onset: dt.date | None) -> list[Tick]:
        room = WIDTH - LEFT - RIGHT
        step = next((s for s in _STEPS if s / self.days * room >= _TICK_ROOM), _STEPS[-1])
        first = timezone.localdate(self.start)
        day = first + dt.timedelta(days=(onset - first).days % step if onset else 0)
        ticks = []
        while (_midnight(day) - self.start) / dt.timedelta(days=1) <= self.days:
            text = str((day - onset).days) if onset else date_format(day, "j M")
            ticks.append(Tick(self.x(_midnight(day)), text))
            day += dt.timedelta(days=step)
        return ticks


def _midnight(day: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


def _lanes(
    facts: _Facts, scale: _Scale, onset: dt.date | None, current_study_id: uuid.UUID | None
) -> list[Lane]:
    lanes: list[Lane] = []

    def y() -> float:
        return TOP + LANE * len(lanes) + LANE / 2

    if facts.studies:
        marks = [
            Mark("current" if study.pk == current_study_id else "study", scale.x(study.time), y())
            for study in facts.studies
        ]
        lanes.append(Lane(_("X-ray"), y(), marks))
    if facts.results:
        marks = [
            Mark(
                "pcr",
                scale.x(result.collected_at),
                y(),
                7.0,
                sign=SIGNS[PcrResult(result.result)],
                until=scale.x(result.received_at) if result.received_at else None,
            )
            for result in facts.results
        ]
        lanes.append(Lane("PCR", y(), marks))
    noted = [note for note in facts.notes if note.symptoms.all() or note.onset_date]
    if noted:
        marks = [Mark("symptoms", scale.x(note.noted_at), y(), _worst(note)) for note in noted]
        bars = []
        if onset:
            start = scale.x(_midnight(onset))
            bars.append((start, max(max(mark.x for mark in marks) - start, 2.0)))
        lanes.append(Lane(_("Symptoms"), y(), marks, bars))
    for name, unit, values in (
        (_("Temp."), "°", [(n.noted_at, n.temperature_c) for n in facts.notes]),
        ("SpO₂", "%", [(n.noted_at, n.spo2_percent) for n in facts.notes]),
    ):
        measured = sorted((at, value) for at, value in values if value is not None)
        if measured:
            lanes.append(_measurements(name, unit, measured, scale, y()))
    return lanes


def _worst(note: SymptomNote) -> float:
    return max((_SEVERITY[Severity(symptom.severity)] for symptom in note.symptoms.all()), default=4.0)


def _measurements(
    name: str, unit: str, measured: Sequence[tuple[dt.datetime, object]], scale: _Scale, middle: float
) -> Lane:
    numbers = [float(str(value)) for _, value in measured]
    low, high = min(numbers), max(numbers)
    marks: list[Mark] = []
    last_text = -100.0
    for (at, value), number in zip(measured, numbers, strict=True):
        share = (number - low) / (high - low) if high > low else 0.5
        x = scale.x(at)
        # A value is written where there is room; the list has them all.
        text = f"{value}{unit}" if x - last_text >= _TICK_ROOM else ""
        last_text = x if text else last_text
        marks.append(Mark("value", x, round(middle + 9 - share * 8, 1), 2.5, text=text))
    line = " ".join(f"{mark.x},{mark.y}" for mark in marks) if len(marks) > 1 else ""
    return Lane(name, middle, marks, line=line)


def _summary(facts: _Facts, onset: dt.date | None) -> str:
    parts = []
    if count := len(facts.studies):
        parts.append(ngettext("%(number)s X-ray", "%(number)s X-rays", count) % {"number": count})
    if count := len(facts.results):
        parts.append(ngettext("%(number)s PCR sample", "%(number)s PCR samples", count) % {"number": count})
    if count := len(facts.notes):
        parts.append(
            ngettext("%(number)s symptom note", "%(number)s symptom notes", count) % {"number": count}
        )
    if onset:
        parts.append(_("first symptoms on %(date)s") % {"date": date_format(onset, "j F Y")})
    return _("%(facts)s. The list below says each with its time.") % {"facts": ", ".join(parts)}
