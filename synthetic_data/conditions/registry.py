"""All clinical stories: every `.toml` file beside this module, compiled once. Adding a file adds a story."""

import re
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from ..catalogue.tables import read_toml
from ..errors import StoryFormatError, UnknownStoryError
from .loader import read_story
from .program import Story


@cache
def stories() -> dict[str, Story]:
    """Stories by id, in the order of their file names; checks what concerns several files."""
    made: dict[str, Story] = {}
    codes: dict[str, str] = {}
    texts: dict[str, str] = {}
    for file in sorted(files(__package__).iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml"):
            continue
        story = read_story(file.name, read_toml(__package__, file.name))
        if story.code in codes:
            raise StoryFormatError(f"{file.name}: the code {story.code!r} is used by {codes[story.code]} already")
        codes[story.code] = story.id
        made[story.id] = story
        texts[file.name] = file.read_text(encoding="utf-8")
    for name, text in texts.items():
        named = re.findall(r"\btrigger (\w+)", text) + re.findall(r"\bstory\('(\w+)'\)", text)
        for other in named:
            if other not in made:
                raise StoryFormatError(f"{name}: there is no story {other!r}")
    return made


def select(wanted: tuple[str, ...] | None) -> dict[str, Story]:
    """The stories of a population: all, or those named and what they may trigger. Raises UnknownStoryError."""
    everything = stories()
    if wanted is None:
        return everything
    for name in wanted:
        if name not in everything:
            close = get_close_matches(name, everything, n=1) or [next(iter(everything))]
            raise UnknownStoryError(
                f"unknown story {name!r}: the command `stories` lists all {len(everything)}, such as {close[0]}"
            )
    return {name: story for name, story in everything.items() if name in wanted}
