"""The report of an evaluation: one HTML page that needs no other file."""

from mmicl.benchmarks.report.page import write_report

__all__ = ["write_report"]
