"""The statistics report: every target with its source, what was observed, and whether it is met; plots; broken rules."""

from collections import Counter
from html import escape

from ..calendars import persian_digits
from ..households import single_years
from .invariants import RULES
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
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));gap:1.5rem}
.wide{overflow-x:auto}.wide:focus-visible{outline:2px solid var(--good)}
table{min-width:44rem;font-variant-numeric:tabular-nums}th{font-weight:600;white-space:nowrap}
.sum{display:flex;flex-wrap:wrap;gap:.4rem 1.2rem;padding:0;list-style:none}.sum a{color:inherit}
figcaption{color:var(--soft);font-size:.85rem}
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
    for part in (0.0, 0.5, 1.0):
        x, y = 24 + 230 * part, 180 - 165 * part
        across = _number(bottom[0] + part * (bottom[1] - bottom[0]))
        up = _number(left[0] + part * (left[1] - left[0]))
        axes += f'<text x="{x:.0f}" y="190" text-anchor="middle">{across}</text>'
        axes += f'<text x="21" y="{y + 3:.0f}" text-anchor="end">{up}</text>'
    return f'<figure><svg viewBox="0 0 270 196">{axes}{"".join(dots)}</svg><figcaption>{escape(title)}</figcaption></figure>'


def _broken(found: Survey) -> str:
    if not found.broken:
        return '<p class="good">هیچ قاعده‌ای شکسته نشده است.</p>'
    counted = Counter(rule for rule, _ in found.broken)
    rows = "".join(
        f"<li><bdi>{escape(rule)}</bdi>: {persian_digits(str(count))}</li>" for rule, count in counted.items()
    )
    return f'<ul class="bad">{rows}</ul>'


def _anchor(group: str) -> str:
    return group.replace(" ", "-")


def _summary(grouped: dict[str, list[Outcome]]) -> str:
    """How many targets of each group are met, each a link to its table."""
    items = []
    for group, rows in grouped.items():
        met = sum(ok for _, _, _, ok in rows)
        words = f"{persian_digits(str(met))} از {persian_digits(str(len(rows)))}"
        tone = "good" if met == len(rows) else "bad"
        items.append(f'<li><a href="#{_anchor(group)}">{escape(group)}</a>: <span class="{tone}">{words}</span></li>')
    return f'<ul class="sum">{"".join(items)}</ul>'


def render(found: Survey, outcomes: list[Outcome]) -> str:
    """The page."""
    heads = "<tr><th>شاخص</th><th>هدف</th><th>مشاهده</th><th>رواداری</th><th>شمار</th><th>نتیجه</th><th>منبع</th></tr>"
    grouped: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        grouped.setdefault(outcome[0].group, []).append(outcome)
    tables = "".join(
        f'<h2 id="{_anchor(group)}">{escape(group)}</h2>'
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(group)}">'
        f"<table><thead>{heads}</thead><tbody>{''.join(map(_row, rows))}</tbody></table></div>"
        for group, rows in grouped.items()
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
        f"{_summary(grouped)}<h2>{persian_digits(str(len(RULES)))} قاعدهٔ بی‌استثنا</h2>{_broken(found)}"
        f'<h2>نمودارها</h2><div class="plots">{plots}</div>{tables}</main></body></html>\n'
    )
