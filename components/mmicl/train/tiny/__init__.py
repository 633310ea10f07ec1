"""Training the miniature backbone from the procedural world alone.

As the real BLIP-2 starts from parts that were trained apart, so does the miniature: a ViT and a
Q-Former that have learnt to name what a picture shows (`vision`), and a T5 that has learnt, from
text alone, to answer the instruction bank's prompts where each image's slot is filled by a
description (`language`). The projection between them stays random: aligning it is what stage I is
for. Only combinations of the training split occur.
"""
