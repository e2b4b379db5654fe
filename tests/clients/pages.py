"""Opens pages in Chromium as people do: with a wide and a narrow screen, in light and dark, with and without scripts.

Reads {"chromium", "screenshots", "pages": [{"name", "path"}]} from standard input; prints what was looked at. The first page that scrolls
sideways, fetches something, hides text from someone, or needs a script ends it with an error.
"""

import json
import pathlib
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 380, "height": 800}


def luminance(page):
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = [float(part) for part in color.removeprefix("rgb(").removesuffix(")").split(",")[:3]]
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def open_page(browser, path, size, scheme, scripts=True):
    context = browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=scripts)
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(pathlib.Path(path).as_uri())
    assert len(asked) == 1, f"{path} fetches {asked[1:]}"
    assert not said, f"{path} complains: {said}"
    return page


def look(browser, name, path, screenshots):
    axe = Axe()
    for scheme in ["light", "dark"]:
        for size, word in [(WIDE, "wide"), (NARROW, "narrow")]:
            page = open_page(browser, path, size, scheme)
            needed = page.evaluate("document.documentElement.scrollWidth")
            assert needed <= size["width"], f"{name} is {needed} wide on a screen of {size['width']}"
            assert (luminance(page) < 0.2) == (scheme == "dark"), f"{name} is not {scheme}: {luminance(page)}"
            found = axe.run(page).response
            grave = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
            told = [(one["id"], one["help"], [node["html"] for node in one["nodes"][:3]]) for one in grave]
            assert not grave, f"{name}, {scheme}, {word}: {told}"
            page.screenshot(path=screenshots / f"{name}-{scheme}-{word}.png", full_page=True)
            if word == "wide":
                with_scripts = page.screenshot(full_page=True)
                without = open_page(browser, path, size, scheme, scripts=False)
                assert without.screenshot(full_page=True) == with_scripts, f"{name} needs scripts"
                without.context.close()
            page.context.close()
    return {"page": name, "rules": len(found["passes"]), "minor": [one["id"] for one in found["violations"]]}


def main():
    asked = json.load(sys.stdin)
    screenshots = pathlib.Path(asked["screenshots"])
    with sync_playwright() as playwright:
        # As root, Chromium does not start with its sandbox.
        browser = playwright.chromium.launch(executable_path=asked["chromium"], args=["--no-sandbox"])
        looked = [look(browser, page["name"], page["path"], screenshots) for page in asked["pages"]]
        browser.close()
    print(json.dumps(looked))


main()
