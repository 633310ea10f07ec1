"""Run the rules with Great Expectations; write Data Docs; say what failed."""

import logging
import os
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmicl.config import Config
from mmicl.errors import DataError, MmiclError
from mmicl.files import replace_folder, write_text
from mmicl.paths import Paths
from mmicl.quality.page import write_index
from mmicl.quality.rules import Level, Rule, list_rules

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
FAILING_IDS = 5


@dataclass(frozen=True)
class Outcome:
    """How one rule fared: `failed` rows of `rows`, the first of their ids, the worst value."""

    name: str
    table: str
    level: Level
    success: bool
    rows: int
    failed: int
    observed: str
    ids: tuple[str, ...]


def validate(paths: Paths, config: Config) -> dict[str, Any]:
    """Check all tables, write the Data Docs, and return the report.

    The report holds no time and no id of a run: equal tables give an equal report.

    Raises:
        DataError: A table is missing, or a critical rule failed; names the rule, the table, how
            many rows and one of them. The Data Docs are written all the same.
    """
    report = check_and_document(paths, config)
    failed = [one for one in report["results"] if not one["success"]]
    for one in failed:
        log.warning("%s: %s", one["level"], _describe(one))
    critical = [one for one in failed if one["level"] == "critical"]
    if critical:
        more = f" (and {len(critical) - 1} more)" if len(critical) > 1 else ""
        raise DataError(
            f"data gate: {_describe(critical[0])}{more}",
            remedy=f"all outcomes are in {paths.data_docs / 'index.html'}",
        )
    return report


def check_and_document(paths: Paths, config: Config) -> dict[str, Any]:
    """Check everything, put the Data Docs in place of the old ones, and return the report.

    Raises:
        DataError: A table is missing or empty; a failed rule raises nothing here.
    """
    from mmicl.quality.shown import show_failing
    from mmicl.quality.tables import load_sources, make_tables

    sources = load_sources(paths, config)
    tables = make_tables(sources, config)
    for name in ("examples", "samples"):
        if tables[name].empty:
            raise DataError("no rows in any file", where=name)
    with replace_folder(paths.data_docs) as folder:
        outcomes, pages = _run_rules(tables, list_rules(config), folder)
        report = _make_report(outcomes, tables)
        # Great Expectations' own index needs scripts from the net; ours is plain HTML.
        (folder / "index.html").replace(folder / "runs.html")
        alike = tables["examples"].query("twin != ''")
        twins = dict(zip(alike["id"], alike["twin"], strict=True))
        rows = {
            "examples": chain.from_iterable(sources.examples.values()),
            "samples": chain.from_iterable(sources.samples.values()),
            "bank": sources.bank,
        }
        shown = show_failing(report["results"], rows, twins, config, paths)
        write_text(folder / "index.html", write_index(report, pages, shown))
    return report


def _run_rules(
    tables: dict[str, "pd.DataFrame"], rules: list[Rule], folder: Path
) -> tuple[list[Outcome], dict[str, str]]:
    """Run the rules, one suite a table, and write Great Expectations' site into `folder`.

    Returns:
        The outcomes in the order of `rules`, and each table's page relative to `folder`.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import, which takes 3 to 13 s
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx
    from great_expectations import expectations
    from great_expectations.data_context.types import base

    base.logger.setLevel(logging.WARNING)  # the module has given itself a level
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = base.ProgressBarsConfig(globally=False)
    for site in list(context.variables.data_docs_sites or {}):
        context.delete_data_docs_site(site)
    context.add_data_docs_site(
        "site",
        {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(folder),
            },
        },
    )
    source = context.data_sources.add_pandas("tables")
    found: dict[str, Outcome] = {}
    for table, frame in tables.items():
        suite = context.suites.add(gx.ExpectationSuite(name=table))
        for rule in rules:
            if rule.table == table:
                kind = getattr(expectations, rule.kind)
                suite.add_expectation(
                    kind(**rule.options, description=rule.name, severity=rule.level)
                )
        batch = source.add_dataframe_asset(table).add_batch_definition_whole_dataframe("whole")
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(name=table, data=batch, suite=suite)
        )
        checkpoint = gx.Checkpoint(
            name=table,
            validation_definitions=[definition],
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": ["id"],
                "include_unexpected_rows": False,
            },
        )
        done = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": frame})
        for result in next(iter(done.run_results.values())).results:
            outcome = _read_result(result, table, len(frame))
            found[outcome.name] = outcome
    context.build_data_docs()
    pages = {
        table: next((folder / "validations" / table).rglob("*.html")).relative_to(folder).as_posix()
        for table in tables
    }
    return [found[rule.name] for rule in rules], pages


def _read_result(result: Any, table: str, rows: int) -> Outcome:
    """One expectation's result as an Outcome.

    Raises:
        MmiclError: The expectation could not be computed; Great Expectations calls that a failure.
    """
    name, level = result.expectation_config.description, result.expectation_config.severity.value
    raised = result.exception_info or {}
    for info in [raised, *(value for value in raised.values() if isinstance(value, dict))]:
        if info.get("raised_exception"):
            raise MmiclError(f"cannot compute {name!r}: {info['exception_message']}", where=table)
    found = result.result.get("unexpected_index_list") or []
    ids = {row["id"] for row in found if isinstance(row["id"], str)}  # an id may be what is null
    unexpected = result.result.get("partial_unexpected_counts") or []
    return Outcome(
        name=name,
        table=table,
        level=level,
        success=bool(result.success),
        rows=rows,
        failed=int(result.result.get("unexpected_count") or 0),
        observed=", ".join(str(item["value"]) for item in unexpected[:3]),
        ids=tuple(sorted(ids)[:FAILING_IDS]),
    )


def _make_report(outcomes: list[Outcome], tables: dict[str, "pd.DataFrame"]) -> dict[str, Any]:
    """The report: flat figures for `dvc metrics`, and every outcome."""
    shares = tables["parts"].set_index("id")["majority_share"].to_dict()
    failed = [one.level for one in outcomes if not one.success]
    return {
        "expectations": len(outcomes),
        "failed_critical": failed.count("critical"),
        "failed_warning": failed.count("warning"),
        "examples": len(tables["examples"]),
        "samples": len(tables["samples"]),
        "templates": len(tables["bank"]),
        "majority_share": {str(part): float(share) for part, share in shares.items()},
        "results": [{**asdict(one), "ids": list(one.ids)} for one in outcomes],
    }  # fmt: skip


def _describe(outcome: dict[str, Any]) -> str:
    """An outcome in a line."""
    text = f"{outcome['failed']} of {outcome['rows']} rows of {outcome['table']} fail "
    text += f'"{outcome["name"]}"'
    if outcome["ids"]:
        text += f", such as {outcome['ids'][0]}"
    return text + (f" ({outcome['observed']})" if outcome["observed"] else "")
