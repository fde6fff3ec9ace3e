"""Write tests/vectors/voting/*.json, the voting protocol's own vectors.

usage: python scripts/voting_vectors.py [--check]
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.voting_vectors import FILES, FOLDER, render  # noqa: E402


def main() -> int:
    """Write the files, or with --check say whether they are current."""
    stale = []
    for name in FILES:
        path, text = FOLDER / f"{name}.json", render(name)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        print(f"out of date: {', '.join(stale)}; run python scripts/voting_vectors.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
