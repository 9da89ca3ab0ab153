/** What the pack's widgets say, in the editor's language: "hiper" of locales/<language>/main.json. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

// as in locales/en: for what has no translation, and until there are any
const ENGLISH = {
  runFirst: "Run the graph: the picture appears here, with the prompt's tokens below it.",
  gone: "These maps were in ComfyUI's temp folder, which has been emptied: run the graph again.",
  hint: "Point at a token. Click chooses it for the mask, Shift-click adds.",
  mean: "mean of {count}",
  pinned: "pinned",
  here: "{value} here",
  attentionTo: "Attention to {tokens}: {title}",
  attentionToNone: "Attention to no token: {title}",
  notInPrompt: "not in this prompt",
  scaleOwn: "scale: this map",
  scaleOwnMeans: "The brightest colour is this map's own peak; nothing is subtracted",
  scaleShared: "scale: all tokens",
  scaleSharedMeans: "One scale for all tokens, steps and prompts, so that they compare",
  scaleShows: "How much of a place's attention goes to the token",
  tokens: "Tokens of the prompt",
  wholeTail: "all {count} learned tokens",
  tokenNumber: "{kind} · token {number}",
  words: "words",
  word: "word",
  special: "special",
  padding: "padding",
  number: "number",
  withoutLabels: "tokens without labels",
  opacity: "Opacity",
  step: "Step",
  moment: "t = {timestep} (step {step} of {steps})",
  momentOfStage: "t = {timestep} (step {step} of {steps}, stage {stage})",
  play: "Play the steps",
  pause: "Pause",
  finish: "Finish now and use it",
};
const LOCALE = "Comfy.Locale";
const ARRIVED = "arrived";

const arrival = new EventTarget();
let asked = false;
let translations = {}; // language -> its words

/** What is said under a name, with values in its {places}. */
export function phrase(name, values = {}) {
  const language = app.extensionManager.setting.get(LOCALE);
  if (language !== "en") translate();
  const words = translations[language]?.[name] ?? ENGLISH[name];
  return words.replace(/\{(\w+)\}/g, (_, place) => values[place]);
}

/**
 * What is on the page before the translations are is said again then. Another language needs
 * nothing of the kind: ComfyUI loads the graph anew for it.
 */
export function whenTranslated(putRight, signal) {
  arrival.addEventListener(ARRIVED, putRight, { signal });
}

/** Extensions can't reach ComfyUI's own translator, so that the server is asked, and only once. */
async function translate() {
  if (asked) return;
  asked = true;
  try {
    const answer = await api.fetchApi("/i18n");
    const packs = Object.entries(await answer.json());
    translations = Object.fromEntries(packs.map(([language, words]) => [language, words.hiper]));
    arrival.dispatchEvent(new Event(ARRIVED));
  } catch (error) {
    console.warn("HiPer: the translations could not be read.", error);
  }
}
