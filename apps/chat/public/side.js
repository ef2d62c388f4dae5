// Beside the conversation: rooms that were visited, who is here, oneself. On a narrow screen a drawer.
import { avatar, element } from "./text.js";

const ROOMS_KEPT = 8;
const LETTERS = { æ: "ae", œ: "oe", ø: "o", đ: "d", ð: "d", ł: "l", þ: "th" }; // no mark that NFKD takes off
const narrow = matchMedia("(max-width: 52rem)");
const $ = (id) => document.getElementById(id);

// The name of a room as the server takes it, from what somebody typed or linked: letters lose their
// marks, everything else between them becomes one "-". Empty when nothing is left.
export function roomName(text) {
    return text
        .normalize("NFKD")
        .replace(/\p{M}+/gu, "")
        .toUpperCase() // a German sharp s becomes SS
        .toLowerCase()
        .replace(/[æœøđðłþ]/g, (letter) => LETTERS[letter])
        .replace(/[^a-z0-9_]+/g, "-")
        .replace(/^-/, "")
        .slice(0, 32)
        .replace(/-$/, "");
}

function visited() {
    try {
        const list = JSON.parse(localStorage.getItem("rooms") ?? "[]");
        return list.filter((room) => typeof room === "string" && room && room === roomName(room));
    } catch {
        return [];
    }
}

// Puts the room among those of this browser, and shows them.
export function showRooms(current) {
    const rooms = visited();
    if (!rooms.includes(current)) {
        rooms.push(current);
    }
    const kept = rooms.filter((room) => room !== "lobby").slice(-ROOMS_KEPT);
    localStorage.setItem("rooms", JSON.stringify(kept));
    $("rooms").replaceChildren(
        ...["lobby", ...kept].map((room) => {
            const link = element("a", "", room);
            link.href = `#${room}`;
            if (room === current) {
                link.setAttribute("aria-current", "page");
            }
            return element("li", "", link);
        }),
    );
}

export function showPeople(names, own) {
    const sorted = [...names].sort((a, b) => a.localeCompare(b));
    $("people").replaceChildren(
        ...sorted.map((name) => {
            const item = element("li", "", avatar(name), element("span", "name", name));
            if (name === own) {
                item.append(element("span", "you", "you"));
            }
            return item;
        }),
    );
    $("people-title").textContent = `Here now · ${sorted.length}`;
    $("here").classList.toggle("nobody", sorted.length === 0);
}

export function showMe(name) {
    $("me").hidden = !name;
    if (name) {
        $("me-name").textContent = name;
        const picture = avatar(name);
        picture.id = "me-avatar";
        $("me-avatar").replaceWith(picture);
    }
}

export function closeDrawer() {
    if (document.body.classList.contains("drawer")) {
        setDrawer(false);
        $("menu").focus();
    }
}

function setDrawer(open) {
    document.body.classList.toggle("drawer", open);
    $("menu").setAttribute("aria-expanded", open);
    $("scrim").hidden = !open;
    $("side").inert = narrow.matches && !open;
    $("main").inert = open;
    if (open) {
        $("side").querySelector("a").focus();
    }
}

$("menu").addEventListener("click", () => setDrawer(true));
$("scrim").addEventListener("click", closeDrawer);
addEventListener("keydown", (event) => event.key === "Escape" && closeDrawer());
narrow.addEventListener("change", () => setDrawer(false));
setDrawer(false);

$("rooms").addEventListener("click", closeDrawer);
$("visit").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = $("visit-room");
    const name = roomName(field.value);
    if (name) {
        location.hash = name;
        field.value = "";
        closeDrawer();
    } else if (field.value.trim()) {
        field.setCustomValidity("A room's name is made of a-z, 0-9, - and _.");
        field.reportValidity();
    }
});
$("visit-room").addEventListener("input", (event) => event.target.setCustomValidity(""));
