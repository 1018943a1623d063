"""What :func:`kwload.explain` answers: a page for each code, and the likely causes behind a pasted error text."""
