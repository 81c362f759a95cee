"""A hospital that stores de-identified copies, and a modality that pushes."""

from diagnosis.models import Image, Site
from tests.canaries import assert_image_is_clean, planted


def test_what_a_modality_pushes_is_stored_as_a_de_identified_copy(listener, modality, send):
    Site.objects.filter(pk=modality.site_id).update(deidentification="stored_copy")
    said = send(listener.port, planted(1), planted(2))
    assert said.returncode == 0, said.output
    images = list(Image.objects.order_by("created_at"))
    assert len(images) == 2
    assert images[0].study == images[1].study
    for seed, image in enumerate(images, start=1):
        assert_image_is_clean(image, planted(seed))
