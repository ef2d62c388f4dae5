// What was written and not confirmed yet: one message at a time goes out, in order, and stays until
// the room's own copy of it comes back. Survives a lost connection and a reload of the page.

export const OUTBOX_MAX = 20;
const ANSWER_TIMEOUT = 8000; // milliseconds
const PAUSE = 1000; // after "too fast"

export class Outbox {
    // handlers: { transmit(item) -> whether it went out, changed(items), silent() }
    constructor(storageKey, handlers) {
        this.storageKey = storageKey;
        this.handlers = handlers;
        this.ready = false;
        this.sent = null; // the item that waits for its copy
        this.items = JSON.parse(sessionStorage.getItem(storageKey) ?? "[]"); // { ref, text }
        this.handlers.changed(this.items);
    }

    get full() {
        return this.items.length >= OUTBOX_MAX;
    }

    add(ref, text) {
        this.items.push({ ref, text });
        this.save();
        this.flush();
    }

    // The room is entered (true) or the connection is gone (false).
    set(ready) {
        this.ready = ready;
        this.sent = null;
        clearTimeout(this.timer);
        this.flush();
    }

    flush() {
        const item = this.items[0];
        if (this.ready && !this.sent && item && this.handlers.transmit(item)) {
            this.sent = item;
            this.timer = setTimeout(() => this.handlers.silent(), ANSWER_TIMEOUT);
        }
    }

    // A message with this ref was seen in the room. Returns whether it was one of ours.
    confirm(ref) {
        return this.remove(ref) !== undefined;
    }

    // Takes an item back, to be written anew. Returns it, or undefined.
    remove(ref) {
        const index = this.items.findIndex((item) => item.ref === ref);
        if (index < 0) {
            return undefined;
        }
        const [item] = this.items.splice(index, 1);
        if (item === this.sent) {
            this.sent = null;
            clearTimeout(this.timer);
        }
        this.save();
        this.flush();
        return item;
    }

    // The server asked for patience with the one that was sent.
    later() {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => {
            this.sent = null;
            this.flush();
        }, PAUSE);
    }

    save() {
        if (this.items.length > 0) {
            sessionStorage.setItem(this.storageKey, JSON.stringify(this.items));
        } else {
            sessionStorage.removeItem(this.storageKey);
        }
        this.handlers.changed(this.items);
    }

    close() {
        this.ready = false;
        clearTimeout(this.timer);
    }
}
