"""A browser and the built site; `nox -s docs` runs these tests.

They need Playwright and a Chromium: Debian's, or `playwright install chromium`.
Screenshots are written to the folder that MULTIBACK_SCREENSHOTS names.
"""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
SITE = Path(os.environ.get("MULTIBACK_SITE", Path(__file__).parents[2] / "site"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args):
        pass


@pytest.fixture(scope="session")
def site():
    """Serve the built site, whose search needs a server; return its URL."""
    if not (SITE / "index.html").is_file():
        pytest.skip(f"{SITE} holds no built site: run nox -s docs")
    handler = functools.partial(Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser():
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_api.sync_playwright() as playwright:
        if path is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium: run playwright install chromium")
        started = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        yield started
        started.close()


@pytest.fixture
def open_page(browser, request):
    """Open a page of some width and scheme, and list the errors on its console."""
    contexts, errors = [], []

    def opened(url, width=1280, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda said: errors.append(said.text) if said.type == "error" else None,
        )
        page.goto(url, wait_until="load")
        return page

    yield opened
    folder = os.environ.get("MULTIBACK_SCREENSHOTS")
    for number, context in enumerate(contexts):
        if folder:
            name = f"{request.node.name}-{number}.png".replace("/", "_")
            context.pages[-1].screenshot(path=Path(folder) / name)
        context.close()
    assert errors == []


@pytest.fixture
def fits():
    """Check that a page needs no sideways scrolling."""

    def check(page):
        wide, shown = page.evaluate(
            "[document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert wide <= shown

    return check
