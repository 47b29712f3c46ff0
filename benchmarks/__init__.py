"""Full-size measurements, run by hand: `python -m benchmarks --help`."""
