"""The paper's ablations: claims held against what variants of the configuration scored."""
