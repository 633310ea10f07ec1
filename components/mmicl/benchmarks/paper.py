"""Tables of MMICL's paper that several benchmarks are held against.

They were not read in the paper itself: a figure is verified where it agrees with the differences
that the paper's reviews quote, all others are not.
"""

from mmicl.benchmarks.benchmark import PAPER, Published

_TABLE_4 = {
    "Flamingo-9B, 0-shot": (61.5, None, 51.8, 57.0, 28.8),
    "Flamingo-9B, 4-shot": (72.6, None, 56.3, 62.7, 34.9),
    "Kosmos-1, 0-shot": (67.1, 3.8, 51.0, 63.9, 29.2),
    "Kosmos-1, 4-shot": (75.3, None, 51.8, None, 35.3),
    "BLIP-2 FLAN-T5-XL, 0-shot": (64.51, 12.25, 58.79, 60.00, 25.52),
    "BLIP-2 FLAN-T5-XXL, 0-shot": (60.74, 10.10, 60.91, 62.25, 22.50),
    "InstructBLIP FLAN-T5-XL, 0-shot": (77.16, 10.80, 36.77, 58.54, 32.08),
    "InstructBLIP FLAN-T5-XXL, 0-shot": (73.13, 11.50, 63.69, 61.70, 15.11),
    "MMICL FLAN-T5-XL, 0-shot": (60.56, 12.55, 62.17, 60.28, 25.04),
    "MMICL FLAN-T5-XXL, 0-shot": (78.64, 18.85, 69.99, 60.32, 29.34),
    "MMICL Instruct-FLAN-T5-XL, 0-shot": (78.89, 14.75, 69.13, 61.12, 29.92),
    "MMICL Instruct-FLAN-T5-XXL, 0-shot": (44.29, 17.05, 70.30, 62.23, 24.45),
    "MMICL FLAN-T5-XL, 4-shot": (71.95, 12.30, 62.63, 60.80, 50.17),
    "MMICL FLAN-T5-XXL, 4-shot": (75.37, 18.70, 69.83, 61.12, 33.16),
    "MMICL Instruct-FLAN-T5-XL, 4-shot": (74.27, 14.80, 69.16, 61.12, 33.16),
    "MMICL Instruct-FLAN-T5-XXL, 4-shot": (72.04, 19.65, 70.56, 64.60, 50.28),
}
_TABLE_4_COLUMNS = ("flickr30k", "websrc", "vqav2", "hateful_memes", "vizwiz")
_VERIFIED = {
    ("vizwiz", "InstructBLIP FLAN-T5-XL, 0-shot"),
    ("vizwiz", "InstructBLIP FLAN-T5-XXL, 0-shot"),
    ("vizwiz", "MMICL FLAN-T5-XL, 0-shot"),
    ("vizwiz", "MMICL FLAN-T5-XXL, 0-shot"),
    ("vizwiz", "MMICL FLAN-T5-XL, 4-shot"),
    ("vizwiz", "MMICL FLAN-T5-XXL, 4-shot"),
    ("flickr30k", "MMICL Instruct-FLAN-T5-XL, 0-shot"),
}
_TABLE_6 = {
    "stage I alone, FLAN-T5-XL": (61.62, 45.44, 35.43, 48.42, 52.75),
    "stage I alone, FLAN-T5-XXL": (63.18, 50.08, 36.48, 48.42, 59.20),
    "stage I alone, Instruct-FLAN-T5-XL": (61.54, 47.53, 35.36, 50.11, 53.15),
    "stage I alone, Instruct-FLAN-T5-XXL": (65.06, 51.39, 36.09, 45.10, 63.35),
    "MMICL FLAN-T5-XL": (62.85, 47.23, 35.76, 51.24, 56.95),
    "MMICL FLAN-T5-XXL": (64.73, 50.55, 37.00, 34.93, 68.05),
    "MMICL Instruct-FLAN-T5-XL": (70.54, 52.55, 36.87, 47.27, 74.20),
    "MMICL Instruct-FLAN-T5-XXL": (66.45, 52.00, 37.98, 60.85, 67.20),
}
_TABLE_6_COLUMNS = ("vsr", "iconqa_txt", "visdial", "iconqa_img", "bongard_hoi")
_VIDEOS = {
    "BLIP-2 FLAN-T5-XL": (33.70, 61.73, 37.30),
    "BLIP-2 FLAN-T5-XXL": (34.40, 61.97, 49.38),
    "InstructBLIP FLAN-T5-XL": (43.40, 36.10, 25.18),
    "InstructBLIP FLAN-T5-XXL": (44.30, 64.27, 36.15),
    "MMICL FLAN-T5-XL": (47.31, 66.17, 41.68),
    "MMICL FLAN-T5-XXL": (55.16, 64.67, 41.13),
    "MMICL Instruct-FLAN-T5-XL": (53.68, 65.33, 49.28),
    "MMICL Instruct-FLAN-T5-XXL": (52.19, 68.80, 51.83),
}
_VIDEO_COLUMNS = ("msvd_qa", "nextqa", "ivqa")


def list_published(benchmark: str, metric: str, note: str = "") -> tuple[Published, ...]:
    """The paper's figures of one benchmark, on the metric that they are taken to be.

    Args:
        benchmark: A column of Table 4, Table 6 or the table of video QA.
        metric: Ours.
        note: What to know before comparing.
    """
    found = []
    for name, columns, rows in (
        ("Table 4", _TABLE_4_COLUMNS, _TABLE_4),
        ("Table 6", _TABLE_6_COLUMNS, _TABLE_6),
        ("video QA", _VIDEO_COLUMNS, _VIDEOS),
    ):
        if benchmark not in columns:
            continue
        for system, values in rows.items():
            value = values[columns.index(benchmark)]
            if value is not None:
                verified = (benchmark, system) in _VERIFIED
                found.append(Published(system, metric, value, verified, note, f"{PAPER}, {name}"))
    return tuple(found)
