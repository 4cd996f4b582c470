// Reads the page again every five seconds, and puts what has changed in its place; filters while somebody types.
// Without this script the page does the same by itself, only more slowly.
"use strict";
{
  const PERIOD = 5000, TYPING = 250, LOGGED_OUT = 15 * 60 * 1000;
  const FRESH = "This page refreshes itself every five seconds.";
  const HELD = "The page stays as it is while the pointer is on a button, or text is selected.";
  const filter = document.getElementById("filter"), text = document.getElementById("q");
  const fresh = document.getElementById("fresh");
  let timer = 0, asked = 0, used = false, last = new Date();

  for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, () => { used = true; }, { capture: true });

  // A refresh by itself is no use of the page: it ends a login that nobody uses.
  const address = () => {
    const url = new URL(location.href);
    if (!used) url.searchParams.set("refresh", "");
    used = false;
    return url;
  };

  const later = (wait = PERIOD) => {
    clearTimeout(timer);
    timer = setTimeout(() => refresh(), wait);
  };

  // Nothing moves under the hand: not while a row's button is about to be pressed, nor while text is selected.
  const held = () => document.querySelector(".act button:hover, .orders button:hover") || String(getSelection());

  const say = (what, bad = false) => {
    fresh.textContent = what;
    fresh.classList.toggle("tag", bad);
    fresh.classList.toggle("bad", bad);
  };

  const put = (here, there) => {
    if (!there || here.innerHTML === there.innerHTML) return;
    const focused = here.contains(document.activeElement) ? document.activeElement : null;
    const scrolled = [...here.querySelectorAll(".scroll")].map((one) => [one.scrollTop, one === focused]);
    const id = focused && focused.id;
    here.replaceChildren(...there.childNodes);
    here.querySelectorAll(".scroll").forEach((one, index) => {
      const [top, had] = scrolled[index] || [0, false];
      one.scrollTop = top;
      if (had) one.focus({ preventScroll: true });
    });
    if (id) (document.getElementById(id) || here.querySelector(".scroll"))?.focus({ preventScroll: true });
  };

  const refresh = async (wanted = false) => {
    later();
    if (new Date() - last > LOGGED_OUT) return location.reload();   // what is shown must not outlast its login
    if (document.hidden) return;
    if (!wanted && held()) return say(HELD);
    const number = ++asked;
    try {
      const answer = await fetch(address(), { credentials: "same-origin", redirect: "error" });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (number !== asked) return;
      document.querySelectorAll("[data-live]").forEach((here) => put(here, page.getElementById(here.id)));
      last = new Date();
      say(FRESH);
    } catch {
      say(`The gateway does not answer. This is as of ${last.toLocaleTimeString()}.`, true);
    }
  };

  const search = () => {
    const url = new URL("/", location.href);
    if (text.value.trim()) url.searchParams.set("q", text.value.trim());
    history.replaceState(null, "", url);
    refresh(true);
  };
  let typing = 0;
  text.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(search, TYPING); });
  filter.addEventListener("submit", (event) => { event.preventDefault(); search(); });
  addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  say(FRESH);
  later();
}
