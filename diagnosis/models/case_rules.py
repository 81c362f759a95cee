"""What a site has chosen for second reads, discrepancies and critical results."""

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy

from diagnosis.models.scoped import SiteScopedQuerySet


class CaseRules(models.Model):
    """One row for each site that chose other than the defaults. ``of`` gives a site's rules, stored or not.

    Where a default comes from stands in ``docs/clinicians-guide.md``, *Which rules ask for a second reader*.
    """

    site_lookup = "site"

    site = models.OneToOneField(
        "diagnosis.Site", primary_key=True, on_delete=models.PROTECT, related_name="case_rules"
    )
    pcr_days_before = models.PositiveSmallIntegerField(
        gettext_lazy("PCR: days before the X-ray"),
        default=3,
        validators=[MaxValueValidator(30)],
        help_text=gettext_lazy(
            "A sample collected at most so many days before an X-ray is compared with its read."
        ),
    )
    pcr_days_after = models.PositiveSmallIntegerField(
        gettext_lazy("PCR: days after the X-ray"), default=3, validators=[MaxValueValidator(30)]
    )
    xray_expected_from_day = models.PositiveSmallIntegerField(
        gettext_lazy("X-ray changes expected from day"),
        default=5,
        validators=[MaxValueValidator(30)],
        help_text=gettext_lazy(
            "Days since the first symptoms. Before this day a normal X-ray does not contradict a detected PCR."
        ),
    )
    ai_covid_from = models.DecimalField(
        gettext_lazy("COVID-19 score from"),
        max_digits=3,
        decimal_places=2,
        default=Decimal("0.50"),
        validators=[MinValueValidator(Decimal("0")), MaxValueValidator(Decimal("1"))],
        help_text=gettext_lazy(
            "From this score on, 0 to 1, a second opinion of COVID-19 contradicts a PCR that detected nothing."
        ),
    )
    second_read_share_percent = models.PositiveSmallIntegerField(
        gettext_lazy("Random second reads (%)"),
        default=0,
        validators=[MaxValueValidator(100)],
        help_text=gettext_lazy(
            "The share of signed studies that a second radiologist reads although nothing asks for it. 0: none."
        ),
    )
    second_read_most_open = models.PositiveSmallIntegerField(
        gettext_lazy("Second reads open at most"),
        default=20,
        validators=[MinValueValidator(1)],
        help_text=gettext_lazy(
            "So many are offered at once, the most urgent. The others wait for a free place, and say so."
        ),
    )
    second_read_most_a_day = models.PositiveSmallIntegerField(
        gettext_lazy("Second reads a day at most"),
        default=40,
        validators=[MinValueValidator(1)],
        help_text=gettext_lazy("By the site's clock."),
    )
    critical_minutes = models.PositiveSmallIntegerField(
        gettext_lazy("Critical results: minutes to the next person"),
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 60)],
        help_text=gettext_lazy(
            "So long a person has to acknowledge before the next one of the list is told."
        ),
    )

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        verbose_name = verbose_name_plural = gettext_lazy("case rules")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(second_read_share_percent__lte=100),
                name="case_rules_share_is_a_percentage",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    second_read_most_open__gte=1, second_read_most_a_day__gte=1, critical_minutes__gte=1
                ),
                name="case_rules_limits_let_something_through",
            ),
            models.CheckConstraint(
                condition=models.Q(ai_covid_from__gte=0, ai_covid_from__lte=1),
                name="case_rules_score_in_0_to_1",
            ),
        ]

    def __str__(self) -> str:
        return f"Case rules of {self.site}"

    @classmethod
    def of(cls, site_id: int) -> "CaseRules":
        """The rules of a site; the defaults, not stored, where it chose none."""
        return cls.objects.filter(pk=site_id).first() or cls(pk=site_id)
