"""What a test sees of a page."""

import re
from html import unescape
from html.parser import HTMLParser

from django.http import HttpResponse


def html(response: HttpResponse) -> str:
    return response.content.decode()


def text(response: HttpResponse) -> str:
    """The words of a page, in one line, as a reader sees them."""
    without_code = re.sub(r"<(template|noscript|symbol)\b.*?</\1>", " ", html(response), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", without_code)).split())


class _Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        name = values.get("name")
        if tag != "input" or not name or values.get("type") in {"file", "submit"}:
            return
        if values.get("type") in {"checkbox", "radio"} and "checked" not in values:
            return
        self.values.setdefault(name, []).append(values.get("value") or "")


def filled_in(response: HttpResponse) -> dict[str, list[str]]:
    """The inputs of a page as it came, by name: what a person sends who changes nothing."""
    parser = _Inputs()
    parser.feed(html(response))
    return parser.values
