"""Stage register: judge the gates, package the model, put it into the registry."""

from mmicl.registry.packaging import package
from mmicl.stages import StageContext
from mmicl.tracking import sync


def run(context: StageContext) -> None:
    """Write models/export and reports/gates.json, then register what they hold."""
    gates = package(context.paths, context.config)
    registered = sync(context.paths, context.config, registering=context.fingerprint)
    context.facts.update(gates_passed=gates["passed"], version=registered.version)
