"""What decides which samples come out of a dataset, beside its Examples."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mmicl.config import Build, Quota
from mmicl.mic.budget import Budget
from mmicl.mic.queries import Query
from mmicl.mic.scheme import find_fault
from mmicl.mic.templates import pick_template
from mmicl.processes import Stream
from mmicl.records import Split, Template

Bank = Mapping[str, list[Template]]
HeldOut = Mapping[Split, frozenset[str]]
"""Split -> pictures (sha256) that no sample of it may show."""


@dataclass(frozen=True)
class Recipe:
    """The bank, the params and what follows from them.

    Attributes:
        bank: Task -> templates.
        config: Quotas, budget and switches.
        seed: Of every draw.
        held_out: Pictures that neither queries nor exemplars may show (`find_held_out`).
        share: Does a work for every item, as `map` does; on other processors as well.
        count: Gives the tokens of a prompt, where `config.max_tokens` limits them.
        pairs_held_out: Whether stage I has a validation part as well.
    """

    bank: Bank
    config: Build
    seed: int
    held_out: HeldOut = field(default_factory=dict)
    share: Stream = map
    count: Callable[[str], int] | None = None
    pairs_held_out: bool = False

    @property
    def budget(self) -> Budget:
        """What a prompt may hold."""
        return Budget(self.config.max_images, self.config.max_tokens, self.count)

    @property
    def plan(self) -> list[tuple[str, Split, Mapping[str, Quota]]]:
        """Part, the split it is taken from, and its quotas by dataset."""
        config = self.config
        pairs = dict.fromkeys(config.pretrain, config.validation) if self.pairs_held_out else {}
        return [
            ("pretrain", "train", config.pretrain),
            ("pretrain_val", "val", pairs),
            ("finetune", "train", config.finetune),
            ("val", "val", dict.fromkeys(config.finetune, config.validation)),
        ]

    def pick_template(self, query: Query) -> Template:
        """The template that a query is written with."""
        return pick_template(self.bank, query.task, self.seed, query.id)

    def find_fault(self, query: Query) -> str:
        """Why a query cannot become a sample, "" if it can; without exemplars, which may go."""
        counted = self.config.max_tokens is not None
        template = self.pick_template(query) if counted else None
        return find_fault(query, self.config.scheme, self.budget, template)
