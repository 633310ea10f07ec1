#!/bin/sh
# What DVC runs for a stage. `python` is the shell's: without the environment, one line says so.
python -c 'import mmicl' 2>/dev/null || {
    echo "mmicl: this shell has not the project's Python: run make install, then source .venv/bin/activate" >&2
    exit 2
}
exec python -m mmicl.stages "$@"
