"""The revisions of a service's migrations, read from their files without running them.

What a database lacks is known so without Alembic, which is slow to load and needed only when there
is something to apply.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One migration."""

    name: str
    """Its identifier."""
    follows: frozenset[str]
    """Revisions of its branch that come right before it."""
    needs: frozenset[str]
    """Revisions that must be applied with it: those it follows, and those of other branches."""


def read_revisions(folders: Sequence[Path]) -> Mapping[str, Revision]:
    """Return the revisions whose files are in ``folders``, by name."""
    files = (path for folder in folders for path in sorted(folder.glob("*.py")))
    found = (_read(path) for path in files if path.name != "__init__.py")
    return {revision.name: revision for revision in found}


def find_heads(known: Mapping[str, Revision]) -> frozenset[str]:
    """Return the revisions that none follows."""
    return frozenset(known).difference(*(revision.follows for revision in known.values()))


def find_applied(known: Mapping[str, Revision], at: Iterable[str]) -> frozenset[str]:
    """Return what is applied in a database at the revisions ``at``, all of them known."""
    applied: set[str] = set()
    waiting = list(at)
    while waiting:
        name = waiting.pop()
        if name not in applied:
            applied.add(name)
            waiting += known[name].needs
    return frozenset(applied)


def _read(path: Path) -> Revision:
    told = dict(_assignments(ast.parse(path.read_bytes(), filename=str(path))))
    name = told["revision"]
    assert isinstance(name, str)
    follows = _names(told.get("down_revision"))
    return Revision(name=name, follows=follows, needs=follows | _names(told.get("depends_on")))


def _assignments(module: ast.Module) -> Iterator[tuple[str, object]]:
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, _literal(value)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for each, value in zip(names, values, strict=True):
                    if isinstance(each, ast.Name):
                        yield each.id, _literal(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, _literal(value)
            case _:
                pass


def _literal(value: ast.expr) -> object:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None


def _names(value: object) -> frozenset[str]:
    if value is None:
        return frozenset()
    return frozenset([value] if isinstance(value, str) else map(str, _list(value)))


def _list(value: object) -> Iterable[object]:
    assert isinstance(value, (tuple, list, set))
    return value
