"""The instruction bank: ten hand-written templates per task, and paraphrases from an endpoint.

`prompts` says what is asked, `endpoint` asks it, `replies` keeps the answers, `asking` does many
within the budget, `bill` counts, `checks` says what may be taken, `paraphrases` puts it together,
`review` is a person's part.
"""
