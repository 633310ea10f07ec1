"""The `mmicl` command: the table of contents of the product.

Commands import what they need when they run, so that `--help` is instant.
"""

import sys

from mmicl.cli import running, configuring, looking  # noqa: F401  # isort: skip (order of --help)
from mmicl.cli.application import app
from mmicl.errors import MmiclError


def main() -> None:
    """Run the command; an error of ours, or of a path, is one line and exit code 2."""
    try:
        app()
    except MmiclError as error:
        sys.stderr.write(f"mmicl: {error}\n")
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        sys.stderr.write(f"mmicl: {error.filename}: {error.strerror}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("mmicl: interrupted\n")
        sys.exit(130)
