"""Many made-up studies, fast: what a portal is like that a hospital has used for years."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import io
import json
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, models, transaction
from django.utils import timezone
from tqdm import tqdm

from diagnosis.models import (
    Decision,
    Image,
    LabResult,
    ModelVersion,
    Patient,
    PatientTerm,
    Prediction,
    Review,
    Site,
    Study,
    StudyStatus,
    User,
    worklist_facts,
)
from diagnosis.models.search_key import name_key, search_terms
from diagnosis.models.study import OpinionState
from diagnosis.models.worklist_facts import SUSPICION_UNKNOWN
from ml.imaging import render_jpeg

BATCH = 10_000
PATIENTS_FOR_STUDIES = 0.4
MOST_OPEN = 2_000
"""So many wait for a read in a large hospital; of few studies, a fifth."""
SECONDS_BETWEEN = 95
"""A million in three years."""

FAMILY = (
    "García-López Müller O'Neil Example Muster Silva Rossi Novák Kowalski Łukasik Østergaard Weiß Jansen Dubois Smith "
    "Johnson Brown Davies Khan Singh Patel Papadopoulos Ivanov Popescu Nagy Horvat Nguyen Tanaka Suzuki Kim Park Chen "
    "Wang Haddad Mansour Okafor Mensah Diallo Santos Pereira Fernández Martínez Rodríguez Sánchez Romero Torres Vargas Castro"
)
GIVEN = (
    "Ana María José Jürgen Zoë Seán Ingrid Łucja Anna Peter Paul Laura Marta Elena Sofia Lucas Hugo Emma Louis Chloé Oliver "
    "Amelia Noah Mia Ravi Priya Aylin Mehmet Eleni Dimitra Olga Ivan Ioana Andrei Linh Minh Yuki Haruto Jisoo Wei Fatima Omar "
    "Chidi Ama Aminata Bruno Carla Diego Inés Mateo"
)
SCRIPTS = (
    "山田^太郎",
    "鈴木^花子",
    "김^민준",
    "王^伟",
    "Иванов^Пётр",
    "Παππάς^Νίκος",
    "حداد^ليلى",
    "כהן^דוד",
)

LABELS = [
    {"code": "covid19", "display": "COVID-19"},
    {"code": "viral_pneumonia", "display": "Viral Pneumonia"},
    {"code": "normal", "display": "Normal"},
]
OPINION_STATES = ("label", "unsure", "refused", "failed", "", "pending")
OPINION_SHARES = (0.85, 0.06, 0.04, 0.005, 0.04, 0.005)
PCR_STATES = ("", "detected", "not_detected", "indeterminate")
PCR_SHARES = (0.5, 0.2, 0.28, 0.02)
PRIORITIES = ("routine", "urgent", "stat")
PRIORITY_SHARES = (0.85, 0.12, 0.03)
WITH_SCORES = ("label", "unsure")
SCORES = {"covid19": 0.5, "viral_pneumonia": 0.3, "normal": 0.2}
STATUS_OF = {"label": "done", "unsure": "done", "refused": "refused", "failed": "failed", "pending": "queued"}


class Command(BaseCommand):
    help = (
        "Make many studies of a hospital that does not exist, to see and measure how the portal behaves with them. They bypass "
        "the acts of the portal and its audit: never do this in a portal that holds patients."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("count", type=int, help="How many studies.")
        parser.add_argument("--site", default="Generated Hospital", help="The name of the new hospital.")
        parser.add_argument("--seed", type=int, default=0, help="Another number makes other people.")
        parser.add_argument(
            "--production",
            action="store_true",
            help="Allow it in production mode, where nothing but a test would want it.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION and not options["production"]:
            raise CommandError(
                "This is a portal in production mode, and made-up patients do not belong among real ones. "
                "In a portal that is a test, say so with --production."
            )
        if options["count"] < 1:
            raise CommandError("Give the number of studies, 1 or more.")
        if Site.objects.filter(name=options["site"]).exists():
            raise CommandError(
                f"There is a hospital “{options['site']}” already. Name another one with --site."
            )
        # All or nothing: who stops it half-way finds the triggers in place, and nothing made up.
        with transaction.atomic(), _without_triggers(), _without_indexes(options["count"]):
            Generator(options["count"], options["site"], options["seed"]).run()
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        self.stdout.write(f"Made {options['count']} studies of {options['site']}.")


@contextlib.contextmanager
def _without_triggers() -> Iterator[None]:
    """The rows are written with all that triggers would add, and refer to rows that are written before them."""
    if connection.vendor != "postgresql":
        worklist_facts.uninstall(connection)
        yield
        worklist_facts.install(connection)
        return
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if cursor.fetchone()[0]:
            # Spares the checks of eleven references for each study too.
            cursor.execute("SET LOCAL session_replication_role = replica")
            yield
            return
        worklist_facts.uninstall(connection)
        yield
        # A trigger is not put on a table whose rows still wait for their checks.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        worklist_facts.install(connection)


FILLED = (Patient, PatientTerm, LabResult, Study, Image, Prediction, Review)
SORTED_IN_MEMORY = "512MB"


@contextlib.contextmanager
def _without_indexes(count: int) -> Iterator[None]:
    """Indexes that hold nothing together are built once all rows are there, by sorting: several times faster than row by row.

    Not where more studies are there already than are made: to sort all of those anew would take longer. On PostgreSQL alone.
    """
    if connection.vendor != "postgresql" or Study.objects.all()[:count].count() >= count:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i "
            "WHERE i.indrelid::regclass::text = ANY(%s) AND NOT i.indisunique "
            "AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid) ORDER BY 1",
            [[model._meta.db_table for model in FILLED]],
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('maintenance_work_mem', %s, true)", [SORTED_IN_MEMORY])
        for _, definition in tqdm(indexes, unit="index", desc="Indexes"):
            cursor.execute(definition)


class Rows:
    """Writes rows of one table. What is not among ``columns`` gets the model's default, the same in every row."""

    def __init__(self, model: type[models.Model], columns: Sequence[str], /, **same: Any) -> None:
        self._table = model._meta.db_table
        fields = {
            field.attname: field
            for field in model._meta.concrete_fields
            if not getattr(field, "generated", False)
        }
        rest = {
            name: field for name, field in fields.items() if name not in columns and not field.primary_key
        }
        values = {
            name: same[name] if name in same else None if field.null else field.get_default()
            for name, field in rest.items()
        }
        values |= {name: same[name] for name in same if name in fields}
        prepared = {name: fields[name].get_db_prep_save(value, connection) for name, value in values.items()}
        self._columns = [*columns, *prepared]
        self._same = [self._plain(value) for value in prepared.values()]
        if connection.vendor == "postgresql":
            self._end = "".join("\t" + self._text(value) for value in self._same) + "\n"

    @staticmethod
    def _plain(value: Any) -> Any:
        """What the database's driver would have adapted: a time, a JSON value, bytes."""
        if isinstance(value, dt.datetime):
            return _stamp(value)
        adapted = getattr(value, "adapted", value)
        if isinstance(adapted, (bytes, memoryview)):
            return bytes(adapted)
        return json.dumps(adapted) if isinstance(adapted, (dict, list)) else adapted

    @staticmethod
    def _text(value: Any) -> str:
        if value is None:
            return r"\N"
        if isinstance(value, bytes):
            return "\\\\x" + value.hex()
        return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")

    def write(self, rows: Iterable[Sequence[str | int | None]]) -> None:
        names = ", ".join(f'"{name}"' for name in self._columns)
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                lines = io.StringIO(
                    "".join(
                        "\t".join([r"\N" if v is None else str(v) for v in row]) + self._end for row in rows
                    )
                )
                cursor.copy_expert(f'COPY "{self._table}" ({names}) FROM STDIN', lines)
            else:
                places = ", ".join(["%s"] * len(self._columns))
                cursor.executemany(
                    f'INSERT INTO "{self._table}" ({names}) VALUES ({places})',  # noqa: S608  Names of our own models.
                    [[*row, *self._same] for row in rows],
                )


class Generator:
    """Studies of one hospital, the oldest first."""

    def __init__(self, count: int, site: str, seed: int) -> None:
        self.count = count
        self.random = np.random.default_rng(seed)
        # The same keys in every run would meet those of another hospital made before.
        self.keys = np.random.default_rng()
        self.site = Site.objects.create(name=site, reading_protocol="concurrent")
        self.user, _ = User.objects.get_or_create(
            username="generated", defaults={"first_name": "Nobody", "is_active": False}
        )
        self.version = ModelVersion.objects.filter(is_active=True).first() or ModelVersion.objects.create(
            name="generated", version="0", sha256="0" * 64, labels=LABELS, card={}
        )
        self.mrn_start = int(self.random.integers(10**6, 10**7))
        picture = render_jpeg(np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1)))
        self.file = default_storage.save("originals/generated", ContentFile(picture))

    def run(self) -> None:
        patients, pcr, names = self._patients(max(1, int(self.count * PATIENTS_FOR_STUDIES)))
        with tqdm(total=self.count, unit="study", unit_scale=True, desc="Studies") as progress:
            for first in range(0, self.count, BATCH):
                size = min(BATCH, self.count - first)
                self._studies(first, size, patients, pcr, names)
                progress.update(size)

    def _ids(self, count: int) -> list[str]:
        """Keys in the form that both databases store: 32 hexadecimal digits."""
        digits = self.keys.bytes(16 * count).hex()
        return [digits[start : start + 32] for start in range(0, len(digits), 32)]

    def _choice(self, values: Sequence[str], shares: Sequence[float], count: int) -> list[str]:
        picked = self.random.choice(len(values), count, p=np.array(shares) / sum(shares))
        return [values[index] for index in picked]

    def _names(self, count: int) -> Iterator[str]:
        families, givens = FAMILY.split(), GIVEN.split()
        family = self.random.integers(len(families), size=count)
        given = self.random.integers(len(givens), size=(count, 2))
        other = self.random.random(count) < 0.02
        for index in range(count):
            name = f"{families[family[index]]}^{givens[given[index][0]]}^{givens[given[index][1]]}"
            yield f"{name}={SCRIPTS[index % len(SCRIPTS)]}" if other[index] else name

    def _patients(self, count: int) -> tuple[list[str], list[str], list[str]]:
        """Keys, newest PCR results and sort keys of the patients."""
        now = _stamp(timezone.now())
        keys, pcr, sort_keys = self._ids(count), self._choice(PCR_STATES, PCR_SHARES, count), []
        patients = Rows(
            Patient,
            ["id", "mrn", "person_name", "birth_date", "sex", "search_terms", "name_key", "created_at"],
            site_id=self.site.pk,
        )
        terms = Rows(PatientTerm, ["term", "patient_id"], site_id=self.site.pk)
        results = Rows(
            LabResult,
            ["id", "patient_id", "result", "collected_at", "entered_at"],
            entered_by_id=self.user.pk,
        )
        days = self.random.integers(0, 36_000, size=count)
        names = self._names(count)
        with tqdm(total=count, unit="patient", unit_scale=True, desc="Patients") as progress:
            for first in range(0, count, BATCH):
                rows, words = [], []
                for index in range(first, min(first + BATCH, count)):
                    name, mrn = next(names), f"G-{self.mrn_start + index}"
                    found, key = _terms(name, mrn), _key(name)
                    sort_keys.append(key)
                    born = dt.date(1925, 1, 1) + dt.timedelta(days=int(days[index]))
                    rows.append((keys[index], mrn, name, born.isoformat(), "FM"[index % 2], found, key, now))
                    words += [(word, keys[index]) for word in found.split()]
                patients.write(rows)
                terms.write(words)
                sampled = [index for index in range(first, first + len(rows)) if pcr[index]]
                results.write(
                    (key, keys[index], pcr[index], now, now)
                    for key, index in zip(self._ids(len(sampled)), sampled, strict=True)
                )
                progress.update(len(rows))
        return keys, pcr, sort_keys

    def _studies(self, first: int, size: int, patients: list[str], pcr: list[str], names: list[str]) -> None:
        keys, image_keys = self._ids(size), self._ids(size)
        owners = self.random.integers(len(patients), size=size)
        states = self._choice(OPINION_STATES, OPINION_SHARES, size)
        priorities = self._choice(PRIORITIES, PRIORITY_SHARES, size)
        newest = timezone.now()
        times = [
            _stamp(newest - dt.timedelta(seconds=SECONDS_BETWEEN * (self.count - 1 - index)))
            for index in range(first, first + size)
        ]
        still_open = min(MOST_OPEN, max(1, self.count // 5))
        statuses = [
            "read"
            if index < self.count - still_open
            else "analysing"
            if states[index - first] == "pending"
            else "to_read"
            for index in range(first, first + size)
        ]
        decisions = self._decisions(statuses, states)
        suspicions = [
            round(1000 * SCORES["normal"]) if state in WITH_SCORES else SUSPICION_UNKNOWN for state in states
        ]
        Rows(
            Study,
            [
                "id", "patient_id", "study_instance_uid", "accession_number", "performed_at", "priority", "status",
                "created_at", "patient_name_key", "pcr_state", "opinion_state", "suspicion_rank",
                "signed_decision",
            ],
            site_id=self.site.pk,
            submitted_by_id=self.user.pk,
            study_description="Chest PA",
        ).write(
            (
                keys[n], patients[owners[n]], f"2.25.{int(keys[n], 16)}", f"A{self.mrn_start + first + n}", times[n],
                priorities[n], statuses[n], times[n], names[owners[n]], pcr[owners[n]], states[n],
                suspicions[n], decisions[n],
            )
            for n in range(size)
        )  # fmt: skip
        Rows(
            Image,
            ["id", "study_id", "sha256", "created_at"],
            site_id=self.site.pk,
            uploaded_by_id=self.user.pk,
            original_name="chest.png",
            kind="png",
            size=1,
            rows=64,
            columns=64,
            file=self.file,
            preview=self.file,
            thumbnail=self.file,
        ).write((image_keys[n], keys[n], keys[n] + image_keys[n], times[n]) for n in range(size))
        self._predictions(image_keys, states, times)
        self._reviews(keys, decisions, times)

    def _predictions(self, image_keys: list[str], states: list[str], times: list[str]) -> None:
        asked = [n for n, state in enumerate(states) if state]
        named = ('["covid19"]', '["normal"]', '["viral_pneumonia"]')
        rows = []
        for key, n in zip(self._ids(len(asked)), asked, strict=True):
            state = states[n]
            labels = (
                named[n % 3] if state == "label" else '["covid19", "normal"]' if state == "unsure" else "[]"
            )
            is_done = state in WITH_SCORES
            rows.append(
                (
                    key, image_keys[n], STATUS_OF[state], "covid19" if is_done else "", labels,
                    "" if is_done or state == "pending" else "It is made up.", times[n], times[n],
                    None if state == "pending" else times[n],
                )
            )  # fmt: skip
        Rows(
            Prediction,
            [
                "id", "image_id", "status", "label", "possible_labels", "reason", "requested_at", "queued_at",
                "finished_at",
            ],
            model_version_id=self.version.pk,
            probabilities=SCORES,
            # The database wants maps with a finished opinion; nobody looks at these.
            activation_maps=b"made up",
        ).write(rows)  # fmt: skip

    def _decisions(self, statuses: list[str], states: list[str]) -> list[str]:
        """How each study was signed; empty where it was not."""
        overrides = self.random.random(len(states)) < 0.08
        aided = [state in (OpinionState.LABEL, OpinionState.UNSURE) for state in states]
        return [
            "" if status != StudyStatus.READ
            else Decision.UNAIDED.value if not is_aided
            else Decision.OVERRIDE.value if overrides_it
            else Decision.CONFIRM.value
            for status, is_aided, overrides_it in zip(statuses, aided, overrides, strict=True)
        ]  # fmt: skip

    def _reviews(self, keys: list[str], decisions: list[str], times: list[str]) -> None:
        signed = [(n, decision) for n, decision in enumerate(decisions) if decision]
        rows = [
            (key, keys[n], decision, "chronic" if decision == Decision.OVERRIDE else "", times[n])
            for key, (n, decision) in zip(self._ids(len(signed)), signed, strict=True)
        ]
        Rows(
            Review,
            ["id", "study_id", "decision", "reason", "signed_at"],
            reader_id=self.user.pk,
            label="normal",
            label_display="Normal",
            protocol="concurrent",
            seen_predictions=[],
        ).write(rows)


@functools.cache
def _words_of(name: str) -> frozenset[str]:
    """Of few names there are many bearers."""
    return frozenset(search_terms(person_name=name, mrn="").split())


_key = functools.cache(name_key)


def _terms(name: str, mrn: str) -> str:
    """``search_terms`` of a patient whose record number is letters, a hyphen and digits."""
    letters, _, digits = mrn.lower().partition("-")
    return " ".join(sorted({*_words_of(name), letters + digits, digits}))


def _stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
