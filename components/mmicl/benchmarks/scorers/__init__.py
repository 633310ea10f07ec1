"""Official scoring rules as pure functions: predictions and references in, metrics out."""
