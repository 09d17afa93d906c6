"""Pages as tests read them: elements, text, and what must hold for every page."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"img", "input", "link", "meta", "br", "hr", "rect", "line", "use"})
FIELDS = frozenset({"input", "select", "textarea"})


@dataclass
class Element:
    """An element: its name, attributes, what stands in it, and the elements that it is in."""

    name: str
    attributes: dict[str, str]
    within: tuple[Element, ...]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """A page, read."""

    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []

    @classmethod
    def read(cls, html: str) -> Page:
        """Read a page."""
        page = cls()
        page.feed(html)
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of SVG that has nothing in it."""
        self.handle_starttag(tag, attrs)
        if self._open and self._open[-1].name == tag:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """An element ends, and what was left open in it."""
        while self._open and self._open.pop().name != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Text, of all elements that are open."""
        for element in self._open:
            element.text += data

    def all(self, name: str, /, **attributes: str) -> list[Element]:
        """Elements of a name, with these values of attributes (``class_`` holds a class)."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [e for e in self.elements if e.name == name and all(_has(e, k, v) for k, v in wanted.items())]

    def text(self, name: str, /, **attributes: str) -> list[str]:
        """Their texts, spaces put together."""
        return [" ".join(element.text.split()) for element in self.all(name, **attributes)]

    def labels(self) -> list[str]:
        """Titles of the cards."""
        found = [e for e in self.all("h2") + self.all("h3") if any(up.name == "li" for up in e.within)]
        return [" ".join(e.text.split()).split(" \u00d7")[0] for e in found]


def _own(script: Element) -> bool:
    return script.attributes.get("src", "").startswith("/static/")


def _has(element: Element, name: str, value: str) -> bool:
    found = element.attributes.get(name, "")
    return value in found.split() if name == "class" else found == value


def faults(html: str) -> list[str]:
    """What no page may have: inline code or style, unlabelled fields, pictures without alt, ids twice."""
    page = Page.read(html)
    found = []
    for e in page.elements:
        found += [f"{e.name} has {name}" for name in e.attributes if name.startswith("on") or name == "style"]
        if e.name == "style" or (
            e.name == "script" and not e.attributes.get("src", "").startswith("/static/")
        ):
            found.append(f"inline {e.name}")
        for name in ("href", "src", "action", "formaction"):
            target = e.attributes.get(name, "/")
            if not (target.startswith(("/", "#")) and not target.startswith("//")):
                found.append(f"{e.name} leads to {target}")
        if e.name == "img" and "alt" not in e.attributes:
            found.append("picture without alt")
        labelled = any(up.name == "label" for up in e.within) or e.attributes.get("aria-label")
        hidden = e.attributes.get("type") == "hidden" or e.attributes.get("aria-hidden") == "true"
        if e.name in FIELDS and not labelled and not hidden:
            found.append(f"field without label: {e.attributes}")
        described = any(e in i.within and i.attributes.get("alt") for i in page.all("img"))
        if e.name in ("button", "a") and not (e.text.strip() or hidden or described):
            found.append(f"{e.name} without words: {e.attributes}")
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    found += [f"id twice: {one}" for one in sorted({one for one in ids if ids.count(one) > 1})]
    if len(page.all("h1")) != 1:
        found.append("not one h1")
    if page.all("html")[0].attributes.get("lang") != "en":
        found.append("no language")
    return found
