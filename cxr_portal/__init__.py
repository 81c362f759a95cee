"""The Django project: settings, addresses, the Celery application, the processes."""

from cxr_portal.celery import app as celery_app

__all__ = ["celery_app"]
