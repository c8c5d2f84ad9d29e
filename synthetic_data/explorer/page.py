"""The page itself: static HTML, right to left, no script and nothing loaded from elsewhere."""

from html import escape
from importlib.resources import files

from ..calendars import JALALI, YEAR, date_of, jalali_text, persian_digits
from .reading import CURVES, Happening, Story

_SEX = {"female": "زن", "male": "مرد"}


def _date(day: int) -> str:
    return f'<time title="{date_of(day).isoformat()}">{jalali_text(day)}</time>'


def _ltr(text: str) -> str:
    return f'<bdi dir="ltr">{escape(text)}</bdi>'


def _tags(texts: list[str], kind: str = "") -> str:
    counted = {text: texts.count(text) for text in dict.fromkeys(texts) if text}
    if not counted:
        return ""
    named = [escape(text) + (f" ×{persian_digits(str(count))}" if count > 1 else "") for text, count in counted.items()]
    return "".join(f'<li class="{kind}">{text}</li>' for text in named)


def _curve(code: str, points: list[tuple[int, float]]) -> str:
    """A small line chart; the axis runs from left (earlier) to right."""
    first, last = points[0][0], points[-1][0]
    low, high = min(value for _, value in points), max(value for _, value in points)
    span, range_ = max(last - first, 1), max(high - low, 1e-9)
    placed = [(8 + 224 * (day - first) / span, 62 - 50 * (value - low) / range_) for day, value in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8"/>' for x, y in placed)
    title = f"{CURVES[code]}: از {high:g} تا {low:g}"
    return (
        f'<figure><svg viewBox="0 0 240 76" role="img" aria-label="{escape(title)}"><polyline points="{line}"/>{dots}'
        f'<text x="2" y="9">{persian_digits(f"{high:g}")}</text><text x="2" y="74">{persian_digits(f"{low:g}")}</text></svg>'
        f"<figcaption>{escape(CURVES[code])}، {jalali_text(first)} تا {jalali_text(last)}</figcaption></figure>"
    )


def _entry(happening: Happening) -> str:
    tags = _tags(happening.problems, "problem") + _tags(happening.items)
    place = f" · {escape(happening.place)}" if happening.place else ""
    note = f"<p>{escape(happening.note)}</p>" if happening.note else ""
    return (
        f"<li>{_date(happening.day)}{escape(happening.title)}{place}{note}"
        + (f'<ul class="tags">{tags}</ul>' if tags else "")
        + "</li>"
    )


def _timeline(happenings: list[Happening]) -> str:
    parts = []
    year = 0
    for happening in happenings:
        if JALALI[happening.day][0] != year:
            year = JALALI[happening.day][0]
            parts.append(f'<li class="year">{persian_digits(str(year))}</li>')
        parts.append(_entry(happening))
    return "".join(parts)


def _facts(story: Story, seen: int) -> str:
    patient = story.patient
    facts = [("جنس", _SEX.get(patient.get("gender", ""), "نامشخص"))]
    born = next((h.day for h in story.timeline if h.title == "تولد"), None)
    if born is not None:
        died = next((h.day for h in story.timeline if h.title == "درگذشت"), seen)
        facts.append(("سن", persian_digits(f"{int((died - born) / YEAR)} سال")))
    home = (patient.get("address") or [{}])[0]
    facts.append(("محل زندگی", f"{home.get('state', '')}، {home.get('city', '')}"))
    facts.append(("وضعیت تأهل", str(patient.get("maritalStatus", {}).get("text", ""))))
    made = "".join(f"<li><b>{name}:</b> {escape(value)}</li>" for name, value in facts)
    code = _ltr(patient["identifier"][0]["value"])
    return f'<ul class="facts">{made}<li><b>کد ملی (ساختگی):</b> {code}</li><li><b>شناسه:</b> {_ltr(patient["id"])}</li></ul>'


def render(story: Story, seen: int) -> str:
    """The page of one person as seen on a day."""
    name = escape(story.patient["name"][0]["text"])
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    active = _tags([text for text, is_active in story.problems if is_active], "problem") or "<li>—</li>"
    past = _tags([text for text, is_active in story.problems if not is_active])
    drugs = _tags(story.drugs) or "<li>—</li>"
    curves = "".join(_curve(code, points) for code, points in story.curves.items())
    counts = "".join(f"<li>{_ltr(kind)} {persian_digits(str(count))}</li>" for kind, count in story.counts.items())
    return (
        f'<!doctype html><html lang="fa" dir="rtl"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{name}</title><style>{style}</style></head><body><main><h1>{name}</h1>"
        f'<p class="notice">این فرد وجود ندارد: همهٔ داده‌های این صفحه ساختگی است.</p>{_facts(story, seen)}'
        f'<h2>مشکلات فعال</h2><ul class="tags">{active}</ul>'
        + (f'<h2>مشکلات پیشین</h2><ul class="tags">{past}</ul>' if past else "")
        + f'<h2>داروهای جاری</h2><ul class="tags">{drugs}</ul>'
        + (f'<h2>روند اندازه‌ها</h2><div class="curves">{curves}</div>' if curves else "")
        + f'<h2>گاه‌شمار</h2><ol class="life">{_timeline(story.timeline)}</ol>'
        f'<h2>منابع FHIR</h2><ul class="tags">{counts}</ul></main></body></html>\n'
    )
