"""What is asked of every page: that it fits, that nothing of it is out of reach, and that it was not loaded anew."""

from playwright.sync_api import Page

from tests.console.accessible import faults

LAPTOP = {"width": 1280, "height": 800}
TABLET = {"width": 820, "height": 1180}


def out_of_reach(page: Page) -> list[str]:
    """Return the faults of what is shown now in light and dark, on a laptop and a tablet, and where it does not fit."""
    found = []
    for size in (LAPTOP, TABLET):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for colours in ("light", "dark"):
            page.evaluate("colours => { document.documentElement.dataset.theme = colours }", colours)
            found += [f"{size['width']} {colours}: {fault}" for fault in faults(page)]
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            found.append(f"{size['width']}: the page is wider than its window")
    page.set_viewport_size(LAPTOP)  # type: ignore[arg-type]
    return found


def mark(page: Page) -> None:
    """Leave a mark that a page loses when it is loaded anew."""
    page.evaluate("window.marked = true")


def is_marked(page: Page) -> bool:
    """Whether the page is the one that was marked."""
    return bool(page.evaluate("window.marked === true"))
