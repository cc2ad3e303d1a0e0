"""The style sheet of a report: light and dark, narrow and wide, screen and print."""

LIGHT = {
    "paper": "#ffffff",
    "ink": "#26282b",
    "soft": "#5d636c",
    "rule": "#e1e4e8",
    "wash": "#f6f7f9",
    "data": "#6d737c",
    "fitted": "#c03f2a",
    "predicted": "#23699e",
    "truth": "#2f7849",
    "warn": "#855700",
    "warn-wash": "#fdf6e7",
    "poor": "#9b2c5e",
}
DARK = {
    "paper": "#17191c",
    "ink": "#e4e6e9",
    "soft": "#a3aab4",
    "rule": "#34383e",
    "wash": "#1f2226",
    "data": "#858c96",
    "fitted": "#ee7a62",
    "predicted": "#6db0e3",
    "truth": "#74c08e",
    "warn": "#e3b457",
    "warn-wash": "#2b2416",
    "poor": "#ea8fb6",
}
"""Colours by name; those of text stand out from paper and wash by 4.5 to 1 or more."""


def _root(scheme: dict[str, str], kind: str) -> str:
    colours = " ".join(f"--{name}: {value};" for name, value in scheme.items())
    return f":root {{ color-scheme: {kind}; {colours} }}"


STYLE_SHEET = f"""
{_root(LIGHT, "light dark")}
@media (prefers-color-scheme: dark) {{ {_root(DARK, "light dark")} }}
"""
STYLE_SHEET += """
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 "Inter", "Helvetica Neue", "Segoe UI", Roboto, "Noto Sans", "Liberation Sans",
  Arial, system-ui, sans-serif; -webkit-text-size-adjust: 100%; }
.sheet { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1, h2, h3 { line-height: 1.25; letter-spacing: -.012em; text-wrap: balance;
  overflow-wrap: anywhere; }
h1 { font-size: clamp(1.5rem, 1.15rem + 1.5vw, 2.1rem); margin: .25rem 0 .6rem; }
h2 { font-size: 1.4rem; margin: 0 0 .7rem; }
h3 { font-size: 1.05rem; margin: 2rem 0 .3rem; }
section { margin-top: 3rem; padding-top: 1.7rem; border-top: 1px solid var(--rule); }
p { margin: .5rem 0; max-width: 46rem; }
.eyebrow { color: var(--soft); font-size: .85rem; margin: 0; }
.asked { color: var(--soft); }
.verdict { font-size: 1.2rem; line-height: 1.5; max-width: 50rem; margin: .9rem 0; }
.good { color: var(--truth); } .rough { color: var(--warn); } .poor { color: var(--poor); }
.note, figcaption { color: var(--soft); font-size: .9rem; }
figcaption { max-width: 46rem; margin-top: .35rem; }
.callout { background: var(--warn-wash); border-left: 3px solid var(--warn); margin: 1.3rem 0;
  padding: .7rem 1rem; font-size: .95rem; border-radius: 0 6px 6px 0; }
.callout.plain { background: var(--wash); border-color: var(--soft); }
.callout ul { margin: .25rem 0 0; padding-left: 1.1rem; }
.callout li { margin: .2rem 0; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.2rem, 1fr)); gap: .75rem;
  margin: 1.4rem 0; padding: 0; list-style: none; }
.facts li { background: var(--wash); border-radius: 8px; padding: .75rem .95rem .8rem; }
.facts b { display: block; font-size: 1.45rem; line-height: 1.3; font-weight: 600;
  font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
.facts span { display: block; color: var(--soft); font-size: .84rem; line-height: 1.4; }
.facts .fitted { color: var(--fitted); } .facts .predicted { color: var(--predicted); }
nav { font-size: .92rem; }
nav ol { display: flex; flex-wrap: wrap; gap: .25rem 1.2rem; list-style: none; margin: 1.6rem 0 0;
  padding: 0; }
nav a { color: var(--soft); text-decoration: none; display: inline-block; padding: .15rem 0; }
nav a:hover { color: var(--ink); text-decoration: underline; }
a:focus-visible, summary:focus-visible, .scroll:focus-visible {
  outline: 2px solid var(--predicted); outline-offset: 2px; }
.scroll { overflow-x: auto; }
.tall { max-height: 40rem; overflow-y: auto; }
.tall thead th { position: sticky; top: 0; background: var(--paper); z-index: 1; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums;
  width: 100%; }
th { font-weight: 600; text-align: left; color: var(--soft); vertical-align: bottom;
  line-height: 1.3; }
th, td { padding: .38rem .9rem .38rem 0; border-bottom: 1px solid var(--rule);
  white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
th { white-space: normal; }
tbody tr:hover { background: var(--wash); }
th.group { padding-top: .9rem; color: var(--ink); }
td.wrap { white-space: normal; min-width: 14rem; overflow-wrap: anywhere; }
th.number, td.number { text-align: right; }
.also { color: var(--soft); font-size: .84rem; white-space: normal; max-width: 15rem; }
sup { line-height: 0; font-size: .72em; }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
.badge { font-size: .78rem; font-weight: 500; letter-spacing: 0; padding: .06rem .55rem;
  border-radius: 1rem; border: 1px solid currentColor; white-space: nowrap; }
.fitted { color: var(--fitted); } .predicted { color: var(--predicted); }
.flag { color: var(--warn); } .rest { color: var(--soft); font-weight: 400; }
figure { margin: 1.3rem 0; }
figure svg { display: block; width: 100%; height: auto; }
figure svg * { stroke-linejoin: round; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) minmax(0, 1fr);
  gap: .3rem 1.4rem; font-size: .9rem; margin: 1rem 0; }
dt { color: var(--soft); overflow-wrap: anywhere; } dd { margin: 0; overflow-wrap: anywhere; }
details { border-bottom: 1px solid var(--rule); padding: .35rem 0; }
details:last-child { border-bottom: 0; }
summary { cursor: pointer; padding: .3rem 0; }
summary h3 { display: inline; }
summary .rest { font-size: .9rem; }
@media (min-width: 80rem) {
  .sheet { max-width: 78rem; display: grid; column-gap: 3.5rem;
    grid-template-columns: 11rem minmax(0, 62rem); }
  header, main { grid-column: 2; }
  nav { grid-column: 1; grid-row: 1 / span 2; }
  nav ol { position: sticky; top: 2.5rem; display: block; margin: .2rem 0 0; }
  nav li { margin: .35rem 0; }
}
@media (max-width: 40rem) {
  .sheet { padding: 1.4rem 1rem 3rem; }
  .verdict { font-size: 1.08rem; }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; }
  .facts b { font-size: 1.2rem; }
  th:first-child, td:first-child { position: sticky; left: 0; background: var(--paper); }
  .also { max-width: 9rem; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: .5rem; }
}
"""
STYLE_SHEET += f"""
@media print {{
  {_root(LIGHT, "light")}
  @page {{ margin: 15mm; }}
  body {{ font-size: 10pt; }} .sheet {{ display: block; max-width: none; padding: 0; }}
  nav {{ display: none; }}
  details::details-content {{ content-visibility: visible; block-size: auto; }}
  figure, tr, .callout, .facts {{ break-inside: avoid; }} h2, h3, summary {{ break-after: avoid; }}
  details:has(figure) {{ break-inside: avoid; }}
  .facts {{ grid-template-columns: repeat(auto-fit, minmax(7rem, 1fr)); }}
  figure svg {{ min-width: 0 !important; }} .scroll {{ overflow: visible; max-height: none; }}
  table {{ font-size: 8pt; }} th, td {{ white-space: normal; }}
}}
"""
