"""Commands of ``kwload`` that are not in ``cli.py``, one file a subject."""
