"""The speed that kwload claims, measured against what it is compared with: `python -m benchmarks`."""
