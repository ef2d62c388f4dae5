// From what people wrote to nodes of the page. Nothing here makes HTML from text.

const LINK = /https?:\/\/[^\s<>"]+/gi;
const ONLY_EMOJI = /^(\p{Extended_Pictographic}[\u{FE0F}\u{200D}\u{1F3FB}-\u{1F3FF}]*){1,6}$/u;
const NAME_MAX = 24; // characters, as rooms.lua has it
const HUES = 8; // as many as style.css has

export function element(tag, className, ...content) {
    const node = document.createElement(tag);
    if (className) {
        node.className = className;
    }
    node.append(...content);
    return node;
}

// A link usually ends before the sentence's punctuation, and before a bracket it did not open.
function trimmed(link) {
    for (;;) {
        const last = link.at(-1);
        const open = { ")": "(", "]": "[" }[last];
        const stray = open && link.split(last).length > link.split(open).length;
        if (!stray && !".,;:!?'*_".includes(last)) {
            return link;
        }
        link = link.slice(0, -1);
    }
}

function isAddress(text) {
    try {
        return Boolean(new URL(text).host);
    } catch {
        return false;
    }
}

// Text with its http and https addresses as links.
export function linked(text) {
    const fragment = document.createDocumentFragment();
    let end = 0;
    for (const match of text.matchAll(LINK)) {
        const href = trimmed(match[0]);
        if (!isAddress(href)) {
            continue;
        }
        const link = element("a", "", href);
        link.href = href;
        link.target = "_blank";
        link.rel = "noopener noreferrer nofollow";
        fragment.append(text.slice(end, match.index), link);
        end = match.index + href.length;
    }
    fragment.append(text.slice(end));
    return fragment;
}

export function isOnlyEmoji(text) {
    return ONLY_EMOJI.test(text);
}

// For a name that is taken: "Ada 2", then "Ada 3".
export function anotherName(name) {
    const [, stem, number] = /^(.*?)(?: (\d{1,4}))?$/.exec(name);
    const end = ` ${Number(number ?? 1) + 1}`;
    return [...stem].slice(0, NAME_MAX - end.length).join("").trimEnd() + end;
}

// The same person has the same colour on every page.
export function hue(name) {
    let hash = 7;
    for (const character of name.toLowerCase()) {
        hash = (hash * 31 + character.codePointAt(0)) % 65521;
    }
    return `hue-${hash % HUES}`;
}

export function avatar(name) {
    const node = element("span", `avatar ${hue(name)}`, [...name][0].toUpperCase());
    node.setAttribute("aria-hidden", "true");
    return node;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export function time(milliseconds) {
    const node = element("time", "", clock.format(milliseconds));
    node.dateTime = new Date(milliseconds).toISOString();
    node.title = full.format(milliseconds);
    return node;
}

export function day(milliseconds) {
    return date.format(milliseconds);
}
