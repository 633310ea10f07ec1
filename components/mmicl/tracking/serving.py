"""The command that shows what was tracked."""

import sys
from pathlib import Path

from mmicl.paths import Paths

SERVER_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # nothing here runs jobs; it costs 45 s of start
}
"""What the MLflow UI wants in its environment."""


def server_command(paths: Paths, port: int) -> list[str]:
    """The MLflow UI on loopback over this state folder, as a command without a shell."""
    artifacts = paths.mlflow_database.parent / "artifacts"
    return [
        str(Path(sys.executable).parent / "mlflow"),
        "server",
        *("--backend-store-uri", f"sqlite:///{paths.mlflow_database}"),
        *("--default-artifact-root", artifacts.as_uri()),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
