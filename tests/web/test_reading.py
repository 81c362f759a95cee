"""The page of a reader who has locked a read and waits for the second opinion."""

from diagnosis.models import Prediction
from diagnosis.selectors.reading import image_set_of
from diagnosis.services.first_reads import first_read_lock
from tests.web.conftest import HTMX
from tests.web.pages import text


def test_the_fragment_asks_for_the_reveal_once_the_opinion_has_come(
    browser, radiologist, site, study, prediction
):
    site.reading_protocol = "read-first"
    site.save()
    Prediction.objects.update(status="running")
    images = image_set_of(study.images.all())
    first_read_lock(actor=radiologist, study=study, label="normal", confidence="likely", image_set=images)
    client, live = browser(radiologist), f"/studies/{study.pk}/live/"
    assert "It appears here by itself" in text(client.get(live, headers=HTMX))
    Prediction.objects.update(status="done")
    ready = client.get(live, headers=HTMX)
    assert 'hx-trigger="load, every 3s, submit"' in ready.content.decode()
    assert "0.81" not in text(ready)
    assert "0.81" in text(client.post(f"/studies/{study.pk}/reveal/", {"images": images}, headers=HTMX))
