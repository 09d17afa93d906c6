// What pages do beyond links and forms: watch for news, search in place, take keys. All of it is extra.
"use strict";
(() => {
  const root = document.documentElement;
  const $ = (selector, within = document) => within.querySelector(selector);
  root.classList.add("script");

  const say = (text) => {
    const place = $("#said");
    if (!place) return;
    place.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { place.textContent = ""; }, 6000);
  };

  // --- the live list -----------------------------------------------------------------------------
  const list = $("#cards[data-live]");
  if (list) {
    const sign = $("#watching");
    const most = 240;
    let source = null;
    let since = null;

    const sort = (card) => {
      // By time, a card stands where its time puts it; otherwise the latest news is first.
      if (list.dataset.order !== "time") return list.prepend(card);
      const at = (one) => Date.parse($("time", one)?.dateTime ?? "") || 0;
      const next = [...list.children].find((one) => at(one) <= at(card));
      return next ? next.before(card) : null;
    };
    const put = (html) => {
      const holder = document.createElement("template");
      holder.innerHTML = html;
      const card = holder.content.firstElementChild;
      if (!card) return;
      const old = document.getElementById(card.id);
      if (old) {
        if (Number(old.dataset.seq) >= Number(card.dataset.seq)) return;
        const focused = old.contains(document.activeElement);
        card.classList.remove("fresh");
        old.replaceWith(card);
        if (focused) $("h2 a", card)?.focus({ preventScroll: true });
      } else {
        sort(card);
        while (list.children.length > most) list.lastElementChild.remove();
      }
      const none = $("#none");
      if (none) none.hidden = true;
    };
    const watch = () => {
      if (source || document.hidden) return;
      const address = new URL(list.dataset.live, location.href);
      if (since !== null) address.searchParams.set("since", since);
      source = new EventSource(address);
      const seen = (event) => { if (event.lastEventId) since = event.lastEventId; };
      source.onopen = () => { if (sign) { sign.hidden = false; sign.classList.remove("lost"); sign.lastElementChild.textContent = "updates by itself"; } };
      source.onerror = () => {
        if (sign) { sign.hidden = false; sign.classList.add("lost"); sign.lastElementChild.textContent = "looking for the device…"; }
        if (source && source.readyState === EventSource.CLOSED) { rest(); ask(); setTimeout(watch, 5000); }
      };
      source.addEventListener("change", (event) => { put(event.data); seen(event); });
      source.addEventListener("gone", (event) => { document.getElementById(`r-${event.data}`)?.remove(); seen(event); });
      source.addEventListener("health", (event) => { const place = $("#health"); if (place) place.innerHTML = event.data; });
      source.addEventListener("reload", () => location.reload());
    };
    // Refused, not cut off: if the session has ended, the page itself leads to the login.
    const ask = () => fetch(location.href, { headers: { Accept: "text/html" } })
      .then((answer) => { if (answer.redirected) location.reload(); }, () => {});
    const rest = () => { source?.close(); source = null; };
    document.addEventListener("visibilitychange", () => (document.hidden ? rest() : watch()));
    addEventListener("pagehide", rest);
    addEventListener("pageshow", watch);
    watch();
  }

  // --- a page that waits for the daemon's first start ----------------------------------------------
  if ($(".problem[data-status='503']")) setTimeout(() => { if (!document.hidden) location.reload(); }, 5000);

  // --- searching in place ---------------------------------------------------------------------------
  const form = $("form[data-search]");
  if (form) {
    form.addEventListener("submit", (event) => {
      const upload = event.submitter?.hasAttribute("data-upload");
      const file = form.elements.picture;
      if (upload && !file.files.length) { event.preventDefault(); file.focus(); say("Choose a picture first."); }
      if (!upload) file.disabled = true; // a GET would send its name
      if (!upload) setTimeout(() => { file.disabled = false; });
    });
  }
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (event.defaultPrevented || !button || button.closest("[data-judge]") || button.closest(".theme")) return;
    setTimeout(() => { button.disabled = true; setTimeout(() => { button.disabled = false; }, 8000); });
  });

  // --- reviewing by keys ---------------------------------------------------------------------------------
  const KEYS = "edge-keys";
  // Browsers that keep nothing for pages refuse to be asked.
  const kept = (value) => { try { return value === undefined ? localStorage.getItem(KEYS) : localStorage.setItem(KEYS, value); } catch { return null; } };
  const allowed = () => kept() !== "off";
  const judged = () => {
    const judge = $("[data-judge]");
    const box = $("[data-keys]");
    if (!judge || !box) return;
    box.closest("label").hidden = false;
    box.checked = allowed();
    judge.classList.toggle("keyed", allowed());
    box.addEventListener("change", () => {
      kept(box.checked ? "on" : "off");
      judge.classList.toggle("keyed", box.checked);
    });
  };
  judged();
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (!allowed() || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (target instanceof Element && target.closest("input, select, textarea, [contenteditable]")) {
      if (event.key === "Escape" && target.closest("[data-judge]")) target.blur();
      return;
    }
    const button = $(`[data-judge] [data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (!button) return;
    event.preventDefault();
    if (button.matches("input")) button.focus();
    else button.click();
  });
  // Enter in the field for another name means that name, not the first button of the form.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches?.("form input:not([type=search], [type=file], [type=password])")) return;
    const save = $("button[name=say][value=label]:not([hidden])", event.target.form);
    if (save && event.target.form.elements.label) { event.preventDefault(); event.target.form.requestSubmit(save); }
  });

  // --- htmx: errors are shown, not swallowed -------------------------------------------------------------
  document.addEventListener("htmx:responseError", (event) => {
    const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
    const lines = [...page.querySelectorAll(".problem h1, .problem p:not(.row)")].map((one) => one.textContent.trim());
    say(lines.join(". ") || "That didn't work. Reload the page.");
  });
  document.addEventListener("htmx:sendError", () => say("The device can't be reached."));
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "review" && event.detail.target?.id !== "review") return;
    judged();
    $("#review h1")?.focus({ preventScroll: true });
  });
})();
