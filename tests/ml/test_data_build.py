"""`python -m ml data build`: the importers of every layout, the manifest file and the report."""

from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from ml.cli import main
from ml.data.duplicates import report
from ml.data.importers import SOURCES, age_group, folder_per_class, label_code, table
from ml.data.manifest import add_hashes, find_images, read_manifest
from tests.ml.conftest import drawing, save


def build(data: Path, out: Path) -> int:
    return main(["data", "build", "--data", str(data), "--out", str(out)])


@pytest.fixture(scope="module")
def built(drawn_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "manifest.parquet"
    assert build(drawn_data, out) == 0
    return out


def test_the_manifest_holds_every_image_that_the_importers_list(built: Path, drawn_data: Path) -> None:
    manifest = read_manifest(built)
    listed, _ = find_images(drawn_data)
    assert manifest["path"].tolist() == listed["path"].tolist()
    assert set(manifest["source"]) == {"chest_xray", "radiography_database", "covid_chestxray"}
    assert manifest["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert manifest["dhash"].str.fullmatch("[0-9a-f]{64}").all()
    assert (manifest[["width", "height"]] == 48).all(axis=None)
    assert not manifest.isna().any(axis=None)


def test_the_manifest_is_what_training_computes(built: Path, drawn_data: Path) -> None:
    listed, _ = find_images(drawn_data)
    pd.testing.assert_frame_equal(read_manifest(built), add_hashes(listed, drawn_data), check_dtype=False)


def test_a_copy_in_another_set_shares_image_and_group(built: Path) -> None:
    manifest = read_manifest(built).set_index("path")
    child = manifest.loc["chest_xray/train/NORMAL/IM-0000-0001.jpeg"]
    copy = manifest.loc["COVID-19_Radiography_Dataset/Normal/images/Normal-20.png"]
    stranger = manifest.loc["chest_xray/train/NORMAL/IM-0001-0001.jpeg"]
    assert (child["image"], child["group"]) == (copy["image"], copy["group"])
    assert child["group"] != stranger["group"]


class Pictures(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.names.append(dict(attributes)["src"] or "")


def test_the_report_shows_its_pictures_and_counts_the_twins(built: Path) -> None:
    page = built.with_name("manifest-report") / "report.html"
    text = page.read_text(encoding="utf-8")
    pictures = Pictures()
    pictures.feed(text)
    assert pictures.names == ["classes.png", "samples.png", "intensity.png", "sizes.png"]
    for name in pictures.names:
        with Image.open(page.with_name(name)) as picture:
            assert min(picture.size) > 100
    counts = report(read_manifest(built))["near_twin_groups"]
    assert counts == {"groups": 2, "within_one_set": 0, "between_sets": 2, "conflicting_labels": 0}
    assert "2 groups of two or more near-twins: 0 inside one set, 2 over several sets" in text


def test_groups_with_contradicting_labels_are_counted(built: Path) -> None:
    manifest = read_manifest(built)
    manifest.loc[manifest["path"].str.endswith("Normal-20.png"), "label"] = "covid19"
    assert report(manifest)["near_twin_groups"]["conflicting_labels"] == 1


def test_an_image_that_nobody_labelled_contradicts_no_label(built: Path) -> None:
    manifest = read_manifest(built)
    manifest.loc[manifest["path"].str.endswith("Normal-20.png"), "label"] = "todo"
    counts = report(manifest)
    assert counts["near_twin_groups"]["conflicting_labels"] == 0
    assert counts["conflicting_labels"]["near_twin_images"] == 0


def test_a_finding_with_html_in_it_is_only_text_in_the_report(tmp_path: Path) -> None:
    from ml.data.report import write_report

    save(drawing(1), tmp_path / "data/odd/a.png")
    manifest = add_hashes(folder_per_class(tmp_path / "data"), tmp_path / "data")
    page = write_report(manifest.assign(label="<script>x</script>"), tmp_path / "data", tmp_path / "report")
    assert "<script>" not in page.read_text(encoding="utf-8")


def test_all_folders_of_the_full_radiography_database_are_read_and_masks_are_not(tmp_path: Path) -> None:
    root = tmp_path / "COVID-19_Radiography_Dataset"
    for number, folder in enumerate(["COVID", "Normal", "Lung_Opacity", "Viral Pneumonia"]):
        save(drawing(number), root / folder / "images" / f"{folder}-1.png")
        save(drawing(number), root / folder / "masks" / f"{folder}-1.png")
    rows = SOURCES["radiography_database"].read(tmp_path)
    assert rows["label"].tolist() == ["covid19", "normal", "viral_pneumonia", "lung_opacity"]


def test_an_older_release_without_image_folders_and_files_of_a_mac_are_understood(tmp_path: Path) -> None:
    root = tmp_path / "COVID-19_Radiography_Dataset"
    save(drawing(1), root / "COVID" / "COVID (1).png")
    (root / "COVID" / "._COVID (1).png").write_bytes(b"Mac OS X")
    rows = SOURCES["radiography_database"].read(tmp_path)
    assert rows["path"].tolist() == ["COVID-19_Radiography_Dataset/COVID/COVID (1).png"]


def test_children_and_ages_of_the_table_give_age_groups(drawn_data: Path, tmp_path: Path) -> None:
    assert set(SOURCES["chest_xray"].read(drawn_data)["age_group"]) == {"0-17"}
    save(drawing(1), tmp_path / "covid-chestxray-dataset/images/a.jpg")
    (tmp_path / "covid-chestxray-dataset/metadata.csv").write_text(
        "patientid,sex,age,finding,view,modality,filename\n1,F,65,COVID-19,AP,X-ray,a.png\n"
    )
    row = SOURCES["covid_chestxray"].read(tmp_path).iloc[0]
    assert (row["age_group"], row["sex"]) == ("60-79", "F")


@pytest.mark.parametrize(
    ("age", "group"),
    [("0", "0-17"), ("17.9", "0-17"), ("18", "18-39"), ("59", "40-59"), ("80", "80+"), ("120", "80+"),
     ("121", ""), ("-1", ""), ("", ""), ("old", ""), ("nan", "")],
)  # fmt: skip
def test_an_age_belongs_to_one_group_or_to_none(age: str, group: str) -> None:
    assert age_group(age) == group


def test_darkcovidnet_gives_the_patients_of_the_nih(tmp_path: Path) -> None:
    save(drawing(1), tmp_path / "darkcovidnet/No_findings/00001281_000.jpg")
    save(drawing(2), tmp_path / "darkcovidnet/No_findings/00001281_003.jpg")
    save(drawing(3), tmp_path / "darkcovidnet/Pneumonia/00000061_012.jpg")
    save(drawing(4), tmp_path / "darkcovidnet/Covid-19/case.jpg")
    rows = SOURCES["darkcovidnet"].read(tmp_path)
    assert rows["label"].tolist() == ["covid19", "normal", "normal", "pneumonia"]
    assert rows["patient"].tolist() == ["", "nih/00001281", "nih/00001281", "nih/00000061"]


def test_outlined_images_get_finding_and_patient_from_the_table_beside_them(
    drawn_data: Path, tmp_path: Path
) -> None:
    save(drawing(1), tmp_path / "covid-segmentation/images/case-1.jpg")
    save(drawing(2), tmp_path / "covid-segmentation/images/unknown.jpg")
    alone = SOURCES["covid_segmentation"].read(tmp_path)
    assert alone["label"].tolist() == ["", ""]
    (tmp_path / "covid-chestxray-dataset").symlink_to(drawn_data / "covid-chestxray-dataset")
    rows = SOURCES["covid_segmentation"].read(tmp_path)
    assert rows["label"].tolist() == ["covid19", ""]
    assert rows["patient"].tolist() == ["covid_chestxray/1", ""]
    assert rows["path"].tolist() == alone["path"].tolist()


def test_a_folder_for_each_class_is_read_at_any_depth(tmp_path: Path) -> None:
    data = tmp_path / "hospital"
    save(drawing(1), data / "COVID-19/2020/a.png")
    save(drawing(2), data / "No findings/b.jpg")
    (data / "No findings/notes.txt").write_text("not an image")
    images, root = find_images(data)
    assert images[["path", "label", "source"]].values.tolist() == [
        ["COVID-19/2020/a.png", "covid19", "hospital"],
        ["No findings/b.jpg", "normal", "hospital"],
    ]
    assert root == data


def test_names_of_classes_become_codes() -> None:
    assert [label_code(name) for name in ("COVID", "Viral Pneumonia", "No_findings", "Pneumothorax ")] == [
        "covid19", "viral_pneumonia", "normal", "pneumothorax",
    ]  # fmt: skip


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    save(drawing(1), tmp_path / "images/a.png")
    save(drawing(2), tmp_path / "images/b.png")
    return tmp_path / "labels.csv"


def test_a_table_gives_all_that_it_has_columns_for(listed: Path) -> None:
    listed.write_text(
        "path,label,patient,source,view,age,sex,split\n"
        "images/a.png,COVID-19,7,Ward 3,AP,44,f,test\nimages/b.png,normal,,,,,,\n"
    )
    first, second = table(listed).to_dict("records")
    assert first == {
        "path": "images/a.png", "source": "Ward 3", "label": "covid19", "patient": "Ward 3/7",
        "view": "frontal", "age_group": "40-59", "sex": "F", "published_split": "test",
    }  # fmt: skip
    assert second == {
        "path": "images/b.png", "source": "labels", "label": "normal", "patient": "",
        "view": "", "age_group": "", "sex": "", "published_split": "",
    }  # fmt: skip
    assert build(listed, listed.with_name("m.parquet")) == 0
    assert len(read_manifest(listed.with_name("m.parquet"))) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path,finding\nimages/a.png,normal\n", "no column label"),
        ("path,label\nimages/c.png,normal\n", "line 2: there is no file images/c.png"),
        ("path,label\nimages/a.png,normal\n../x.png,normal\n", "line 3: ../x.png lies outside"),
        ("path,label\nimages/a.png,normal\nimages/a.png,covid\n", "names images/a.png more than once"),
    ],
)
def test_a_table_with_a_mistake_is_refused_with_its_line(
    text: str, reason: str, listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed.write_text(text)
    assert build(listed, listed.with_name("m.parquet")) == 2
    assert reason in capsys.readouterr().err
    assert not listed.with_name("m.parquet").exists()


def test_a_broken_and_a_deep_image_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "one/normal/broken.png"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"not a picture")
    assert build(tmp_path / "one", tmp_path / "m.parquet") == 2
    assert "normal/broken.png cannot be read" in capsys.readouterr().err
    deep = tmp_path / "two/normal/deep.png"
    deep.parent.mkdir(parents=True)
    Image.new("I;16", (20, 20), 4000).save(deep)
    assert build(tmp_path / "two", tmp_path / "m.parquet") == 2
    assert "normal/deep.png has samples of more than 8 bits" in capsys.readouterr().err


def test_the_publishers_own_folder_is_answered_with_the_one_above_it(
    drawn_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(drawn_data / "chest_xray", tmp_path / "m.parquet") == 2
    assert "Give the folder that chest_xray lies in" in capsys.readouterr().err
    assert build(tmp_path / "nowhere", tmp_path / "m.parquet") == 2
    assert "There is no folder and no table" in capsys.readouterr().err


def test_a_parquet_file_of_something_else_is_no_manifest(tmp_path: Path) -> None:
    pd.DataFrame({"path": ["a"]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="no manifest"):
        read_manifest(tmp_path / "x.parquet")
