"""Whether a page is well formed."""

from html.parser import HTMLParser

VOID = {"meta", "path", "use"}


class Balance(HTMLParser):
    """Fails where a tag is closed that is not the one opened last."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.opened.pop() == tag
