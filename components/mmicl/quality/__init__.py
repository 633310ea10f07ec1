"""The data gate: expectations over the tables, a report, and Data Docs."""

from mmicl.quality.gate import validate

__all__ = ["validate"]
