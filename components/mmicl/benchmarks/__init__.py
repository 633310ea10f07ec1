"""Benchmarks: official scoring rules, what each asks of a model, and the runner with controls."""
