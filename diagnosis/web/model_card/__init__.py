"""A model's card as a page: what it says in words for a radiologist, with every figure and its interval."""

from diagnosis.web.model_card.page import CardPage

__all__ = ["CardPage"]
