"""The instruction bank: hand-written templates, ten per task."""
