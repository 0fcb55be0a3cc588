"""Time the commands that do not load Keras.

    python benchmarks/commands.py

Each command runs once to warm up and then seven times, interleaved. Prints the median and the range of the seconds.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from figures import DIGITS, OF_THIS_CODE, digits, in_turn, spread

QUICK = (
    *(["--help"], ["models"], ["score", "a.csv", "--answers", "a.csv"], ["submit", "short.csv"]),
    ["predict", "data/sample/test.csv", "--run", "a.onnx", "-o", "labels.csv"],
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        submission = "ImageId,Label\n" + "".join(f"{row},{row % 10}\n" for row in range(1, 28_001))
        (Path(folder) / "a.csv").write_text(submission)
        digits(folder, "run", "--data", "sample", "--recipe", "quick", "--name", "a")
        digits(folder, "export", "a", "--to", "onnx", "-o", "a.onnx")
        (Path(folder) / "short.csv").write_text("ImageId,Label\n1,7\n")  # refused, with exit code 2
        times = in_turn(
            {
                f"digits {' '.join(words)}": lambda words=words: subprocess.run(
                    [*DIGITS, *words],
                    cwd=folder,
                    env=os.environ | OF_THIS_CODE,
                    capture_output=True,
                    check=words[0] != "submit",
                )
                for words in QUICK
            }
        )
    for name, seconds in times.items():
        print(f"| {name} | {spread(seconds)} |")


if __name__ == "__main__":
    main()
