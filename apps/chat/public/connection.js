// A WebSocket that comes back: reconnects with jittered back-off, at once when the network returns
// or the page is looked at again. Knows nothing of the messages.
//
// States: "connecting", "open", "waiting" (for the next attempt), "closed" (by close()).

const FIRST_DELAY = 500; // milliseconds; doubles with each failed attempt
const LONGEST_DELAY = 15000;
const OPENING_TIMEOUT = 10000;

export class Connection {
    // handlers: { state(name), message(text) }
    constructor(url, protocol, handlers) {
        this.url = url;
        this.protocol = protocol;
        this.handlers = handlers;
        this.failures = 0;
        this.wake = () => {
            if (this.state === "waiting" && !document.hidden) {
                this.retry();
            }
        };
        addEventListener("online", this.wake);
        document.addEventListener("visibilitychange", this.wake);
        this.connect();
    }

    connect() {
        const socket = new WebSocket(this.url, this.protocol);
        this.socket = socket;
        this.become("connecting");
        this.timer = setTimeout(() => this.lost(socket), OPENING_TIMEOUT);
        socket.onopen = () => {
            if (socket === this.socket) {
                clearTimeout(this.timer);
                this.failures = 0;
                this.become("open");
            }
        };
        socket.onmessage = (event) => {
            if (socket === this.socket) {
                this.handlers.message(event.data);
            }
        };
        socket.onclose = () => this.lost(socket);
    }

    // The socket is of no use any more: closed, or judged dead by restart().
    lost(socket) {
        if (socket !== this.socket) {
            return;
        }
        this.socket = null;
        socket.close();
        clearTimeout(this.timer);
        // Between half and all of the delay, so that a crowd does not come back in one wave.
        const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.failures) * (0.5 + Math.random() / 2);
        this.failures += 1;
        this.timer = setTimeout(() => this.connect(), delay);
        this.become("waiting");
    }

    // Connects now instead of after the delay.
    retry() {
        if (this.state === "waiting") {
            clearTimeout(this.timer);
            this.connect();
        }
    }

    // Gives the connection up and makes a new one: the other end did not answer.
    restart() {
        if (this.socket) {
            this.lost(this.socket);
        }
    }

    // Returns whether the text was handed to an open socket.
    send(text) {
        if (this.state !== "open") {
            return false;
        }
        this.socket.send(text);
        return true;
    }

    close() {
        removeEventListener("online", this.wake);
        document.removeEventListener("visibilitychange", this.wake);
        clearTimeout(this.timer);
        const socket = this.socket;
        this.socket = null;
        this.state = "closed";
        socket?.close(1000);
    }

    become(state) {
        this.state = state;
        this.handlers.state(state);
    }
}
