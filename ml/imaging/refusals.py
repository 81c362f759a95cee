"""Why an image is refused: every code with the sentence that the person at the screen reads."""

from collections.abc import Mapping
from types import MappingProxyType


def gettext_noop(text: str) -> str:
    """Marks a text for translators, by the name that gettext knows. Images know no languages: who shows it translates it."""
    return text


#: code -> sentence: what is wrong, why it matters where that is not plain, what to do. The codes are
#: stable: they are stored, filtered by and tested for. Placeholders hold sizes and names of formats alone,
#: never text of the file.
REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "empty_file": gettext_noop("The file is empty (0 bytes). Export it again and send the new file."),
        "unknown_kind": gettext_noop(
            "The file is not a DICOM, PNG, JPEG or TIFF image, whatever its name says. Export the X-ray as "
            "DICOM, or as PNG or JPEG, and send that file."
        ),
        "two_formats": gettext_noop(
            "The DICOM file begins like a file of another format, a program for example, so it could do harm "
            "where it is opened. Ask the sender to export the image again."
        ),
        "inflates_too_large": gettext_noop(
            "The file's deflated content expands to more than {limit}. No chest X-ray is that large: the file is "
            "damaged or was made to overload the system. Export it again, uncompressed."
        ),
        "too_large": gettext_noop(
            "The file is larger than the limit of {limit}. Export the single image again, with compression "
            "if need be, or ask the administrator to raise the limit."
        ),
        "too_many_pixels": gettext_noop(
            "The file declares {columns} x {rows} pixels, more than the {limit} pixels that are accepted."
            " No chest X-ray has that many: the file is damaged or was made to overload the system. "
            "Export it again."
        ),
        "too_much_memory": gettext_noop(
            "Reading the file took more memory than is allowed for one image. Export the single image again, "
            "smaller or uncompressed, or ask the administrator to raise the limit."
        ),
        "truncated": gettext_noop(
            "The file is incomplete: its end is missing, so a part of the image would be lost. Copy or "
            "export it again and send the whole file."
        ),
        "corrupt": gettext_noop(
            "The file is damaged or contradicts itself, so its image cannot be read reliably. Export it "
            "again; if that does not help, ask the sender for a new copy."
        ),
        "invalid_dicom": gettext_noop(
            "The DICOM file breaks the standard: {problem}. Its image cannot be identified or shown "
            "reliably. Ask the sender to export it again."
        ),
        "no_pixel_data": gettext_noop(
            "The DICOM file holds no image (a report or a directory, for example, has none). Send the "
            "file of the X-ray itself."
        ),
        "several_frames": gettext_noop(
            "The file holds several images in one. Only single X-ray images can be read. Send each image "
            "as a file of its own."
        ),
        "unsupported_transfer_syntax": gettext_noop(
            "The DICOM file is compressed or encoded as “{name}”, which this system cannot read. Export "
            "it uncompressed, or as JPEG Lossless, JPEG 2000, JPEG-LS or RLE."
        ),
        "unsupported_samples": gettext_noop(
            "The image stores its samples in a form that is not used for X-ray images ({problem}). Export"
            " it as an ordinary 8 to 16 bit grey image."
        ),
        "not_grey": gettext_noop(
            "The image is in colour, so it is not an X-ray image as a detector makes it (a photograph, a "
            "screenshot or an image with coloured marks on it). Send the original grey image."
        ),
        "transparent": gettext_noop(
            "The image has transparent parts, so what should be seen there is not known. Export it "
            "without transparency and send it again."
        ),
        "for_processing": gettext_noop(
            "The DICOM file holds the detector's raw data (“FOR PROCESSING”), which is not meant to be "
            "looked at. Send the processed image (“FOR PRESENTATION”) of the same exposure."
        ),
        "contradictory_polarity": gettext_noop(
            "The DICOM file says both that its lowest values are black and that they are white "
            "(Photometric Interpretation against Presentation LUT Shape). Shown the wrong way round, "
            "lungs would look white. Ask the sender to export it again."
        ),
        "too_small": gettext_noop(
            "The image has only {columns} x {rows} pixels; the shorter side needs at least {limit}, or signs of "
            "disease are lost. Export the X-ray at its full size and upload it again, or open it without AI."
        ),
        "odd_shape": gettext_noop(
            "The image is {columns} x {rows} pixels: one side is more than {limit} times as long as the other, "
            "so it cannot be one whole chest. Export the whole X-ray by itself and upload it again, or open it "
            "without AI."
        ),
        "plain": gettext_noop(
            "The image is nearly one even grey, so there is nothing in it to read. Check the file in another "
            "viewer, export the X-ray again and upload it, or open it without AI."
        ),
        "not_frontal_chest": gettext_noop(
            "The image does not look like one frontal chest X-ray; it may be another part of the body, another "
            "kind of image, a photograph, a screenshot or several pictures in one. Upload the original frontal "
            "chest X-ray by itself, or open it without AI."
        ),
        "lateral": gettext_noop(
            "The image looks like a chest from the side, and the network was trained on frontal views (PA and AP) "
            "alone. Upload the frontal view, or open it without AI."
        ),
        "turned": gettext_noop(
            "The image looks turned by {degrees} degrees clockwise, and the network reads a turned chest wrongly. "
            "Turn it upright and upload it again, or open it without AI."
        ),
        "tilted": gettext_noop(
            "The chest looks far from upright in the image, and the network reads a tilted chest wrongly. Set it "
            "upright and upload it again, or open it without AI."
        ),
        "inverted": gettext_noop(
            "Black and white look swapped: in a chest X-ray lungs are dark and bones bright. Invert the image and "
            "upload it again, or open it without AI."
        ),
        "incomplete_chest": gettext_noop(
            "The image looks like only a part of a chest, and the network needs both lungs whole. Export the whole "
            "X-ray and upload it again, or open it without AI."
        ),
        "damaged_picture": gettext_noop(
            "The picture looks damaged: blurred, drowned in noise, or with parts missing or out of place. Export "
            "the X-ray again and upload it, or open it without AI."
        ),
        "unfamiliar": gettext_noop(
            "The image differs too much from the chest X-rays that the network was trained and tested on, so its "
            "answer could not be relied on. Check that it is one upright frontal chest X-ray, and open it without AI."
        ),
    }
)


class ImageRefused(Exception):  # noqa: N818 - named for what happened, as the page says it
    """The file cannot become an image. `code` is stable; `str(exc)` is the sentence for the person, in English.

    `problem` and `details` are what its placeholders were filled from, for who says it in another language.
    """

    def __init__(
        self, code: str, message: str, problem: str = "", details: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(code, message, problem, dict(details))
        self.code = code
        self.problem = problem
        self.details = dict(details)

    def __str__(self) -> str:
        return str(self.args[1])


def refusal(code: str, *, problem: object = "", **details: object) -> ImageRefused:
    """Return the refusal of `REFUSALS[code]`, its placeholders filled from `details`, and `problem` in the same way."""
    said = {name: str(value) for name, value in details.items()}
    template = str(problem)
    sentence = REFUSALS[code].format(problem=template.format(**said) if said else template, **said)
    return ImageRefused(code, sentence, template, said)
