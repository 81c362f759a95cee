"""One importer for each layout in which a publisher ships its images.

Each takes the folder that holds the publisher's folder and returns a frame with the columns `path` (relative
to that folder, with forward slashes), `source`, `label` (a code of `LABELS`, or of the publisher's finding),
`patient` (unique over all sources, empty where the publisher gives none) and `view`. A folder that is not
there raises FileNotFoundError.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

COLUMNS = ["path", "source", "label", "patient", "view"]
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg"}
RADIOGRAPHY_FOLDERS = {
    "COVID": "covid19",
    "Normal": "normal",
    "Viral Pneumonia": "viral_pneumonia",
    "Lung_Opacity": "lung_opacity",
}


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def _frame(rows: list[dict[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


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
    return _frame(
        [
            {
                "path": path.relative_to(data).as_posix(),
                "source": "radiography_database",
                "label": label,
                "patient": "",
                "view": "frontal",
            }
            for folder, label in RADIOGRAPHY_FOLDERS.items()
            if (root / folder / "images").is_dir()
            for path in _images(root / folder / "images")
        ]
    )


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
            }
        )
    return _frame(rows)


@dataclass(frozen=True)
class Source:
    """A published set: its importer, who published it, and under which terms it may be used."""

    read: Callable[[Path], pd.DataFrame]
    published: str
    licence: str


SOURCES = {
    "radiography_database": Source(
        radiography_database,
        "COVID-19 Radiography Database, release 4; Chowdhury et al. 2020, Rahman et al. 2021",
        "free for research with attribution",
    ),
    "chest_xray": Source(
        chest_xray,
        "Chest X-Ray Images (Pneumonia), Guangzhou, children of 1 to 5 years; Kermany et al. 2018",
        "CC BY 4.0",
    ),
    "covid_chestxray": Source(
        covid_chestxray,
        "covid-chestxray-dataset, adults from many hospitals; Cohen et al. 2020",
        "per image, in metadata.csv",
    ),
}
