"""The page in a real browser: search, filter, switch, compare; no console error, no accessibility violation."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("playwright")

import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from isoglot.serve.app import create_app
from support.chromium import CHROMIUM, FLAGS
from support.serving import searcher

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    app = create_app({"first": searcher(8), "second": searcher(8, turned=True)})
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        # The socket listens already: who comes before the server accepts waits for it.
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(5)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
    yield page
    # A request that closing cuts off would be a complaint of its own.
    page.wait_for_load_state("networkidle")
    context.close()
    assert complaints == []


def violations(page: Page) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in found]


def badges(page: Page, which: int = 0) -> list[str]:
    return page.locator("ol.hits").nth(which).locator(".facts .badge").all_inner_texts()


def test_search_filter_switch_compare(page: Page, address: str) -> None:
    page.goto(f"{address}/?view=one")
    assert not violations(page)
    page.keyboard.type("solar")  # the box has the focus
    page.keyboard.press("Enter")
    page.wait_for_selector("ol.hits")
    assert page.title() == "solar – isoglot"
    assert "q=solar" in page.url
    assert page.locator("mark").count() > 0
    assert page.locator("#status").inner_text().startswith("10 results")
    assert not violations(page)

    # The document's script is text, and was not run.
    assert page.locator("ol.hits script, ol.hits img").count() == 0

    page.get_by_text("Languages", exact=True).click()
    page.get_by_role("checkbox", name="ar Arabic").check()
    expect(page.locator("ol.hits article")).to_have_count(8)
    assert set(badges(page)) == {"ar"}
    text = page.locator("ol.hits [lang=ar] .text").first
    assert text.evaluate("node => getComputedStyle(node).direction") == "rtl"
    assert text.evaluate("node => getComputedStyle(node).textAlign") == "start"
    page.get_by_role("checkbox", name="ar Arabic").uncheck()
    expect(page.locator("ol.hits article")).to_have_count(10)

    page.get_by_role("switch").first.check()
    page.wait_for_url("**fair=balanced**")
    expect(page.locator("h2 small")).to_contain_text("every language alike")

    again = page.get_by_role("switch", name="the same in other languages too").first
    again.check()
    page.wait_for_url("**feedback=on**")
    expect(page.locator("h2 small")).to_contain_text("every language alike, the same in other languages too")
    page.get_by_label("Find").first.select_option("lexical")
    expect(page.locator("h2 small")).to_have_text("by words, every language alike")
    expect(again).to_be_hidden()
    page.locator("#results").focus()
    page.keyboard.press("s")  # is not pressed unseen
    assert page.locator("input[name=feedback]").is_checked()
    page.get_by_label("Find").first.select_option("dense")
    expect(again).to_be_visible()
    expect(page.locator("h2 small")).to_contain_text("the same in other languages too")

    page.get_by_label("View").select_option("two")
    expect(page.locator("ol.hits")).to_have_count(2)
    assert page.locator("h2").all_inner_texts()[0].startswith("first")
    assert page.locator("h2").all_inner_texts()[1].startswith("second")
    assert badges(page, 0) != badges(page, 1)
    page.locator("summary", has_text="As a table").first.click()
    assert not violations(page)

    # What the links of files hold is what is shown.
    assert page.locator("a[download]").count() == 2
    # Everything stands in the address: reloading gives the same page, going back the one before.
    before = page.locator("#results").inner_text()
    page.reload()
    assert page.locator("ol.hits").count() == 2
    assert page.locator("input[name=fair]").is_checked()
    assert [line for line in page.locator("#results").inner_text().split("\n") if "score" in line] == [
        line for line in before.split("\n") if "score" in line
    ]
    page.go_back()
    expect(page.locator("ol.hits")).to_have_count(1)


def test_errors_show_in_place(page: Page, address: str) -> None:
    page.goto(address)
    # A browser logs every answer of 400 and above as an error of its own; this one is wanted. Typing may ask already.
    page.route("**/*q=solar*", lambda route: route.fulfill(status=200, body=route.fetch().text()))
    page.locator("#q").fill("solar")
    page.evaluate("document.querySelector('select[name=k] option').value = '0'")
    page.keyboard.press("Enter")
    page.wait_for_selector(".problem")
    assert "expected 1 to 100" in page.locator(".problem").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
@pytest.mark.parametrize("tongue", ["en", "ar"])
def test_accessible_in_every_light_width_and_direction(
    browser: Browser, address: str, scheme: str, width: int, tongue: str
) -> None:
    with browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, locale=tongue) as context:
        page = context.new_page()
        balanced = "/?q=solar&view=two&lang=ar&lang=en&mode=dense&fair=balanced&feedback=on"
        narrowed = "/?q=solar&view=one&k=10&offset=10&where=lang IN ('en', 'de')&mode=dense"
        around = "/passage?document=d0-0&at=d0-0%230&q=solar"
        for place in (balanced, narrowed, around, "/", "/api", "/nope"):
            page.goto(address + place)
            assert page.locator("html").get_attribute("lang") == tongue
            assert page.locator("html").get_attribute("dir") == ("rtl" if tongue == "ar" else "ltr")
            assert not violations(page), place
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow == 0, place
        page.locator("#tongues summary").click()
        assert not violations(page)
        page.locator("#show-keys").click()
        assert not violations(page)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_whole_without_javascript(browser: Browser, address: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(address)
        page.get_by_label("Search in any language").fill("solar")
        page.get_by_role("switch").first.check()
        page.get_by_label("View").select_option("one")
        page.get_by_role("button", name="Search").click()
        page.wait_for_url("**q=solar**")
        assert page.locator("ol.hits").count() == 1
        assert page.locator("ol.hits article").count() == 10
        assert "fair=balanced" in page.url


def test_keyboard_reaches_results(page: Page, address: str) -> None:
    page.goto(f"{address}/?q=solar")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "results"


def test_keys_move_and_can_be_turned_off(page: Page, address: str) -> None:
    page.goto(f"{address}/?q=solar&view=one&index=first&mode=dense")

    def focused() -> str:
        return str(page.evaluate("document.activeElement.querySelector('.rank')?.textContent ?? ''"))

    page.keyboard.press("j")
    assert focused() == "1"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert focused() == "2"
    page.keyboard.press("b")
    page.wait_for_url("**fair=balanced**")
    page.locator("#results").focus()
    page.keyboard.press("s")
    page.wait_for_url("**feedback=on**")
    page.locator("#results").focus()
    page.keyboard.press("n")
    page.wait_for_url("**offset=10**")
    page.keyboard.press("p")
    page.wait_for_url(lambda address: "offset" not in address)
    page.keyboard.press("/")
    page.keyboard.type("jk?")
    assert page.locator("#q").input_value() == "jk?"
    page.locator("#results").focus()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("?")
    page.reload()
    page.locator("#results").focus()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_hidden()
    page.locator("#show-keys").click()
    assert not page.locator("#keys-on").is_checked()


def test_the_link_that_is_copied_brings_everything_back(browser: Browser, address: str) -> None:
    with browser.new_context(locale="de", permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(address)
        page.locator("#q").fill("solar")
        page.keyboard.press("Enter")
        page.wait_for_selector("ol.hits")
        page.get_by_label("Ansicht").select_option("one")
        page.wait_for_url("**view=one**")
        page.locator("#copy").click()
        expect(page.locator("#status")).to_have_text("Der Link wurde kopiert.")
        link = page.evaluate("navigator.clipboard.readText()")
        first = page.locator("ol.hits .text").all_inner_texts()
        page.goto(link)
        assert page.locator("ol.hits .text").all_inner_texts() == first
        assert page.locator("#q").input_value() == "solar"


def test_the_page_changes_its_language_and_keeps_its_state(page: Page, address: str) -> None:
    page.goto(f"{address}/?view=one")
    page.locator("#q").fill("solar")
    page.keyboard.press("Enter")
    page.wait_for_selector("ol.hits")
    page.locator("#tongues summary").click()
    page.get_by_role("link", name="Русский").click()
    page.wait_for_url("**ui=ru**")
    assert page.locator("#q").input_value() == "solar"
    assert page.locator("html").get_attribute("lang") == "ru"
    assert page.locator("#status").inner_text().startswith("10 результатов")
    page.get_by_role("switch").first.check()
    page.wait_for_url("**fair=balanced**")
    assert "ui=ru" in page.url
    assert "Все языки на равных" in page.locator(".balanced").first.inner_text()


def test_first_load_is_small(browser: Browser, address: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        sizes: dict[str, int] = {}
        page.on("requestfinished", lambda request: sizes.update({request.url: request.sizes()["responseBodySize"]}))
        page.goto(address)
        page.wait_for_load_state("networkidle")
        assert len(sizes) == 3, sizes  # the page, its script, its style
        assert sum(sizes.values()) <= 60_000, sizes
        assert min(sizes.values()) > 0
        # What a browser with a window would fetch for its tab stands in the page.
        assert page.locator("link[rel=icon]").get_attribute("href").startswith("data:image/svg+xml,")


def test_says_when_the_server_is_gone(browser: Browser, address: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        page.route("**/*q=solar*", lambda route: route.abort())
        page.locator("#q").fill("solar")
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_contain_text("cannot be reached")
