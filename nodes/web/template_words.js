/** The templates' notes and titles, in the editor's language: graph_words/<language>.json. */

import { app } from "../../scripts/app.js";

const LANGUAGES = ["ko", "zh", "ja"];
const NOTES = new Set(["Note", "MarkdownNote"]);

let dictionary = null; // a text in any language -> it in English, then in each of LANGUAGES

app.registerExtension({
  name: "HiPer.TemplateWords",

  async beforeConfigureGraph(graph) {
    const nodes = nodesOf(graph);
    if (!nodes.some(({ type }) => type?.startsWith("HiPer"))) return;
    const language = app.extensionManager.setting.get("Comfy.Locale");
    dictionary ??= read();
    const words = await dictionary;
    // a graph may have been saved in another language than today's; null: not a template's text
    const into = (text) => {
      const known = words.get(text);
      return known ? (known[1 + LANGUAGES.indexOf(language)] ?? known[0]) : null;
    };
    // a template, or what came of one: titles in other people's graphs are their own
    if (!nodes.some((node) => NOTES.has(node.type) && into(noteOf(node)) !== null)) return;
    for (const node of nodes) {
      if (node.title) node.title = into(node.title) ?? node.title;
      if (NOTES.has(node.type)) node.widgets_values[0] = into(noteOf(node)) ?? noteOf(node);
    }
    for (const group of graph.groups ?? []) group.title = into(group.title) ?? group.title;
  },
});

function nodesOf(graph) {
  const inside = (graph.definitions?.subgraphs ?? []).flatMap(({ nodes }) => nodes);
  return [...(graph.nodes ?? []), ...inside];
}

function noteOf(node) {
  return node.widgets_values?.[0];
}

/** Empty where a file is not there. */
async function read() {
  try {
    const files = await Promise.all(
      LANGUAGES.map(async (language) => {
        const answer = await fetch(new URL(`./graph_words/${language}.json`, import.meta.url));
        return answer.json();
      }),
    );
    const texts = Object.keys(files[0]).map((text) => [text, ...files.map((file) => file[text])]);
    return new Map(texts.flatMap((known) => known.map((text) => [text, known])));
  } catch (error) {
    console.warn("HiPer: the templates' translations could not be read.", error);
    return new Map();
  }
}
