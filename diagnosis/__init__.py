"""The clinical application."""
