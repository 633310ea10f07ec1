"""The product: the whole model in the hub's layout, with its card."""

from mmicl.config import Config
from mmicl.files import read_json, write_json, write_text
from mmicl.paths import Paths
from mmicl.registry.card import write_card
from mmicl.registry.gates import judge


def package(paths: Paths, config: Config) -> dict[str, object]:
    """Write models/export and reports/gates.json from the trained weights and the scores.

    Returns:
        What `gates.judge` found.

    Raises:
        UserError: A margin names no score, or the base cannot be loaded.
        DataError: Scores or weights are missing or damaged.
    """
    scores = read_json(paths.scores)
    gates = judge(scores, config.register_.margins)
    from mmicl.model.loading import export_model, load_model

    model, processor = load_model(
        config.model.base,
        config.model.revision,
        instruct=config.model.instruct_qformer,
        trained=[paths.pretrained, paths.finetuned],
    )
    processor.image_tags = config.build.scheme.tags
    export_model(model, processor, paths.export)
    write_text(paths.export / "README.md", write_card(config, scores, gates))
    write_json(paths.gates, gates)
    return gates
