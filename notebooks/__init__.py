"""The notebook that explains the second opinion, and what runs it."""
