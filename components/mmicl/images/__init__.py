"""Pictures: bounded decoding, and the content-addressed store that all later stages read."""
