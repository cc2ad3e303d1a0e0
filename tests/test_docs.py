"""The documentation: snippets run, claims have tests, the site builds without a warning."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "pages"
SNIPPET = re.compile(r"^( *)```python\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def program(page):
    """The snippets of a page, as one program."""
    found = SNIPPET.findall(page.read_text(encoding="utf-8"))
    return "\n".join(re.sub(f"^{indent}", "", code, flags=re.M) for indent, code in found)


RUNNER = """
import json, sys
import neurojax
neurojax.configure()  # as a page does that comes later: before anything is computed
for name, code in json.load(sys.stdin).items():
    print("==", name, flush=True)
    exec(compile(code, name, "exec"), {"__name__": name})
"""


def test_the_snippets_of_every_page_run():
    """Each page in a namespace of its own, all in one process, which shares what is compiled."""
    pages = {str(page.relative_to(PAGES)): program(page) for page in sorted(PAGES.rglob("*.md"))}
    pages = {name: code for name, code in pages.items() if code}
    assert len(pages) > 10
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUNNER],
        input=json.dumps(pages), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-3000:]
    shown = re.split("^== .*$", done.stdout, flags=re.M)[1:]
    assert len(shown) == len(pages) and all(text.strip() for text in shown), done.stdout


def test_every_claim_has_a_test_and_an_experiment():
    text = (PAGES / "claims.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "`test_" in line]
    assert len(rows) > 25
    tests = {
        path.name: path.read_text(encoding="utf-8")
        for path in Path(__file__).parent.glob("test_*.py")
    }
    for row in rows:
        (name,) = re.findall(r"`(test_\w+(?:\.py)?)`", row)
        here = name in tests or any(f"def {name}(" in content for content in tests.values())
        assert here, f"no test {name}: {row}"
        for folder in re.findall(r"\(experiments/([\w-]+)\.md\)", row):
            assert (ROOT / "experiments" / folder / "run.py").exists(), row


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocstrings")
    pytest.importorskip("material")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-f", "docs/mkdocs.yml"]
    done = subprocess.run([*command, "-d", tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    made = {path.parent.name for path in (tmp_path / "channels").glob("*/index.html")}
    assert {"SquidNa", "PurkinjeNaR"} <= made
    assert (tmp_path / "experiments" / "001-squid-action-potential.png").exists()
    # A tutorial is a notebook, too, with the same code.
    notebook = json.loads((tmp_path / "tutorials" / "populations.ipynb").read_text())
    code = "\n".join(c["source"] for c in notebook["cells"] if c["cell_type"] == "code")
    page = program(PAGES / "tutorials" / "populations.md")
    assert code.split() == page.split() and notebook["nbformat"] == 4
