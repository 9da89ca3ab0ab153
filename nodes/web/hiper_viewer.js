/** Puts the attention view on the nodes that return maps, and keeps its state with the node. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { AttentionView } from "./attention_view.js";
import { meaningOf } from "./graph_meaning.js";

const SHOWS_MAPS = new Set(["HiPerAttentionViewer", "HiPerCompareAttention"]);
const WIDGET = "hiper_attention";
const STATE = "hiper_viewer"; // in node.properties
const NODES_2 = "[data-node-id]"; // what Nodes 2.0 draws a node as
const NARROWEST = 400;
const LATEST_RUNS = 16; // looked through for a result after the page was reloaded

const views = new Map(); // node -> its AttentionView, while it is in a graph
let opening = true; // the first graph is the one that the page had before it was reloaded

app.registerExtension({
  name: "HiPer.AttentionViewer",

  setup() {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = new URL("./attention_view.css", import.meta.url).href;
    document.head.append(style);
  },

  nodeCreated(node) {
    if (SHOWS_MAPS.has(node.comfyClass)) attach(node);
  },

  onNodeOutputsUpdated(outputs) {
    for (const node of views.keys()) show(node, outputs[locator(node)]);
  },

  async afterConfigureGraph() {
    const reloaded = opening;
    opening = false;
    const waiting = [...views.keys()].filter((node) => !show(node, app.nodeOutputs[locator(node)]));
    if (waiting.length) await showItsRun(waiting, reloaded);
  },
});

function attach(node) {
  const view = new AttentionView({
    addressOf: (file) => api.apiURL(`/view?${new URLSearchParams(file)}`),
    onChange: (state) => {
      node.properties[STATE] = state;
      node.graph?.setDirtyCanvas?.(true, true);
    },
    onLayout: () => fit(node),
    onWheel: handOn,
  });
  const widget = node.addDOMWidget(WIDGET, WIDGET, view.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => view.leastHeight,
  });
  widget.serialize = false;
  node.setSize([Math.max(node.size[0], NARROWEST), node.size[1]]);

  chain(node, "onAdded", () => views.set(node, view));
  chain(node, "onConfigure", () => view.restore(node.properties[STATE]));
  chain(node, "onExecuted", (output) => show(node, output));
  chain(node, "onRemoved", () => {
    views.delete(node);
    view.destroy();
  });
}

/** The wheel moves the graph, unless it scrolls the chips; Nodes 2.0 hands it on by itself. */
function handOn(event) {
  const { target } = event;
  const scrolled = target.closest("[data-capture-wheel]");
  if (target.closest(NODES_2) || scrolled?.contains(document.activeElement)) return;
  event.preventDefault();
  app.canvas.canvas.dispatchEvent(new WheelEvent("wheel", event));
}

function chain(node, name, after) {
  const before = node[name];
  node[name] = function (...args) {
    const result = before?.apply(this, args);
    after(...args);
    return result;
  };
}

/** Grow the node where its widgets need more room; Nodes 2.0 does so by itself. */
function fit(node) {
  if (!node.graph || views.get(node)?.element.closest(NODES_2)) return;
  const [width, height] = node.computeSize();
  const size = [Math.max(node.size[0], width), Math.max(node.size[1], height)];
  if (size[0] > node.size[0] || size[1] > node.size[1]) node.setSize(size);
  node.graph.setDirtyCanvas?.(true, true);
}

/** Whether the output had maps to show. */
function show(node, output) {
  const payloads = output?.hiper_maps;
  if (!payloads?.length) return false;
  views.get(node)?.show(payloads);
  return true;
}

/** The key of a node's output: its id, or below a subgraph the subgraph's id before it. */
function locator(node) {
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
    const meaning = meaningOf(graph.serialize(), after);
    return runs.filter((run) => meaningOf(run.prompt[3].extra_pnginfo.workflow, after) === meaning);
  };
  let own = same(false);
  // the seeds of the next run stand in the page's own graph, and in no picture's
  if (!own.length && reloaded) own = same(true);
  for (const node of waiting) {
    const isNode = (key) => key.split(":").at(-1) === `${node.id}`;
    for (const { prompt, outputs } of own) {
      const key = Object.keys(outputs).find(isNode);
      const found = key && prompt[2][key]?.class_type === node.comfyClass;
      if (found && views.has(node) && show(node, outputs[key])) break;
    }
  }
}
