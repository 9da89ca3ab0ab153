/** Puts the attention view on the nodes that return maps, and keeps its state with the node. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { AttentionView } from "./attention_view.js";
import { chain, shows } from "./shown_outputs.js";

const SHOWS_MAPS = new Set(["HiPerAttentionViewer", "HiPerCompareAttention"]);
const WIDGET = "hiper_attention";
const CHOICE = "tokens";
const OPACITY = "opacity";
const STATE = "hiper_viewer"; // in node.properties
const NODES_2 = "[data-node-id]"; // what Nodes 2.0 draws a node as
const NARROWEST = 400;

const views = new Map(); // node -> its AttentionView, while it is in a graph

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
});

function attach(node) {
  const view = new AttentionView({
    addressOf: (file) => api.apiURL(`/view?${new URLSearchParams(file)}`),
    onChange: (state) => {
      node.properties[STATE] = state;
      const opacity = node.widgets?.find(({ name }) => name === OPACITY);
      if (opacity) opacity.value = state.opacity;
      node.graph?.setDirtyCanvas?.(true, true);
    },
    onChoose: (choice) => choose(node, choice),
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

  const choice = node.widgets.find(({ name }) => name === CHOICE);
  if (choice) chain(choice, "callback", () => view.release());
  const opacity = node.widgets.find(({ name }) => name === OPACITY);
  if (opacity) {
    opacity.hidden = opacity.options.hidden = true; // the view's own slider stands for it
    view.restore({ opacity: opacity.value });
  }
  chain(node, "onAdded", () => views.set(node, view));
  chain(node, "onConfigure", () => {
    const own = opacity ? { opacity: opacity.value } : {};
    view.restore({ ...node.properties[STATE], ...own });
  });
  shows(node, (output) => show(node, output), [CHOICE, OPACITY]);
  chain(node, "onRemoved", () => {
    views.delete(node);
    view.destroy();
  });
}

/** What is clicked is the next run's mask: it stands in the node's own widget and is saved there. */
function choose(node, choice) {
  const widget = node.widgets.find(({ name }) => name === CHOICE);
  if (widget) widget.value = choice;
}

/** The wheel moves the graph, unless it scrolls the chips; Nodes 2.0 hands it on by itself. */
function handOn(event) {
  const { target } = event;
  const scrolled = target.closest("[data-capture-wheel]");
  if (target.closest(NODES_2) || scrolled?.contains(document.activeElement)) return;
  event.preventDefault();
  app.canvas.canvas.dispatchEvent(new WheelEvent("wheel", event));
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
