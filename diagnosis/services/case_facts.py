"""What the rules look at: one signed read, what the network says of its images, a PCR result, the day of the illness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext_noop

from diagnosis.models import LabResult, Prediction, Review, ReviewKind, Study
from diagnosis.selectors.cases import day_of_illness
from diagnosis.selectors.studies import current_review, second_opinion, studies_with_opinion
from diagnosis.sentences import Sentence
from diagnosis.services.case_rules import COVID, Facts


def whole_study(study: Study) -> Study:
    """The study with all that any reader may see of it: rules look at everything, whoever acts."""
    return studies_with_opinion(Study.objects.filter(pk=study.pk), viewer=None).get()


def standing_read(study: Study) -> Review | None:
    """The read that stands, of a study of ``whole_study``: an addendum adds to the read before it and is none itself."""
    review = current_review(study)
    reads = {read.pk: read for read in study.reviews.all()}
    while review is not None and review.kind == ReviewKind.ADDENDUM and review.follows_id is not None:
        review = reads[review.follows_id]
    return review


def facts_of(study: Study, review: Review, pcr: LabResult | None) -> Facts:
    """``study`` comes from ``whole_study``. While an analysis is on its way the network has said nothing."""
    opinion = second_opinion(study)
    said = [] if opinion.is_pending else [p for p in opinion.predictions if p.is_done]
    names = opinion.possible if said else {}
    covid = [p.probabilities[COVID] for p in said if COVID in p.probabilities]
    return Facts(
        reader=review.label,
        reader_name=review.label_display,
        ai=tuple(names),
        ai_words=_ai_words(names, said).kept(),
        ai_covid=max(covid, default=None),
        pcr=pcr.result if pcr else "",
        day=day_of_illness(study),
    )


def _ai_words(names: Mapping[str, str], said: Sequence[Prediction]) -> Sentence:
    """“COVID-19 0.81”, “unsure, COVID-19 or Normal”."""
    if not names:
        return Sentence("")
    words = _either([Sentence(name) for name in names.values()])
    if len(names) > 1:
        return Sentence(gettext_noop("unsure, {labels}"), labels=words)
    [code] = names
    scores = [p.probabilities[code] for p in said if code in p.probabilities]
    return Sentence("{label} {score}", label=words, score=max(scores)) if scores else words


def _either(names: Sequence[Sentence]) -> Sentence:
    first, *others = names
    return Sentence(gettext_noop("{one} or {other}"), one=first, other=_either(others)) if others else first
