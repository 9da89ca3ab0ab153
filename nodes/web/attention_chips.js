/** The prompt's tokens as chips: words, then the learned tail, then, folded away, the padding. */

import { element } from "./attention_controls.js";
import { phrase } from "./words.js";

const TAIL = "tail"; // in every language: the node's `tokens` knows it by no other name
const GROUPS = [
  { look: "words", kinds: ["word"], name: () => phrase("words") },
  { look: "tail", kinds: ["tail"], name: () => TAIL },
  { look: "padding", kinds: ["special", "pad"], name: () => phrase("padding"), folded: true },
  // words or padding: without labels nobody knows
  { look: "padding", kinds: ["number"], name: () => phrase("withoutLabels"), folded: true },
];
const KINDS = {
  word: () => phrase("word"),
  tail: () => TAIL,
  special: () => phrase("special"),
  pad: () => phrase("padding"),
  number: () => phrase("number"),
};
const STEPS = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: "below", ArrowUp: "above" };

export class TokenChips {
  byHand = false; // whether a person pinned what is pinned
  #chips = []; // {names, button}: a chip is one token, or the whole tail
  #choices = new Map(); // name -> what the node's `tokens` calls it
  #pinned = [];
  #hovered = null;
  #focused = null;
  #on;

  constructor(on, signal) {
    this.#on = on;
    this.element = element("div", "hiper-chips", {
      role: "toolbar",
      "data-capture-wheel": "true",
    });
    const listen = (kind, act) => this.element.addEventListener(kind, act, { signal });
    listen("click", (event) => this.#click(event));
    listen("keydown", (event) => this.#key(event));
    listen("pointerover", (event) => this.#look({ hovered: this.#chipOf(event.target) }));
    listen("pointerleave", () => this.#look({ hovered: null }));
    listen("focusin", (event) => {
      const byKeyboard = event.target.matches(":focus-visible");
      this.#look({ focused: byKeyboard ? this.#chipOf(event.target) : null });
    });
    listen("focusout", () => this.#look({ focused: null }));
  }

  speak() {
    this.element.setAttribute("aria-label", phrase("tokens"));
  }

  /** One set of chips for all panels, so that a token is looked at in all of them at once. */
  fill(panels) {
    this.#hovered = this.#focused = null;
    this.#chips = [];
    this.#choices.clear();
    const tokens = merged(panels);
    const groups = GROUPS.map(({ kinds, ...group }) => {
      return this.#group(group, [...tokens].filter(([, { kind }]) => kinds.includes(kind)));
    });
    this.element.replaceChildren(...groups.filter(Boolean));
    this.#chips.forEach(({ button }, place) => (button.tabIndex = place ? -1 : 0));
  }

  #group({ look, name, folded }, tokens) {
    if (!tokens.length) return null;
    const attributes = { role: "group", "aria-label": name() };
    const group = element("div", `hiper-group hiper-${look}`, attributes);
    if (look === "tail" && tokens.length > 1) {
      const all = tokens.map(([token]) => token);
      group.append(this.#chip(all, TAIL, phrase("wholeTail", { count: all.length })));
    }
    const chips = tokens.map(([token, { label, kind, index, choice }]) => {
      const title = phrase("tokenNumber", { kind: KINDS[kind](), number: index + 1 });
      const chip = this.#chip([token], label, title, kind);
      this.#choices.set(token, choice ?? `${index + 1}`);
      return chip;
    });
    if (!folded) {
      group.append(...chips);
      return group;
    }
    const fold = element("button", "hiper-fold", { type: "button", "aria-expanded": false });
    fold.textContent = `${name()} · ${tokens.length}`;
    group.append(fold, ...chips);
    return group;
  }

  #chip(names, label, title, kind = "all") {
    const button = element("button", `hiper-chip hiper-${kind}`, {
      type: "button",
      title,
      "aria-pressed": false,
    });
    button.textContent = label;
    this.#chips.push({ names, button, label });
    return button;
  }

  set pinned(names) {
    this.#pinned = names;
    for (const chip of this.#chips) chip.button.setAttribute("aria-pressed", this.#isPinned(chip));
    for (const folded of this.element.querySelectorAll(".hiper-padding")) {
      if (folded.querySelector("[aria-pressed=true]")) this.#unfold(folded, true);
    }
  }

  #isPinned(chip) {
    return chip.names.every((name) => this.#pinned.includes(name));
  }

  /** Names of the tokens whose map is to be seen now. */
  get shown() {
    return this.pointing?.names ?? this.known(this.#pinned);
  }

  get pointing() {
    return this.#hovered ?? this.#focused;
  }

  /** Those of the names that the prompt has. */
  known(names) {
    return names.filter((name) => this.#choices.has(name));
  }

  /** What is pinned, in the words of the node's `tokens`: the whole tail by its name. */
  get choice() {
    const pinned = this.known(this.#pinned);
    const tail = this.#chips.find(({ names }) => names.length > 1)?.names ?? [];
    const whole = tail.length && tail.every((name) => pinned.includes(name));
    const single = pinned.filter((name) => !whole || !tail.includes(name));
    const words = single.map((name) => this.#choices.get(name));
    return [...words, ...(whole ? [TAIL] : [])].join(", ");
  }

  /** What is to be seen, in words; a whole tail is called so. */
  get described() {
    const looked = this.pointing;
    const { length } = this.shown;
    const words = [];
    let rest = this.shown;
    for (const { names, label } of [...this.#chips].sort((a, b) => b.names.length - a.names.length)) {
      if (!names.every((name) => rest.includes(name))) continue;
      rest = rest.filter((name) => !names.includes(name));
      words.push(names.length > 1 ? label : names[0]);
    }
    const parts = [words.join(" + ")];
    if (length > 1) parts.push(phrase("mean", { count: length }));
    if (this.byHand && (!looked || this.#isPinned(looked))) parts.push(phrase("pinned"));
    return parts.join(" · ");
  }

  fillLevels(level) {
    for (const { names, button } of this.#chips) {
      const mean = names.reduce((sum, name) => sum + level(name), 0) / names.length;
      button.style.setProperty("--level", mean.toFixed(3));
    }
  }

  #chipOf(target) {
    return this.#chips.find(({ button }) => button === target) ?? null;
  }

  #look({ hovered = this.#hovered, focused = this.#focused }) {
    if (hovered === this.#hovered && focused === this.#focused) return;
    [this.#hovered, this.#focused] = [hovered, focused];
    this.#on.onLook();
  }

  #click(event) {
    const fold = event.target.closest(".hiper-fold");
    if (fold) {
      this.#unfold(fold.parentElement, fold.getAttribute("aria-expanded") === "false");
      return;
    }
    const chip = this.#chipOf(event.target);
    if (!chip) return;
    const others = this.#pinned.filter((name) => !chip.names.includes(name));
    const pinned = this.#isPinned(chip);
    if (event.shiftKey) this.#on.onPin(pinned ? others : [...others, ...chip.names]);
    else this.#on.onPin(pinned && !others.length ? [] : [...chip.names]);
  }

  #unfold(group, open) {
    group.dataset.open = open;
    group.querySelector(".hiper-fold").setAttribute("aria-expanded", open);
    this.#on.onLayout();
  }

  /** Keys of a toolbar; what is handled here must not reach the graph editor's shortcuts. */
  #key(event) {
    const { key } = event;
    if (key === "Escape") {
      event.target.blur();
      this.#on.onPin([]);
    } else if (key in STEPS || key === "Home" || key === "End") {
      this.#move(event.target, key);
      event.preventDefault();
    } else if (key !== "Enter" && key !== " ") {
      return; // Enter and Space click the button, as they do everywhere
    }
    event.stopPropagation();
  }

  #move(from, key) {
    const buttons = [...this.element.querySelectorAll("button")].filter((button) => {
      return button.offsetParent;
    });
    const at = buttons.indexOf(from);
    let to = at + STEPS[key];
    if (key === "Home") to = 0;
    if (key === "End") to = buttons.length - 1;
    if (key === "ArrowDown" || key === "ArrowUp") to = nearest(buttons, at, STEPS[key]);
    const next = buttons[to];
    if (!next) return;
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus({ focusVisible: true });
  }
}

/** The tokens of all panels by name, each where it stands in the first that has it. */
function merged(panels) {
  const tokens = new Map();
  for (const panel of panels) {
    for (const [name, token] of panel) if (!tokens.has(name)) tokens.set(name, token);
  }
  return tokens;
}

/** The button of the next row that lies closest below, or above. */
function nearest(buttons, at, side) {
  const from = buttons[at];
  const sign = side === "below" ? 1 : -1;
  let found = -1;
  let best = Infinity;
  buttons.forEach((button, place) => {
    const down = sign * (button.offsetTop - from.offsetTop);
    if (down <= 2) return;
    const distance = 1000 * down + Math.abs(button.offsetLeft - from.offsetLeft);
    if (distance < best) [found, best] = [place, distance];
  });
  return found;
}
