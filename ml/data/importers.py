"""One importer for each layout in which a publisher ships its images, and two for anybody's own images.

Each takes the folder that holds the publisher's folder and returns a frame with the columns `path` (relative
to that folder, with forward slashes), `source`, `label` (a code, or the publisher's finding; empty where
nobody gives one), `patient` (unique over all sources, empty where the publisher gives none), `view`
(`frontal`, `lateral`, or empty where nobody says), `age_group` (of `AGE_GROUPS`, empty where the publisher
gives no age), `sex` (`M`, `F` or empty) and `published_split` (the publisher's own side, empty where there
is none). A folder that is not there raises FileNotFoundError.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

COLUMNS = ["path", "source", "label", "patient", "view", "age_group", "sex", "published_split"]
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
# Publishers' words for "nobody has looked yet" and "nobody knows", and no word at all.
UNLABELLED = {"todo", "Unknown", ""}
# The first age in years that belongs to each group; the last group is open.
AGE_GROUPS = {"0-17": 0, "18-39": 18, "40-59": 40, "60-79": 60, "80+": 80}
CHILD = "0-17"
# Names that people give to the folders or labels of these classes. Any other name becomes its own code.
ALIASES = {
    "covid": "covid19",
    "covid_19": "covid19",
    "sars_cov_2": "covid19",
    "no_finding": "normal",
    "no_findings": "normal",
    "healthy": "normal",
    "virus": "viral_pneumonia",
    "pneumonia_viral": "viral_pneumonia",
    "bacteria": "bacterial_pneumonia",
    "pneumonia_bacterial": "bacterial_pneumonia",
}
FRONTAL_VIEWS = {"pa", "ap", "ap supine", "ap erect", "frontal"}
LATERAL_VIEWS = {"l", "ll", "rl", "lateral"}
RADIOGRAPHY_FOLDERS = {
    "COVID": "covid19",
    "Normal": "normal",
    "Viral Pneumonia": "viral_pneumonia",
    "Lung_Opacity": "lung_opacity",
}


def _images(folder: Path) -> list[Path]:
    # A download made on a Mac holds a hidden `._name` beside each file.
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def _frame(rows: list[dict[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object).fillna("")


def age_group(age: str) -> str:
    """The group of an age in years; empty for no age, a text that is no number, or one outside 0..120."""
    try:
        years = float(age)
    except ValueError:
        return ""
    if not 0 <= years <= 120:
        return ""
    return [name for name, start in AGE_GROUPS.items() if years >= start][-1]


def label_code(name: str) -> str:
    """A folder's or a table's name of a class as a code: `Viral Pneumonia` gives `viral_pneumonia`."""
    code = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return ALIASES.get(code, code)


def _folder(data: Path, name: str) -> Path:
    folder = data / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"The data folder holds no {name}/. Download it, or leave it out of the configuration."
        )
    return folder


def radiography_database(data: Path) -> pd.DataFrame:
    """COVID-19 Radiography Database (Chowdhury 2020, Rahman 2021): one folder a class, no patient ids,
    frontal views.
    """
    root = _folder(data, "COVID-19_Radiography_Dataset")
    rows = []
    for folder, label in RADIOGRAPHY_FOLDERS.items():
        # Releases before the fourth have no folder of masks beside the images, and so none of images either.
        images = root / folder / "images" if (root / folder / "images").is_dir() else root / folder
        if not images.is_dir():
            continue
        rows += [
            {
                "path": path.relative_to(data).as_posix(),
                "source": "radiography_database",
                "label": label,
                "view": "frontal",
            }
            for path in _images(images)
        ]
    return _frame(rows)


def chest_xray(data: Path) -> pd.DataFrame:
    """Paediatric chest X-rays (Kermany 2018). The file name tells virus from bacterium and, for pneumonia,
    the patient.

    The publisher's own train and test folders share near-twins, so they are read as one set. Patient numbers
    are counted per folder by the publisher; they are joined here all the same, because a split that keeps two
    children together that need not be costs nothing, and one that parts one child's images leaks.
    """
    root = _folder(data, "chest_xray")
    rows = []
    for path in sorted(path for part in ("train", "test", "val") for path in _chest_xray_part(root / part)):
        match = re.match(r"person(\d+)_(virus|bacteria)_", path.name)
        if path.parent.name == "NORMAL":
            label, patient = "normal", ""
        elif match:
            label = {"virus": "viral_pneumonia", "bacteria": "bacterial_pneumonia"}[match[2]]
            patient = f"chest_xray/{match[2]}/{match[1]}"
        else:
            continue
        rows.append(
            {
                "path": path.relative_to(data).as_posix(),
                "source": "chest_xray",
                "label": label,
                "patient": patient,
                "view": "frontal",
                "age_group": CHILD,
                "published_split": path.parent.parent.name.replace("val", "validation"),
            }
        )
    return _frame(rows)


def _chest_xray_part(part: Path) -> list[Path]:
    return [
        path for name in ("NORMAL", "PNEUMONIA") if (part / name).is_dir() for path in _images(part / name)
    ]


def covid_chestxray(data: Path) -> pd.DataFrame:
    """covid-chestxray-dataset (Cohen 2020), from its metadata.csv: X-rays whose file is there, any view, any
    finding.

    The label of COVID-19 (with or without ARDS) is `covid19`, of "No Finding" `normal`; every other finding
    keeps the publisher's text. Of two rows for
    one file the first counts. A file's extension may differ from the one in the table.
    """
    root = _folder(data, "covid-chestxray-dataset")
    table = pd.read_csv(root / "metadata.csv", dtype=str, keep_default_na=False)
    files = {path.stem: path for path in _images(root / "images")}
    rows = []
    for entry in table[table["modality"] == "X-ray"].to_dict("records"):
        path = files.pop(Path(entry["filename"]).stem, None)
        if path is None:
            continue
        finding = entry["finding"]
        label = (
            "covid19" if finding.startswith("COVID-19") else "normal" if finding == "No Finding" else finding
        )
        rows.append(
            {
                "path": path.relative_to(data).as_posix(),
                "source": "covid_chestxray",
                "label": label,
                "patient": f"covid_chestxray/{entry['patientid']}",
                "view": "lateral" if entry["view"] == "L" else "frontal",
                "age_group": age_group(entry.get("age", "")),
                "sex": _sex(entry.get("sex", "")),
            }
        )
    return _frame(rows)


def darkcovidnet(data: Path) -> pd.DataFrame:
    """The images of DarkCovidNet (Ozturk 2020): COVID-19 of Cohen 2020, the others of NIH ChestX-ray8.

    The name of an NIH file holds its patient's number. NIH gives no cause of a pneumonia, so its label is
    `pneumonia`. The adults of the radiography database's normals come from the same hospital as NIH's.
    """
    root = _folder(data, "darkcovidnet")
    rows = []
    for folder, label in {"Covid-19": "covid19", "No_findings": "normal", "Pneumonia": "pneumonia"}.items():
        if not (root / folder).is_dir():
            continue
        for path in _images(root / folder):
            match = re.match(r"(\d{8})_\d{3}", path.name)
            rows.append(
                {
                    "path": path.relative_to(data).as_posix(),
                    "source": "darkcovidnet",
                    "label": label,
                    "patient": f"nih/{match[1]}" if match else "",
                    "view": "frontal",
                }
            )
    return _frame(rows)


def covid_segmentation(data: Path) -> pd.DataFrame:
    """X-rays with outlines (General Blockchain 2020). They bear no label; where covid-chestxray-dataset lies
    beside them, its table gives finding, patient and age of the file of the same name.
    """
    root = _folder(data, "covid-segmentation")
    known: dict[str, dict[str, str]] = {}
    if (data / "covid-chestxray-dataset" / "metadata.csv").is_file():
        table = covid_chestxray(data)
        known = {Path(row["path"]).stem: row for row in reversed(table.to_dict("records"))}
    rows = []
    for path in _images(root / "images"):
        row = {"label": "", "view": "frontal"} | known.get(path.stem, {})
        rows.append({**row, "path": path.relative_to(data).as_posix(), "source": "covid_segmentation"})
    return _frame(rows)


def _sex(text: str) -> str:
    return text.upper() if text.upper() in ("M", "F") else ""


def folder_per_class(data: Path) -> pd.DataFrame:
    """Anybody's images: one folder for each class, named like it, the images in it at any depth."""
    rows = [
        {
            "path": path.relative_to(data).as_posix(),
            "source": data.resolve().name,
            "label": label_code(folder.name),
        }
        for folder in sorted(data.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for place in [folder, *sorted(entry for entry in folder.rglob("*") if entry.is_dir())]
        for path in _images(place)
    ]
    if not rows:
        raise FileNotFoundError(
            f"{data} holds neither a publisher's folder nor a folder of images for each class."
        )
    return _frame(rows)


def table(file: Path) -> pd.DataFrame:
    """Anybody's images by a CSV table: columns `path` and `label`, and any of `patient`, `source`, `view`,
    `age` (years), `sex` (M or F) and `split`.

    `path` is relative to the table's folder. Raises ValueError that names the line for a missing column, a
    file that is not there, one named twice, or one outside the table's folder.
    """
    rows = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    missing = {"path", "label"} - set(rows.columns)
    if missing:
        raise ValueError(f"{file.name} has no column {' and no column '.join(sorted(missing))}.")
    root = file.parent.resolve()
    found = []
    # The first line holds the names of the columns.
    for line, entry in enumerate(rows.to_dict("records"), start=2):
        path = (root / entry["path"]).resolve()
        if not path.is_relative_to(root):
            raise ValueError(f"{file.name}, line {line}: {entry['path']} lies outside the table's folder.")
        if not path.is_file():
            raise ValueError(f"{file.name}, line {line}: there is no file {entry['path']}.")
        source = entry.get("source", "") or file.stem
        patient = entry.get("patient", "")
        found.append(
            {
                "path": path.relative_to(root).as_posix(),
                "source": source,
                "label": label_code(entry["label"]),
                "patient": f"{source}/{patient}" if patient else "",
                "view": _view(entry.get("view", "")),
                "age_group": age_group(entry.get("age", "")),
                "sex": _sex(entry.get("sex", "")),
                "published_split": entry.get("split", ""),
            }
        )
    frame = _frame(found)
    twice = frame.loc[frame["path"].duplicated(), "path"]
    if len(twice):
        raise ValueError(f"{file.name} names {twice.iloc[0]} more than once.")
    return frame


def _view(text: str) -> str:
    view = text.strip().lower()
    return "frontal" if view in FRONTAL_VIEWS else "lateral" if view in LATERAL_VIEWS else ""


@dataclass(frozen=True)
class Source:
    """A published set: its importer, the folder it is looked for in, who published it, and under which terms
    it may be used.
    """

    read: Callable[[Path], pd.DataFrame]
    folder: str
    published: str
    licence: str


SOURCES = {
    "radiography_database": Source(
        radiography_database,
        "COVID-19_Radiography_Dataset",
        "COVID-19 Radiography Database, release 4; Chowdhury et al. 2020, Rahman et al. 2021",
        "free for research with attribution",
    ),
    "chest_xray": Source(
        chest_xray,
        "chest_xray",
        "Chest X-Ray Images (Pneumonia), Guangzhou, children of 1 to 5 years; Kermany et al. 2018",
        "CC BY 4.0",
    ),
    "covid_chestxray": Source(
        covid_chestxray,
        "covid-chestxray-dataset",
        "covid-chestxray-dataset, adults from many hospitals; Cohen et al. 2020",
        "per image, in metadata.csv",
    ),
    "darkcovidnet": Source(
        darkcovidnet,
        "darkcovidnet",
        "the data of DarkCovidNet, Ozturk et al. 2020: Cohen et al. 2020, NIH ChestX-ray8 (Wang et al. 2017)",
        "per image, as of Cohen 2020; NIH: free use with attribution",
    ),
    "covid_segmentation": Source(
        covid_segmentation,
        "covid-segmentation",
        "COVID-19 X-rays with outlines, General Blockchain 2020; images of Cohen et al. 2020",
        "CC BY 4.0",
    ),
}
