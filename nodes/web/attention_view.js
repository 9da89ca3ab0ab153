/** The view itself: pictures with a heat map over them, the prompt's tokens below, the scale. */

import { TokenMaps } from "./attention_maps.js";
import { ScaleBar, StepSlider, element, slider } from "./attention_controls.js";
import { TokenChips } from "./attention_chips.js";
import { phrase, whenTranslated } from "./words.js";

const START = { pinned: [], opacity: 0.7, scale: "own" };
const TALLEST = 300; // pictures, as long as a person has not drawn the node larger
const GAP = 8; // between two of them
const TITLE = 24; // below a picture
const EMPTY_HEIGHT = 150; // of what is said before a run, ComfyUI's margin around it included

export class AttentionView {
  #state = { ...START };
  #first = []; // looked at as long as nothing is pinned and nobody let go
  #problem = "";
  #note = () => phrase("runFirst"); // in the pictures' place
  #panels = [];
  #painting = 0;
  #ending = new AbortController();
  #on;

  constructor(on) {
    this.#on = on;
    this.element = element("div", "hiper-view");
    this.stage = element("div", "hiper-stage");
    this.caption = element("div", "hiper-caption");
    this.words = element("span", "hiper-words-shown", { role: "status" });
    this.here = element("span", "hiper-here");
    this.caption.append(this.words, this.here);
    const { signal } = this.#ending;
    const changes = (name) => (value) => this.#change({ [name]: value });
    this.scale = new ScaleBar(changes("scale"), signal);
    this.steps = new StepSlider(changes("frame"), signal);
    this.opacity = slider(() => phrase("opacity"), [0, 1, 0.05], changes("opacity"), signal);
    const onChips = {
      onPin: (names) => this.#pin(names),
      onLook: () => this.#paint(),
      onLayout: () => this.#on.onLayout(),
    };
    this.chips = new TokenChips(onChips, signal);
    this.foot = element("div", "hiper-foot");
    const controls = element("div", "hiper-controls");
    controls.append(this.opacity.element, this.steps.element);
    this.foot.append(this.caption, this.scale.element, this.chips.element, controls);
    this.element.append(this.stage, this.foot);
    this.resizes = new ResizeObserver(() => this.#fit());
    this.resizes.observe(this.foot);
    this.resizes.observe(this.stage);
    this.#listen();
    this.#speak();
    whenTranslated(() => this.#speak(), signal);
  }

  #speak() {
    for (const part of [this.scale, this.steps, this.opacity, this.chips]) part.speak();
    if (this.#panels.length) this.#fill();
    else this.#putNote(this.#note);
  }

  /** What the node must leave free for the view, in the graph's own units. */
  get leastHeight() {
    return this.#panels.length ? this.#stageHeight() + this.foot.offsetHeight + 36 : EMPTY_HEIGHT;
  }

  /** As tall as the pictures are at the width there is, and at first no taller than they need. */
  #stageHeight(tallest = TALLEST) {
    const { length } = this.#panels;
    const room = this.stage.offsetWidth - GAP * (this.#columns - 1);
    const width = room > 0 ? room / this.#columns : TALLEST; // not laid out yet
    const ratio = Math.min(...this.#panels.map((panel) => panel.ratio));
    return Math.ceil(length / this.#columns) * (Math.min(tallest, width / ratio) + TITLE);
  }

  get #columns() {
    const { length } = this.#panels;
    return length > 3 ? Math.ceil(Math.sqrt(length)) : Math.max(1, length);
  }

  restore(state) {
    this.#state = { ...START, ...state };
    if (this.#panels.length) this.#update();
  }

  show(payloads) {
    this.#panels = payloads.map((payload) => new Panel(payload, this.#on.addressOf));
    this.stage.style.setProperty("--columns", this.#columns);
    this.stage.replaceChildren(...this.#panels.map((panel) => panel.element));
    this.element.dataset.shown = payloads.length;
    this.#first = [...new Set(this.#panels.flatMap((panel) => panel.maps.first))];
    this.#problem = payloads[0].problem ?? "";
    this.#fill();
    this.#fit();
  }

  #fill() {
    this.chips.fill(this.#panels.map((panel) => panel.maps.tokens));
    const frames = this.#panels.map((panel) => panel.maps.payload.frames);
    const [longest] = frames.sort((a, b) => b.length - a.length);
    this.steps.fill(longest.map(moment));
    this.#update();
  }

  destroy() {
    this.#ending.abort();
    this.resizes.disconnect();
    this.steps.stop();
    this.#painting++;
    this.#panels = [];
    this.element.replaceChildren();
    this.element.remove();
  }

  #fit() {
    if (!this.#panels.length) return;
    this.stage.style.minHeight = `${Math.round(this.#stageHeight())}px`;
    this.stage.style.maxHeight = `${Math.round(this.#stageHeight(Infinity))}px`;
    this.#on.onLayout();
  }

  #putNote(words) {
    this.#note = words;
    const note = element("div", "hiper-note");
    note.append(element("span", "hiper-glow", { "aria-hidden": true }), words());
    this.#panels = [];
    this.stage.style.minHeight = this.stage.style.maxHeight = "";
    delete this.element.dataset.shown;
    this.stage.replaceChildren(note);
  }

  /** Chosen by hand: seen now, and the mask's from the next run on. */
  #pin(names) {
    this.#first = [];
    this.#problem = "";
    this.#change({ pinned: names });
    this.#on.onChoose(this.chips.choice);
  }

  /** The choice was written by hand: the next run's maps show it. */
  release() {
    this.#state = { ...this.#state, pinned: [] };
    this.#on.onChange(this.#state);
  }

  #change(part) {
    this.#state = { ...this.#state, frame: this.steps.value, ...part };
    this.#on.onChange(this.#state);
    this.#update();
  }

  #update() {
    const { pinned, opacity, frame } = this.#state;
    this.chips.byHand = this.chips.known(pinned).length > 0;
    this.chips.pinned = this.chips.byHand ? pinned : this.#first;
    this.opacity.value = opacity;
    this.steps.value = frame ?? Infinity; // a recording opens at its last step
    this.#paint();
  }

  async #paint() {
    const turn = ++this.#painting;
    const step = this.steps.value;
    try {
      const levels = await Promise.all(this.#panels.map((panel) => panel.maps.levels(step)));
      if (turn !== this.#painting) return;
      const names = this.chips.shown;
      this.#panels.forEach((panel, place) => panel.choose(levels[place], names));
      const end = this.#scaleEnd();
      for (const panel of this.#panels) panel.paint(end, this.#state.opacity);
      this.#describe(names, end);
    } catch (error) {
      if (turn !== this.#painting) return;
      console.warn("HiPer: the maps could not be read.", error);
      this.#putNote(() => phrase("gone"));
    }
  }

  /** What the brightest colour is, as a share of the scale that all tokens have in common. */
  #scaleEnd() {
    const peaks = this.#panels.map((panel) => panel.peak).filter(Boolean);
    return this.#state.scale === "own" && peaks.length ? Math.max(...peaks) : 1;
  }

  #describe(names, end) {
    const { pointing, described } = this.chips;
    const words = (!pointing && this.#problem) || (names.length ? described : phrase("hint"));
    this.words.textContent = this.words.title = words;
    this.caption.dataset.hint = !names.length;
    if (!this.#panels.length) return;
    const clipped = this.#panels.some((panel) => panel.peak >= 1);
    this.scale.show(this.#panels[0].maps.payload.scale, end, clipped, this.#state.scale);
  }

  #listen() {
    const { signal } = this.#ending;
    const listen = (kind, act) => this.stage.addEventListener(kind, act, { signal });
    this.element.addEventListener("wheel", this.#on.onWheel, { signal, passive: false });
    listen("pointermove", (event) => {
      const panel = this.#panels.find((panel) => panel.frame.contains(event.target));
      panel ? this.#pointAt(panel, event) : this.#pointAway();
    });
    listen("pointerleave", () => this.#pointAway());
  }

  /** Pointing at a place of the picture: each chip shows how much that place looks at it. */
  #pointAt(panel, event) {
    if (!panel.levels) return;
    const box = panel.frame.getBoundingClientRect();
    const place = [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height];
    const [x, y] = panel.maps.cellAt(...place);
    this.chips.fillLevels((name) => panel.maps.at(panel.levels, name, x, y));
    const value = panel.values ? panel.values[y * panel.maps.payload.cell[0] + x] : null;
    this.here.textContent = this.scale.mark(value);
  }

  #pointAway() {
    this.chips.fillLevels(() => 0);
    this.here.textContent = this.scale.mark(null);
  }
}

/** When a frame of a recording was, in words. */
function moment(frame) {
  return frame.stage ? phrase("momentOfStage", frame) : phrase("moment", frame);
}

/** One conditioning, or one picture of a batch, with its map. */
class Panel {
  levels = null;
  values = null;
  peak = 0;

  constructor(payload, addressOf) {
    this.maps = new TokenMaps(payload, addressOf);
    this.element = element("figure", "hiper-panel");
    this.frame = element("div", "hiper-frame");
    this.ratio = payload.width / payload.height;
    this.frame.style.setProperty("--ratio", this.ratio);
    this.canvas = element("canvas", "hiper-map", { role: "img" });
    const title = element("figcaption", "hiper-title");
    title.textContent = title.title = payload.title;
    const address = this.maps.pictureAddress;
    if (address) {
      const picture = element("img", "hiper-picture", { src: address, alt: "", draggable: false });
      // a picture this small is enlarged several times: its pixels stay sharp
      picture.classList.toggle("hiper-small", Math.max(payload.width, payload.height) <= 128);
      this.frame.append(picture);
    }
    this.frame.append(this.canvas);
    const space = element("div", "hiper-space");
    space.append(this.frame);
    this.element.append(space, title);
  }

  /** Take the mean of some tokens; `peak` is its highest value. */
  choose(levels, names) {
    this.levels = levels;
    this.values = this.maps.mean(levels, names);
    this.peak = this.values ? this.values.reduce((most, value) => Math.max(most, value)) : 0;
    this.frame.dataset.map = Boolean(this.values);
    this.element.dataset.without = names.length > 0 && !this.values;
    this.frame.dataset.lacks = phrase("notInPrompt");
    const seen = { tokens: names.join(", "), title: this.maps.payload.title };
    const label = this.values ? phrase("attentionTo", seen) : phrase("attentionToNone", seen);
    this.canvas.setAttribute("aria-label", label);
  }

  paint(end, opacity) {
    this.maps.paint(this.canvas, this.values, end, this.maps.payload.image ? opacity : 1);
  }
}
