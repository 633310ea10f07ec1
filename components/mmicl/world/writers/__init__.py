"""One module a dataset: the world in that dataset's official files."""
