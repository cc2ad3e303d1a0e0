"""A headless Chromium or Chrome that lays a page out; where none is installed tests are skipped."""

import shutil
import subprocess

import pytest

BROWSERS = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"


def dumped(page, folder):
    """What becomes of a page, and what the browser says: HTML and the text of its log.

    `folder` is where it keeps its profile.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    done = subprocess.run(
        [browser, *options, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.stdout, done.stderr
