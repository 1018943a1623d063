"""A generated grid of (file, model) pairs, each loaded by real Keras, and what kwload says of each held against it.

design.py   what a model is: layers, how they are held, names, changes   (plain data)
build.py    a design becomes a model of some Keras; its tensors get numbers of their own
files.py    the layouts that each Keras writes, and changes to a file
judge.py    one case: what Keras did, what is true, what kwload said
grid.py     the cases
worker.py   one process per Keras, over many cases
run.py      all of it, and the table
other.py    what kwload says with `keras=`, held against that Keras
whole.py    what `check_model` says, held against `load_model`; whole_cases.py, whole_changes.py, whole_worker.py: its
            models, changed files and processes
"""
