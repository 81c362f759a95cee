"""Every address of the portal, asked for by one person, and what the answers hold."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.contrib import admin
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pypdf import PdfReader

#: Addresses that hold nothing of a case: by what they begin with, or what they are made of.
WITHOUT_CASES = (
    "accounts/",
    "admin/",
    "api/schema/",
    "api/docs/",
    "favicon.ico",
    "api/v1/^.*$",
    "dicom-web/^.*$",
)

PARAMETER = re.compile(r"<(?P<converter>[a-z]+):(?P<name>[a-z_0-9]+)>")


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    for pattern in (resolver or get_resolver()).url_patterns:
        route = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        elif isinstance(pattern, URLPattern) and not route.startswith(WITHOUT_CASES):
            yield route


def addresses(values: Mapping[str, Sequence[object]]) -> list[str]:
    """Each route with each combination of ``values``: by the name of the parameter, or by the word before it.

    Raises ``KeyError`` for a parameter that nobody has said anything about: a new address must not be passed over.
    """
    return [address for route in routes() for address in _filled(route, values)]


def _filled(route: str, values: Mapping[str, Sequence[object]]) -> Iterator[str]:
    choices: list[Sequence[object]] = []
    for match in PARAMETER.finditer(route):
        before = route[: match.start()].rstrip("/").rsplit("/", 1)[-1]
        key = before if match["converter"] in {"uuid", "int"} else match["name"]
        choices.append(values[key])
    if "(" in route:
        raise KeyError(route)
    for chosen in itertools.product(*choices):
        address = route
        for value in chosen:
            address = PARAMETER.sub(str(value), address, count=1)
        yield f"/{address}"


def admin_addresses() -> list[str]:
    """Every list of the admin and every record in it."""
    found = [reverse("admin:index")]
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"admin:{name}_changelist"))
        for key in model._default_manager.values_list("pk", flat=True):
            found.append(reverse(f"admin:{name}_change", args=[key]))
            found.append(reverse(f"admin:{name}_history", args=[key]))
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What reached the browser. ``text`` is without what differs from one answer to the next whatever is in it."""

    address: str
    status: int
    headers: str
    text: str

    def holds(self, word: str) -> bool:
        return word.lower() in self.headers.lower() or word.lower() in self.text.lower()

    def differs_from(self, other: Answer) -> str:
        """Where, for the person who reads the test's report."""
        both = [f"{answer.status}\n{answer.headers}\n{answer.text}" for answer in (self, other)]
        pairs = zip(*both, strict=False)
        place = next((number for number, (one, two) in enumerate(pairs) if one != two), min(map(len, both)))
        here, there = (text[max(0, place - 80) : place + 80] for text in both)
        return f"{self.address}: {here!r} / {there!r}"


#: What the admin says of the address that was asked for before, and of nothing else.
_MESSAGES = re.compile(r'<ul class="messagelist">.*?</ul>', re.S)
_EACH_TIME_NEW = (
    re.compile(r'(name="csrfmiddlewaretoken" value=")[^"]*'),
    re.compile(r'("X-CSRFToken": ")[^"]*'),
    re.compile(r'("csrf": ")[^"]*'),
    # Signed with the second in which the page was opened.
    re.compile(r'(data-opening=")[^"]*'),
    re.compile(r"(?m)^(X-Opening: ).*"),
    re.compile(r'(boundary="?)[0-9a-f.=]+'),
    re.compile(r"(--)[0-9a-f]{32,}"),
    # The second of the answer; how long it may be kept is in Cache-Control too, which is compared.
    re.compile(r"(?m)^(Expires: ).*"),
)


def ask(client: Client, address: str, **options: object) -> Answer:
    response: HttpResponseBase = client.get(address, **options)  # type: ignore[assignment]
    content = b"".join(response) if response.streaming else response.content
    if response.headers.get("Content-Type") == "application/pdf":
        # Its streams are compressed: the words are what a reader sees of it.
        text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    else:
        text = _MESSAGES.sub("", content.decode("latin-1"))
    headers = "\n".join(
        f"{name}: {value}"
        for name, value in sorted(response.headers.items())
        if name not in {"X-Request-ID", "X-Request-Id", "Server-Timing"}
    )
    for pattern in _EACH_TIME_NEW:
        text, headers = pattern.sub(r"\1", text), pattern.sub(r"\1", headers)
    return Answer(address, response.status_code, headers, text)
