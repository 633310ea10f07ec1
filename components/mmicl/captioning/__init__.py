"""Synthetic captions for pictures of the web: the best by image-text matching is kept.

BLIP's captioning and filtering as BLIP-2 uses it (section 3.4): several captions a picture from
BLIP-large, ranked together with the text that the web had. img2dataset's shards in, shards of the
same layout out, a shard at a time, so that the readers of web-scale sets read either.
"""
