/** What nodes show of their run, and show again where a graph is opened that has run before. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { meaningOf } from "./graph_meaning.js";

const LATEST_RUNS = 16; // looked through for a result after the page was reloaded

const showing = new Map(); // node -> what it does with its output, while it is in a graph
const spareOf = {}; // type of node -> places of its spare widgets
let opening = true; // the first graph is the one that the page had before it was reloaded

/**
 * `show` takes the node's output and says whether there was something for it in there; what is shown
 * is the same whatever stands in the widgets named `spare`.
 */
export function shows(node, show, spare = []) {
  chain(node, "onAdded", () => {
    showing.set(node, show);
    const places = spare.map((name) => node.widgets.findIndex((widget) => widget.name === name));
    spareOf[node.comfyClass] = new Set(places);
  });
  chain(node, "onExecuted", show);
  chain(node, "onRemoved", () => showing.delete(node));
}

export function chain(node, name, after) {
  const before = node[name];
  node[name] = function (...args) {
    const result = before?.apply(this, args);
    after(...args);
    return result;
  };
}

app.registerExtension({
  name: "HiPer.ShownOutputs",

  onNodeOutputsUpdated(outputs) {
    for (const [node, show] of showing) show(outputs[locator(node)]);
  },

  async afterConfigureGraph() {
    const reloaded = opening;
    opening = false;
    const waiting = [...showing].filter(([node, show]) => !show(app.nodeOutputs[locator(node)]));
    if (waiting.length) await showItsRun(waiting, reloaded);
  },
});

/** The key of a node's output: its id, or below a subgraph the subgraph's id before it. */
export function locator(node) {
  const { graph } = node;
  return !graph || graph.isRootGraph !== false ? `${node.id}` : `${graph.id}:${node.id}`;
}

/**
 * ComfyUI forgets a page's outputs when it is reloaded; the server still has the latest runs.
 * A graph's id alone does not tell: a picture that is dragged back brings an older version of it.
 */
async function showItsRun(waiting, reloaded) {
  const graph = app.rootGraph ?? app.graph;
  const answer = await api.fetchApi(`/history?max_items=${LATEST_RUNS}`);
  if (!answer.ok || graph !== (app.rootGraph ?? app.graph)) return;
  const runs = Object.values(await answer.json())
    .filter((run) => run.prompt?.[3]?.extra_pnginfo?.workflow?.id === graph.id)
    .sort((one, other) => other.prompt[0] - one.prompt[0]);
  const same = (after) => {
    const meaning = meaningOf(graph.serialize(), after, spareOf);
    const own = (run) => meaningOf(run.prompt[3].extra_pnginfo.workflow, after, spareOf) === meaning;
    return runs.filter(own);
  };
  let own = same(false);
  // the seeds of the next run stand in the page's own graph, and in no picture's
  if (!own.length && reloaded) own = same(true);
  for (const [node, show] of waiting) {
    const isNode = (key) => key.split(":").at(-1) === `${node.id}`;
    for (const { prompt, outputs } of own) {
      const key = Object.keys(outputs).find(isNode);
      const found = key && prompt[2][key]?.class_type === node.comfyClass;
      if (found && showing.has(node) && show(outputs[key])) break;
    }
  }
}
