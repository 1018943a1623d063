"""Which Keras wrote a file, which one would read it, and what it would make of the stored architecture."""
