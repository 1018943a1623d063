"""From facts as numbers to a report that a person reads: data, sentences, text, HTML, JSON."""
