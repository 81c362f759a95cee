"""From the words of a report to the bytes of its PDF.

Tagged for screen readers (PDF/UA-1) and made to be kept (PDF/A-2a). Both demand that every character has a glyph, so a name
in a script without a font on this machine is an error here, and never a row of empty boxes.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typst
from fontTools.ttLib import TTFont

from diagnosis.pdf.document import ReportDocument

_TEMPLATE = Path(__file__).with_name("report.typ")
#: In this order; what none of them has is looked for in every other font of the machine.
_PREFERRED = ("Noto Sans", "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR")
_STANDARDS: list[typst.PDFStandard] = ["a-2a", "ua-1"]
#: What the error of an export says when no font has a glyph.
_NO_GLYPH = "could not be displayed"


def report_pdf(document: ReportDocument) -> bytes:
    """The PDF of ``document``. Raises ``typst.TypstError``, whose text may hold the patient's: it belongs in no log."""
    content = _printable(asdict(document))
    try:
        return _set(content)
    except typst.TypstError as error:
        if _NO_GLYPH not in error.message:
            raise
    spelt = _spelt_out(content)
    return _set({**spelt, "unprintable": spelt["words"]["unprintable"]})


def _set(content: dict[str, Any]) -> bytes:
    fonts = _fonts()
    present = set(fonts.families())
    families = [name for name in _PREFERRED if name in present]
    inputs = {"report": json.dumps(content), "families": json.dumps(families)}
    compiler = typst.Compiler(font_paths=fonts, ignore_system_fonts=True)
    pdf = compiler.compile(_TEMPLATE.read_bytes(), format="pdf", sys_inputs=inputs, pdf_standards=_STANDARDS)
    assert isinstance(pdf, bytes)  # noqa: S101  One document and no output path: the types cannot say so.
    return pdf


@functools.cache
def _fonts() -> typst.Fonts:
    """Those of the machine, and DejaVu Sans, which is there without any: matplotlib brings it along.

    By its files and not by their folder: beside them lies a font that draws a box for every character there is.
    """
    spec = find_spec("matplotlib")
    folder = Path(next(iter(spec.submodule_search_locations or ()))) if spec else Path()
    bundled = [folder / "mpl-data" / "fonts" / "ttf" / f"DejaVuSans{cut}.ttf" for cut in ("", "-Bold")]
    return typst.Fonts(include_system_fonts=True, include_embedded_fonts=True, font_paths=bundled)


def _printable(value: Any) -> Any:
    """Without the control characters that no font has: only tabulators and line ends mean something on paper."""
    return _mapped(value, lambda character: " " if unicodedata.category(character) == "Cc" else character)


def _spelt_out(value: Any) -> Any:
    """With the number of each character in place of those that no font has."""
    known = _covered()
    return _mapped(
        value,
        lambda character: character if ord(character) in known else f"[U+{ord(character):04X}]",
    )


def _mapped(value: Any, change: Any) -> Any:
    match value:
        case str():
            return "".join(map(change, value))
        case dict():
            return {name: _mapped(inner, change) for name, inner in value.items()}
        case list() if value and not isinstance(value[0], int):
            return [_mapped(inner, change) for inner in value]
    return value


@functools.cache
def _covered() -> frozenset[int]:
    """The code points that some font can draw. Slow, and needed only where one is missing."""
    return frozenset(point for path, index in _font_files() for point in _cmap(path, index))


def _font_files() -> set[tuple[str, int]]:
    return {(info.path, info.index) for info in _fonts().fonts() if info.path}


def _cmap(path: str, index: int) -> Iterator[int]:
    with TTFont(path, fontNumber=index, lazy=True) as font:
        yield from font.getBestCmap() or ()
