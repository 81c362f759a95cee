"""The page that a person reads, made from the card: no figure on it that is not in `card.json`.

The order follows Mitchell et al. 2019, "Model cards for model reporting", under the headings of the Coalition for
Health AI's applied model card.
"""

from __future__ import annotations

import re
from typing import Any

NOT_MEASURED = "not measured"
NOT_YET = "Not measured yet: `python -m ml card FOLDER --data DIR` measures it."


def percent(entry: dict[str, Any] | None, *, counts: bool = True) -> str:
    """A share as `90.8 % (88.3 to 92.7), 610 of 672`."""
    if not entry or entry["value"] is None:
        return NOT_MEASURED
    low, high = entry["interval_95"]
    text = f"{entry['value']:.1%} ({low * 100:.1f} to {high * 100:.1f})"
    return f"{text}, {entry['correct']:,} of {entry['total']:,}" if counts else text


def area(entry: dict[str, Any] | None) -> str:
    """An area under a curve as `0.991 (0.989 to 0.994)`."""
    if not entry or entry["value"] is None:
        return NOT_MEASURED
    low, high = entry["interval_95"]
    return f"{entry['value']:.3f} ({low:.3f} to {high:.3f})"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def model_card_text(card: dict[str, Any]) -> str:
    """The model card as Markdown; pictures by paths relative to the model's folder."""
    names = {entry["code"]: entry["display"] for entry in card["labels"]}
    parts = [
        f"# {card['name']} {card['version']}: model card",
        "Made from `card.json` by `python -m ml card`; intervals are 95 %.",
        _summary(card, names),
        _mechanism(card, names),
        _performance(card, names),
        _calibration(card),
        _operating_points(card, names),
        _unsure(card, names),
        _groups(card, names),
        _beyond(card, names),
        _hold_out(card),
        _uses(names),
        _warnings(card),
        _data(card, names),
        _bias(card, names),
        _explanation(card),
        _maintenance(card),
    ]
    page = "\n\n".join(part for part in parts if part) + "\n"
    return re.sub(r"(?<=\d)%", " %", page)


def _summary(card: dict[str, Any], names: dict[str, str]) -> str:
    test = card["metrics"]["test"]
    return f"""## Summary

It looks at one frontal chest X-ray and divides its belief among {_listed(list(names.values()))}, with a map of the
places that speak for each. It is a second opinion for research and for a radiologist who decides, not a diagnosis
and not a medical device.

- Trained and exported: {card["created"][:10]}; measured: {card["measured"][:10]}
- Accuracy on the test split: {percent(test["accuracy"])}; balanced over the classes: {_plain(test["balanced_accuracy"])}
- Expected calibration error there: {card["calibration"]["test"]["after"]["expected_calibration_error"]:.3f}
- Says that it is unsure of {percent(card["conformal"]["test"]["unsure"], counts=False)} of the images; right on
  {percent(card["conformal"]["test"]["accuracy_where_sure"], counts=False)} of the others
- Licence: Apache-2.0, as the code; the images it learnt from have their own terms (see *Data*)"""


def _mechanism(card: dict[str, Any], names: dict[str, str]) -> str:
    configuration, training = card["training"]["configuration"], card["training"]
    parity = card["runtime_parity"]
    unfamiliar = card["metrics"]["test"]["unfamiliar"]
    refused = (
        "\n- An image whose features lie too far from all that it was trained on is refused: "
        f"{percent(unfamiliar)} of the test images, which are counted in every figure all the same."
        if unfamiliar
        else ""
    )
    network = configuration["network"]
    stages = ", ".join(
        f"{count} of {width}" for count, width in zip(network["blocks"], network["widths"], strict=True)
    )
    size = configuration["size"]
    origin = training.get("started_from")
    before = (
        f" after {origin['training']['epochs_run']} epochs and {origin['training']['minutes']:g} minutes of "
        f"{origin['name']} {origin['version']}, whose weights were the first ones"
        if origin
        else ""
    )
    return f"""## Mechanism

- Input: the grey image, stretched to {size} x {size} pixels, values 0 to 1; exposure is standardised inside the network.
- A residual network of {training["parameters"]:,} parameters, trained from scratch: residual blocks by stage and channels
  {stages}. Its last layer gives each class a map; the mean of a map is the class's logit, so the heat map shows
  what the score was made of.
- Temperature scaling with T = {card["calibration"]["temperature"]:.3f}, fitted on the validation split, is folded into
  that layer.
- Output: {len(names)} probabilities, {len(names)} maps, the features before the last layer, and the set of labels that
  cannot be ruled out.
- Training: {training["epochs_run"]} epochs, {training["minutes"]:g} minutes on {training["machine"]}{before}; the weights are
  those of epoch {training["kept_epoch"]}.{refused}
- The ONNX export gives what Keras gives to {max(parity["largest_difference"].values()):.0e} over {parity["images"]} images.

![Accuracy and loss](plots/training.png)"""


def _performance(card: dict[str, Any], names: dict[str, str]) -> str:
    test = card["metrics"]["test"]
    rows = [
        [
            names[code],
            percent(entry["sensitivity"]),
            percent(entry["specificity"]),
            area(entry["auroc_against_the_rest"]),
            area(entry["average_precision"]),
        ]
        for code, entry in test["classes"].items()
    ]
    head = ["", "sensitivity", "specificity", "area under ROC", "average precision"]
    return f"""## Validation and performance

**Test split**: {test["accuracy"]["total"]:,} images. No near-twin of them and no other image of their patients was
trained on, or used to choose anything below. Accuracy {percent(test["accuracy"])}; the called class is the one of the
highest probability.

{table(head, rows)}

Intervals: Wilson for shares, DeLong for areas under the ROC curve, logit (Boyd 2013) for average precision. They hold the
chance of the sample alone, not what another hospital would change.

![Confusion matrix](plots/confusion.png)
![ROC curves](plots/roc.png)
![Precision and recall](plots/precision-recall.png)"""


def _calibration(card: dict[str, Any]) -> str:
    rows = [
        [
            f"{side}, {when} scaling",
            f"{entry['expected_calibration_error']:.4f}",
            f"{entry['class_wise_calibration_error']['mean']:.4f}",
            f"{entry['brier_score']:.4f}",
            f"{entry['log_loss']:.4f}",
        ]
        for side in ("validation", "test")
        for when in ("before", "after")
        for entry in [card["calibration"][side][when]]
    ]
    head = ["", "expected calibration error", "the same by class", "Brier score", "log loss"]
    return f"""### Calibration

{table(head, rows)}

Expected calibration error: 15 bins of equal width of the highest probability (Guo 2017); by class: of each class's own
probability, mean over the classes. Brier score: squared distance summed over the classes, mean over the images (0 to 2).
All of it holds for the mix of classes of these data. Where the disease is rarer, a probability of it is too high.

![Reliability](plots/reliability.png)"""


def _operating_points(card: dict[str, Any], names: dict[str, str]) -> str:
    rows = [
        [
            names[point["label"]],
            f"{point['aim']} of at least {point['at_least']:.0%}",
            f"{point['threshold']:.4f}",
            percent(point["validation"]["sensitivity"], counts=False),
            percent(point["validation"]["specificity"], counts=False),
            percent(point["test"]["sensitivity"]),
            percent(point["test"]["specificity"]),
        ]
        for point in card["operating_points"]
    ]
    read = [
        f"{names[code]} {percent(entry['read_off_at_98_specificity']['sensitivity'])}"
        for code, entry in card["metrics"]["test"]["classes"].items()
        if "read_off_at_98_specificity" in entry
    ]
    head = ["", "aim", "threshold"]
    head += [
        f"{figure}, {side}" for side in ("validation", "test") for figure in ("sensitivity", "specificity")
    ]
    return f"""### Operating points

Thresholds on one class's probability, chosen on the validation split and applied to the test as they are. The label that is
shown does not use them: it is the class of the highest probability.

{table(head, rows)}

Read off the test's own ROC curve instead, as published figures of this kind are (the threshold then knows the test, which
flatters), the sensitivity at a specificity of 98 % is: {"; ".join(read)}."""


def _unsure(card: dict[str, Any], names: dict[str, str]) -> str:
    block = card["conformal"]
    test = block["test"]
    of_class = "; ".join(
        f"{names[code]} {percent(entry)}" for code, entry in test["coverage_of_class"].items()
    )
    level = f"{1 - block['alpha']:.0%}"
    return f"""### When it is unsure

Beside the label it names every label that it cannot rule out: those whose probability reaches the class's threshold, set
so that {level} of a class's images keep their own label (split conformal prediction on the validation split, for each class
apart). More than one possible label reads "unsure".

- True label among the possible ones, test: {percent(test["coverage"])}; by class: {of_class}
- Unsure: {percent(test["unsure"])}; mean number of possible labels {test["mean_set_size"]:.3f}
- Right where sure: {percent(test["accuracy_where_sure"])}; where unsure: {percent(test["accuracy_where_unsure"])}

The promise holds for images like those of validation. On a disease it does not know it can be sure and wrong."""


def _groups(card: dict[str, Any], names: dict[str, str]) -> str:
    test = card["metrics"]["test"]
    rows = [
        [group, f"{entry['images']:,}", names[code], percent(found)]
        for key in ("by_source", "by_age_group")
        for group, entry in test[key].items()
        for code, found in entry["sensitivity"].items()
    ]
    return f"""### By source and by age group

{table(["group", "images", "class", "sensitivity"], rows)}

"unknown" are images whose publisher gives no age. A source that holds one class only says nothing on how well the classes
are told apart there."""


def _beyond(card: dict[str, Any], names: dict[str, str]) -> str:
    parts = []
    other, unseen = card["metrics"].get("other_findings"), card["metrics"].get("unseen_source")
    for title, block in (
        ("Diseases that are none of its labels", other),
        ("A source never trained on", unseen),
    ):
        if not block:
            continue
        called = [
            [finding, *(f"{count:,}" for count in counts.values())]
            for finding, counts in block["findings_called"].items()
        ]
        parts.append(
            f"### {title}\n\n{block['images']:,} images; unsure of {percent(block['unsure'])}. What they were called:"
        )
        parts.append(table(["finding", *names.values()], called))
        if "classes" in block:
            rows = [
                [
                    names[code],
                    percent(entry["sensitivity"]),
                    percent(entry["specificity"]),
                    area(entry["auroc_against_other_findings"]),
                ]
                for code, entry in block["classes"].items()
            ]
            parts.append(
                table(["", "sensitivity", "specificity", "area under ROC against all other findings"], rows)
            )
    return "\n\n".join(parts)


def _hold_out(card: dict[str, Any]) -> str:
    runs = card.get("hold_out")
    if not runs:
        return ""
    rows = [
        [
            ", ".join(run["protocol"]["left_out"]),
            run["protocol"]["control"],
            where.replace("_", " "),
            pair,
            area(entry),
        ]
        for run in runs
        for where in ("inside", "left_out")
        for pair, entry in run["auroc"][where].items()
    ]
    return f"""### Sources left out of training

Networks of the same configuration, trained without some sources and everything with a twin or a patient among them
(`python -m ml hold-out`). Area under the ROC curve for each pair of a source of the disease and a source without it;
"inside" is the test side of the sources trained on. A control shows the network only that part of the image.

{table(["left out", "control", "where", "pair", "area under ROC"], rows)}"""


def _uses(names: dict[str, str]) -> str:
    return f"""## Uses and non-uses

**For**: a second opinion beside a radiologist on a frontal chest X-ray (PA or AP), revealed after the own read; teaching;
research on what such networks learn.

**Not for**: a diagnosis, or any decision without a radiologist; ruling a disease out; patients in whom something other
than {_listed(list(names.values()), "or")} is likely; grading severity or following it over time; lateral views, CT,
photographs or screenshots of films; any use as a medical device."""


def _warnings(card: dict[str, Any]) -> str:
    return "## Warnings and limits\n\n" + "\n".join(f"- {limit}" for limit in card["limits"])


def _data(card: dict[str, Any], names: dict[str, str]) -> str:
    data = card["data"]
    codes = list(dict.fromkeys([*names, *(code for source in data["sources"] for code in source["images"])]))
    rows = [
        [
            source["name"],
            source["published"],
            source["licence"],
            *(f"{source['images'].get(code, 0):,}" for code in codes),
        ]
        for source in data["sources"]
    ]
    sides = [
        [side, *(f"{data['images'].get(side, {}).get(code, 0):,}" for code in names)]
        for side in ("train", "validation", "test")
    ]
    duplicates = data["duplicates"]
    return f"""## Data

{table(["source", "published as", "terms", *(names.get(code, code) for code in codes)], rows)}

{table(["side", *names.values()], sides)}

Split: {data["split"]["rule"]} (`{data["split"]["file"]}` names every image by path and sha256). Of {duplicates["images"]:,} files
{duplicates["images_used"]:,} are used: one of each image, none whose copies bear different labels. {_between(duplicates)}
No image is part of this model or its repository.

![Images of each class](plots/classes.png)
![Pixel intensity by class and source](plots/intensity.png)"""


def _between(duplicates: dict[str, Any]) -> str:
    copies = [
        f"{entry['copied_images']:,} ({pair})"
        for pair, entry in duplicates["between"].items()
        if entry["copied_images"]
    ]
    return f"Copies between sets: {'; '.join(copies)}." if copies else ""


SHOWN = {
    "all": "the whole image",
    "borders": "the borders only, the middle filled",
    "only_lungs": "the lungs only, the rest filled",
    "no_lungs": "all but the lungs, the lungs filled",
}


def _bias(card: dict[str, Any], names: dict[str, str]) -> str:
    bias = card.get("bias")
    if not bias:
        return f"## Bias\n\n{NOT_YET}"
    shown = [
        [text, percent(entry["accuracy"], counts=False), area(entry["auroc"]["all"])]
        for key, text in SHOWN.items()
        for entry in [bias["shown"][key]]
    ]
    changed = [
        [f"{verb} {what.replace('_', ' ')}", percent(entry["answers_changed"], counts=False)]
        for verb in ("covered", "drawn")
        for what, entry in bias[verb].items()
    ]
    named = [
        [
            names.get(code, code),
            kind.replace("_", " "),
            _share_or_mean({"value": found["balanced_accuracy"], "interval_95": found["interval_95"]}),
            f"{found['chance']:.1%}",
        ]
        for code, entry in bias["source_predicted"].items()
        for kind, found in entry.items()
        if found
    ]
    inside = [
        [names.get(code, code), f"{entry['mean']:.1%}", f"{entry['lungs_share_of_area']:.1%}"]
        for code, entry in bias["evidence_inside_lungs"].items()
        if entry["mean"] is not None
    ]
    pairs = [[pair, area(entry)] for pair, entry in bias["auroc_by_source"].items()]
    parts = [
        "## Bias",
        "How much of the answer comes from where an image was made. "
        f"{bias['subsample']['images']:,} test images, at most {bias['subsample']['most_per_stratum']} of each class "
        "and source, unless said otherwise. Area under the ROC curve: COVID-19 against normal.",
        "**Shown only a part of the image.** What it still knows without lungs is not the disease.",
        table(["shown", "accuracy", "area under ROC"], shown),
        "**Letters, markers and edges**, covered with their surroundings' grey or drawn onto images without:",
        table(["change", "answers that it changed"], changed),
        "**Can the source be told from the network's features**, inside one class? "
        "Simple statistics of the image stand beside as what is there to be told.",
        table(["class", "from", "balanced accuracy", "chance"], named),
        "**COVID-19 against normal by pairs of sources**, whole test split:",
        table(["pair", "area under ROC"], pairs),
        "**Share of the evidence for COVID-19 inside the lungs**, beside the lungs' share of the image:",
        table(["images of", "evidence inside", "lungs' share"], inside),
    ]
    return "\n\n".join(parts)


def _explanation(card: dict[str, Any]) -> str:
    block = card.get("explanation")
    if not block:
        return f"## Explanation\n\n{NOT_YET}"

    def line(name: str, entry: dict[str, Any]) -> list[str]:
        return [
            name,
            *(_share_or_mean(entry.get(key)) for key in ("pointing", "mass_in_lesions", "mass_in_lungs")),
        ]

    served = block["served"]
    rows = [
        line(f"**{name}** (served)" if name == served else name, entry["all"])
        for name, entry in block["maps"].items()
    ]
    rows += [line(f"control: {name}", entry["all"]) for name, entry in block["controls"].items()]
    cases = block["cases"]
    return f"""## Explanation

{cases["images"]} images with lesions outlined by radiologists ({len(cases["seen_in_training"])} of them seen in
training). Pointing game: the map's highest place lies in a lesion. Mass: the share of the map inside. A map is worth what
it has above the controls, which look at nothing.

{table(["map", "pointing game", "mass in lesions", "mass in lungs"], rows)}"""


def _share_or_mean(entry: Any) -> str:
    if isinstance(entry, dict):
        if entry.get("value") is None:
            return NOT_MEASURED
        if not entry.get("interval_95"):
            return _plain(entry["value"])
        low, high = entry["interval_95"]
        return f"{entry['value']:.1%} ({low * 100:.1f} to {high * 100:.1f})"
    return _plain(entry)


def _maintenance(card: dict[str, Any]) -> str:
    return f"""## Maintenance

- Measure it again: `python -m ml evaluate ml/zoo/{card["name"]}-{card["version"]} --data DIR --json`
- Train it again: `python -m ml train`, with `training.configuration` of `card.json`; a new model gets a new version and never
  replaces this folder.
- The sha256 of `card.json` names the model, since the card pins every other file; the portal stores it with each prediction.
- It learns nothing in use. Another hospital, device or season can make it worse: compare its second opinions with the signed
  reads, and stop showing it when they come apart."""


def _plain(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.1%}"


def _listed(names: list[str], word: str = "and") -> str:
    return f"{', '.join(names[:-1])} {word} {names[-1]}"
