"""What the worklist is narrowed, sorted and searched by, kept true by the database itself.

A study's row repeats the newest PCR result and the name of its patient, the state of its second opinion and how normal that
holds it to be: only then can an index narrow and sort a million of them. Triggers write these columns in the transaction of
the change itself, whoever changes: a service, a bulk update, an importer. They are put in place after every ``migrate`` and
taken away before it: on SQLite a migration that rebuilds a table fails at triggers that name it.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper

SUSPICION_UNKNOWN = 500
"""``Study.suspicion_rank`` where the network says nothing: not before what it suspects, not after what it holds normal."""

#: Table that is written → what happens there.
TRIGGERS = {
    "diagnosis_prediction": ("prediction_facts",),
    "diagnosis_image": ("image_facts",),
    "diagnosis_labresult": ("lab_result_facts",),
    "diagnosis_review": ("review_facts",),
    "diagnosis_study": ("study_facts",),
    "diagnosis_patient": ("patient_facts",),
}

# {study}: what names the study's key. The worst of the newest predictions of its images.
_OPINION_STATE = """
COALESCE((
  SELECT CASE MAX(CASE
      WHEN p.status IN ('queued', 'running') THEN 5
      WHEN p.status = 'failed' THEN 4
      WHEN p.status = 'refused' THEN 3
      WHEN {length}(p.possible_labels) > 1 THEN 2
      ELSE 1 END)
    WHEN 5 THEN 'pending' WHEN 4 THEN 'failed' WHEN 3 THEN 'refused' WHEN 2 THEN 'unsure' WHEN 1 THEN 'label' END
  FROM diagnosis_prediction p JOIN diagnosis_image i ON i.id = p.image_id
  WHERE i.study_id = {study} AND NOT EXISTS (
    SELECT 1 FROM diagnosis_prediction q
    WHERE q.image_id = p.image_id AND (q.requested_at, q.id) > (p.requested_at, p.id))
), '')"""
# Of the same newest predictions. A model without a label "normal" says nothing of how normal an image is.
_SUSPICION_RANK = """
COALESCE((
  SELECT CAST(ROUND(1000 * MIN({normal})) AS INTEGER)
  FROM diagnosis_prediction p JOIN diagnosis_image i ON i.id = p.image_id
  WHERE i.study_id = {study} AND p.status = 'done' AND NOT EXISTS (
    SELECT 1 FROM diagnosis_prediction q
    WHERE q.image_id = p.image_id AND (q.requested_at, q.id) > (p.requested_at, p.id))
), {unknown})"""
_PCR_STATE = """
COALESCE((
  SELECT r.result FROM diagnosis_labresult r WHERE r.patient_id = {patient}
  ORDER BY r.collected_at DESC, r.id DESC LIMIT 1
), '')"""
_SIGNED_DECISION = """
COALESCE((
  SELECT v.decision FROM diagnosis_review v WHERE v.study_id = {study} ORDER BY v.signed_at DESC, v.id DESC LIMIT 1
), '')"""
_NAME_KEY = "COALESCE((SELECT n.name_key FROM diagnosis_patient n WHERE n.id = {patient}), '')"


def _facts(vendor: str, *, study: str, patient: str) -> dict[str, str]:
    length = {"postgresql": "jsonb_array_length", "sqlite": "json_array_length"}[vendor]
    normal = {
        "postgresql": "CAST(p.probabilities ->> 'normal' AS numeric)",
        "sqlite": "json_extract(p.probabilities, '$.normal')",
    }[vendor]
    return {
        "opinion_state": _OPINION_STATE.format(study=study, length=length),
        "suspicion_rank": _SUSPICION_RANK.format(study=study, normal=normal, unknown=SUSPICION_UNKNOWN),
        "pcr_state": _PCR_STATE.format(patient=patient),
        "signed_decision": _SIGNED_DECISION.format(study=study),
        "patient_name_key": _NAME_KEY.format(patient=patient),
    }


def _terms(vendor: str, *, patient: str, condition: str = "TRUE") -> str:
    """The words of patients, as a statement that stores them."""
    words = {
        "postgresql": f"unnest(string_to_array({patient}.search_terms, ' ')) AS w(value)",
        # Words hold letters and digits alone, so they need no quoting.
        "sqlite": f"""json_each('["' || replace({patient}.search_terms, ' ', '","') || '"]') AS w""",
    }[vendor]
    source = words if patient == "NEW" else f"diagnosis_patient {patient} CROSS JOIN {words}"
    return (
        f"INSERT INTO diagnosis_patientterm (site_id, term, patient_id) "  # noqa: S608  Nothing in it comes from outside.
        f"SELECT {patient}.site_id, w.value, {patient}.id FROM {source} WHERE {condition} AND w.value <> ''"
    )


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers, where the tables are all there."""
    with connection.cursor() as cursor:
        if not _is_migrated(connection):
            return
        for statement in _statements(connection.vendor):
            cursor.execute(statement)


def uninstall(connection: BaseDatabaseWrapper) -> None:
    """Remove the triggers; until they are back, who writes must write the facts too, or call ``rebuild``."""
    with connection.cursor() as cursor:
        existing = set(connection.introspection.table_names(cursor))
        for table, names in TRIGGERS.items():
            if table not in existing:
                continue
            for name in names:
                for event in ("insert", "update", "delete"):
                    suffix = f" ON {table}" if connection.vendor == "postgresql" else ""
                    cursor.execute(f"DROP TRIGGER IF EXISTS diagnosis_{name}_{event}{suffix}")


def rebuild(connection: BaseDatabaseWrapper, columns: Sequence[str]) -> None:
    """Write these facts of all studies, and the words of all patients, anew from the records that they repeat."""
    facts = _facts(connection.vendor, study="diagnosis_study.id", patient="diagnosis_study.patient_id")
    values = ", ".join(f"{column} = {facts[column]}" for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE diagnosis_study SET {values}")  # noqa: S608  Nothing in it comes from outside.
        cursor.execute("DELETE FROM diagnosis_patientterm")
        cursor.execute(_terms(connection.vendor, patient="p"))


def _is_migrated(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        existing = set(connection.introspection.table_names(cursor))
        if not {"diagnosis_patientterm", *TRIGGERS} <= existing:
            return False
        columns = connection.introspection.get_table_description(cursor, "diagnosis_study")
        return "suspicion_rank" in {column.name for column in columns}


def _statements(vendor: str) -> list[str]:
    if vendor == "sqlite":
        return _sqlite()
    if vendor == "postgresql":
        return _postgresql()
    raise ImproperlyConfigured(f"No triggers for the worklist are known for the database {vendor}.")


def _sqlite_trigger(name: str, event: str, on: str, *statements: str, when: str = "") -> str:
    condition = f"WHEN {when} " if when else ""
    body = " ".join(f"{statement};" for statement in statements)
    return f"CREATE TRIGGER IF NOT EXISTS diagnosis_{name} AFTER {event} ON {on} {condition}BEGIN {body} END"


def _sqlite() -> list[str]:
    def study(key: str, *columns: str, where: str = "id") -> str:
        facts = _facts("sqlite", study="diagnosis_study.id", patient="diagnosis_study.patient_id")
        values = ", ".join(f"{column} = {facts[column]}" for column in columns)
        return f"UPDATE diagnosis_study SET {values} WHERE {where} = {key}"  # noqa: S608

    of_opinion = ("opinion_state", "suspicion_rank")
    of_image = "(SELECT study_id FROM diagnosis_image WHERE id = NEW.image_id)"
    patient_words = _terms("sqlite", patient="NEW")
    return [
        _sqlite_trigger(
            "prediction_facts_insert", "INSERT", "diagnosis_prediction", study(of_image, *of_opinion)
        ),
        _sqlite_trigger(
            "prediction_facts_update",
            "UPDATE OF status, possible_labels, probabilities",
            "diagnosis_prediction",
            study(of_image, *of_opinion),
        ),
        _sqlite_trigger(
            "image_facts_update",
            "UPDATE OF study_id",
            "diagnosis_image",
            study("OLD.study_id", *of_opinion),
            study("NEW.study_id", *of_opinion),
        ),
        *(
            _sqlite_trigger(
                f"lab_result_facts_{event.split()[0].lower()}",
                event,
                "diagnosis_labresult",
                *(study(f"{row}.patient_id", "pcr_state", where="patient_id") for row in rows),
            )
            for event, rows in (("INSERT", ("NEW",)), ("UPDATE", ("OLD", "NEW")), ("DELETE", ("OLD",)))
        ),
        *(
            _sqlite_trigger(
                f"study_facts_{event.split()[0].lower()}",
                event,
                "diagnosis_study",
                study("NEW.id", "pcr_state", "patient_name_key"),
            )
            for event in ("INSERT", "UPDATE OF patient_id")
        ),
        _sqlite_trigger(
            "review_facts_insert", "INSERT", "diagnosis_review", study("NEW.study_id", "signed_decision")
        ),
        _sqlite_trigger("patient_facts_insert", "INSERT", "diagnosis_patient", patient_words),
        _sqlite_trigger(
            "patient_facts_update",
            "UPDATE OF search_terms, name_key, site_id",
            "diagnosis_patient",
            "DELETE FROM diagnosis_patientterm WHERE patient_id = NEW.id",
            patient_words,
            study("NEW.id", "patient_name_key", where="patient_id"),
            when="(NEW.search_terms, NEW.name_key, NEW.site_id) IS NOT (OLD.search_terms, OLD.name_key, OLD.site_id)",
        ),
    ]


def _postgresql() -> list[str]:
    of_study = _facts("postgresql", study="key", patient="")
    of_patient = _facts("postgresql", study="", patient="key")
    of_new = _facts("postgresql", study="", patient="NEW.patient_id")

    def function(name: str, body: str, *, arguments: str = "", returns: str = "trigger") -> str:
        return (
            f"CREATE OR REPLACE FUNCTION diagnosis_{name}({arguments}) RETURNS {returns} LANGUAGE plpgsql AS "
            f"$facts$ {body} $facts$"
        )

    def trigger(name: str, when: str, event: str, on: str, condition: str = "") -> str:
        suffix = event.split()[0].lower()
        return (
            f"CREATE OR REPLACE TRIGGER diagnosis_{name}_{suffix} {when} {event} ON {on} FOR EACH ROW {condition} "
            f"EXECUTE FUNCTION diagnosis_{name}()"
        )

    # The lock comes first, in a statement of its own: the next one then sees what others committed who held it. Without it two
    # predictions of one study that end together would each see the other unfinished.
    study_opinion = f"""
        BEGIN
          PERFORM 1 FROM diagnosis_study WHERE id = key FOR NO KEY UPDATE;
          UPDATE diagnosis_study s SET opinion_state = f.state, suspicion_rank = f.suspicion
          FROM (SELECT {of_study["opinion_state"]} AS state, {of_study["suspicion_rank"]} AS suspicion) f
          WHERE s.id = key AND (s.opinion_state, s.suspicion_rank) <> (f.state, f.suspicion);
        END"""  # noqa: S608  Nothing in it comes from outside.
    patient_pcr = f"""
        BEGIN
          PERFORM 1 FROM diagnosis_patient WHERE id = key FOR NO KEY UPDATE;
          PERFORM 1 FROM diagnosis_study WHERE patient_id = key ORDER BY id FOR NO KEY UPDATE;
          UPDATE diagnosis_study s SET pcr_state = f.state FROM (SELECT {of_patient["pcr_state"]} AS state) f
          WHERE s.patient_id = key AND s.pcr_state <> f.state;
        END"""  # noqa: S608  The same.
    words = _terms("postgresql", patient="NEW")
    return [
        function("study_opinion", study_opinion, arguments="key uuid", returns="void"),
        function("patient_pcr", patient_pcr, arguments="key uuid", returns="void"),
        function(
            "prediction_facts",
            "BEGIN PERFORM diagnosis_study_opinion(study_id) FROM diagnosis_image WHERE id = NEW.image_id; RETURN NULL; END",
        ),
        trigger("prediction_facts", "AFTER", "INSERT", "diagnosis_prediction"),
        trigger(
            "prediction_facts",
            "AFTER",
            "UPDATE OF status, possible_labels, probabilities",
            "diagnosis_prediction",
        ),
        function(
            "image_facts",
            "BEGIN PERFORM diagnosis_study_opinion(OLD.study_id); PERFORM diagnosis_study_opinion(NEW.study_id); "
            "RETURN NULL; END",
        ),
        trigger(
            "image_facts",
            "AFTER",
            "UPDATE OF study_id",
            "diagnosis_image",
            "WHEN (NEW.study_id IS DISTINCT FROM OLD.study_id)",
        ),
        function(
            "lab_result_facts",
            "BEGIN IF TG_OP <> 'INSERT' THEN PERFORM diagnosis_patient_pcr(OLD.patient_id); END IF; "
            "IF TG_OP <> 'DELETE' THEN PERFORM diagnosis_patient_pcr(NEW.patient_id); END IF; RETURN NULL; END",
        ),
        trigger("lab_result_facts", "AFTER", "INSERT", "diagnosis_labresult"),
        trigger("lab_result_facts", "AFTER", "UPDATE", "diagnosis_labresult"),
        trigger("lab_result_facts", "AFTER", "DELETE", "diagnosis_labresult"),
        function(
            "review_facts",
            # Each read follows the one before, so a new one is the newest.
            "BEGIN UPDATE diagnosis_study SET signed_decision = NEW.decision "
            "WHERE id = NEW.study_id AND signed_decision <> NEW.decision; RETURN NULL; END",
        ),
        trigger("review_facts", "AFTER", "INSERT", "diagnosis_review"),
        function(
            "study_facts",
            "BEGIN PERFORM 1 FROM diagnosis_patient WHERE id = NEW.patient_id FOR NO KEY UPDATE; "
            f"NEW.pcr_state = {of_new['pcr_state']}; NEW.patient_name_key = {of_new['patient_name_key']}; RETURN NEW; END",
        ),
        trigger("study_facts", "BEFORE", "INSERT", "diagnosis_study"),
        trigger("study_facts", "BEFORE", "UPDATE OF patient_id", "diagnosis_study"),
        function(
            "patient_facts",
            f"BEGIN IF TG_OP = 'UPDATE' THEN DELETE FROM diagnosis_patientterm WHERE patient_id = NEW.id; "  # noqa: S608
            "UPDATE diagnosis_study SET patient_name_key = NEW.name_key "
            "WHERE patient_id = NEW.id AND patient_name_key <> NEW.name_key; END IF; "
            f"{words}; RETURN NULL; END",
        ),
        trigger("patient_facts", "AFTER", "INSERT", "diagnosis_patient"),
        trigger(
            "patient_facts",
            "AFTER",
            "UPDATE OF search_terms, name_key, site_id",
            "diagnosis_patient",
            "WHEN ((NEW.search_terms, NEW.name_key, NEW.site_id) "
            "IS DISTINCT FROM (OLD.search_terms, OLD.name_key, OLD.site_id))",
        ),
    ]
