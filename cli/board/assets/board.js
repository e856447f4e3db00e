// Follows the changes of the page: the server renders the parts that have changed, and this puts them in place of the old ones.
// The page works without it.
"use strict";

const connection = document.getElementById("connection");
let url = document.body.dataset.live;
let changes;

function say(state, text) {
  connection.dataset.state = state;
  connection.textContent = text;
}

// Replaces a part. What has the focus keeps it, what is open stays open, and what was scrolled stays where it is.
function replace({ id, html }) {
  const old = document.getElementById(id);
  if (!old) {
    // The page is that of an error, which is over.
    location.reload();
    return;
  }
  const template = document.createElement("template");
  template.innerHTML = html;
  const fresh = template.content.firstElementChild;
  if (id === "summary") {
    // Screen readers say what changes within an element, not another element.
    old.textContent = fresh.textContent;
    return;
  }
  for (const { id } of old.querySelectorAll("details[open]")) {
    fresh.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  }
  const focused = old.contains(document.activeElement) ? document.activeElement : undefined;
  const scrolled = [...old.querySelectorAll("pre")].map((pre) => [pre.closest("details").id, pre.scrollLeft, pre.scrollTop]);
  old.replaceWith(fresh);
  for (const [id, left, top] of scrolled) {
    document.getElementById(id)?.querySelector("pre").scrollTo(left, top);
  }
  if (focused) {
    // A push that has ended is not among the running ones any more, but among the last ones.
    const same = document.getElementById(focused.id) ?? document.querySelector(`[data-push="${focused.dataset.push}"]`);
    same?.focus({ preventScroll: true });
  }
}

function isSelecting() {
  const selection = getSelection();
  return !selection.isCollapsed && document.getElementById("main").contains(selection.anchorNode);
}

let waiting = new Map();

// Text that is being selected is not taken away: its page is changed afterwards.
function apply() {
  if (isSelecting()) return;
  const parts = [...waiting.values()];
  waiting = new Map();
  // The focus may move from one part to a later one.
  parts.reverse().forEach(replace);
}

function follow() {
  if (changes || document.hidden) return;
  changes = new EventSource(url);
  changes.onopen = () => say("live", "Live");
  changes.onmessage = (event) => {
    const next = new URL(url, location.href);
    next.searchParams.set("seen", event.lastEventId);
    url = next.href;
    for (const part of JSON.parse(event.data)) waiting.set(part.id, part);
    apply();
  };
  changes.onerror = () => {
    if (changes.readyState === EventSource.CLOSED) {
      say("lost", "Not live: open the URL that push-code board prints");
    } else {
      say("lost", "Not connected, trying again");
    }
  };
}

function pause() {
  changes?.close();
  changes = undefined;
  say("paused", "Paused");
}

// A page that nobody sees asks for nothing.
if (url) {
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : follow()));
  document.addEventListener("selectionchange", () => waiting.size && apply());
  addEventListener("pagehide", pause);
  addEventListener("pageshow", follow);
  follow();
}
