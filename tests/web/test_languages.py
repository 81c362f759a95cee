"""The pages in other languages: what is said is marked, translated, compiled, and in the language that the person chose."""

from __future__ import annotations

import ast
import datetime as dt
import gettext
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import translation

from diagnosis.services.preferences import preferences_save
from diagnosis.templatetags.portal import score
from tests.harness.binaries import require
from tests.web.pages import html, text

LOCALE = Path(settings.BASE_DIR, "locale")
TEMPLATES = Path(settings.BASE_DIR, "templates")
OTHER_LANGUAGES = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
DOMAINS = ("django", "djangojs")
# The same in every language: names, units, formats, codes.
UNTRANSLATED = re.compile(r"\b(?:CXR Portal|API|SpO₂|Ct|sha256|DICOM|Swagger UI|CXR|UTC)\b")
SAID_IN_ATTRIBUTES = r'\b(?:aria-label|alt|title|placeholder)="((?:{%.*?%}|{{.*?}}|[^"])*)"'


def entries(source: str) -> list[str]:
    """The entries of a catalogue without its head and without where they stand."""
    without_places = re.sub(r"^#:.*\n", "", source, flags=re.M)
    return sorted(part.strip() for part in without_places.split("\n\n")[1:] if part.strip())


@pytest.fixture(scope="module")
def collected(tmp_path_factory) -> Path:
    """The catalogues as ``make messages`` would write them now, in a folder of their own."""
    require("msgmerge")
    folder = tmp_path_factory.mktemp("languages")
    for name in ("diagnosis", "cxr_portal", "templates", "frontend/src", "ml"):
        shutil.copytree(
            Path(settings.BASE_DIR, name),
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__", "migrations", "zoo"),
        )
    shutil.copytree(LOCALE, folder / "locale")
    shutil.copy(Path(settings.BASE_DIR, "manage.py"), folder)
    shutil.copy(Path(settings.BASE_DIR, "Makefile"), folder)
    subprocess.run(
        ["make", "--always-make", "messages", f"BIN={Path(sys.executable).parent}", "DEV_TOOLS="],
        cwd=folder,
        check=True,
        capture_output=True,
        env={
            **os.environ,
            "PYTHONPATH": str(settings.BASE_DIR),
        },  # For the packages that say nothing to people.
    )
    return folder / "locale"


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_a_catalogue_holds_every_text_and_nothing_else(collected, language, domain):
    name = f"{language}/LC_MESSAGES/{domain}.po"
    assert entries((collected / name).read_text()) == entries((LOCALE / name).read_text())


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_every_text_is_translated_and_none_is_guessed(language, domain, tmp_path):
    path = LOCALE / language / "LC_MESSAGES" / f"{domain}.po"
    told = subprocess.run(
        [require("msgfmt"), "--check", "--statistics", "-o", tmp_path / "compiled.mo", path],
        capture_output=True,
        text=True,
        check=True,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    ).stderr
    assert re.fullmatch(r"\d+ translated messages\.", told.strip().splitlines()[-1])
    with path.with_suffix(".mo").open("rb") as committed, (tmp_path / "compiled.mo").open("rb") as compiled:
        assert gettext.GNUTranslations(committed)._catalog == gettext.GNUTranslations(compiled)._catalog


def unmarked(source: str) -> list[str]:
    """What a template says without handing it to the translators."""
    for said_elsewhere in (
        r"{%\s*comment\s*%}.*?{%\s*endcomment\s*%}",
        r"{#.*?#}",
        r"{%\s*block page_class\s*%}.*?{%\s*endblock\s*%}",
        r"{%\s*blocktranslate.*?{%\s*endblocktranslate\s*%}",
        r"<kbd>.*?</kbd>",
    ):
        source = re.sub(said_elsewhere, "", source, flags=re.S)
    without_variables = re.sub(r"{%.*?%}|{{.*?}}", "", source, flags=re.S)
    attributes = re.findall(SAID_IN_ATTRIBUTES, without_variables)
    between_tags = re.sub(r'<(?:"[^"]*"|\'[^\']*\'|[^>"\'])*>', "\n", without_variables)
    said = (UNTRANSLATED.sub("", part).strip() for part in [*between_tags.splitlines(), *attributes])
    return [part for part in said if re.search(r"[^\W\d_]{2}", part)]


@pytest.mark.parametrize(
    "page", sorted(TEMPLATES.rglob("*.html")), ids=lambda page: str(page.relative_to(TEMPLATES))
)
def test_a_template_says_nothing_that_is_not_marked(page):
    if page.name == "_draft_attributes.html":  # Attributes of a tag that another template begins.
        return
    assert unmarked(page.read_text()) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ('<p>{% translate "Hello" %} and you</p>', ["and you"]),
        ('<a title="Open {{ name }}">{% icon "x" %}</a>', ["Open"]),
        ("<p>{{ name }}</p>", []),
    ],
)
def test_the_search_for_unmarked_text_finds_it(source, said):
    assert unmarked(source) == said


def test_the_login_speaks_the_language_of_the_browser(browser, db):
    response = browser(None).get(
        reverse("account_login"), headers={"Accept-Language": "es-ES,es;q=0.9,en;q=0.8"}
    )
    assert '<html lang="es"' in html(response)
    assert "Iniciar sesión" in text(response)
    assert response.headers["Content-Language"] == "es"


def test_a_language_that_the_portal_does_not_speak_gives_english(browser, db):
    response = browser(None).get(reverse("account_login"), headers={"Accept-Language": "fi"})
    assert '<html lang="en"' in html(response)
    assert "Log in" in text(response)


def test_the_switch_on_the_login_is_kept_in_this_browser(browser, db):
    client = browser(None)
    response = client.post(reverse("web:language"), {"language": "es", "next": "/accounts/login/"})
    assert response.headers["Location"] == "/accounts/login/"
    assert "Iniciar sesión" in text(client.get("/accounts/login/"))


def test_the_switch_leads_to_no_other_site(browser, db):
    response = browser(None).post(reverse("web:language"), {"language": "es", "next": "https://example.org/"})
    assert response.headers["Location"] == "/"


def test_the_language_of_the_account_goes_before_that_of_the_browser(browser, radiologist):
    client = browser(radiologist)
    client.post(reverse("web:language"), {"language": "es"})
    radiologist.refresh_from_db()
    assert radiologist.language == "es"
    other_browser = browser(radiologist)
    page = other_browser.get("/", headers={"Accept-Language": "en"})
    assert '<html lang="es"' in html(page)
    assert "Lista de trabajo" in text(page)


def test_nobody_else_speaks_it_afterwards(browser, radiologist, doctor):
    preferences_save(actor=radiologist, language="es")
    assert "Lista de trabajo" in text(browser(radiologist).get("/"))
    assert "Worklist" in text(browser(doctor).get("/"))
    assert translation.get_language() == settings.LANGUAGE_CODE


def test_a_day_has_the_form_of_the_language(browser, radiologist, study):
    preferences_save(actor=radiologist, language="es")
    page = html(browser(radiologist).get(reverse("web:study", args=[study.pk])))
    assert re.search(r'title="(?:lunes|martes|miércoles|jueves|viernes|sábado|domingo) ', page)
    # A length in a picture has a point whatever the language.
    assert not re.search(r'(?:x|y|cx|cy|r|width|height)="\d+,\d', page)


def test_times_go_by_the_clock_of_the_person(browser, radiologist, study):
    preferences_save(actor=radiologist, time_zone="America/Lima")
    page = html(browser(radiologist).get(reverse("web:study", args=[study.pk])))
    assert 'America/Lima"' in page
    assert 'Europe/Madrid"' not in page  # The zone in the title of a time.


def test_beside_times_that_are_typed_it_is_said_whose_clock_counts(browser, doctor, patient):
    address = reverse("web:lab_results", args=[patient.pk])
    assert "by your own clock" not in text(browser(doctor).get(address))
    preferences_save(actor=doctor, time_zone="America/Lima")
    assert "by your own clock, America/Lima; that of the hospital is Europe/Madrid" in text(
        browser(doctor).get(address)
    )
    browser(doctor).post(
        address, {"result": "detected", "collected_at": "2026-01-02T08:00", "specimen": "saliva"}
    )
    # Eight in the morning in Lima, which keeps no summer time.
    assert patient.lab_results.get().collected_at == dt.datetime(2026, 1, 2, 13, tzinfo=dt.UTC)


def test_without_a_choice_times_go_by_the_clock_of_the_hospital(browser, radiologist, study):
    assert "Europe/Madrid" in html(browser(radiologist).get(reverse("web:study", args=[study.pk])))


@pytest.mark.parametrize("wrong", [{"language": "xx"}, {"time_zone": "Mars/Olympus"}])
def test_what_is_no_language_and_no_zone_is_not_kept(browser, radiologist, wrong):
    response = browser(radiologist).post(reverse("web:preferences"), wrong)
    assert response.status_code == 422
    radiologist.refresh_from_db()
    assert (radiologist.language, radiologist.time_zone) == ("", "")


@pytest.mark.parametrize(
    ("language", "said"), [("en", ["0.74", "1.00", "0.00"]), ("es", ["0,74", "1,00", "0,00"])]
)
def test_a_score_is_rounded_and_not_cut_off_in_every_language(language, said):
    with translation.override(language):
        assert [score(value) for value in (0.7391, 0.9951, 0.0049)] == said


SOURCE = Path(settings.BASE_DIR, "diagnosis")
MARKS = {
    "_",
    "gettext",
    "gettext_lazy",
    "gettext_noop",
    "ngettext",
    "ngettext_lazy",
    "pgettext",
    "pgettext_lazy",
}
#: Errors that tell a programmer what went wrong; a person at the screen never reads them.
FOR_PROGRAMMERS = {
    "TypeError",
    "ValueError",
    "LookupError",
    "RuntimeError",
    "NotImplementedError",
    "OSError",
    "ImproperlyConfigured",
    "TusHookError",
}
#: In calls of these stands what the API's schema says, which is English.
SCHEMA = {"extend_schema", "OpenApiResponse", "OpenApiParameter", "parameter"}
#: Folders and modules whose words reach programs, the shell or DICOM systems: see ``docs/languages.md``.
IN_ENGLISH = (
    "management/",
    "migrations/",
    "dicomweb/",
    "dimse/",
    "intake/bulk.py",
    "intake/deidentification/rules.py",
    "intake/new_uid.py",
    "intake/decoder.py",
    "api/schema.py",
    "services/model_versions.py",
    "services/case_rules.py",
    "login_audit.py",
)
SENTENCE = re.compile(r"[A-Z“][^\n]*[a-z{}%)]+ [^\n]*[.?!…]$", re.S)


def name_of(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def unmarked_sentences(source: str, *, in_schema: bool = False) -> list[str]:
    """Whole sentences of a module that no translator is handed, but for docstrings, logs and what programmers read.

    ``in_schema``: what helps with a field goes to the API's schema, or to nobody but the readers of the tables.
    """
    tree = ast.parse(source)
    said_elsewhere: set[int] = set()

    def leave_out(node: ast.AST) -> None:
        said_elsewhere.update(id(inner) for inner in ast.walk(node))

    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                leave_out(node)
            case ast.Call(func=function) if (
                name_of(function) in MARKS | FOR_PROGRAMMERS | SCHEMA
                or name_of(getattr(function, "value", ast.Name(""))) == "logger"
            ):
                leave_out(node)
            case ast.keyword(arg="help_text" | "label") if in_schema:
                leave_out(node)
            case ast.Assign(targets=[ast.Name(id="search_description")]):
                leave_out(node)
            case ast.JoinedStr():
                said_elsewhere.update(id(part) for part in node.values if isinstance(part, ast.Constant))
    said = []
    for node in ast.walk(tree):
        if id(node) in said_elsewhere:
            continue
        match node:
            case ast.Constant(value=str(text)):
                said.append(text)
            case ast.JoinedStr(values=values):
                said.append("".join(v.value if isinstance(v, ast.Constant) else "{}" for v in values))
    return [text for text in said if SENTENCE.match(text)]


@pytest.mark.parametrize(
    "module",
    [
        path
        for path in sorted(SOURCE.rglob("*.py"))
        if not str(path.relative_to(SOURCE)).startswith(IN_ENGLISH)
    ],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_a_module_says_no_sentence_that_is_not_marked(module):
    in_schema = module.relative_to(SOURCE).parts[0] in ("api", "models")
    assert unmarked_sentences(module.read_text(), in_schema=in_schema) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            'raise NotPossible("This was done already. Reload the page.")',
            ["This was done already. Reload the page."],
        ),
        ('errors["method"] = f"Choose one of {names}."', ["Choose one of {}."]),
        ('raise NotPossible(_("This was done already. Reload the page."))', []),
        ('logger.error("The disk is full.")', []),
        ('raise LookupError("No upload was begun.")', []),
        ('def f():\n    """What it does."""', []),
    ],
)
def test_the_search_for_unmarked_sentences_finds_them(source, said):
    assert unmarked_sentences(source) == said
