// The page of the chat: one room at a time, over the subprotocol that chat.lua describes.
import { Connection } from "./connection.js";
import { Log } from "./log.js";
import { Outbox, OUTBOX_MAX } from "./outbox.js";
import { roomName, showMe, showPeople, showRooms } from "./side.js";
import { anotherName } from "./text.js";

const PROTOCOL = "tidewire.chat.v1";
const TEXT_MAX = 2000;
const TYPING_EVERY = 3000; // milliseconds
const TYPING_SHOWN = 4500;

const $ = (id) => document.getElementById(id);
const log = new Log({
    scroller: $("scroller"),
    log: $("log"),
    pending: $("pending"),
    quiet: $("quiet"),
    unread: $("unread"),
});

function random() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const key = random(); // proves that a lost connection's seat was this page's
const page = random().slice(0, 12); // marks the messages of this page
let messages = 0;
let typedAt = 0; // when the room was last told that something is being written

// The room that is shown: see enter().
let room;

// -- what is shown -----------------------------------------------------------------------------

function view(name) {
    $("main").dataset.view = name;
}

// Shows the form to come in. A note is an advice, a problem is what has to change.
function ask(name, { note = "", problem = "" } = {}) {
    room.joined = false;
    room.name = null; // nothing is wanted until the form is sent
    view("join");
    showMe(null);
    $("join-note").textContent = note;
    $("join-error").textContent = problem;
    $("name").value = name;
    $("name").focus();
    $("name").select();
}

function showTitle() {
    const unread = room.unseen > 0 ? `(${room.unseen}) ` : "";
    document.title = `${unread}#${room.id} · tidewire chat`;
}

function showState(state) {
    const words = { connecting: "Connecting", open: "Connected", waiting: "Reconnecting" }[state];
    $("status").dataset.state = state;
    $("status").firstElementChild.textContent = words;
    $("offline").hidden = state === "open" || !room.joinedOnce;
}

function showEveryone() {
    const count = room.people.size;
    showPeople(room.people, room.name);
    $("summary").textContent = count === 0 ? "" : count === 1 ? "Only you are here" : `${count} people are here`;
}

function showTyping() {
    const names = [...room.typing.keys()];
    const who = names.length > 2 ? "Several people" : names.join(" and ");
    $("typing").textContent = names.length === 0 ? "" : `${who} ${names.length === 1 ? "is" : "are"} typing`;
}

function stopsTyping(name) {
    clearTimeout(room.typing.get(name));
    if (room.typing.delete(name)) {
        showTyping();
    }
}

// -- what the server says ----------------------------------------------------------------------

function addMessage(message) {
    if (message.ref && room.refs.has(message.ref)) {
        return; // sent again after a lost connection, but it had arrived
    }
    room.refs.add(message.ref);
    const own = room.outbox.confirm(message.ref) || message.name === room.name || message.ref?.startsWith(page);
    stopsTyping(message.name);
    log.message(message, own);
    if (document.hidden && !own) {
        room.unseen += 1;
        showTitle();
    }
}

const heard = {
    welcome({ name, epoch, people, history }) {
        const again = room.joinedOnce;
        Object.assign(room, { name, people: new Set(people), joined: true, joinedOnce: true, restored: false });
        sessionStorage.setItem("name", name);
        if (name !== room.suggested) {
            localStorage.setItem("name", name);
        }
        view("chat");
        log.batch(() => {
            if (again && room.epoch !== epoch) {
                if (room.lastId > 0) {
                    log.notice("The room began anew");
                }
                room.lastId = 0;
            } else if (again && history.length > 0 && history[0].id > room.lastId + 1) {
                log.notice("Some messages were missed");
            }
            const news = history.filter((message) => message.id > room.lastId);
            news.forEach(addMessage);
            room.epoch = epoch;
            room.lastId = history.at(-1)?.id ?? 0;
        });
        showMe(name);
        showEveryone();
        showState("open");
        room.outbox.set(true);
        if (!again) {
            $("text").focus();
        }
    },

    message(message) {
        room.lastId = message.id;
        addMessage(message);
    },

    joined({ name, time }) {
        room.people.add(name);
        log.notice(`${name} came in`, time);
        showEveryone();
    },

    left({ name, time }) {
        room.people.delete(name);
        stopsTyping(name);
        log.notice(`${name} left`, time);
        showEveryone();
    },

    renamed({ name, to, time }) {
        room.people.delete(name);
        room.people.add(to);
        stopsTyping(name);
        if (name === room.name) {
            room.name = to;
            sessionStorage.setItem("name", to);
            localStorage.setItem("name", to);
            showMe(to);
            $("rename").close();
        }
        log.notice(`${name} is now ${to}`, time);
        showEveryone();
    },

    typing({ name }) {
        clearTimeout(room.typing.get(name));
        room.typing.set(
            name,
            setTimeout(() => stopsTyping(name), TYPING_SHOWN),
        );
        showTyping();
    },

    error({ code, message, ref }) {
        if (code === "too_fast") {
            room.outbox.later();
            if (!room.joined) {
                setTimeout(join, 1000);
            }
        } else if (!room.joined && code === "name_taken") {
            room.suggested = anotherName(room.name);
            ask(room.suggested, { note: room.restored ? "" : `${message} How about ${room.suggested}?` });
        } else if (!room.joined) {
            ask(room.name, { problem: message });
        } else if ($("rename").open) {
            $("rename-error").textContent = message;
        } else {
            const refused = room.outbox.remove(ref);
            if (refused) {
                $("text").value = [refused.text, $("text").value].filter(Boolean).join("\n");
                fit();
            }
            trouble(message);
        }
    },
};

// -- what is sent ------------------------------------------------------------------------------

function tell(message) {
    return room.connection.send(JSON.stringify(message));
}

function join() {
    if (room.name && !room.joined) {
        tell({ type: "join", name: room.name, key });
    }
}

function trouble(text) {
    $("trouble").textContent = text;
}

function say() {
    const text = $("text").value.trimEnd();
    const over = [...text].length - TEXT_MAX;
    if (text.trim() === "") {
        return;
    }
    if (over > 0) {
        trouble(`This is too long by ${over}.`);
        return;
    }
    if (room.outbox.full) {
        trouble(`${OUTBOX_MAX} messages are waiting already. This one stays here until some are sent.`);
        return;
    }
    trouble("");
    $("text").value = "";
    keepDraft();
    fit();
    messages += 1;
    typedAt = 0;
    log.toEnd();
    room.outbox.add(`${page}-${messages}`, text);
}

// -- a room ------------------------------------------------------------------------------------

function enter(id) {
    const name = sessionStorage.getItem("name");
    const restored = !room; // by a reload, or in a copy of a tab: nobody chose the name just now
    room?.connection.close();
    room?.outbox.close();
    room = {
        id,
        name, // wanted, then held
        restored,
        suggested: null, // when the wanted name was taken: not remembered for the next tab
        joined: false, // now
        joinedOnce: false, // by this page: what is shown stays over a reconnect
        epoch: null,
        lastId: 0,
        refs: new Set(),
        people: new Set(),
        typing: new Map(), // name -> timer
        unseen: 0,
    };
    log.clear();
    view(room.name ? "chat" : "none");
    $("room").textContent = id;
    $("join-room").textContent = id;
    $("text").value = sessionStorage.getItem(`draft ${id}`) ?? "";
    trouble("");
    fit();
    showRooms(id);
    showMe(room.name);
    showEveryone();
    showTyping();
    showTitle();

    const entered = room;
    room.outbox = new Outbox(`outbox ${id}`, {
        transmit: ({ ref, text }) => tell({ type: "say", ref, text }),
        changed: (items) => log.showPending(items, entered.joined),
        silent: () => entered.connection.restart(),
    });
    const url = new URL(`chat/${id}`, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.search = "";
    url.hash = "";
    room.connection = new Connection(url.href, PROTOCOL, {
        state(state) {
            if (entered.joined && state !== "open") {
                entered.joined = false;
                entered.outbox.set(false);
            }
            log.showPending(entered.outbox.items, state === "open");
            showState(state);
            if (state === "open") {
                join();
            }
        },
        message(text) {
            const message = JSON.parse(text);
            heard[message.type]?.(message);
        },
    });
    if (!room.name) {
        ask(localStorage.getItem("name") ?? "");
    }
}

function unescaped(hash) {
    try {
        return decodeURIComponent(hash);
    } catch {
        return hash.replace(/%[0-9a-f]{2}/gi, " ");
    }
}

function follow() {
    const linked = new URLSearchParams(location.search).get("room");
    const id = roomName(unescaped(location.hash.slice(1)) || linked || "") || "lobby";
    history.replaceState(null, "", `${location.pathname}#${id}`);
    if (room?.id !== id) {
        enter(id);
    }
}

// -- what the user does ------------------------------------------------------------------------

function keepDraft() {
    const text = $("text").value;
    if (text) {
        sessionStorage.setItem(`draft ${room.id}`, text);
    } else {
        sessionStorage.removeItem(`draft ${room.id}`);
    }
}

// The field is as high as its text, up to what style.css allows.
function fit() {
    const field = $("text");
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
    const left = TEXT_MAX - [...field.value].length;
    $("count").hidden = left > 200;
    $("count").textContent = left >= 0 ? `${left} left` : `${-left} too many`;
    $("count").classList.toggle("over", left < 0);
}

$("text").addEventListener("input", () => {
    fit();
    keepDraft();
    if (room.joined && $("text").value && Date.now() - typedAt > TYPING_EVERY) {
        typedAt = Date.now();
        tell({ type: "typing" });
    }
});

$("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        say();
    }
});

$("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    say();
    $("text").focus();
});

$("join").addEventListener("submit", (event) => {
    event.preventDefault();
    room.name = $("name").value.trim();
    room.restored = false;
    $("join-error").textContent = "";
    $("join-note").textContent = room.connection.state === "open" ? "" : "You will come in once the connection is there.";
    join();
});

$("change").addEventListener("click", () => {
    $("rename-error").textContent = "";
    $("new-name").value = room.name;
    $("rename").showModal();
    $("new-name").select();
});

$("rename").firstElementChild.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("new-name").value.trim();
    if (name === room.name) {
        $("rename").close();
    } else if (!room.joined || !tell({ type: "rename", name })) {
        $("rename-error").textContent = "There is no connection at the moment.";
    }
});

$("rename-cancel").addEventListener("click", () => $("rename").close());
$("retry").addEventListener("click", () => room.connection.retry());

$("share").addEventListener("click", async () => {
    const label = $("share").lastElementChild;
    try {
        await navigator.clipboard.writeText(location.href);
        label.textContent = "Copied";
    } catch {
        label.textContent = "See address bar";
    }
    setTimeout(() => (label.textContent = "Copy link"), 2500);
});

document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
        room.unseen = 0;
        showTitle();
    }
});

addEventListener("hashchange", follow);
follow();
