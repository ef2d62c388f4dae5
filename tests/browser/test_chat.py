"""People chat through the page of apps/chat, each in a tab of headless Chromium."""

import contextlib
import copy
import json

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from relay import Relay
from tidewire import Server

NEW_LINE = Keys.SHIFT + Keys.ENTER + Keys.NULL  # NULL releases the shift key

# What is shown and has a contrast below 4.5 to 1 with what is behind it: [texts looked at, such texts].
CONTRAST = """
const channels = (color) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const background = (node) => {
    for (; node; node = node.parentElement) {
        const color = channels(getComputedStyle(node).backgroundColor);
        if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
};
const low = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let seen = 0;
while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility({ checkVisibilityCSS: true })) continue;
    seen += 1;
    const pair = [luminance(channels(getComputedStyle(node).color)), luminance(background(node))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(2)}: ${walker.currentNode.data.trim()}`);
}
return [seen, low];
"""

# From now on window.opened counts the connections that opened, and window.sent is what was sent over them.
WATCH = """
window.opened = 0;
window.sent = [];
window.WebSocket = class extends WebSocket {
    constructor(...args) {
        super(...args);
        this.addEventListener("open", () => (window.opened += 1));
    }
    send(data) {
        window.sent.push(data);
        super.send(data);
    }
};
"""

SELECTED = "const field = document.activeElement; return field.value.slice(field.selectionStart, field.selectionEnd)"

AT_END = "const s = document.querySelector('#scroller'); return s.scrollHeight - s.scrollTop - s.clientHeight < 2"


class Tab:
    """One person's page. Every look at it goes through wait(): no time is assumed."""

    def __init__(self, browser, server, address="/#lobby"):
        browser.switch_to.new_window("tab")
        self.browser = browser
        self.handle = browser.current_window_handle
        browser.get(server.url(address, scheme="http"))

    def duplicate(self):
        """Another tab, with what this one remembers: a browser's "Duplicate tab" and window.open() copy it."""
        self.front()
        known = set(self.browser.window_handles)
        self.browser.execute_script("window.open(location.href)")
        self.wait(lambda: set(self.browser.window_handles) - known, "the tab")
        other = copy.copy(self)
        (other.handle,) = set(self.browser.window_handles) - known
        return other

    def front(self):
        if self.browser.current_window_handle != self.handle:
            self.browser.switch_to.window(self.handle)

    def wait(self, condition, what):
        self.front()
        waiting = WebDriverWait(self.browser, 30, 0.05, ignored_exceptions=(StaleElementReferenceException,))
        return waiting.until(lambda _: condition(), what)

    def one(self, selector):
        self.front()
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        """What is shown, in the order of the page."""
        self.front()
        script = "return [...document.querySelectorAll(arguments[0])].map((node) => node.innerText)"
        return self.browser.execute_script(script, selector)

    def shows(self, selector, expected):
        self.front()
        try:
            self.wait(lambda: self.texts(selector) == expected, selector)
        except Exception as error:
            raise AssertionError(f"{selector} is {self.texts(selector)}, not {expected}") from error

    def notices(self):
        return " · ".join(self.texts("#log .notice"))

    def name_is(self, name):
        """Waits until the form to come in is shown with this name in its field."""
        self.wait(lambda: self.one("#name").is_displayed() and self.one("#name").get_property("value") == name, name)

    def join(self, name):
        self.wait(lambda: self.one("#name").is_displayed(), "the form to come in")
        field = self.one("#name")
        field.clear()
        field.send_keys(name, Keys.ENTER)
        return self

    def entered(self):
        self.wait(lambda: self.one("#text").is_displayed(), "the field to write in")
        self.connected()
        return self

    def connected(self):
        self.shows("#status", ["Connected"])

    def write(self, text):
        """Into the field, as from the clipboard."""
        self.wait(lambda: self.one("#text").is_displayed(), "the field to write in")
        self.browser.execute_script("arguments[0].focus()", self.one("#text"))
        self.browser.execute_cdp_cmd("Input.insertText", {"text": text})

    def say(self, text):
        self.write(text)
        self.one("#text").send_keys(Keys.ENTER)


@pytest.fixture
def server(serve):
    return serve("apps/chat")


@pytest.fixture
def come(server, browser):  # in this order: the pages are closed before their server ends
    """come(name) -> the Tab of somebody who has entered the lobby."""
    return lambda name, address="/#lobby": Tab(browser, server, address).join(name).entered()


def test_two_people_talk_in_one_order(come):
    ada, grace = come("Ada"), come("Grace")
    said = []
    for number in range(1, 4):
        for person, name in ((ada, "Ada"), (grace, "Grace")):
            person.say(f"{name} says {number}")
            said.append(f"{name} says {number}")
            ada.shows("#log .bubble", said)
            grace.shows("#log .bubble", said)
    ada.shows("#log .own .bubble", [text for text in said if text.startswith("Ada")])
    ada.shows("#log .group:not(.own) .author", ["Grace"] * 3)
    grace.shows("#log .group:not(.own) .author", ["Ada"] * 3)
    ada.shows("#people .name", ["Ada", "Grace"])
    grace.shows("#summary", ["2 people are here"])


def test_messages_of_one_author_are_one_group(come):
    ada, grace = come("Ada"), come("Grace")
    for text in ("one", "two", "three"):
        ada.say(text)
    grace.shows("#log .group .bubble", ["one", "two", "three"])
    grace.shows("#log .author", ["Ada"])


def test_coming_and_leaving_is_noticed(come, browser):
    ada = come("Ada")
    ada.shows("#summary", ["Only you are here"])
    grace = come("Grace")
    ada.wait(lambda: ada.notices() == "Grace came in", "a notice of who came")
    ada.shows("#people .name", ["Ada", "Grace"])
    grace.front()
    browser.close()
    browser.switch_to.window(ada.handle)
    ada.wait(lambda: ada.notices() == "Grace came in · Grace left", "a notice of who left")
    ada.shows("#people .name", ["Ada"])


def test_the_day_stands_above_the_first_notice(come):
    ada, grace = come("Ada"), come("Grace")
    ada.wait(lambda: ada.notices() == "Grace came in", "a notice of who came")
    grace.say("hello")
    ada.shows("#log .bubble", ["hello"])
    classes = "return [...document.querySelector('#log').children].map((node) => node.className)"
    assert ada.browser.execute_script(classes) == ["day", "notice", "group"]


def test_who_enters_sees_what_was_said(come):
    ada, grace = come("Ada"), come("Grace")
    ada.say("first")
    grace.shows("#log .bubble", ["first"])
    grace.say("second")
    ada.shows("#log .bubble", ["first", "second"])
    lin = come("Lin")
    lin.shows("#log .bubble", ["first", "second"])
    lin.shows("#log .author", ["Ada", "Grace"])
    lin.shows("#people .name", ["Ada", "Grace", "Lin"])


def test_a_taken_name_is_refused_and_another_one_enters(come, browser, server):
    come("Ada")
    other = Tab(browser, server).join("ada")
    other.shows("#join-note", ["The name Ada is taken in this room. How about ada 2?"])
    other.join("Grace").entered()
    other.shows("#people .name", ["Ada", "Grace"])


def test_for_a_taken_name_another_is_suggested(come, browser, server):
    come("Ada")
    names = ["Ada"]
    for suggested in ("Ada 2", "Ada 3"):
        other = Tab(browser, server)
        other.name_is("Ada")  # the one that was chosen, not the one that was suggested, is remembered
        other.one("#name").send_keys(Keys.ENTER)
        for number in range(2, int(suggested[-1]) + 1):
            other.shows("#join-note", [f"The name {names[number - 2]} is taken in this room. How about Ada {number}?"])
            other.name_is(f"Ada {number}")
            assert other.browser.execute_script(SELECTED) == f"Ada {number}", "to be replaced by writing"
            other.one("#name").send_keys(Keys.ENTER)
        other.entered()
        names.append(suggested)
        other.shows("#people .name", names)
        assert not other.one("#join-error").text


def test_a_suggested_name_is_not_too_long(come, browser, server):
    come("W" * 24)
    other = Tab(browser, server).join("W" * 24)
    other.name_is("W" * 22 + " 2")
    other.one("#name").send_keys(Keys.ENTER)
    other.entered()


def test_a_copy_of_a_tab_asks_for_a_name_and_reproaches_nothing(come):
    ada = come("Ada")
    copy = ada.duplicate()
    copy.name_is("Ada 2")
    for selector in ("#join-note", "#join-error"):
        copy.shows(selector, [""])
    copy.one("#name").send_keys(Keys.ENTER)
    copy.entered()
    copy.shows("#people .name", ["Ada", "Ada 2"])


def test_a_name_that_is_taken_in_the_next_room_is_explained(come):
    come("Ada", "/#harbour")
    ada = come("Ada")
    ada.one("#visit-room").send_keys("harbour", Keys.ENTER)
    ada.shows("#join-note", ["The name Ada is taken in this room. How about Ada 2?"])


def test_a_name_that_was_refused_is_not_tried_again_after_a_reconnect(relay, come, browser):  # pages end before it
    come("Ada")
    other = Tab(browser, relay).join("Ada")
    other.name_is("Ada 2")
    other.browser.execute_script(WATCH)
    other.one("#name").clear()
    other.one("#name").send_keys("Countess")
    relay.cut()
    other.wait(lambda: other.browser.execute_script("return window.opened") == 1, "the next connection")
    other.one("#name").send_keys(Keys.ENTER)
    other.entered()
    assert [json.loads(text)["name"] for text in other.browser.execute_script("return window.sent")] == ["Countess"]


def test_a_name_is_changed_but_not_to_a_taken_one(come):
    ada, grace = come("Ada"), come("Grace")
    grace.one("#change").click()
    field = grace.one("#new-name")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("Ada", Keys.ENTER)
    grace.shows("#rename-error", ["The name Ada is taken in this room."])
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("Admiral", Keys.ENTER)
    grace.shows("#me-name", ["Admiral"])
    ada.shows("#people .name", ["Ada", "Admiral"])
    ada.wait(lambda: "Grace is now Admiral" in ada.notices(), "a notice of the new name")
    grace.say("aye")
    ada.shows("#log .author", ["Admiral"])


def test_a_room_is_a_link_and_its_own_place(come):
    ada = come("Ada")
    grace = come("Grace", "/?room=Harbour")
    grace.shows("h1", ["#harbour"])
    assert grace.browser.current_url.endswith("/#harbour")
    grace.say("in the harbour")
    grace.shows("#log .bubble", ["in the harbour"])
    ada.one("#visit-room").send_keys("Harbour", Keys.ENTER)
    ada.shows("#log .bubble", ["in the harbour"])
    ada.shows("#people .name", ["Ada", "Grace"])
    ada.shows("#rooms a", ["lobby", "harbour"])
    ada.one("#rooms a").click()
    ada.shows("#people .name", ["Ada"])
    ada.shows("#log .bubble", [])


@pytest.mark.parametrize("typed, name", [
    ("Überraschung", "uberraschung"),
    ("Crème brûlée!", "creme-brulee"),
    ("Straße 7", "strasse-7"),
    ("Øresund & Łódź", "oresund-lodz"),
    ("  -- Tide -- 2 --  ", "tide-2"),
    ("snake_case", "snake_case"),
    ("ﬁsh ½", "fish-1-2"),
    ("x" * 31 + " y", "x" * 31),
])
def test_a_name_of_a_room_is_folded_to_what_an_address_can_have(come, typed, name):
    ada = come("Ada")
    ada.one("#visit-room").send_keys(typed, Keys.ENTER)
    ada.shows("h1", [f"#{name}"])
    ada.shows("#people .name", ["Ada"])
    assert ada.browser.current_url.endswith(f"/#{name}")


@pytest.mark.parametrize("address", ["/#Überraschung", "/#%C3%9Cberraschung", "/?room=%C3%9Cberraschung", "/#u%CC%88berraschung"])
def test_a_link_to_a_room_is_folded_as_well(come, address):
    come("Ada", address).shows("h1", ["#uberraschung"])


@pytest.mark.parametrize("address", ["/#", "/", "/#---", "/#%E6%BD%AE", "/?room=!"])
def test_a_link_without_a_name_of_a_room_leads_to_the_lobby(come, address):
    come("Ada", address).shows("h1", ["#lobby"])


def test_a_name_without_a_usable_character_is_explained(come):
    ada = come("Ada")
    field = ada.one("#visit-room")
    field.send_keys("комната", Keys.ENTER)
    ada.wait(lambda: field.get_property("validationMessage") == "A room's name is made of a-z, 0-9, - and _.", "why")
    ada.shows("h1", ["#lobby"])
    field.send_keys(" 7", Keys.ENTER)
    ada.shows("h1", ["#7"])


def test_text_stays_text_and_addresses_become_links(come):
    ada, grace = come("Ada"), come("<b>Grace</b>")
    texts = [
        "<img src=x onerror=\"document.title='owned'\">",
        "see https://example.org/tides?a=1&b=(2), or not",
        "javascript:alert(1) data:text/html,x",
    ]
    for text in texts:
        grace.say(text)
    ada.shows("#log .bubble", texts)
    ada.shows("#log .author", ["<b>Grace</b>"])
    ada.shows("#log .bubble a", ["https://example.org/tides?a=1&b=(2)"])
    link = ada.one("#log .bubble a")
    assert link.get_attribute("href") == "https://example.org/tides?a=1&b=(2)"
    assert link.get_attribute("rel") == "noopener noreferrer nofollow"
    assert link.get_attribute("target") == "_blank"


def test_shift_enter_makes_a_line_and_an_empty_text_is_not_sent(come):
    ada, grace = come("Ada"), come("Grace")
    ada.say("   ")
    ada.one("#text").clear()
    ada.one("#text").send_keys("one", NEW_LINE, "two", Keys.ENTER)
    grace.shows("#log .bubble", ["one\ntwo"])
    assert ada.one("#text").get_property("value") == ""


def test_typing_is_shown_until_the_message_comes(come):
    ada, grace = come("Ada"), come("Grace")
    ada.one("#text").send_keys("h")
    grace.shows("#typing", ["Ada is typing"])
    ada.one("#text").send_keys("i", Keys.ENTER)
    grace.shows("#log .bubble", ["hi"])
    grace.shows("#typing", [""])


def test_reading_further_up_is_not_disturbed(come):
    ada, grace = come("Ada"), come("Grace")
    for number in range(10):
        ada.say("\n".join([f"line of {number}"] * 8))
        grace.wait(lambda: len(grace.texts("#log .bubble")) == number + 1, "the message")
    grace.wait(lambda: grace.browser.execute_script(AT_END), "the newest in view")
    assert not grace.one("#unread").is_displayed()
    grace.browser.execute_script("document.querySelector('#scroller').scrollTop = 0")
    grace.wait(lambda: grace.browser.execute_script("return document.querySelector('#scroller').scrollTop") == 0, "the top")
    ada.say("news")
    grace.wait(lambda: grace.one("#unread").is_displayed(), "the mark of what is unread")
    assert grace.one("#unread").text == "1 new message"
    assert grace.browser.execute_script("return document.querySelector('#scroller').scrollTop") == 0
    grace.one("#unread").click()
    grace.wait(lambda: grace.browser.execute_script(AT_END), "the newest in view")
    grace.wait(lambda: not grace.one("#unread").is_displayed(), "the mark to go")


def test_the_newest_stays_in_view_while_a_long_text_is_written(come):
    ada = come("Ada")
    for number in range(10):
        ada.say("\n".join([f"line of {number}"] * 4))
        ada.wait(lambda: len(ada.texts("#log .bubble")) == number + 1, "the message")
    height = ada.one("#scroller").size["height"]
    grow = """
        document.querySelector("#scroller").scrollTop -= 1; // what moves it comes in the same frame as its new size
        const field = document.querySelector("#text");
        field.value = "a longer text\\n".repeat(6);
        field.dispatchEvent(new Event("input"));
    """
    ada.browser.execute_script(grow)
    ada.wait(lambda: ada.one("#scroller").size["height"] < height, "the field to grow")
    ada.wait(lambda: ada.browser.execute_script(AT_END), "the newest in view")


def test_a_text_that_is_too_long_is_counted_and_kept(come):
    ada = come("Ada")
    field = ada.one("#text")
    ada.write("x" * 2000 + "y")
    ada.shows("#count", ["1 too many"])
    field.send_keys(Keys.ENTER)
    ada.shows("#trouble", ["This is too long by 1."])
    assert len(field.get_property("value")) == 2001
    field.send_keys(Keys.BACKSPACE)
    ada.shows("#count", ["0 left"])
    field.send_keys(Keys.ENTER)
    ada.shows("#log .bubble", ["x" * 2000])
    ada.shows("#trouble", [""])


def test_a_reload_keeps_name_and_unsent_text(come):
    ada = come("Ada")
    ada.say("before")
    ada.shows("#log .bubble", ["before"])
    ada.one("#text").send_keys("not yet sent")
    ada.browser.refresh()
    ada.entered()
    ada.shows("#log .own .bubble", ["before"])
    ada.shows("#people .name", ["Ada"])
    assert ada.one("#text").get_property("value") == "not yet sent"


def test_a_restart_of_the_server_is_survived(browser):
    browser.expected_errors = "WebSocket connection to"
    with Server("apps/chat") as server:
        port = server.port
        ada, grace = (Tab(browser, server).join(name).entered() for name in ("Ada", "Grace"))
        ada.say("before")
        grace.shows("#log .bubble", ["before"])
        ada.one("#text").send_keys("half a sen")
    for person in (ada, grace):
        person.wait(lambda: person.texts("#status") != ["Connected"], "the loss to be told")
        person.wait(lambda: person.one("#offline").is_displayed(), "the loss to be explained")
    assert ada.one("#text").get_property("value") == "half a sen"
    ada.say("tence, while away")
    ada.shows("#pending .bubble", ["half a sentence, while away"])
    ada.shows("#pending .state", ["waiting for the connection"])

    with Server("apps/chat", listen=[f"ws://127.0.0.1:{port}"]):
        for person in (ada, grace):
            person.connected()
            person.shows("#people .name", ["Ada", "Grace"])
            person.shows("#log .bubble", ["before", "half a sentence, while away"])
            person.shows("#pending .bubble", [])
            assert not person.one("#offline").is_displayed()
        grace.say("welcome back")
        ada.shows("#log .bubble", ["before", "half a sentence, while away", "welcome back"])
        browser.get("about:blank")


@pytest.fixture
def relay(server):
    with contextlib.closing(Relay(server.port)) as relay:
        yield relay


def test_a_message_whose_confirmation_was_lost_arrives_once(relay, come, browser):  # in this order: pages end before it
    grace = come("Grace")
    ada = Tab(browser, relay).join("Ada").entered()
    relay.mute()
    ada.say("only once")
    grace.shows("#log .bubble", ["only once"])
    ada.shows("#pending .bubble", ["only once"])
    grace.say("while Ada hears nothing")
    grace.shows("#log .bubble", ["only once", "while Ada hears nothing"])
    relay.cut()
    ada.shows("#log .bubble", ["only once", "while Ada hears nothing"])
    ada.shows("#pending .bubble", [])
    ada.shows("#people .name", ["Ada", "Grace"])
    ada.say("and on")
    for person in (ada, grace):
        person.shows("#log .bubble", ["only once", "while Ada hears nothing", "and on"])


def test_a_connection_that_died_in_silence_is_replaced(relay, come, browser):  # in this order: pages end before it
    grace = come("Grace")
    ada = Tab(browser, relay).join("Ada").entered()
    relay.mute()
    ada.say("is anybody there?")  # never confirmed: the page gives the connection up by itself
    ada.wait(lambda: ada.texts("#status") != ["Connected"], "the page to notice")
    relay.muted.clear()
    ada.shows("#log .bubble", ["is anybody there?"])
    ada.shows("#pending .bubble", [])
    grace.shows("#log .bubble", ["is anybody there?"])
    grace.shows("#people .name", ["Ada", "Grace"])


def look(tab, scheme, width, height):
    """The page in this size and colour scheme, at rest."""
    tab.front()
    features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    tab.browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": name, "value": value} for name, value in features.items()]}
    )
    tab.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    tab.wait(lambda: tab.browser.execute_script("return innerWidth") == width, "the width")


def scrolls_sideways(tab):
    return tab.browser.execute_script(
        "return [document.documentElement, document.body, ...document.querySelectorAll('main, #scroller, #side')]"
        ".filter((node) => node.scrollWidth > node.clientWidth).map((node) => node.id || node.tagName)"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_reads_well(come, server, screenshots, scheme):
    ada, grace = come("Ada"), come("Grace Hopper")
    conversation = [
        (ada, "Good morning! Anyone else awake at this tide?"),
        (grace, "Since five. Low water is at 06:12, see https://example.org/tides?station=harbour"),
        (ada, "I have been reading how a frame says its length."),
        (ada, "Up to 125 bytes in one, up to 65,535 in two more, beyond that in eight."),
        (grace, "And the moon makes the tide."),
    ]
    for number, (person, text) in enumerate(conversation, 1):
        person.say(text)
        for reader in (ada, grace):
            reader.wait(lambda: len(reader.texts("#log .bubble")) == number, "the message")
    stranger = Tab(grace.browser, server)
    stranger.wait(lambda: stranger.one("#name").is_displayed(), "the form to come in")
    second = Tab(grace.browser, server).join("Ada")
    second.name_is("Ada 2")
    for tab, form in ((stranger, "join"), (second, "taken"), (grace, "chat"), (ada, "notice")):
        for width, height in ((320, 640), (390, 844), (1280, 800)):
            look(tab, scheme, width, height)
            assert scrolls_sideways(tab) == [], width
            count, low = tab.browser.execute_script(CONTRAST)
            assert count > 5
            assert low == [], (width, scheme)
            if width > 320:
                tab.browser.save_screenshot(str(screenshots / f"{form}-{width}x{height}-{scheme}.png"))
    color = {"light": (244, 241, 233), "dark": (13, 24, 28)}[scheme]
    assert grace.one("body").value_of_css_property("background-color") == f"rgba{(*color, 1)}"


def test_a_long_word_does_not_widen_the_page(come):
    ada = come("W" * 24)
    for text in ("x" * 500, "https://example.org/" + "y" * 500):
        ada.say(text)
    ada.wait(lambda: len(ada.texts("#log .bubble")) == 2, "the messages")
    for width in (320, 390, 1280):
        look(ada, "light", width, 800)
        assert scrolls_sideways(ada) == [], width


def test_a_phone_finds_rooms_and_people_in_a_drawer(come):
    ada = come("Ada")
    look(ada, "light", 390, 844)
    ada.wait(lambda: not ada.one("#side").is_displayed(), "the drawer to be closed")
    ada.one("#menu").click()
    ada.wait(lambda: ada.one("#side").is_displayed(), "the drawer")
    ada.shows("#people .name", ["Ada"])
    assert ada.browser.execute_script("return document.querySelector('#side').contains(document.activeElement)")
    ada.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    ada.wait(lambda: not ada.one("#side").is_displayed(), "the drawer to close")
    assert ada.browser.switch_to.active_element.get_attribute("id") == "menu"


def test_nothing_is_asked_of_anybody_else(come, server):
    ada = come("Ada")
    loaded = ada.browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    own = server.url("/", scheme="http")
    assert len(loaded) > 3, json.dumps(loaded)
    assert [address for address in loaded if not address.startswith(own)] == []
