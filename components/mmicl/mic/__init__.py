"""The MIC format: queries, templates, the context scheme, exemplars and the builder."""
