"""Opens the page of the API's document in Chromium and does what a visitor does: Authorize with a name and a password, Try it out, Execute.

Reads {"chromium", "address", "username", "password", "path", "screenshot"} from standard input; prints {"status", "body", "elsewhere"}: the
status and the body that the page shows, and the requests that went anywhere else.
"""

import json
import sys

from playwright.sync_api import sync_playwright


def main():
    given = json.load(sys.stdin)
    home = f"http://{given['address']}/"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given["chromium"], args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(home + "docs/")
        page.click("button.authorize")
        form = page.locator(".auth-container", has=page.locator("#oauth_username"))
        form.locator("#oauth_username").fill(given["username"])
        form.locator("#oauth_password").fill(given["password"])
        form.locator("button.authorize").click()
        page.locator("button", has_text="Logout").wait_for()
        page.locator("button.btn-done").first.click()
        operation = page.locator(".opblock", has=page.locator(f'[data-path="{given["path"]}"]'))
        operation.locator(".opblock-summary-control").click()
        execute = operation.locator("button.execute")
        while not execute.is_visible():
            # The page draws itself once more when the operation opens, and forgets the first click.
            operation.locator(".try-out__btn", has_text="Try it out").click()
            page.wait_for_timeout(500)
        execute.click()
        answer = operation.locator(".live-responses-table .response").first
        answer.wait_for()
        status = answer.locator(".response-col_status").inner_text().split()[0]
        body = answer.locator(".highlight-code").first.inner_text()
        page.screenshot(path=given["screenshot"], full_page=True)
        browser.close()
    elsewhere = [url for url in asked if not url.startswith((home, "data:", "blob:"))]
    print(json.dumps({"status": status, "body": body, "elsewhere": elsewhere}))


main()
