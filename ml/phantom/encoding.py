"""The drawn chest as files: PNG, JPEG, and valid DICOM of every kind that is read here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from typing import Any, Literal

import jpeg_ls
import numpy as np
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.pixels.encoders.base import get_encoder
from pydicom.sequence import Sequence
from pydicom.uid import UID, generate_uid

from ml.imaging import render_jpeg, render_png
from ml.phantom.drawing import HEIGHT_CM, Variant, draw_chest

Samples = NDArray[np.integer[Any]]

#: Peak signal to noise of a lossy JPEG 2000 codestream, in dB.
J2K_PSNR = 50.0
JPEG_QUALITY = 95
#: The curve of the drawn lookup tables: bent enough for a skipped table to show.
LUT_GAMMA = 0.75


class Greys(StrEnum):
    """How a DICOM file says what its stored values look like (PS3.3 C.11.1 and C.11.2)."""

    STORED_RANGE = "stored range"
    IDENTITY = "identity"
    WINDOW = "window"
    WINDOW_EXACT = "window exact"
    SIGMOID = "sigmoid"
    VOI_LUT = "voi lut"
    RESCALE = "rescale"
    MODALITY_LUT = "modality lut"


def phantom_png(
    seed: int, *, variant: Variant | str = Variant.NORMAL, rows: int = 1024, columns: int = 1024
) -> bytes:
    """Return the drawn chest as an 8-bit grey PNG."""
    return render_png(draw_chest(seed, variant=variant, rows=rows, columns=columns))


def phantom_jpeg(
    seed: int, *, variant: Variant | str = Variant.NORMAL, rows: int = 1024, columns: int = 1024
) -> bytes:
    """Return the drawn chest as an 8-bit grey JPEG."""
    return render_jpeg(draw_chest(seed, variant=variant, rows=rows, columns=columns), quality=JPEG_QUALITY)


@dataclass(frozen=True)
class PhantomDicom:
    """What a drawn DICOM file says. Its UIDs follow from all of it: the same arguments give the same file.

    `greys` STORED_RANGE leaves the grey scale out, which says the same picture only for 8 bits. `elements`
    are added last, by DICOM keyword; a value of None takes the element out.
    """

    seed: int
    variant: Variant | str = Variant.NORMAL
    rows: int = 1024
    columns: int = 1024
    photometric: str = "MONOCHROME2"
    bits_stored: int = 12
    signed: bool = False
    transfer_syntax: UID = uid.ExplicitVRLittleEndian
    greys: Greys = Greys.WINDOW
    patient_name: str = "Phantom^Drawn"
    patient_id: str = "DRAWN-0001"
    patient_birth_date: str = "19700101"
    patient_sex: str = "O"
    study_instance_uid: str = ""
    sop_instance_uid: str = ""
    accession_number: str = ""
    study_date: str = "20200402"
    study_time: str = "101500"
    view_position: str = "PA"
    elements: Mapping[str, Any] = field(default_factory=dict)


def phantom_dicom(seed: int, **options: Any) -> bytes:
    """Return the drawn chest as a Computed Radiography image (PS3.3 A.2), a whole DICOM file; options as
    `PhantomDicom`.
    """
    spec = PhantomDicom(seed, **options)
    ds = _describe(spec)
    samples, grey_elements = _store(
        draw_chest(seed, variant=spec.variant, rows=spec.rows, columns=spec.columns), spec
    )
    ds.update(grey_elements)
    _put_pixels(ds, samples, spec)
    for keyword, value in spec.elements.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    return to_file(ds, spec.transfer_syntax)


def to_file(ds: Dataset, transfer_syntax: UID) -> bytes:
    """Return a data set as a DICOM file (PS3.10) in that transfer syntax."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    ds.file_meta = meta
    file = BytesIO()
    dcmwrite(file, ds, enforce_file_format=True)
    return file.getvalue()


def _describe(spec: PhantomDicom) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.SOPClassUID = uid.ComputedRadiographyImageStorage
    ds.SOPInstanceUID = spec.sop_instance_uid or generate_uid(entropy_srcs=["image", repr(spec)])
    ds.StudyDate = ds.ContentDate = spec.study_date
    ds.StudyTime = ds.ContentTime = spec.study_time
    ds.AccessionNumber = spec.accession_number
    ds.Modality = "CR"
    ds.Manufacturer = "Drawn, not a device"
    ds.InstitutionName = "Drawn, not a hospital"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "Chest, drawn"
    ds.PatientName = spec.patient_name
    ds.PatientID = spec.patient_id
    ds.PatientBirthDate = spec.patient_birth_date
    ds.PatientSex = spec.patient_sex
    ds.BodyPartExamined = "CHEST"
    ds.ViewPosition = spec.view_position
    spacing = round(10 * HEIGHT_CM / spec.rows, 4)
    ds.ImagerPixelSpacing = [spacing, spacing]
    ds.StudyInstanceUID = spec.study_instance_uid or generate_uid(
        entropy_srcs=["study", str(spec.seed), spec.patient_id]
    )
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["series", ds.StudyInstanceUID])
    ds.StudyID = str(spec.seed)
    ds.SeriesNumber = 1
    ds.InstanceNumber = 1
    ds.PatientOrientation = ["L", "F"]
    ds.BurnedInAnnotation = "NO"
    return ds


def _store(picture: NDArray[np.float32], spec: PhantomDicom) -> tuple[Samples, Dataset]:
    """Stored values, and the elements that make them look like `picture` again."""
    grey = 1 - picture if spec.photometric == "MONOCHROME1" else picture
    highest = 2**spec.bits_stored - 1
    lowest_stored = -(2 ** (spec.bits_stored - 1)) if spec.signed else 0
    ds = Dataset()
    fraction = _SCALES[spec.greys](ds, grey.astype(np.float64), spec, lowest_stored)
    kind = "i" if spec.signed else "u"
    samples = (np.rint(fraction * highest) + lowest_stored).astype(
        f"{kind}{1 if spec.bits_stored <= 8 else 2}"
    )
    return samples, ds


def _stored_range(
    ds: Dataset, grey: NDArray[np.float64], spec: PhantomDicom, lowest: int
) -> NDArray[np.float64]:
    return grey


def _identity(ds: Dataset, grey: NDArray[np.float64], spec: PhantomDicom, lowest: int) -> NDArray[np.float64]:
    ds.PresentationLUTShape = "INVERSE" if spec.photometric == "MONOCHROME1" else "IDENTITY"
    return grey


def _window(ds: Dataset, grey: NDArray[np.float64], spec: PhantomDicom, lowest: int) -> NDArray[np.float64]:
    # PS3.3 C.11.2.1.2.1: 0 at the lowest and 1 at the highest stored value.
    ds.WindowCenter = 2 ** (spec.bits_stored - 1) + lowest
    ds.WindowWidth = 2**spec.bits_stored
    return grey


def _window_exact(
    ds: Dataset, grey: NDArray[np.float64], spec: PhantomDicom, lowest: int
) -> NDArray[np.float64]:
    ds.WindowCenter = (2**spec.bits_stored - 1) / 2 + lowest
    ds.WindowWidth = 2**spec.bits_stored - 1
    ds.VOILUTFunction = "LINEAR_EXACT"
    return grey


def _sigmoid(ds: Dataset, grey: NDArray[np.float64], spec: PhantomDicom, lowest: int) -> NDArray[np.float64]:
    # PS3.3 C.11.2.1.3.1 solved for x: the ends of a sigmoid are never reached, so the picture's are cut at
    # 0.5 %.
    highest = 2**spec.bits_stored - 1
    ds.WindowCenter = highest / 2 + lowest
    ds.WindowWidth = round(highest / 2.7, 3)
    ds.VOILUTFunction = "SIGMOID"
    logit = np.log(1 / np.clip(grey, 0.005, 0.995) - 1)
    return np.clip(0.5 - logit * float(ds.WindowWidth) / 4 / highest, 0, 1)


def _voi_lut(ds: Dataset, grey: NDArray[np.float64], spec: PhantomDicom, lowest: int) -> NDArray[np.float64]:
    count = 2**spec.bits_stored
    item = Dataset()
    curve = np.rint((np.arange(count) / (count - 1)) ** LUT_GAMMA * 65535)
    _put_lut(item, lowest, curve, spec)
    ds.VOILUTSequence = Sequence([item])
    return grey ** (1 / LUT_GAMMA)


def _rescale(ds: Dataset, grey: NDArray[np.float64], spec: PhantomDicom, lowest: int) -> NDArray[np.float64]:
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 2, -1024, "US"
    # In the rescaled units, the lowest and the highest stored value lie at these ends.
    low, width = 2 * lowest - 1024, 2 * (2**spec.bits_stored - 1)
    ds.WindowCenter, ds.WindowWidth = low + width / 2 + 0.5, width + 1
    return grey


def _modality_lut(
    ds: Dataset, grey: NDArray[np.float64], spec: PhantomDicom, lowest: int
) -> NDArray[np.float64]:
    count = 2**spec.bits_stored
    item = Dataset()
    _put_lut(item, lowest, np.rint((np.arange(count) / (count - 1)) ** LUT_GAMMA * 65535), spec)
    item.ModalityLUTType = "US"
    ds.ModalityLUTSequence = Sequence([item])
    ds.WindowCenter, ds.WindowWidth = 32768, 65536
    return grey ** (1 / LUT_GAMMA)


def _put_lut(item: Dataset, first_value: int, entries: NDArray[np.float64], spec: PhantomDicom) -> None:
    item.add_new("LUTDescriptor", "SS" if spec.signed else "US", [len(entries) % 65536, first_value, 16])
    if spec.signed and len(entries) % 65536 >= 32768:
        raise ValueError("a table for signed samples of 16 bits cannot state its length in VR SS")
    order = ">u2" if spec.transfer_syntax == uid.ExplicitVRBigEndian else "<u2"
    item.add_new("LUTData", "OW", entries.astype(order).tobytes())


_SCALES: dict[Greys, Callable[[Dataset, NDArray[np.float64], PhantomDicom, int], NDArray[np.float64]]] = {
    Greys.STORED_RANGE: _stored_range,
    Greys.IDENTITY: _identity,
    Greys.WINDOW: _window,
    Greys.WINDOW_EXACT: _window_exact,
    Greys.SIGMOID: _sigmoid,
    Greys.VOI_LUT: _voi_lut,
    Greys.RESCALE: _rescale,
    Greys.MODALITY_LUT: _modality_lut,
}


def _put_pixels(ds: Dataset, samples: Samples, spec: PhantomDicom) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = spec.photometric
    ds.Rows, ds.Columns = samples.shape
    ds.BitsAllocated = 8 * samples.dtype.itemsize
    ds.BitsStored = spec.bits_stored
    ds.HighBit = spec.bits_stored - 1
    ds.PixelRepresentation = int(spec.signed)
    encode = _ENCODERS[spec.transfer_syntax]
    ds.PixelData = encode(samples, ds)
    ds["PixelData"].VR = "OB" if spec.transfer_syntax.is_encapsulated or ds.BitsAllocated == 8 else "OW"
    if spec.transfer_syntax in _LOSSY_METHODS:
        ds.LossyImageCompression = "01"
        ds.LossyImageCompressionRatio = round(samples.nbytes / len(ds.PixelData), 2)
        ds.LossyImageCompressionMethod = _LOSSY_METHODS[spec.transfer_syntax]


def _native(order: Literal["<", ">"]) -> Callable[[Samples, Dataset], bytes]:
    def encode(samples: Samples, ds: Dataset) -> bytes:
        data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
        return data + b"\x00" * (len(data) % 2)

    return encode


def _rle(samples: Samples, ds: Dataset) -> bytes:
    return encapsulate(
        [get_encoder(uid.RLELossless).encode(samples, encoding_plugin="pydicom", **_pixel_module(ds))]
    )


def _jpeg_ls(samples: Samples, ds: Dataset) -> bytes:
    # A JPEG-LS codestream has no sign (PS3.5 8.2.3): signed samples go in as their bit patterns.
    mask = 2**ds.BitsStored - 1
    unsigned = (samples.astype(np.int32) & mask).astype(f"u{samples.dtype.itemsize}")
    return encapsulate([bytes(jpeg_ls.encode_array(unsigned))])


def _jpeg_2000(**quality: Any) -> Callable[[Samples, Dataset], bytes]:
    def encode(samples: Samples, ds: Dataset) -> bytes:
        return encapsulate(
            [encode_array(samples, bits_stored=ds.BitsStored, photometric_interpretation=2, **quality)]
        )

    return encode


def _jpeg(samples: Samples, ds: Dataset) -> bytes:
    if samples.dtype != np.uint8:
        raise ValueError("JPEG Baseline holds unsigned samples of 8 bits")
    file = BytesIO()
    Image.fromarray(samples).save(file, format="JPEG", quality=JPEG_QUALITY)
    return encapsulate([file.getvalue()])


def _pixel_module(ds: Dataset) -> dict[str, Any]:
    return {
        "rows": ds.Rows,
        "columns": ds.Columns,
        "samples_per_pixel": 1,
        "bits_allocated": ds.BitsAllocated,
        "bits_stored": ds.BitsStored,
        "pixel_representation": ds.PixelRepresentation,
        "photometric_interpretation": ds.PhotometricInterpretation,
        "number_of_frames": 1,
    }


_ENCODERS: dict[UID, Callable[[Samples, Dataset], bytes]] = {
    uid.ImplicitVRLittleEndian: _native("<"),
    uid.ExplicitVRLittleEndian: _native("<"),
    uid.ExplicitVRBigEndian: _native(">"),
    uid.RLELossless: _rle,
    uid.JPEGLSLossless: _jpeg_ls,
    uid.JPEG2000Lossless: _jpeg_2000(),
    uid.JPEG2000: _jpeg_2000(signal_noise_ratios=[J2K_PSNR]),
    uid.JPEGBaseline8Bit: _jpeg,
}
#: PS3.3 C.7.6.1.1.5.1.
_LOSSY_METHODS = {uid.JPEG2000: "ISO_15444_1", uid.JPEGBaseline8Bit: "ISO_10918_1"}

#: The transfer syntaxes that can be drawn.
TRANSFER_SYNTAXES = tuple(_ENCODERS)
