// The conversation on the page: groups of messages, notices, days, and what is not sent yet.
// Follows the newest only while its end is in view; otherwise counts what is unread.
import { avatar, day, element, hue, isOnlyEmoji, linked, time } from "./text.js";

const GROUP_TIME = 5 * 60 * 1000; // messages of one author this close share a heading
const NEAR_END = 60; // pixels
const KEPT = 500; // groups, notices and days

export class Log {
    // parts: { scroller, log, pending, quiet, unread }, elements of the page
    constructor(parts) {
        Object.assign(this, parts);
        this.following = true;
        this.count = 0;
        this.last = {}; // what the next message is compared with: { day, group, name, own, time, notice }
        this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
        this.unread.addEventListener("click", () => this.toEnd(true));
        const resized = new ResizeObserver(() => {
            this.height = this.scroller.clientHeight;
            if (this.following) {
                this.toEnd();
            }
        });
        resized.observe(this.scroller);
    }

    clear() {
        this.log.replaceChildren();
        this.last = {};
        this.quiet.hidden = false;
        this.following = true;
        this.setUnread(0);
    }

    // A screen reader is to read what is new, not the whole history.
    batch(run) {
        this.log.setAttribute("aria-live", "off");
        run();
        this.toEnd();
        requestAnimationFrame(() => requestAnimationFrame(() => this.log.removeAttribute("aria-live")));
    }

    message({ name, text, time: at }, own) {
        this.startDay(at);
        const { group, name: author, own: mine, time: before } = this.last;
        if (!group || author !== name || mine !== own || at - before >= GROUP_TIME) {
            this.startGroup(name, at, own);
        }
        this.last.time = at;
        this.last.group.append(this.bubble(text));
        this.added(own);
    }

    bubble(text) {
        const bubble = element("p", isOnlyEmoji(text) ? "bubble emoji" : "bubble", linked(text));
        bubble.dir = "auto";
        return bubble;
    }

    startGroup(name, at, own) {
        const author = element("span", `author ${hue(name)}`, name);
        const heading = element("p", "heading", author, time(at));
        const body = element("div", "body", heading);
        this.log.append(element("div", own ? "group own" : "group", avatar(name), body));
        this.last = { day: this.last.day, group: body, name, own };
    }

    startDay(at) {
        const today = day(at);
        if (this.last.day !== today) {
            this.log.append(element("p", "day", element("span", "", today)));
            this.last = { day: today };
        }
    }

    // A line between the messages; those that follow each other share one. `at` is left out where
    // only this page knows of it: its clock may be of another day than the server's.
    notice(text, at) {
        if (at !== undefined) {
            this.startDay(at);
        }
        if (this.last.notice) {
            this.last.notice.append(` · ${text}`);
        } else {
            const notice = element("p", "notice", text);
            this.log.append(notice);
            this.last = { day: this.last.day, notice };
        }
        this.added(true);
    }

    showPending(items, connected) {
        const label = connected ? "sending" : "waiting for the connection";
        this.pending.replaceChildren(
            ...items.map(({ text }) => {
                const state = element("p", "state", label);
                return element("div", "group own", element("div", "body", this.bubble(text), state));
            }),
        );
        this.quiet.hidden = items.length > 0 || this.log.hasChildNodes();
        if (this.following) {
            this.toEnd();
        }
    }

    added(seen) {
        this.quiet.hidden = true;
        while (this.log.childElementCount > KEPT) {
            this.log.firstElementChild.remove();
        }
        if (this.following) {
            this.toEnd();
        } else if (!seen) {
            this.setUnread(this.count + 1);
        }
    }

    scrolled() {
        const { scrollHeight, scrollTop, clientHeight } = this.scroller;
        if (clientHeight !== this.height) {
            return; // moved by a new size (a keyboard, a longer text), not by the reader
        }
        this.following = scrollHeight - scrollTop - clientHeight < NEAR_END;
        if (this.following) {
            this.setUnread(0);
        }
    }

    toEnd(smoothly = false) {
        const behavior = smoothly && !matchMedia("(prefers-reduced-motion: reduce)").matches ? "smooth" : "instant";
        this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior });
        this.following = true;
        this.setUnread(0);
    }

    setUnread(count) {
        this.count = count;
        this.unread.hidden = count === 0;
        this.unread.textContent = count === 1 ? "1 new message" : `${count} new messages`;
    }
}
