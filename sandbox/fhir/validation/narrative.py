"""The narrative's XHTML: well formed, only formatting, nothing that runs. http://hl7.org/fhir/R4/narrative.html#xhtml"""

from __future__ import annotations

import re
from html.entities import name2codepoint
from typing import Any, Final
from xml.parsers import expat

from sandbox.fhir.outcomes import Text
from sandbox.fhir.validation.findings import Finding, Findings, null, wrong_kind

_ALLOWED: Final = (
    "p|br|div|h1|h2|h3|h4|h5|h6|a|span|b|em|i|strong|small|big|tt|u|dfn|q|var|abbr|acronym|cite|blockquote|hr|address|bdo|kbd|sub|"
    "sup|ul|ol|li|dl|dt|dd|pre|table|caption|colgroup|col|thead|tbody|tfoot|tr|th|td|code|samp|img|map|area|s|strike|del|ins|center"
)
_OPENING: Final = re.compile(r"<div[\s>/]")
_FOREIGN_TAG: Final = re.compile(rf"<(?!/?(?:{_ALLOWED})[\s/>]|!--)[^\s>]*")
# Patterns that begin with a literal, on text in lower case: the fast path of the regular expression engine.
_HANDLER: Final = re.compile(r"on[a-z]+\s*=")
_BEFORE_ATTRIBUTE: Final = frozenset(" \t\r\n\"'/")
_SCHEME: Final = re.compile(r"=[\"'](?:(?:java|vb)script:|data:text)")
_SUSPECT: Final = ("script", "data", "&#", "&tab", "&newline")
_HIDDEN: Final = re.compile(r"[\x00-\x20]|&#(?:x0*[9ad]|0*(?:9|10|13));|&(?:tab|newline);")
_ENTITY: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_XML_ENTITIES: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})


def check_narrative(value: Any, ctx: Any) -> Findings:
    """`Narrative.div`: txt-1 (only allowed markup) and txt-2 (some content)."""
    if type(value) is not str:
        return [null() if value is None else wrong_kind(str, value, "xhtml")]
    problem = _problem(value.strip())
    if problem is None:
        return None
    return [Finding("invariant", "txt-1", problem)]


def _problem(text: str) -> Text | None:
    if not _OPENING.match(text):
        return Text("The narrative must be one <div> element.", "متن روایت باید یک عنصر <div> باشد.")
    foreign = _FOREIGN_TAG.search(text)
    if foreign is not None:
        tag = foreign[0].strip("</")
        return Text(f"<{tag}> is not allowed in a narrative.", f"<{tag}> در متن روایت مجاز نیست.")
    if _runs(text):
        return Text("The narrative holds a script.", "متن روایت اسکریپت دارد.")
    fault = malformed(text)
    if fault:
        return Text(f"The narrative is not well-formed XHTML: {fault}.", "متن روایت XHTML خوش‌ساخت نیست.")
    return None


def _runs(text: str) -> bool:
    """Whether an attribute could run something, even with its scheme broken up by invisible characters."""
    low = text.lower()
    if "=" not in low:
        return False
    if any(low[m.start() - 1] in _BEFORE_ATTRIBUTE for m in _HANDLER.finditer(low)):
        return True
    return any(mark in low for mark in _SUSPECT) and _SCHEME.search(_HIDDEN.sub("", low)) is not None


def with_characters(text: str) -> str:
    """HTML's named characters, which XHTML knows and plain XML does not, by number."""
    return _ENTITY.sub(_character, text) if "&" in text else text


def malformed(text: str) -> str:
    """What an XML parser says against a narrative; "" when nothing."""
    text = with_characters(text)
    # The text starts with <div, so it has no place for a document type and the entities it could declare.
    parser = expat.ParserCreate("utf-8")
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        return expat.ErrorString(error.code)
    return ""


def _character(match: re.Match[str]) -> str:
    name = match[1]
    if name in _XML_ENTITIES or name not in name2codepoint:
        return match[0]
    return f"&#{name2codepoint[name]};"
