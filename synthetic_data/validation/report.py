"""The statistics report: every target with its source, what was observed, and whether it is met; plots; broken rules."""

from collections import Counter
from html import escape
from itertools import groupby

from ..calendars import persian_digits
from ..households import single_years
from .survey import Survey
from .target import Target
from .targets import targets

Outcome = tuple[Target, float, int, bool]
_STYLE = """
:root{color-scheme:light dark;--ink:#1d2b2a;--soft:#5b6b69;--line:#d5dedc;--paper:#fbfcfb;--good:#0f766e;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6eeec;--soft:#9fb0ad;--line:#2c3a38;--paper:#111918;--good:#4fd1c5;--bad:#ff8a80}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.8 Vazirmatn,"Noto Naskh Arabic",Tahoma,sans-serif}
main{max-width:64rem;margin:0 auto;padding:2rem 1rem 4rem}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{width:100%;border-collapse:collapse;font-size:.92rem}td,th{padding:.25rem .5rem;border-bottom:1px solid var(--line);text-align:start}
.good{color:var(--good)}.bad{color:var(--bad)}.soft{color:var(--soft);font-size:.85rem}svg{direction:ltr;width:100%;height:auto}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1.5rem}figcaption{color:var(--soft);font-size:.85rem}
figure{margin:0}text{font-size:9px;fill:var(--soft)}
"""


def judge(found: Survey) -> list[Outcome]:
    """Every target with what was observed: (target, observed, people or events, met)."""
    made = []
    for target in targets():
        observed, number = target.measure(found)
        made.append((target, observed, number, abs(observed - target.expected) <= target.allowed(observed, number)))
    return made


def missed(outcomes: list[Outcome]) -> list[Target]:
    """The gating targets that are not met."""
    return [target for target, _, _, met in outcomes if not met and not target.held_out]


def _number(value: float) -> str:
    return persian_digits(f"{value:.2f}".rstrip("0").rstrip(".").replace(".", "٫"))


def _row(outcome: Outcome) -> str:
    target, observed, number, met = outcome
    verdict = f'<span class="{"good" if met else "bad"}">{"برقرار" if met else "دور از هدف"}</span>'
    return (
        f"<tr><td>{escape(target.name)}</td><td>{_number(target.expected)}</td><td>{_number(observed)}</td>"
        f"<td>±{_number(target.allowed(observed, number))}</td><td>{persian_digits(f'{number:,}')}</td><td>{verdict}</td>"
        f'<td class="soft"><bdi>{escape(target.source)}</bdi></td></tr>'
    )


def _pyramid(found: Survey) -> str:
    """Observed (bars) and expected (lines) shares by five years of age, men left and women right."""
    people = [person for person in found.people if person.alive]
    male, female = single_years()
    parts = []
    for row, low in enumerate(range(0, 90, 5)):
        y = 180 - 10 * row
        for sex, side, weights in ((False, -1, male), (True, 1, female)):
            share = sum(p.female == sex and low <= p.age < low + 5 for p in people) / len(people)
            width = 1800 * share
            x = 130 - width if side < 0 else 130
            parts.append(
                f'<rect x="{x:.1f}" y="{y - 8}" width="{width:.1f}" height="8" fill="var(--good)" opacity=".55"/>'
            )
            edge = 130 + side * 1800 * float(weights[low : low + 5].sum())
            parts.append(f'<line x1="{edge:.1f}" x2="{edge:.1f}" y1="{y - 9}" y2="{y + 1}" stroke="var(--ink)"/>')
        parts.append(f'<text x="252" y="{y}">{persian_digits(str(low))}</text>')
    words = "هرم سنی: میله مشاهده، خط هدف؛ مردان چپ، زنان راست"
    return f'<figure><svg viewBox="0 0 270 190">{"".join(parts)}</svg><figcaption>{words}</figcaption></figure>'


def _scatter(
    pairs: list[tuple[float, float]], title: str, left: tuple[float, float], bottom: tuple[float, float]
) -> str:
    """Measured pairs; at most 1,500 are drawn."""
    step = max(1, len(pairs) // 1500)
    dots = []
    for x, y in pairs[::step]:
        px = 24 + 230 * (x - bottom[0]) / (bottom[1] - bottom[0])
        py = 180 - 165 * (y - left[0]) / (left[1] - left[0])
        if 20 < px < 260 and 5 < py < 182:
            dots.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="1.1" fill="var(--good)" opacity=".5"/>')
    axes = '<path d="M24 10V180H258" fill="none" stroke="var(--line)"/>'
    return f'<figure><svg viewBox="0 0 270 190">{axes}{"".join(dots)}</svg><figcaption>{escape(title)}</figcaption></figure>'


def _broken(found: Survey) -> str:
    if not found.broken:
        return '<p class="good">هیچ قاعده‌ای شکسته نشده است.</p>'
    counted = Counter(rule for rule, _ in found.broken)
    rows = "".join(
        f"<li><bdi>{escape(rule)}</bdi>: {persian_digits(str(count))}</li>" for rule, count in counted.items()
    )
    return f'<ul class="bad">{rows}</ul>'


def render(found: Survey, outcomes: list[Outcome]) -> str:
    """The page."""
    heads = "<tr><th>شاخص</th><th>هدف</th><th>مشاهده</th><th>رواداری</th><th>شمار</th><th>نتیجه</th><th>منبع</th></tr>"
    tables = "".join(
        f"<h2>{escape(group)}</h2><table>{heads}{''.join(_row(outcome) for outcome in rows)}</table>"
        for group, rows in groupby(outcomes, key=lambda outcome: outcome[0].group)
    )
    met = sum(ok for target, _, _, ok in outcomes if not target.held_out)
    gating = sum(not target.held_out for target, _, _, _ in outcomes)
    spec = found.spec
    about = f"{spec.size:,} نفر، بذر {spec.seed}، تاریخ {spec.as_of.isoformat()}، {found.resources:,} منبع"
    plots = (
        _pyramid(found)
        + _scatter(found.glucose, "قند ناشتا (عمودی، ۴۰ تا ۴۰۰) و HbA1c (افقی، ۴ تا ۱۴)", (40, 400), (4, 14))
        + _scatter(found.creatinine, "پالایش گلومرولی (عمودی، ۰ تا ۱۴۰) و کراتینین (افقی، ۰ تا ۵)", (0, 140), (0, 5))
    )
    return (
        f'<!doctype html><html lang="fa" dir="rtl"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>گزارش اعتبار جمعیت ساختگی</title><style>{_STYLE}</style></head><body><main><h1>گزارش اعتبار جمعیت ساختگی</h1>"
        f'<p class="soft">{persian_digits(about)}. همهٔ این افراد ساختگی‌اند.</p>'
        f"<p>{persian_digits(str(met))} هدف از {persian_digits(str(gating))} هدف برقرار است. "
        "هدف‌های کنارگذاشته در برازش به کار نرفته‌اند و حکم نمی‌دهند.</p>"
        f'<h2>قاعده‌های بی‌استثنا</h2>{_broken(found)}<h2>نمودارها</h2><div class="plots">{plots}</div>{tables}</main></body></html>\n'
    )
