#!/usr/bin/env python3
# Owns the look at HTML reports: opens pages in a headless Chromium, narrow and wide, light and dark, and on paper, and
# fails if one is not self-contained, complains, or is wider than the screen.
#
#     scripts/screenshots.py FOLDER PAGE.html...    writes FOLDER/PAGE-1280-light.png and so on, and FOLDER/PAGE.pdf
#
# Needs Debian's `chromium` (or CHROMIUM=PATH) and scripts/screenshots.txt, without a browser of playwright's own.
import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTHS = {375: 812, 1280: 900}
SCHEMES = ["light", "dark"]

# What is wider than the screen and does not scroll in a box of its own.
WIDER = """() => document.scrollingElement.scrollWidth <= window.innerWidth ? [] :
    [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > window.innerWidth
        && !e.closest('.scroll')).map(e => e.tagName + ' ' + e.textContent.slice(0, 60))"""

# Words of a drawing that lie over each other, or beyond its edge.
COLLIDING = """() => [...document.querySelectorAll('svg.chart')].flatMap(svg => {
    const edge = svg.getBoundingClientRect();
    const words = [...svg.querySelectorAll('text')].map(t => [t.textContent.trim(), t.getBoundingClientRect()]);
    const title = svg.querySelector('title').textContent;
    const out = words.filter(([, r]) => r.left < edge.left - 1 || r.right > edge.right + 1 || r.bottom > edge.bottom + 1);
    const over = words.flatMap(([a, r], i) => words.slice(i + 1).filter(([, s]) =>
        r.left < s.right && s.left < r.right && r.top + 2 < s.bottom && s.top + 2 < r.bottom).map(([b]) => [a, b]));
    return out.map(([word]) => `${title}: '${word}' is cut`).concat(over.map(([a, b]) => `${title}: '${a}' over '${b}'`));
})"""


def look(browser, page_file, width, scheme, folder):
    """Opens a page, writes its picture, and returns what is wrong with it."""
    wrong = []
    page = browser.new_page(viewport={"width": width, "height": WIDTHS[width]}, color_scheme=scheme)
    address = page_file.resolve().as_uri()
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("request", lambda request: request.url == address or wrong.append(f"asks for {request.url}"))
    page.goto(address)
    wrong += [f"wider than the screen: {what}" for what in page.evaluate(WIDER)]
    wrong += page.evaluate(COLLIDING)
    name = f"{page_file.stem}-{width}-{scheme}"
    # A page has few colours; so many are enough, and a picture takes half.
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    few = picture.convert("RGB").quantize(160, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(folder / f"{name}.png", optimize=True)
    # The same with all that is folded.
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    wrong += [f"unfolded, wider than the screen: {what}" for what in page.evaluate(WIDER)]
    page.close()
    return [f"{name}: {what}" for what in wrong]


def on_paper(browser, page_file, folder):
    """Prints a page."""
    page = browser.new_page()
    page.goto(page_file.resolve().as_uri())
    page.pdf(path=folder / f"{page_file.stem}.pdf", format="A4", margin={side: "15mm" for side in ("top", "bottom", "left", "right")})
    page.close()


def main():
    folder, pages = Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]]
    folder.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or sys.exit("error: no chromium")
    wrong = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for page in pages:
            for width in WIDTHS:
                for scheme in SCHEMES:
                    wrong += look(browser, page, width, scheme, folder)
            on_paper(browser, page, folder)
        browser.close()
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    print(f"{len(pages)} pages, {len(wrong)} things wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
