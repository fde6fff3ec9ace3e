"""Runs benchmarks: ``python -m tests.bench [NAME ...] [OPTIONS]``; without a name, lists them."""

import importlib
import pkgutil
import sys

from tests import bench


def main() -> int:
    """Run the named benchmarks in turn, each with the options that follow the names."""
    names = [
        module.name
        for module in pkgutil.iter_modules(bench.__path__)
        if module.name not in ("__main__", "record")
    ]
    given = sys.argv[1:]
    count = next((at for at, word in enumerate(given) if word.startswith("-")), len(given))
    wanted, options = given[:count], given[count:]
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        print(f"benchmarks: {', '.join(names)}", file=sys.stderr)
        return 2 if unknown else 0
    sys.argv = [*sys.argv[:1], *options]
    for name in wanted:
        importlib.import_module(f"tests.bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
