"""Minecraft: questions about screenshots of the game, far from all that was trained on."""

from mmicl.benchmarks.parts import Written, declare, earn_exact

RULE = Written(earn_exact)
MINECRAFT = declare(
    RULE,
    name="minecraft",
    version="minecraft/exact-match",
    category="out of distribution",
    task="vqa",
    kind="generate",
    scorer="exact",
    headline=("accuracy",),
    licence="none declared",
    # MMICL's paper shows examples of it, and no figure.
)
