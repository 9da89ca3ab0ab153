/** The view's small parts: elements, sliders, the step slider that plays, the colour scale. */

import { HEAT } from "./attention_maps.js";
import { phrase } from "./words.js";

const SECONDS_A_STEP = 0.25;
const PLAY = "M4 2.5v11l9-5.5z";
const PAUSE = "M4 2.5h3v11H4zM9 2.5h3v11H9z";

export function element(tag, name, attributes = {}) {
  const made = document.createElement(tag);
  made.className = name;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function icon(path) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("viewBox", "0 0 16 16");
  made.setAttribute("aria-hidden", "true");
  made.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  made.firstChild.setAttribute("d", path);
  return made;
}

const stop = (event) => event.stopPropagation();

/** A slider that `label` gives a name to; arrow keys on it are its own, not the graph's. */
export function slider(label, [min, max, step], onInput, signal) {
  const frame = element("label", "hiper-slider");
  const input = element("input", "", { type: "range", min, max, step });
  const name = element("span", "");
  const reading = element("output", "");
  frame.append(name, input, reading);
  const read = () => {
    reading.textContent = `${Math.round(100 * input.value)} %`;
    frame.style.setProperty("--part", (input.value - min) / (max - min));
  };
  const act = () => {
    read();
    onInput(Number(input.value));
  };
  input.addEventListener("input", act, { signal });
  input.addEventListener("keydown", stop, { signal });
  return {
    element: frame,
    speak() {
      name.textContent = label();
    },
    set value(value) {
      input.value = value;
      read();
    },
  };
}

/** Which step of a recording is shown; it hides itself where there is but one. */
export class StepSlider {
  #labels = [""];
  #playing = null;
  #onStep;

  constructor(onStep, signal) {
    this.#onStep = onStep;
    this.element = element("div", "hiper-slider hiper-steps");
    this.play = element("button", "hiper-play", { type: "button" });
    this.input = element("input", "", { type: "range", min: 0, step: 1 });
    this.reading = element("output", "");
    this.element.append(this.play, this.input, this.reading);
    const toggle = () => (this.#playing ? this.stop() : this.#start());
    const choose = () => {
      this.stop();
      this.#onStep(this.value);
    };
    this.play.addEventListener("click", toggle, { signal });
    this.input.addEventListener("input", choose, { signal });
    this.input.addEventListener("keydown", stop, { signal });
    this.fill([""]);
  }

  fill(labels) {
    this.stop();
    this.#labels = labels;
    this.input.max = labels.length - 1;
    this.element.hidden = labels.length < 2;
  }

  get value() {
    return Number(this.input.value);
  }

  set value(step) {
    this.input.value = Math.min(step, this.#labels.length - 1);
    const label = this.#labels[this.value];
    this.reading.textContent = label;
    this.input.setAttribute("aria-valuetext", label);
    const last = Math.max(1, this.#labels.length - 1);
    this.element.style.setProperty("--part", this.value / last);
  }

  stop() {
    if (!this.#playing) return;
    clearInterval(this.#playing);
    this.#playing = null;
    this.speak();
  }

  #start() {
    const next = () => this.#onStep((this.value + 1) % this.#labels.length);
    this.#playing = setInterval(next, 1000 * SECONDS_A_STEP);
    this.speak();
    next();
  }

  speak() {
    this.play.replaceChildren(icon(this.#playing ? PAUSE : PLAY));
    this.play.setAttribute("aria-label", this.#playing ? phrase("pause") : phrase("play"));
    this.input.setAttribute("aria-label", phrase("step"));
  }
}

const SCALES = {
  own: () => [phrase("scaleOwn"), phrase("scaleOwnMeans")],
  shared: () => [phrase("scaleShared"), phrase("scaleSharedMeans")],
};

/** What the colours stand for, whose scale it is, and where the place pointed at lies on it. */
export class ScaleBar {
  constructor(onScale, signal) {
    this.element = element("div", "hiper-scale");
    this.bar = element("div", "hiper-ramp");
    this.bar.style.background = `linear-gradient(to right, ${HEAT.join(", ")})`;
    this.marker = element("div", "hiper-marker", { hidden: "" });
    this.most = element("span", "hiper-most");
    this.choice = element("button", "hiper-choice", { type: "button" });
    const turn = () => onScale(this.kind === "own" ? "shared" : "own");
    this.choice.addEventListener("click", turn, { signal });
    const least = element("span", "");
    least.textContent = "0";
    this.bar.append(this.marker);
    this.element.append(least, this.bar, this.most, this.choice);
  }

  speak() {
    this.bar.title = phrase("scaleShows");
  }

  /** `end` is where the colours end, as a share of the common scale. */
  show(scale, end, clipped, kind) {
    Object.assign(this, { scale, end, kind });
    this.most.textContent = `${clipped ? "≥ " : ""}${reading(scale * end)}`;
    [this.choice.textContent, this.choice.title] = SCALES[kind]();
  }

  /** Mark a value, given as a share of the common scale, or none; returns its reading. */
  mark(value) {
    this.marker.hidden = value === null;
    if (value === null) return "";
    this.marker.style.left = `${100 * Math.min(1, value / this.end)}%`;
    return phrase("here", { value: reading(value * this.scale) });
  }
}

function reading(value) {
  if (value && value < 0.001) return value.toExponential(0);
  return String(Number(value.toPrecision(2)));
}
