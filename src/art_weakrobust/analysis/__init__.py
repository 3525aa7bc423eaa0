"""Per-sample local robustness."""
