"""Story files: what is well formed runs, and what is not is refused with the place of the error."""

from typing import Any

import pytest

from synthetic_data import PopulationSpec, UnknownStoryError, generate
from synthetic_data.conditions.loader import read_story
from synthetic_data.conditions.registry import select, stories
from synthetic_data.errors import StoryFormatError

GOOD: dict[str, Any] = {
    "id": "cold", "code": "cld", "en": "Cold", "fa": "سرماخوردگی",
    "onset": {"kind": "rate", "both": [[0, 1.0]]},
    "states": {"ill": {"do": ["visit clinic general_practice", "diagnose J06.9 for 5..9"]}},
}  # fmt: skip


def test_every_story_of_the_product_compiles_and_names_its_sources() -> None:
    assert len(stories()) >= 5
    for story in stories().values():
        assert story.sources, story.id


def test_a_small_story_compiles() -> None:
    story = read_story("cold.toml", GOOD)
    assert (story.id, len(story.states), story.onset.kind) == ("cold", 1, "rate")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "flu"}, "must be the name of the file"),
        ({"code": "C1"}, "small letters"),
        ({"title": "x"}, "unknown key 'title'"),
        ({"onset": {"kind": "sometimes"}}, "kind must be"),
        ({"onset": {"kind": "rate"}}, "must give knots"),
        ({"onset": {"kind": "rate", "both": [[5, 1], [3, 1]]}}, "rising ages"),
        ({"onset": {"kind": "rate", "both": [[0, 1]], "factors": {"luck": 1}}}, "unknown factor 'luck'"),
        ({"onset": {"kind": "rate", "both": [[0, 1]], "months": [1]}}, "12 weights"),
        ({"states": {}}, "at least one"),
        ({"states": {"a": {"do": ["sing loudly"]}}}, "unknown verb 'sing'"),
        ({"states": {"a": {"do": ["visit clinic astrology"]}}}, "unknown specialty 'astrology'"),
        ({"states": {"a": {"do": ["diagnose X99.9"]}}}, "unknown diagnosis 'X99.9'"),
        ({"states": {"a": {"do": ["order cbc please"]}}}, "nothing is expected after"),
        ({"states": {"a": {"do": ["start panacea"]}}}, "unknown drug 'panacea'"),
        ({"states": {"a": {"do": ["shift sbp up"]}}}, "must be a number"),
        ({"states": {"a": {"do": ["set x if age >"]}}}, "is not an expression"),
        ({"states": {"a": {"do": ["set x if luck > 1"]}}}, "nothing is called 'luck'"),
        ({"states": {"a": {"do": ["set x if __import__('os')"]}}}, "can be called"),
        ({"states": {"a": {"do": ["set x if (lambda: 1)()"]}}}, "can be called"),
        ({"states": {"a": {"do": ["set x if [1][0]"]}}}, "is not allowed"),
        ({"states": {"a": {"do": ["set x p 2"]}}}, "between 0 and 1"),
        ({"states": {"a": {"next": [{"to": "b"}]}}}, "no state 'b'"),
        ({"states": {"a": {"next": [{"to": "a", "after": "soon"}]}}}, "not a duration"),
        ({"states": {"a": {"next": [{"to": "a", "after": "9d..3d"}]}}}, "runs backwards"),
    ],
)
def test_a_malformed_story_is_refused_with_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(StoryFormatError) as caught:
        read_story("cold.toml", {**GOOD, **change})
    assert words in str(caught.value) and str(caught.value).startswith("cold.toml")
    assert "\n" not in str(caught.value)


def test_an_unknown_story_is_refused() -> None:
    with pytest.raises(UnknownStoryError, match="unknown story 'plague'"):
        select(("plague",))


def test_leaving_a_story_out_does_not_reshuffle_the_others() -> None:
    """With stories that never meet, each person's resources of the one are the same with and without the other."""
    alone = dict(generate(PopulationSpec(size=80, stories=("appendicitis",))))
    beside = dict(generate(PopulationSpec(size=80, stories=("appendicitis", "asthma"))))
    for label, resources in alone.items():
        if label != "infrastructure":
            assert {r for r in resources if "-app" in r[1]} <= set(beside[label])
