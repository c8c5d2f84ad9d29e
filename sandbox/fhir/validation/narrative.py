"""The narrative's XHTML: well formed, only formatting, nothing that runs. http://hl7.org/fhir/R4/narrative.html#xhtml"""

from __future__ import annotations

import re
from typing import Any, Final

from sandbox.fhir.outcomes import Text
from sandbox.fhir.validation.findings import Finding, Findings, null, wrong_kind

_ALLOWED: Final = frozenset({
    "p", "br", "div", "h1", "h2", "h3", "h4", "h5", "h6", "a", "span", "b", "em", "i", "strong", "small", "big", "tt", "u", "dfn",
    "q", "var", "abbr", "acronym", "cite", "blockquote", "hr", "address", "bdo", "kbd", "sub", "sup", "ul", "ol", "li", "dl", "dt",
    "dd", "pre", "table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td", "code", "samp", "img", "map",
    "area", "s", "strike", "del", "ins", "center",
})  # fmt: skip
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG: Final = re.compile(r"<(/?)([A-Za-z][\w:-]*)((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*)\s*(/?)>")
_ATTRIBUTE: Final = re.compile(r"([\w:.-]+)\s*=\s*[\"']\s*([^\"']*)")


def check_narrative(value: Any, ctx: Any) -> Findings:
    """`Narrative.div`: txt-1 (only allowed markup) and txt-2 (some content)."""
    if type(value) is not str:
        return [null() if value is None else wrong_kind(str, value, "xhtml")]
    problem = _problem(value.strip())
    if problem is None:
        return None
    return [Finding("invariant", "txt-1", problem)]


def _problem(text: str) -> Text | None:
    if not re.match(r"<div[\s>/]", text) or not text.endswith(">"):
        return Text("The narrative must be one <div> element.", "متن روایت باید یک عنصر <div> باشد.")
    if "<!--" in text:
        text = _COMMENT.sub("", text)
    tags = _TAG.findall(text)
    if len(tags) != text.count("<"):
        return Text("The narrative is not well-formed XHTML.", "متن روایت XHTML خوش‌ساخت نیست.")
    open_tags: list[str] = []
    for closing, name, attributes, alone in tags:
        if name not in _ALLOWED:
            return Text(f"<{name}> is not allowed in a narrative.", f"<{name}> در متن روایت مجاز نیست.")
        if closing:
            if not open_tags or open_tags.pop() != name:
                return Text(f"</{name}> closes nothing.", f"</{name}> هیچ عنصری را نمی‌بندد.")
            continue
        if attributes and (unsafe := _unsafe(attributes)):
            return Text(
                f"The attribute {unsafe} is not allowed in a narrative.", f"ویژگی {unsafe} در متن روایت مجاز نیست."
            )
        if not alone:
            open_tags.append(name)
    if open_tags:
        return Text(f"<{open_tags[-1]}> is never closed.", f"<{open_tags[-1]}> بسته نشده است.")
    return None


def _unsafe(attributes: str) -> str:
    for name, value in _ATTRIBUTE.findall(attributes):
        scheme = re.sub(r"[\s\x00-\x1f]+", "", value).lower()
        if name.lower().startswith("on") or scheme.startswith(("javascript:", "vbscript:", "data:text")):
            return str(name)
    return ""
