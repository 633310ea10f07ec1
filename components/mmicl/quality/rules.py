"""What the data must be: one line a rule, in plain words, with the expectation that checks it.

Fewer than fifty rules, all over whole columns: Data Docs stay readable, and the time does not grow
with the number of datasets.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from mmicl.config import Config
from mmicl.mic.templates import TASKS
from mmicl.quality.contamination import LONG
from mmicl.quality.pictures import MAX_RATIO, MIN_SIDE
from mmicl.records import Split

Level = Literal["critical", "warning"]
MAX_YES_NO = 0.7
"""Share that yes, or no, may have: beyond it a model learns to answer without looking."""


@dataclass(frozen=True)
class Rule:
    """One expectation.

    Attributes:
        name: In plain words; unique.
        table: A table of `mmicl.quality.tables`.
        level: A failed critical rule stops the chain; a warning is listed.
        kind: The class in `great_expectations.expectations`.
        options: Its arguments.
    """

    name: str
    table: str
    level: Level
    kind: str
    options: dict[str, Any] = field(default_factory=dict)


def list_rules(config: Config) -> list[Rule]:
    """All rules under the bars of `config.validate_` and the limits of `config.build`."""
    return [
        *_file_rules(),
        *_bank_rules(),
        *_example_rules(config),
        *_sample_rules(config),
        *_share_rules(config),
    ]


def _zero(name: str, table: str, column: str, level: Level = "critical") -> Rule:
    return Rule(name, table, level, "ExpectColumnValuesToBeInSet",
                {"column": column, "value_set": [0]})  # fmt: skip


def _empty(name: str, table: str, column: str, level: Level = "critical") -> Rule:
    return Rule(name, table, level, "ExpectColumnValuesToBeInSet",
                {"column": column, "value_set": [""]})  # fmt: skip


def _true(name: str, table: str, column: str) -> Rule:
    return Rule(name, table, "critical", "ExpectColumnValuesToBeInSet",
                {"column": column, "value_set": [True]})  # fmt: skip


def _false(name: str, table: str, column: str, level: Level = "critical") -> Rule:
    return Rule(name, table, level, "ExpectColumnValuesToBeInSet",
                {"column": column, "value_set": [False]})  # fmt: skip


def _one_of(name: str, table: str, column: str, values: Any) -> Rule:
    return Rule(name, table, "critical", "ExpectColumnValuesToBeInSet",
                {"column": column, "value_set": sorted(values)})  # fmt: skip


def _between(
    name: str, table: str, column: str, low: float, high: float | None, level: Level = "critical"
) -> Rule:
    return Rule(name, table, level, "ExpectColumnValuesToBeBetween",
                {"column": column, "min_value": low, "max_value": high})  # fmt: skip


def _unique(name: str, table: str, column: str) -> Rule:
    return Rule(name, table, "critical", "ExpectColumnValuesToBeUnique", {"column": column})


def _not_null(name: str, table: str, column: str) -> Rule:
    return Rule(name, table, "critical", "ExpectColumnValuesToNotBeNull", {"column": column})


def _file_rules() -> list[Rule]:
    return [
        _empty("every file has the columns and types of its rows", "files", "schema_fault"),
    ]  # fmt: skip


def _bank_rules() -> list[Rule]:
    return [
        _unique("template ids are unique", "bank", "id"),
        _one_of("templates are of known tasks", "bank", "task", TASKS),
        _empty("templates hold each slot of their task once and no stray tokens", "bank", "faults"),
        Rule("no task has the same template text twice", "bank", "critical",
             "ExpectCompoundColumnsToBeUnique", {"column_list": ["task", "text"]}),
    ]  # fmt: skip


def _example_rules(config: Config) -> list[Rule]:
    table = "examples"
    return [
        _not_null("examples have ids", table, "id"),
        _unique("example ids are unique over all datasets", table, "id"),
        _not_null("examples have groups", table, "group"),
        _one_of("examples are of known splits", table, "split", get_args(Split)),
        _one_of("examples are of known tasks", table, "task", TASKS),
        Rule("examples lie in the folder of their dataset", table, "critical",
             "ExpectColumnPairValuesToBeEqual", {"column_A": "dataset", "column_B": "folder"}),
        _false("examples have images", table, "lacks_images"),
        _zero("image references are a sha256 with or without a crop", table, "odd_references"),
        _empty("examples have the images, options and answer of their task", table, "malformed"),
        _empty("examples can become prompts", table, "unusable", "warning"),
        _zero("pictures of examples are stored, and crops lie within them", table, "lost_pictures"),
        _zero(f"pictures have {MIN_SIDE} pixels a side, and are not {MAX_RATIO:g} times as long",
              table, "odd_sizes", "warning"),
        _false("texts of examples are English", table, "foreign", "warning"),
        _false("no training example comes twice", table, "repeats", "warning"),
        _false("no training example of a dataset has the very pictures of a held-out one", table,
               "seen_in_training"),
        _false(f"no held-out question of {LONG} words comes with its answer in training", table,
               "asked_in_training", "warning"),
        _empty("no held-out picture looks like one that a sample is made of", table, "twin",
               "warning"),
    ]  # fmt: skip


def _sample_rules(config: Config) -> list[Rule]:
    table = "samples"
    rules = [
        _unique("sample ids are unique", table, "id"),
        _true("samples come from the split of their part", table, "right_split"),
        _true("samples come from known examples", table, "source_known"),
        _true("samples use a template of their task", table, "template_fits"),
        _false("samples have images", table, "lacks_images"),
        _between("samples keep to the image budget", table, "image_count", 0,
                 config.build.max_images),
        Rule("prompts hold one placeholder per image", table, "critical",
             "ExpectColumnPairValuesToBeEqual",
             {"column_A": "placeholders", "column_B": "image_count"}),
        Rule("samples have a target", table, "critical", "ExpectColumnValuesToMatchRegex",
             {"column": "target", "regex": r"\S"}),
        _not_null("samples have a target that is not null", table, "target"),
        _between("samples keep to the number of exemplars", table, "exemplar_count", 0,
                 config.build.max_exemplars),
        _zero("pictures of samples are stored, and crops lie within them", table, "lost_pictures"),
        _false("no sample comes twice", table, "repeats", "warning"),
        _zero("no exemplar comes twice in a sample", table, "exemplars_twice", "warning"),
        _zero("exemplars are known examples", table, "exemplars_unknown"),
        _zero("exemplars come from the training split", table, "exemplars_not_train"),
        _zero("no query is its own exemplar", table, "exemplars_are_query"),
        _zero("no exemplar is of the query's group", table, "exemplars_of_group"),
        _zero("no exemplar shows a picture of the query", table, "exemplars_share_picture"),
        _zero("no sample or exemplar shows a picture held out by any dataset", table,
              "pictures_held_out", "warning"),
    ]  # fmt: skip
    if config.build.scheme.declaration:
        rules.append(_true("proxies count up from 0, each before its placeholder", table,
                           "proxies_in_order"))  # fmt: skip
    if config.build.scheme.tags:
        rules.append(_true("each placeholder stands between its tags", table, "tagged"))
    return rules


def _share_rules(config: Config) -> list[Rule]:
    bar, least = config.validate_.max_majority_answer, config.validate_.min_samples
    return [
        _between("each training part has enough samples", "parts", "samples", least, None),
        _between("no answer makes up too much of a training part", "parts", "majority_share",
                 0, bar),
        _between("no answer makes up too much of a dataset's samples", "datasets",
                 "majority_share", 0, bar, "warning"),
        _between("neither yes nor no makes up too much of a dataset's yes/no answers", "datasets",
                 "yes_share", 1 - MAX_YES_NO, MAX_YES_NO, "warning"),
        _between("datasets fill their quotas", "datasets", "lacking", 0, 1, "warning"),
    ]  # fmt: skip
