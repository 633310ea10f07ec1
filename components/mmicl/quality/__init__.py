"""The data gate: expectations over the tables, a report, and Data Docs."""

from mmicl.quality.gate import build_data_docs, validate

__all__ = ["build_data_docs", "validate"]
