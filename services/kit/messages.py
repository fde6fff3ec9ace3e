"""What services say to people, in Japanese, easy Japanese and English.

A catalogue is three TOML files of the same keys, ``ja.toml``, ``ja-easy.toml`` and ``en.toml``.
Tables nest and join to dotted keys; placeholders are ``{name}``. ``examine_catalogue`` finds what
differs between the three, and a test of every service runs it, so that at run time a key is either
in all languages or in none. Values put into a text are the caller's business: what a text does not
name it cannot show.
"""

import string
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from node.primitives.errors import InvariantViolation, Misconfigured

KIT_LOCALE: Final = Path(__file__).parent / "locale"
"""The kit's own catalogue: every refusal and problem it can answer with."""

ACCEPT_LANGUAGE_MAX: Final = 200
"""Characters of an ``Accept-Language`` header that are looked at."""


class Language(StrEnum):
    """A language of the catalogues; the value names the file."""

    JAPANESE = "ja"
    EASY_JAPANESE = "ja-easy"
    """やさしい日本語: short sentences, plain words."""
    ENGLISH = "en"

    @property
    def tag(self) -> str:
        """Return the BCP 47 tag for ``Content-Language``."""
        return "ja-x-easy" if self is Language.EASY_JAPANESE else self.value


class UnknownMessage(InvariantViolation):
    """Code asks for a text that no catalogue has."""

    code = "messages.unknown"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Texts by language and dotted key."""

    texts: Mapping[Language, Mapping[str, str]]
    """The same keys in every language."""

    def can_say(self, key: str, values: Mapping[str, object]) -> bool:
        """Tell whether there is a text for ``key`` whose placeholders ``values`` fills."""
        text = self.texts[Language.JAPANESE].get(key)
        return text is not None and placeholders(text) <= values.keys()

    def text(self, key: str, language: Language, **values: object) -> str:
        """Return the text for ``key`` with its placeholders filled.

        Raises:
            UnknownMessage: There is no such key, or a placeholder has no value.
        """
        try:
            return self.texts[language][key].format(**values)
        except KeyError as error:
            raise UnknownMessage(
                f"text {key} in {language}: {error} is missing; add it to the catalogue"
            ) from error


def load_catalogue(directories: Iterable[Path]) -> Catalogue:
    """Load the catalogues in ``directories`` into one; each key belongs to one of them.

    Raises:
        Misconfigured: A file is missing or is not a catalogue, a key is defined twice, or the
        languages differ.
    """
    texts: dict[Language, dict[str, str]] = {language: {} for language in Language}
    for directory in directories:
        for language in Language:
            for key, text in _load_file(directory / f"{language}.toml").items():
                if key in texts[language]:
                    raise Misconfigured(f"{directory}: text {key} is defined twice; rename one")
                texts[language][key] = text
    catalogue = Catalogue(texts)
    findings = examine_catalogue(catalogue)
    if findings:
        raise Misconfigured(f"catalogue: {findings[0]}; complete the three files alike")
    return catalogue


def examine_catalogue(catalogue: Catalogue) -> list[str]:
    """Name every key that a language lacks, leaves empty, or fills with other placeholders."""
    findings = []
    keys = sorted({key for texts in catalogue.texts.values() for key in texts})
    for key in keys:
        forms = {language: catalogue.texts[language].get(key) for language in Language}
        for language, text in forms.items():
            if text is None:
                findings.append(f"{key}: missing in {language}")
            elif not text.strip():
                findings.append(f"{key}: empty in {language}")
        names = {placeholders(text) for text in forms.values() if text is not None}
        if len(names) > 1:
            findings.append(f"{key}: placeholders differ between languages")
    return findings


def placeholders(text: str) -> frozenset[str]:
    """Return the names of the placeholders in ``text``.

    Raises:
        Misconfigured: A brace is open, or a placeholder is more than a name.
    """
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise Misconfigured(f"text {text!r}: {error}; write {{name}} or {{{{") from error
    for name in names:
        if not name.isidentifier():
            raise Misconfigured(f"text {text!r}: placeholder {name!r}; write a plain name")
    return frozenset(names)


def choose_language(accept_language: str | None) -> Language:
    """Return the catalogue language that an ``Accept-Language`` header prefers.

    Japanese when the header is absent, unreadable, or names nothing we have.
    """
    if not accept_language:
        return Language.JAPANESE
    wishes: list[tuple[float, int, Language]] = []
    for position, part in enumerate(accept_language[:ACCEPT_LANGUAGE_MAX].split(",")):
        tag, _, weight = part.partition(";")
        language = _language_of(tag.strip().lower())
        if language is not None:
            wishes.append((-_quality(weight), position, language))
    wishes = [wish for wish in wishes if wish[0] < 0]
    return min(wishes)[2] if wishes else Language.JAPANESE


def _language_of(tag: str) -> Language | None:
    if tag in ("ja-easy", "ja-x-easy"):
        return Language.EASY_JAPANESE
    primary = tag.partition("-")[0]
    return {"ja": Language.JAPANESE, "en": Language.ENGLISH}.get(primary)


def _quality(weight: str) -> float:
    text = weight.strip().removeprefix("q=")
    if not text:
        return 1.0
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0


def _load_file(path: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); restore it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: not TOML: {error}; correct that line") from error
    texts: dict[str, str] = {}
    _flatten(table, "", path, texts)
    return texts


def _flatten(table: Mapping[str, object], prefix: str, path: Path, texts: dict[str, str]) -> None:
    for name, value in table.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{name}.", path, texts)
        elif isinstance(value, str):
            placeholders(value)
            texts[prefix + name] = value
        else:
            raise Misconfigured(f"{path}: {prefix}{name}: write a text")
