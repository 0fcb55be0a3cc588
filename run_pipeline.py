"""`python run_pipeline.py` is `digits run`, from a checkout that needs no installation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

try:
    from digit_recognizer.cli import main, run, workspace_option
except ModuleNotFoundError as error:
    sys.exit(f"{error}. Activate the environment that README's first command makes: . .venv/bin/activate")

if __name__ == "__main__":
    main(command=workspace_option(run), program="run_pipeline.py")
