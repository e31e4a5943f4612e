"""The site as a browser shows it: ``python -m docs.machinery.look FOLDER``.

Needs Chromium (Debian's package ``chromium``). Every page is opened at the width of a phone and of
a desktop, and must not scroll sideways; the search must find what people will search for. Pictures
of the main pages go into ``pictures`` beside the folder, to be looked at.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

WIDTHS = {"phone": 390, "desktop": 1280}
MAIN = (
    "index", "guide/index", "guide/first_steps", "guide/is_it_for_you", "guide/mathematics",
    "guide/pitfalls", "gallery/index", "gallery/plot_05_is_training_healthy", "results/index",
    "results/noise-mnist", "api", "api/sklearn_l2rw.L2RWClassifier", "several_processes",
)  # fmt: skip
SEARCHES = {"clean set": "guide/choosing_a_clean_set.html", "reweighted_backward": "api/"}
PATIENCE = 60  # seconds for a browser to start, a page to load, a search to end
_OVERFLOW = "document.scrollingElement.scrollWidth - window.innerWidth"
_CUT = """[...document.querySelectorAll('.bd-article p')].filter(p =>
    p.scrollWidth > p.clientWidth + 1 && getComputedStyle(p).overflowX === 'visible'
    && !p.closest('.pst-scrollable-table-container')).map(p => p.textContent.slice(0, 60))"""
_HEIGHT = "document.scrollingElement.scrollHeight"
_FOUND = "[...document.querySelectorAll('#search-results a')].map(a => a.href)"


class Browser:
    """A tab of Chromium, told what to do by the DevTools protocol."""

    def __init__(self, port: int) -> None:
        import websocket

        request = Request(f"http://127.0.0.1:{port}/json/new", method="PUT")
        with urlopen(request, timeout=PATIENCE) as answer:
            address = json.load(answer)["webSocketDebuggerUrl"]
        self.socket = websocket.create_connection(address, PATIENCE, suppress_origin=True)
        self.number = 0
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and wait for its result."""
        self.number += 1
        call = {"id": self.number, "method": method, "params": parameters}
        self.socket.send(json.dumps(call))
        while (answer := json.loads(self.socket.recv())).get("id") != self.number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, address: str, width: int) -> None:
        """Open a page in a window of a width, and wait until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        self.call("Page.navigate", url=address)
        while json.loads(self.socket.recv()).get("method") != "Page.loadEventFired":
            pass

    def ask(self, expression: str) -> Any:
        """Value of an expression of JavaScript."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    def picture(self, path: Path, width: int) -> None:
        """Save the whole page as a picture."""
        size = {"x": 0, "y": 0, "width": width, "height": min(self.ask(_HEIGHT), 6000), "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=size)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        pass


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Address of a folder, as a web server gives it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _until(ready: Any) -> Any:
    """Ask until the answer is true; the last one if it never is."""
    end = time.monotonic() + PATIENCE
    while not (answer := ready()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


@contextmanager
def _browser(command: str) -> Iterator[Browser]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        # The sandbox needs rights that containers do not give; the pages are our own.
        options = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]
        options += ["--remote-debugging-port=0", f"--user-data-dir={home}", "about:blank"]
        process = subprocess.Popen([command, *options], stderr=subprocess.DEVNULL)
        try:
            file = Path(home) / "DevToolsActivePort"
            _until(lambda: file.exists() and file.read_text().count("\n"))
            yield Browser(int(file.read_text().split("\n")[0]))
        finally:
            process.terminate()
            process.wait()


def look(browser: Browser, address: str, folder: Path) -> list[str]:
    """Open all pages at all widths, and search; returns what is wrong."""
    wrong = []
    pages = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    for page in (page for page in pages if "_static/" not in page):
        for name, width in WIDTHS.items():
            browser.open(f"{address}/{page}", width)
            if (over := browser.ask(_OVERFLOW)) > 0:
                wrong.append(f"{page} is {over} pixels too wide for a {name}")
            wrong += [f"{page} cuts {text!r} off for a {name}" for text in browser.ask(_CUT)]
            if page.removesuffix(".html") in MAIN:
                picture = f"{page.removesuffix('.html').replace('/', '-')}-{name}.png"
                browser.picture(folder.parent / "pictures" / picture, width)
    for words, page in SEARCHES.items():
        browser.open(f"{address}/search.html?q={words.replace(' ', '+')}", WIDTHS["phone"])
        query = f"{_FOUND}.some(link => link.startsWith('{address}/{page}'))"
        if not _until(partial(browser.ask, query)):
            wrong.append(f"the search for {words!r} finds {browser.ask(_FOUND)}, not {page}")
    return wrong


def main(arguments: list[str]) -> int:
    """Look at a site; returns 1 if something is wrong."""
    (folder,) = map(Path, arguments)
    command = shutil.which("chromium") or shutil.which("chromium-browser")
    if command is None or not (folder / "index.html").exists():
        print(f"Needs a site in {folder} (`make docs`), and Debian's chromium.", file=sys.stderr)
        return 2
    with _served(folder) as address, _browser(command) as browser:
        wrong = look(browser, address, folder)
    print("\n".join([*wrong, f"{len(wrong)} problems; look at {folder.parent / 'pictures'}"]))
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
