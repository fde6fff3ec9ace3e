"""Runs benchmarks: ``python -m tests.bench [NAME ...]``; without a name, lists them."""

import importlib
import pkgutil
import sys

from tests import bench


def main() -> int:
    """Run the named benchmarks in turn."""
    names = [
        module.name
        for module in pkgutil.iter_modules(bench.__path__)
        if module.name not in ("__main__", "record")
    ]
    wanted = sys.argv[1:]
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        print(f"benchmarks: {', '.join(names)}", file=sys.stderr)
        return 2 if unknown else 0
    sys.argv = sys.argv[:1]
    for name in wanted:
        importlib.import_module(f"tests.bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
