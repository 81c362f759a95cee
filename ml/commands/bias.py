"""`python -m ml bias`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.commands.common import ANSWERED, UnusableError, identity, load, stop

if TYPE_CHECKING:
    from ml.commands.common import Commands


def add_parser(commands: Commands) -> None:
    """Add the command to the parser of `python -m ml`."""
    parser = commands.add_parser(
        "bias", help="measure how much a model answers to where an image came from, on its stored test split"
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model folder")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="all figures as one JSON object")
    parser.set_defaults(command=_bias)


def _bias(options: argparse.Namespace) -> int:
    from ml.data.split import TEST, load_split
    from ml.evaluation.bias import measure_bias
    from ml.evaluation.evaluate import DataDiffersError
    from ml.serving.folder import SPLIT

    try:
        model = load(options.model, "onnx")
        rows = load_split(options.model / SPLIT)
        figures = measure_bias(model, rows[rows["split"] == TEST], options.data)
    except (UnusableError, DataDiffersError, FileNotFoundError, ValueError) as error:
        return stop(error)
    if options.json:
        print(json.dumps({"model": identity(model), "bias": figures}, indent=2))
    else:
        print(f"{model.name} {model.version}\n{text(figures)}")
    return ANSWERED


def text(figures: dict[str, Any]) -> str:
    """The figures of `measure_bias` in some lines for a person."""
    lines = [f"Test split, {figures['images']} images"]
    for attribute, values in figures["groups"].items():
        lines += [
            f"  {attribute} {value}: accuracy {_figure(entry['accuracy'])}" for value, entry in values.items()
        ]
    lines.append("Source named inside one class (balanced accuracy)")
    for code, entry in figures["source_predicted"].items():
        for kind, found in entry.items():
            if found:
                name = kind.replace("_", " ")
                value, (low, high) = found["balanced_accuracy"], found["interval_95"]
                lines.append(
                    f"  {code}, from {name}: {value:.3f} ({low:.3f} to {high:.3f}), chance {found['chance']:.3f}"
                )
    lines.append(f"Controls on {figures['subsample']['images']} images")
    for part in ("shown", "covered", "drawn"):
        for name, entry in figures[part].items():
            area = entry["auroc"]["all"]["value"]
            lines.append(
                f"  {part} {name.replace('_', ' ')}: accuracy {_figure(entry['accuracy'])}, area {area}, "
                f"answers changed {_figure(entry['answers_changed'])}"
            )
    lines.append("Evidence for COVID-19 inside the lungs")
    for code, entry in figures["evidence_inside_lungs"].items():
        lines.append(
            f"  images of {code}: {entry['mean']} (lungs' share of the area {entry['lungs_share_of_area']})"
        )
    return "\n".join(lines)


def _figure(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return "not measured"
    low, high = entry["interval_95"]
    return f"{entry['value']:.3f} ({low:.3f} to {high:.3f}; {entry['correct']}/{entry['total']})"
