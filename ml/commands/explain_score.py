"""`python -m ml explain-score`: do a model's maps meet what radiologists outlined?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.commands.common import ANSWERED, UnusableError, identity, load, stop
from ml.commands.explain import METHODS

if TYPE_CHECKING:
    from ml.commands.common import Commands


def add_parser(commands: Commands) -> None:
    """Add the command to the parser of `python -m ml`."""
    score = commands.add_parser("explain-score", help="score a model's maps against radiologists' outlines")
    score.add_argument("model", type=Path, metavar="MODEL", help="a model folder")
    score.add_argument("--data", type=Path, required=True, metavar="DIR")
    score.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, metavar="METHOD")
    score.add_argument("--json", action="store_true", help="all figures as one JSON object")
    score.set_defaults(command=_score)


def _score(options: argparse.Namespace) -> int:
    from ml.evaluation.evaluate import DataDiffersError
    from ml.explanation.score import score_maps

    try:
        model = load(options.model, "onnx")
        figures = score_maps(model, options.model, options.data, methods=options.methods)
    except (UnusableError, DataDiffersError, FileNotFoundError, ValueError) as error:
        return stop(error)
    if options.json:
        print(json.dumps({"model": identity(model), "explanation": figures}, indent=2))
    else:
        print(f"{model.name} {model.version}\n{table(figures)}")
    return ANSWERED


def table(figures: dict[str, Any]) -> str:
    """The figures of all cases in lines for a person."""
    cases = figures["cases"]
    lines = [
        f"{cases['images']} images with outlines, {len(cases['seen_in_training'])} of them seen in training",
        f"{'map of ' + figures['label']:<28} {'points into a lesion':<28} mass in lesions  mass in lungs",
    ]
    for name, entry in [*figures["maps"].items(), *figures["controls"].items()]:
        every = entry["all"]
        mark = " (served)" if name == figures["served"] else ""
        mass = "".join(f"{_value(every.get(key)):<17}" for key in ("mass_in_lesions", "mass_in_lungs"))
        lines.append(f"{name + mark:<28} {_pointing(every['pointing']):<28} {mass}".rstrip())
    if figures["best"] != figures["served"]:
        lines.append(
            f"Of the maps of the forward pass this one scores best, and is not served: {figures['best']}"
        )
    return "\n".join(lines)


def _pointing(entry: dict[str, Any]) -> str:
    if "interval_95" not in entry:
        return f"{entry['value']:.3f} (mean of {len(entry['by_seed'])} seeds)"
    low, high = entry["interval_95"]
    return f"{entry['value']:.3f} ({low:.3f} to {high:.3f})"


def _value(entry: dict[str, Any] | None) -> str:
    return "" if entry is None else f"{entry['value']:.3f}"
