"""Signed reports on paper: Typst sets them, and knows nothing of records."""
