"""The page opened in headless Chromium: what is drawn is there, and nothing runs off the page."""

import json
import re
import shutil
import subprocess
from html import unescape

import pytest

from condense.report.page.page import render, report_of
from condense.report.page.sources import read_sources

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} is installed")

# measures the page once everything on it is there, and tells the window around it
PROBE = """
<script>
addEventListener("load", () => {
  const box = e => { const r = e.getBoundingClientRect(); return [r.width, r.height]; };
  const inked = svg => [...svg.querySelectorAll("path, use")].filter(e => {
    const b = e.getBBox(), s = getComputedStyle(e);
    return b.width + b.height > 0 && (s.stroke !== "none" || s.fill !== "none");
  }).length;
  const svgs = [...document.querySelectorAll("svg")];
  parent.postMessage(JSON.stringify({
    figures: svgs.map(svg => ({size: box(svg), inked: inked(svg),
      texts: [...svg.querySelectorAll("text")].map(t => parseFloat(getComputedStyle(t).fontSize)
        * svg.getScreenCTM().a)})),
    stroke: svgs.map(s => getComputedStyle(s.querySelector("[style*=series-1]") || s).stroke),
    pictures: [...document.images].map(i => [i.naturalWidth, i.naturalHeight, i.complete]),
    shown: [...document.images].map(i => getComputedStyle(i).imageRendering),
    width: innerWidth, needed: document.documentElement.scrollWidth,
    fetched: performance.getEntriesByType("resource").map(e => e.name)
      .filter(n => !n.startsWith("data:")),
    paper: getComputedStyle(document.body).backgroundColor,
  }), "*");
});
</script></body>"""

# a window of Chromium is at least 500 pixels wide, a frame in it may be as narrow as a phone
FRAME = """<!doctype html><meta name="color-scheme" content="light dark"><pre id="seen"></pre>
<script>addEventListener("message", e => document.getElementById("seen").textContent = e.data);
</script><iframe src="page.html" width="{width}" height="900" style="border:0"></iframe>"""


@pytest.fixture(scope="module")
def seen(plain, full, tmp_path_factory):
    """What the browser makes of the page, by window width and scheme."""
    folder = tmp_path_factory.mktemp("browser")
    page = folder / "page.html"
    page.write_text(render(report_of(read_sources([plain, full]))).replace("</body>", PROBE))

    def look(width, *more):
        frame = folder / f"frame-{width}.html"
        frame.write_text(FRAME.format(width=width))
        profile = f"--user-data-dir={folder / 'profile'}"
        command = [BROWSER, *FLAGS, *more, profile, "--window-size=1200,1000", "--dump-dom"]
        run = subprocess.run(
            [*command, "--virtual-time-budget=5000", frame.as_uri()],
            capture_output=True,
            text=True,
            timeout=100,
        )
        found = re.search(r'<pre id="seen">(.*?)</pre>', run.stdout, re.DOTALL)
        assert found is not None, run.stderr[-2000:]
        return json.loads(unescape(found[1]))

    return {
        "desktop": look(1100),
        "phone": look(390),
        "dark": look(1100, "--blink-settings=preferredColorScheme=0"),
    }


@pytest.mark.parametrize("view", ["desktop", "phone", "dark"])
def test_figures_and_pictures_are_drawn(seen, view):
    found = seen[view]
    assert len(found["figures"]) == 4
    for figure in found["figures"]:
        assert min(figure["size"]) > 80
        assert figure["inked"] > 10
        assert min(figure["texts"]) >= 9  # pixels, on a phone as well
    assert len(found["pictures"]) == 10 * (3 * 2 + 1) + 10 * 3 * 2
    assert all(p == [8, 8, True] for p in found["pictures"])
    assert set(found["shown"]) == {"pixelated"}


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_the_page_does_not_scroll_sideways(seen, view):
    assert seen[view]["width"] == {"desktop": 1100, "phone": 390}[view]
    assert seen[view]["needed"] <= seen[view]["width"]


def test_nothing_is_fetched(seen):
    assert seen["desktop"]["fetched"] == []


def test_light_and_dark_differ(seen):
    assert seen["desktop"]["paper"] != seen["dark"]["paper"]
    for light, dark in zip(seen["desktop"]["stroke"], seen["dark"]["stroke"], strict=True):
        assert light != dark  # the figures go along
